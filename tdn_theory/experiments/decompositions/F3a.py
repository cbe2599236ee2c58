"""F3a: approximation error against L for the four rank schedules."""

from __future__ import annotations

from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.schedules import log_squared_released
from tdn_theory.experiments.decompositions import rank_sweep
from tdn_theory.experiments.decompositions.rank_sweep import SIZES, Size
from tdn_theory.jobs import Jobs
from tdn_theory.study import Cost, Study
from tdn_theory.theory.equivariance import monte_carlo_approximation


def measure(schedule: str, lmax: int, rank: int, name: str, samples: int, seed: int) -> dict[str, Any]:
    """The error of one schedule at one L, sampled as in the paper and exact in the mean square."""
    tensor = CouplingTensor(lmax)
    solution = rank_sweep.load(lmax, rank, name)
    sampled = monte_carlo_approximation(solution.factors, tensor, samples, seed)
    return {
        "schedule": schedule,
        "L": lmax,
        "R": rank,
        "sampled_error": sampled.mean,
        "sampled_error_se": sampled.mean_se,
        "frobenius_error": solution.residual,
    }


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Errors of the best known decompositions, fitted again first where `size` says so.

    Args:
        size: Size of the run.
        seed: First seed of the fits, and seed of the samples.
        jobs: Where finished parts are kept.
    """
    rank_sweep.fit_all(size.starts, seed, jobs)
    points = [{**point, "samples": size.samples} for point in rank_sweep.scheduled(size.starts, seed)]
    return {
        "samples": size.samples,
        "points": jobs.map(measure, points, "F3a: approximation errors"),
        "released_log_ranks": [log_squared_released(lmax) for lmax in size.starts],
    }


STUDY = Study("F3a", "Approximation error against L for the four rank schedules (E5)", Cost.COMPUTED, SIZES, run)
