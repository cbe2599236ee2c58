"""F3b: equivariance error against L for the four rank schedules, beside its exact value and its bounds."""

from __future__ import annotations

from math import sqrt
from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments.decompositions import rank_sweep
from tdn_theory.experiments.decompositions.rank_sweep import SIZES, Size
from tdn_theory.jobs import Jobs
from tdn_theory.study import Cost, Study
from tdn_theory.theory.bounds import theorem_bound, trivial_bound
from tdn_theory.theory.equivariance import mean_square_error, monte_carlo, supremum_bound


def measure(schedule: str, lmax: int, rank: int, name: str, samples: int, seed: int) -> dict[str, Any]:
    """The error of one schedule at one L.

    Sampled errors are over Haar rotations and standard normal x and y, as in the paper; bounds are over all rotations
    and unit x and y.
    """
    tensor = CouplingTensor(lmax)
    factors = rank_sweep.load(lmax, rank, name).factors
    sampled = monte_carlo(factors, samples, seed)
    return {
        "schedule": schedule,
        "L": lmax,
        "R": rank,
        "sampled_error": sampled.mean,
        "sampled_error_se": sampled.mean_se,
        "sampled_mean_square": sampled.mean_square,
        "sampled_mean_square_se": sampled.mean_square_se,
        "rms_error": sqrt(mean_square_error(factors)),
        "output_rms": tensor.norm,
        "supremum_bound": supremum_bound(factors).value,
        "theorem_bound": theorem_bound(tensor, rank),
        "trivial_bound": trivial_bound(tensor),
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
    return {"samples": size.samples, "points": jobs.map(measure, points, "F3b: equivariance errors")}


STUDY = Study(
    "F3b",
    "Equivariance error against L for the four rank schedules; exact value and bounds of the adopted one (E6, T1)",
    Cost.COMPUTED,
    SIZES,
    run,
)
