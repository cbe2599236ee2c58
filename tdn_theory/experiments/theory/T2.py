"""T2: one term per pair of input components, exactly; and how few terms are impossible at L = 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tdn_theory.experiments.theory.steps import prove_all
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.theory import proofs

SIZES = {Preset.SMALLEST: {"largest": 1}, Preset.QUICK: {"largest": 6}, Preset.FULL: {"largest": 6}}
"""Largest L."""


def run(size: Mapping[str, int], seed: int, jobs: Jobs) -> dict[str, Any]:
    """Steps of both proofs.

    Args:
        size: Size of the run.
        seed: Unused: nothing is random.
        jobs: Where finished parts are kept.
    """
    return {
        "largest": size["largest"],
        "proof": prove_all(("outer_product",), size["largest"], jobs),
        "lower_bound": [asdict(step) for step in proofs.seven_terms()],
    }


STUDY = Study("T2", "Every tensor as a CP form of d1 d2 terms; at least 7 at L = 1", Cost.COMPUTED, SIZES, run)
