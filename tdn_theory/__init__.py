"""Verify, sharpen and extend the theory of Tensor Decomposition Networks (arXiv:2507.01131)."""

__version__ = "0.1.0"
