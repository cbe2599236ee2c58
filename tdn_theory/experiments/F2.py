"""F2: approximation error of CP decompositions against rank, for each L, between the bounds that theory gives."""

from __future__ import annotations

from math import sqrt
from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments import rank_sweep
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset
from tdn_theory.theory.bounds import best_core, residual_lower_bound, tail, theorem_core
from tdn_theory.theory.equivariance import monte_carlo_approximation, rms_error_relative_to_output

SAMPLES = 1000


def measure(lmax: int, rank: int, name: str, seed: int) -> dict[str, Any]:
    """One point of the figure: errors of the best known decomposition, and bounds on the error of any."""
    tensor = CouplingTensor(lmax)
    solution = rank_sweep.load(lmax, rank, name)
    sampled = monte_carlo_approximation(solution.factors, tensor, SAMPLES, seed)
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


def run(preset: Preset, seed: int, units: Units) -> dict[str, Any]:
    """Values of the figure; the full preset fits every decomposition again first."""
    if preset is Preset.FULL:
        rank_sweep.fit_all(seed, units)
    points = [
        {"lmax": lmax, "rank": rank, "name": rank_sweep.best_name(lmax, rank), "seed": seed}
        for lmax in rank_sweep.DEGREES
        for rank in [*rank_sweep.SWEEP[lmax], (lmax + 1) ** 4]
    ]
    return {"samples": SAMPLES, "points": units.map(measure, points, "F2: measuring errors")}
