"""Numerical kernels that stand on their own: NumPy references beside JAX and PyTorch implementations."""
