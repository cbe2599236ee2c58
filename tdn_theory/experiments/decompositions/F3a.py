"""F3a: approximation error against L for the four rank schedules."""

from __future__ import annotations

from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments.decompositions import rank_sweep
from tdn_theory.experiments.schedules import points
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.theory.equivariance import monte_carlo_approximation

SAMPLES = 1000


def measure(schedule: str, lmax: int, rank: int, name: str, seed: int) -> dict[str, Any]:
    """The error of one schedule at one L, sampled as in the paper and exact in the mean square."""
    tensor = CouplingTensor(lmax)
    solution = rank_sweep.load(lmax, rank, name)
    sampled = monte_carlo_approximation(solution.factors, tensor, SAMPLES, seed)
    return {
        "schedule": schedule,
        "L": lmax,
        "R": rank,
        "sampled_error": sampled.mean,
        "sampled_error_se": sampled.mean_se,
        "frobenius_error": solution.residual,
    }


def run(preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Values of the figure; the full preset fits every decomposition again first."""
    if preset is Preset.FULL:
        rank_sweep.fit_all(seed, units)
    return {"samples": SAMPLES, "points": jobs.map(measure, points(seed), "F3a: approximation errors")}
