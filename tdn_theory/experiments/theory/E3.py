"""E3: the CP form and the tensor on the same inputs, and the multiplications of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.decompositions import rank_sweep
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim
from tdn_theory.study import Cost, Study


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        degrees: Values of L.
        samples: Pairs of inputs, standard normal.
    """

    degrees: tuple[int, ...]
    samples: int


SIZES = {
    Preset.SMALLEST: Size((1,), samples=2),
    Preset.QUICK: Size((1, 2, 3, 4, 5, 6), samples=100),
    Preset.FULL: Size((1, 2, 3, 4, 5, 6), samples=100),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """One row per L, at the paper's rank.

    Args:
        size: Size of the run.
        seed: Seed of the inputs.
        jobs: Where finished parts are kept.
    """
    plan = [
        {
            "lmax": lmax,
            "rank": quadratic(lmax),
            "name": rank_sweep.best_name(lmax, quadratic(lmax)),
            "samples": size.samples,
            "seed": seed,
        }
        for lmax in size.degrees
    ]
    return {"rows": jobs.map(compare, plan, "both forms")}


def compare(lmax: int, rank: int, name: str, samples: int, seed: int) -> dict[str, Any]:
    """Largest difference of `A ((B^T x) * (C^T y))` and `sum_ij Mhat_kij x_i y_j`, relative to the largest output.

    Multiplications per sample: `3 R d + R` as a CP form, `d^2 + d^3` as a tensor.
    """
    d = dim(lmax)
    factors = rank_sweep.load(lmax, rank, name).factors
    x, y = np.random.default_rng(seed).standard_normal((2, samples, d))
    direct = np.einsum("kij,ni,nj->nk", factors.array, x, y, optimize=True)
    error = float(np.abs(factors(x, y) - direct).max() / np.abs(direct).max())
    return {"L": lmax, "R": rank, "relative_difference": error, "cp": 3 * rank * d + rank, "dense": d**3 + d**2}


STUDY = Study("E3", "The CP form and the tensor: equal results, and their multiplications", Cost.COMPUTED, SIZES, run)
