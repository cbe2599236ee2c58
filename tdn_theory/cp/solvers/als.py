"""Alternating least squares by tensorly, the standard CP algorithm."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.solver import at_unit_scale, check_rank, check_tensor_not_zero, random_start


@dataclass(frozen=True)
class AlternatingLeastSquares:
    """tensorly's `CP` class (its ALS) from a Gaussian start.

    tensorly's own error is `sqrt(||M||^2 + ||Mhat||^2 - 2 <M, Mhat>)`, which cancels below 1e-8; the residual of the
    solution is recomputed from the tensor.

    Attributes:
        rank: Number of terms R.
        seed: Seed of the Gaussian start.
        max_sweeps: Sweeps over the three factors.
        max_seconds: Wall time after which no further batch of sweeps begins.
        stall: The solver stops as stalled when a batch lowers the relative residual by less than this fraction; with 0
            it never does.
    """

    rank: int
    seed: int = 0
    max_sweeps: int = 2000
    max_seconds: float = float("inf")
    stall: float = 1e-4

    batch = 100

    def __post_init__(self) -> None:
        check_rank(self.rank)

    def solve(self, tensor: CouplingTensor) -> CPSolution:
        """Decompose `tensor`.

        Raises:
            ValueError: The tensor is zero.
        """
        from tensorly.cp_tensor import CPTensor
        from tensorly.decomposition import parafac

        check_tensor_not_zero(tensor)
        began = time.perf_counter()
        unit, scale = at_unit_scale(tensor)
        factors = random_start(unit, self.rank, np.random.default_rng(self.seed))
        array = np.array(unit.array)
        status, sweeps, residual = Status.BUDGET, 0, np.inf
        while sweeps < self.max_sweeps and time.perf_counter() - began < self.max_seconds:
            batch = min(self.batch, self.max_sweeps - sweeps)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tensorly warns about its own near-singular least-squares systems
                _, found = parafac(
                    array,
                    self.rank,
                    n_iter_max=batch,
                    init=CPTensor((None, [np.array(f) for f in (factors.A, factors.B, factors.C)])),
                    tol=0,
                    normalize_factors=False,
                )
            factors = CPFactors(*found)
            sweeps += batch
            before, residual = residual, factors.relative_residual(array)
            if self.stall and before - residual < self.stall * before:
                status = Status.STALLED
                break
        factors = CPFactors(scale * factors.A, scale * factors.B, scale * factors.C)
        return CPSolution.of(tensor, factors, status, self, sweeps, began)
