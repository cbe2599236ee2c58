"""How symmetric and how consistent a potential, a module or a product is, and whether its errors are mere roundoff."""

from tdn_theory.extras import named

with named():
    import ase  # noqa: F401 - everything here needs it
