"""TAB9, extended: NequIP and MACE before and after their products were replaced: time, accuracy, equivariance."""

from __future__ import annotations

from typing import Any

from tdn_theory.experiments.comparisons.product_exchange import trained
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset

CHOICE = {"NequIP": ("e3nn paths", "CP", "cubature"), "MACE": ("e3nn paths", "CP", "cubature")}


def run(preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Both networks with their own products, CP and cubature; see `trained` for the presets."""
    return trained(preset, seed, units, CHOICE)
