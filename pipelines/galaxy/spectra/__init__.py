"""Stellar and nebular spectra, dust, and what is measured from a spectrum: lines, indices, colours."""
