"""What a solver returns: factors, how it ended, and how it was made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.provenance import provenance

EXACT = 1e-12
"""Relative residual below which a decomposition counts as exact in float64."""

DEGENERATE = 1e3
"""Condition (see `CPFactors.condition`) above which the terms of a solution are taken to diverge."""

RESOLVED = 1e-6
"""Residual, relative to the least path in use, up to which an exact decomposition is taken to hold that path."""


def is_exact(tensor: CouplingTensor, residual: float) -> bool:
    """Whether a residual relative to the norm of `tensor` is that of an exact decomposition, up to roundoff.

    It is at most `EXACT`, and at most `RESOLVED` of the least nonzero path: a decomposition that leaves a path out, or
    gets its weight wrong, is none, however light the path. Ranks do not depend on how heavy it is: scaling a slot of a
    mode changes no rank.
    """
    blocks = np.abs(tensor.block_weights)
    least = float(blocks[blocks > 0].min()) / tensor.norm
    return residual <= EXACT and residual <= RESOLVED * least


class Status(StrEnum):
    """How a solver ended."""

    CONVERGED = "converged"
    DEGENERATE = "degenerate"
    STALLED = "stalled"
    BUDGET = "budget"
    UNRESOLVED = "unresolved"

    @property
    def message(self) -> str:
        """What it means and what to do next."""
        return {
            Status.CONVERGED: "a stationary point (or an exact decomposition) was reached",
            Status.DEGENERATE: "terms diverge while cancelling each other: no best approximation seems to exist at "
            "this rank (a border-rank effect); raise the rank or bound the factors with a ridge",
            Status.STALLED: "progress fell below the solver's threshold before the gradient vanished; try other seeds",
            Status.BUDGET: "the budget of time or iterations ended while the residual was still falling; raise it",
            Status.UNRESOLVED: "the residual is roundoff of the whole tensor, but not small beside its least path, "
            "which may be missing; scale slots so that path weights are alike (that changes no rank), or drop the path",
        }[self]


@dataclass(frozen=True, eq=False)
class CPSolution:
    """A decomposition found by a solver or given by a theorem.

    Attributes:
        tensor: The tensor that was decomposed.
        factors: Its factors, with the three vectors of each term of equal length.
        status: How the solver ended.
        residual: `||M - Mhat||_F / ||M||_F`, recomputed from the tensor.
        made_by: Solver and its settings, iterations, seconds, and provenance (JSON-compatible).
    """

    tensor: CouplingTensor
    factors: CPFactors
    status: Status
    residual: float
    made_by: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, tensor: CouplingTensor, factors: CPFactors, status: Status, solver: Any, iterations: int, began: float
    ) -> CPSolution:
        """Assemble a solver's result; exactness and divergence overrule its `status`.

        Args:
            tensor: What was decomposed.
            factors: What was found.
            status: How the solver thinks it ended.
            solver: The solver, a dataclass; its settings are recorded.
            iterations: Iterations used.
            began: `time.perf_counter()` at the start.
        """
        factors = factors.balance()
        residual = factors.relative_residual(tensor.array)
        if is_exact(tensor, residual):
            status = Status.CONVERGED
        elif residual <= EXACT:
            status = Status.UNRESOLVED
        elif factors.condition > DEGENERATE:
            status = Status.DEGENERATE
        made_by = {
            **recipe(solver),
            "iterations": iterations,
            "seconds": time.perf_counter() - began,
            **provenance(solver.seed),
        }
        return cls(tensor, factors, status, residual, made_by)

    @property
    def condition(self) -> float:
        """Cancellation of the terms (`CPFactors.condition`)."""
        return self.factors.condition

    @property
    def exact(self) -> bool:
        """Whether the decomposition is exact up to roundoff, every path included (`is_exact`)."""
        return is_exact(self.tensor, self.residual)

    def __repr__(self) -> str:
        """Tensor, rank, residual and status."""
        return f"CPSolution({self.tensor}, R={self.factors.rank}, residual={self.residual:.1e}, {self.status})"


def recipe(solver: Any) -> dict[str, Any]:
    """Name and settings of a solver, as JSON (numpy's numbers as Python's): what a solution is made by."""
    settings = {
        name: None if value == float("inf") else value.item() if isinstance(value, np.generic) else value
        for name, value in asdict(solver).items()
    }
    return {"solver": type(solver).__name__, "settings": settings}


@runtime_checkable
class Ranked(Protocol):
    """What `best` compares: a solution, or the manifest of a stored one."""

    @property
    def residual(self) -> float:
        """Relative Frobenius residual."""
        ...

    @property
    def exact(self) -> bool:
        """Whether it is exact up to roundoff (`is_exact`)."""
        ...

    @property
    def condition(self) -> float:
        """Cancellation of the terms (`CPFactors.condition`)."""
        ...


R = TypeVar("R", bound=Ranked)


def best(candidates: Sequence[R]) -> R:
    """The candidate of least residual; among those that are exact, the best conditioned one.

    Raises:
        ValueError: There is none.
    """
    if not candidates:
        raise ValueError("no solution given; run a solver first")
    exact = [c for c in candidates if c.exact]
    return min(exact, key=lambda c: c.condition) if exact else min(candidates, key=lambda c: c.residual)
