"""Scaled dot-product attention: a NumPy reference and the dispatch to PyTorch."""
