"""TAB7: where the speed comes from, one ingredient at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tdn_theory.experiments.networks.variants import (
    BEST,
    BRANCHES,
    COMPILED,
    EQUIFORMER,
    IN_PAPER,
    LADDER,
    PAPER,
    compiled_units,
    ladder_units,
    measured,
    row_of,
    speedup,
)
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def run(preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Every step from Equiformer to the exact network with its speed-up; in full, that of `torch.compile` too."""
    device = jobs.device
    ladder = measured(units, ladder_units(preset, seed, device), "TAB7: ladder")
    plan = compiled_units(seed, device) if preset is Preset.FULL else []
    compiled = measured(units, plan, "TAB7: torch.compile")
    return {
        "paper": PAPER,
        "attribution": [attribution(unit) for unit in ladder],
        "compiled": [
            {"L": unit["L"], "task": unit["task"], "speedup": speedup(unit, BEST, COMPILED)} for unit in compiled
        ],
        "units": [*ladder, *compiled],
    }


def attribution(unit: dict[str, Any]) -> dict[str, Any]:
    """What each step of the ladder contributes, where the branches end, and the paper's rows, in one result.

    Speed-ups of steps are over the step before, all others over Equiformer.
    """
    steps = [
        {"name": name, "speedup": speedup(unit, before, after)}
        for (_, before), (name, after) in pairwise(LADDER.items())
    ]
    return {
        "L": unit["L"],
        "task": unit["task"],
        "steps": steps,
        "reached": {name: speedup(unit, EQUIFORMER, variant) for name, variant in LADDER.items()},
        "branches": {name: speedup(unit, EQUIFORMER, variant) for name, variant in BRANCHES.items()},
        "in_paper": {
            name: {"speedup": speedup(unit, EQUIFORMER, variant), "parameters": row_of(unit, variant)["parameters"]}
            for name, variant in IN_PAPER.items()
        },
    }
