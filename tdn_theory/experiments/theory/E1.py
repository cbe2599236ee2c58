"""E1, E2: the coupling tensor, exact and in float64: its blocks, norms and spectrum, and that it is equivariant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments.theory.steps import prove_all
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3 import clebsch_gordan, exact
from tdn_theory.so3.irreps import Path, paths
from tdn_theory.study import Cost, Study

SIZES = {Preset.SMALLEST: {"largest": 2}, Preset.QUICK: {"largest": 6}, Preset.FULL: {"largest": 6}}
"""Largest L."""


def run(size: Mapping[str, int], seed: int, jobs: Jobs) -> dict[str, Any]:
    """Steps of the proofs, and how far float64 coefficients and singular values are from the exact ones.

    Args:
        size: Size of the run.
        seed: Unused: nothing is random.
        jobs: Where finished parts are kept.
    """
    largest = size["largest"]
    return {
        "largest": largest,
        "proof": prove_all(("equivariance", "spectrum"), largest, jobs),
        "rows": jobs.map(measure, [{"lmax": lmax} for lmax in range(1, largest + 1)], "coupling tensors"),
    }


def measure(lmax: int) -> dict[str, Any]:
    """Number of paths, norm, and extreme singular values of M; the largest errors of float64."""
    tensor = CouplingTensor(lmax)
    spectrum = tensor.singular_values(0)
    computed = np.linalg.svd(tensor.array.reshape(tensor.d, -1), compute_uv=False)
    return {
        "L": lmax,
        "d": tensor.d,
        "paths": len(tensor.paths),
        "norm_squared": float(np.linalg.norm(tensor.array)) ** 2,
        "largest_singular_value": float(spectrum[0]),
        "smallest_singular_value": float(spectrum[-1]),
        "svd_difference": float(np.abs(spectrum - computed).max()),
        "coefficient_error": max(_float_error(path) for path in paths(lmax)),
    }


def _float_error(path: Path) -> float:
    found = clebsch_gordan.clebsch_gordan(*path)
    wanted = np.zeros(found.shape)
    for index, value in exact.clebsch_gordan(*path).items():
        wanted[index] = float(value)
    return float(np.abs(found - wanted).max())


STUDY = Study("E1", "The coupling tensor: equivariance, norms and spectrum (E1, E2)", Cost.COMPUTED, SIZES, run)
