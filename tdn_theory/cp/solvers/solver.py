"""The interface of all solvers: a frozen configuration that turns a coupling tensor into a solution."""

from __future__ import annotations

from numbers import Integral
from typing import Protocol

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.solution import CPSolution


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


def random_start(d: int, rank: int, norm: float, rng: np.random.Generator) -> Float[np.ndarray, "3 d R"]:
    """Gaussian factors (A, B, C) whose tensor has expected squared norm `norm^2`."""
    return rng.normal(size=(3, d, rank)) * (norm / np.sqrt(rank)) ** (1 / 3) / np.sqrt(d)
