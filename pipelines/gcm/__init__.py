"""Global circulation: the spectral dynamical core and everything that runs it."""
