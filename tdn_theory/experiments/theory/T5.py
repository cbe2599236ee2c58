"""T5: whether a rank-R approximation is unique: rotated ones, and other terms near those of a given one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.experiments.decompositions import rank_sweep
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.rotation import haar_rotations, wigner_D
from tdn_theory.study import Cost, Study
from tdn_theory.theory.uniqueness import local_uniqueness

SIZES = {
    Preset.SMALLEST: {"forms": ((1, 7), (1, 8))},
    Preset.QUICK: {"forms": ((1, 7), (1, 8), (2, 28), (3, 63))},
    Preset.FULL: {"forms": ((1, 7), (1, 8), (2, 28), (3, 63))},
}
"""(L, R) of stored decompositions: the paper's ranks, and the least at which M is known to be exact at L = 1."""


def run(size: Mapping[str, tuple[tuple[int, int], ...]], seed: int, jobs: Jobs) -> dict[str, Any]:
    """One row per decomposition.

    Args:
        size: Size of the run.
        seed: Seed of the rotation.
        jobs: Where finished parts are kept.
    """
    plan = [
        {"lmax": lmax, "rank": rank, "name": rank_sweep.best_name(lmax, rank), "seed": seed}
        for lmax, rank in size["forms"]
    ]
    return {"rows": jobs.map(examine, plan, "uniqueness")}


def examine(lmax: int, rank: int, name: str, seed: int) -> dict[str, Any]:
    """Turn all vectors of a decomposition, and examine whether its own terms are unique near them.

    If `sum_r a_r (x) b_r (x) c_r` approximates M, so does the sum of `D a_r (x) D b_r (x) D c_r`, and equally well,
    since M commutes with D. Were the set of terms of a best approximation unique, every rotation would permute it;
    SO(3) is connected, so each term would be invariant by itself, with a_r, b_r, c_r in l = 0. Such terms make the path
    0x0->0 alone.

    `terms_moved`: the largest distance of a turned term from the nearest old one, over the largest old term.
    `tensor_moved`: distance of the turned tensor from the old one, over its norm; the equivariance error at one
    rotation.
    """
    tensor, factors = CouplingTensor(lmax), rank_sweep.load(lmax, rank, name).factors
    D = wigner_D(lmax, haar_rotations(1, np.random.default_rng(seed)))[0]
    turned = CPFactors(D @ factors.A, D @ factors.B, D @ factors.C)
    before, after = _terms(factors), _terms(turned)
    nearest = [float(np.linalg.norm(before - term, axis=1).min()) for term in after]
    found = local_uniqueness(factors)
    return {
        "L": lmax,
        "R": rank,
        "residual": factors.relative_residual(tensor.array),
        "residual_turned": turned.relative_residual(tensor.array),
        "terms_moved": max(nearest) / float(np.linalg.norm(before, axis=1).max()),
        "tensor_moved": float(np.linalg.norm(turned.array - factors.array) / np.linalg.norm(factors.array)),
        **asdict(found),
        "unique": found.unique,
        "possible": found.possible,
    }


def _terms(factors: CPFactors) -> np.ndarray:
    return np.einsum("kr,ir,jr->rkij", factors.A, factors.B, factors.C).reshape(factors.rank, -1)


STUDY = Study(
    "T5", "Rotated decompositions, and local uniqueness of the terms of given ones", Cost.COMPUTED, SIZES, run
)
