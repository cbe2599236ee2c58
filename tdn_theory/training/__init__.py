"""Training and evaluation of potentials."""

from tdn_theory.extras import named

with named():
    import torch  # noqa: F401 - everything here needs it
