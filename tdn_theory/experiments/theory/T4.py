"""T4: one map of three inputs, its 4-way tensor, and its CP form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tdn_theory.experiments.theory.steps import prove_all
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

SIZES = {Preset.SMALLEST: {"largest": 1}, Preset.QUICK: {"largest": 3}, Preset.FULL: {"largest": 4}}
"""Largest L."""


def run(size: Mapping[str, int], seed: int, jobs: Jobs) -> dict[str, Any]:
    """Steps of the proof.

    Args:
        size: Size of the run.
        seed: Unused: nothing is random.
        jobs: Where finished parts are kept.
    """
    return {"largest": size["largest"], "proof": prove_all(("three_inputs",), size["largest"], jobs)}


STUDY = Study("T4", "One product of three inputs as an equivariant 4-way tensor in CP form", Cost.COMPUTED, SIZES, run)
