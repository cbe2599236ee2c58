"""CP decompositions of coupling tensors: factors, solvers, constructions, and the store."""
