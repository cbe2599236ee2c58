"""Training and evaluation of potentials."""
