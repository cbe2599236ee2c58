"""How symmetric and how consistent a potential, a module or a product is, and whether its errors are mere roundoff."""
