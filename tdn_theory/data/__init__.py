"""Atomistic data: structures with labels, graphs, and one file per source."""
