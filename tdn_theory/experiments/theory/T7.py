"""T7: shared weights and biases against rotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tdn_theory.experiments.theory.steps import prove_all
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

SIZES = {Preset.SMALLEST: {"largest": 1}, Preset.QUICK: {"largest": 6}, Preset.FULL: {"largest": 6}}
"""Largest L."""


def run(size: Mapping[str, int], seed: int, jobs: Jobs) -> dict[str, Any]:
    """Steps of the proof.

    Args:
        size: Size of the run.
        seed: Unused: nothing is random.
        jobs: Where finished parts are kept.
    """
    return {"largest": size["largest"], "proof": prove_all(("weight_sharing",), size["largest"], jobs)}


STUDY = Study("T7", "Shared weights commute with rotations, and a bias on l = 0 does", Cost.COMPUTED, SIZES, run)
