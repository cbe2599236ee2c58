"""TAB5, scaled: time per epoch and accuracy of TDN and NequIP with and without CP and shared path weights."""

from __future__ import annotations

from typing import Any

from tdn_theory.experiments.comparisons.product_exchange import trained
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset

CHOICE = {"TDN": ("e3nn paths", "CP", "exact"), "NequIP": ("e3nn paths", "CP")}


def run(preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
    """The paper's four rows, and TDN with the exact product of shared weights; see `trained` for the presets."""
    return trained(preset, seed, units, CHOICE)
