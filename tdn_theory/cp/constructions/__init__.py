"""Exact decompositions by theorem, one per file."""
