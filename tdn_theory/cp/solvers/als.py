"""Alternating least squares by tensorly, the standard CP algorithm."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.solver import check_rank, check_tensor_not_zero, random_start


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
        theta = random_start(tensor.d, self.rank, tensor.norm, np.random.default_rng(self.seed))
        array = np.array(tensor.array)
        status, sweeps, residual = Status.BUDGET, 0, np.inf
        while sweeps < self.max_sweeps and time.perf_counter() - began < self.max_seconds:
            batch = min(self.batch, self.max_sweeps - sweeps)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tensorly warns about its own near-singular least-squares systems
                _, factors = parafac(
                    array,
                    self.rank,
                    n_iter_max=batch,
                    init=CPTensor((None, list(theta))),
                    tol=0,
                    normalize_factors=False,
                )
            theta = np.stack(factors)
            sweeps += batch
            before, residual = residual, CPFactors(*theta).relative_residual(array)
            if self.stall and before - residual < self.stall * before:
                status = Status.STALLED
                break
        return CPSolution.of(tensor, CPFactors(*theta), status, self, sweeps, began)
