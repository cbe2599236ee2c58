"""T4: one map of three inputs, its 4-way tensor, and what the CP form can do with it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.constructions.cubature import rule
from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.theory.steps import prove_all
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.theory.multilinear import (
    Terms,
    chain,
    chain_rank_bound,
    fit,
    gaunt,
    matrix_chain,
    mean_square_error,
    residual_lower_bound,
    symmetrized,
)

INPUTS = 3


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        largest: Largest L of the proof.
        degrees: Degrees L at which forms are compared.
        starts: Starts of the fit at the paper's rank.
        sweeps: Sweeps of each.
    """

    largest: int
    degrees: tuple[int, ...]
    starts: int
    sweeps: int


SIZES = {
    Preset.SMALLEST: Size(largest=1, degrees=(1, 2), starts=1, sweeps=10),
    Preset.QUICK: Size(largest=3, degrees=(1, 2, 3), starts=3, sweeps=500),
    Preset.FULL: Size(largest=4, degrees=(1, 2, 3), starts=20, sweeps=5000),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Steps of the proof, and forms of three inputs."""
    plan = [{"lmax": lmax, "starts": size.starts, "sweeps": size.sweeps, "seed": seed} for lmax in size.degrees]
    return {
        "largest": size.largest,
        "proof": prove_all(("three_inputs",), size.largest, jobs),
        "forms": jobs.map(forms, plan, "forms of three inputs"),
    }


def forms(lmax: int, starts: int, sweeps: int, seed: int) -> dict[str, Any]:
    """The chain of two of the paper's products in CP form, exact products of three inputs, and their multiply-adds.

    Multiply-adds are those of one channel of each input: R d for every mode and R for every product of two inputs in CP
    form; two for every coefficient that is not zero in a chain of two products.

    Args:
        lmax: Maximal degree L.
        starts: Starts of the fit at the paper's rank.
        sweeps: Sweeps of each.
        seed: Seed of the first start.
    """
    tensor, rank = CouplingTensor(lmax), quadratic(lmax)
    T = chain(tensor, INPUTS)
    fits = [fit(T, rank, seed + start, sweeps) for start in range(starts)]
    errors = [float(np.linalg.norm(found.array - T) / np.linalg.norm(T)) for found in fits]
    exact = {"cubature, even trees": gaunt(lmax, INPUTS, rule((INPUTS + 1) * lmax))}
    if lmax % 2 == 0:
        exact["matrices"] = matrix_chain(lmax, INPUTS)
    least = chain_rank_bound(lmax)
    return {
        "L": lmax,
        "d": tensor.d,
        "rank": rank,
        "least_rank": least,
        "lower_bound": residual_lower_bound(T, rank),
        "symmetric_lower_bound": residual_lower_bound(symmetrized(T), rank),
        "fit": min(errors),
        "exact": {
            name: {"rank": found.rank, "equivariance_error": _relative_error(found)} for name, found in exact.items()
        },
        "multiply_adds": {
            "CP, least rank": _multiply_adds(least, tensor.d),
            "chain of two products": 4 * int(np.count_nonzero(tensor.array)),
        },
    }


def _relative_error(found: Terms) -> float:
    """`||T - P T|| / ||T||`."""
    T = found.array
    return sqrt(mean_square_error(T) / 2) / float(np.linalg.norm(T))


def _multiply_adds(rank: int, d: int) -> int:
    return rank * ((INPUTS + 1) * d + INPUTS - 1)


STUDY = Study("T4", "Products of three inputs as equivariant 4-way tensors in CP form", Cost.COMPUTED, SIZES, run)
