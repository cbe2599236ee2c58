"""F2: approximation error of CP decompositions against rank, for each L, between the bounds that theory gives."""

from __future__ import annotations

from math import sqrt
from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments.decompositions import rank_sweep
from tdn_theory.experiments.decompositions.rank_sweep import SIZES, Size
from tdn_theory.jobs import Jobs
from tdn_theory.study import Cost, Study
from tdn_theory.theory.bounds import best_core, residual_lower_bound, tail, theorem_core
from tdn_theory.theory.equivariance import monte_carlo_approximation, rms_error_relative_to_output


def measure(lmax: int, rank: int, name: str, samples: int, seed: int) -> dict[str, Any]:
    """One point of the figure: errors of the best known decomposition, and bounds on the error of any."""
    tensor = CouplingTensor(lmax)
    solution = rank_sweep.load(lmax, rank, name)
    sampled = monte_carlo_approximation(solution.factors, tensor, samples, seed)
    return {
        "L": lmax,
        "R": rank,
        "sampled_error": sampled.mean,
        "sampled_error_se": sampled.mean_se,
        "frobenius_error": solution.residual,
        "equivariance_error": rms_error_relative_to_output(solution.factors),
        "lower_bound": residual_lower_bound(tensor, rank) / tensor.norm,
        "theorem_bound": sqrt(tail(tensor, theorem_core(tensor, rank))) / tensor.norm,
        "truncation_bound": sqrt(tail(tensor, best_core(tensor, rank))) / tensor.norm,
        "condition": solution.factors.condition,
        "status": solution.status.value,
        "solver": solution.made_by["solver"],
    }


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Errors and bounds of the best known decomposition of every rank and L, fitted again first where `size` says so.

    Args:
        size: Size of the run.
        seed: First seed of the fits, and seed of the samples.
        jobs: Where finished parts are kept.
    """
    rank_sweep.fit_all(size.starts, seed, jobs)
    points = [
        {
            "lmax": lmax,
            "rank": rank,
            "name": rank_sweep.best_name(lmax, rank),
            "samples": size.samples,
            "seed": seed,
        }
        for lmax in size.starts
        for rank in [*rank_sweep.SWEEP[lmax], (lmax + 1) ** 4]
    ]
    return {"samples": size.samples, "points": jobs.map(measure, points, "F2: measuring errors")}


STUDY = Study(
    "F2", "Approximation error against rank, and what the truncation bounds promise (T1, T2)", Cost.COMPUTED, SIZES, run
)
