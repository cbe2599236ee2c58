"""Decompositions of the coupling tensor: their errors, ranks and bounds."""
