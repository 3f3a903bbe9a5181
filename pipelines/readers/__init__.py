"""Files in, numpy and xarray out: one spelling of names, units, times and layouts for every pipeline."""
