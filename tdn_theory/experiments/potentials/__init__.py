"""Trained networks: what the error of a product does to their predictions."""
