"""Decomposition algorithms, one per file, behind the interface of `solver.py`."""
