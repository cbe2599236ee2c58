"""The interface of all solvers: a frozen configuration that turns a coupling tensor into a solution."""

from __future__ import annotations

from numbers import Integral
from typing import Protocol

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution
from tdn_theory.scale import power_of_two


class Solver(Protocol):
    """A decomposition algorithm with its settings.

    Implementations are frozen dataclasses; all randomness comes from their `seed`, and nothing is read or written.
    """

    @property
    def rank(self) -> int:
        """Number of rank-one terms R to look for."""
        ...

    def solve(self, tensor: CouplingTensor) -> CPSolution:
        """Decompose `tensor`."""
        ...


def check_rank(rank: int) -> None:
    """Raise unless `rank` is an integer of at least 1."""
    if isinstance(rank, bool) or not isinstance(rank, Integral):
        raise TypeError(f"rank is {rank!r}; it must be an integer >= 1: pass e.g. 28")
    if rank < 1:
        raise ValueError(f"rank is {rank}; it must be an integer >= 1 (7 L^2 = 28 at L = 2)")


def check_tensor_not_zero(tensor: CouplingTensor) -> None:
    """Raise for the zero tensor, which has no relative residual."""
    if tensor.norm == 0:
        raise ValueError(f"{tensor} is zero; give at least one path a nonzero weight")


def at_unit_scale(tensor: CouplingTensor) -> tuple[CouplingTensor, float]:
    """`(M / s^3, s)` with s a power of two, so that squares of what the solvers compute are in the range of float64.

    The factors of M are those of M / s^3 times s each, so those of 8^n M are 2^n times those of M. s is 1 while the
    largest entry lies between 1/2 and 4.
    """
    exponent = round((power_of_two(tensor.array).item() - 1) / 3)
    weights = tuple(np.ldexp(tensor.weights, -3 * exponent).tolist())
    return CouplingTensor(tensor.coupling, weights, tensor.normalization), 2.0**exponent


def random_start(tensor: CouplingTensor, rank: int, rng: np.random.Generator) -> CPFactors:
    """Gaussian factors whose tensor has the expected squared norm of `tensor`."""
    size = (tensor.norm / np.sqrt(rank)) ** (1 / 3)
    return CPFactors(*(rng.normal(size=(d, rank)) * size / np.sqrt(d) for d in tensor.coupling.shape))


def check_start(start: CPFactors, tensor: CouplingTensor, rank: int) -> None:
    """Raise unless `start` has the tensor's dimensions, and `rank` terms."""
    if (start.dims, start.rank) != (tensor.dims, rank):
        raise ValueError(
            f"start has (d1, d2, d3) = {start.dims} and R = {start.rank}; {tensor} needs {tensor.dims} and R = {rank}"
        )


def with_weights_found(tensor: CouplingTensor, factors: CPFactors) -> CouplingTensor:
    """The tensor with the weights that factors have on its paths in use; itself if all of these have died."""
    weights = tensor.project(factors.array).weights
    kept = tuple(w if anchor else 0.0 for w, anchor in zip(weights, tensor.weights, strict=True))
    return CouplingTensor(tensor.coupling, kept, tensor.normalization) if any(kept) else tensor
