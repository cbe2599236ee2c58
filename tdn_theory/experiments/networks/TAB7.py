"""TAB7: where the speed comes from, one ingredient at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tdn_theory.experiments.networks.variants import (
    BEST,
    BRANCHES,
    COMPILED,
    EQUIFORMER,
    IN_PAPER,
    LADDER,
    LADDERS,
    TASKS,
    Ladder,
    job,
    row_of,
    speedup,
    time_ladder,
    time_variants,
)
from tdn_theory.jobs import Jobs
from tdn_theory.paper import NETWORKS
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        ladder: Of the ladder and its branches.
        compiled: Rounds of what `torch.compile` adds, which takes minutes for each network; 0 leaves it out.
    """

    ladder: Ladder
    compiled: int = 0


SIZES = {
    Preset.SMALLEST: Size(LADDERS[Preset.SMALLEST]),
    Preset.QUICK: Size(LADDERS[Preset.QUICK]),
    Preset.FULL: Size(LADDERS[Preset.FULL], compiled=9),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Every step from Equiformer to the exact network with its speed-up, and that of `torch.compile`."""
    ladder = time_ladder(size.ladder, seed, jobs)
    setting, variants = size.ladder.setting, [BEST, COMPILED, EQUIFORMER, replace(EQUIFORMER, compiled=True)]
    plan = [
        job(setting, lmax, task, variants, size.compiled, seed, jobs.device)
        for lmax in setting.degrees
        for task in TASKS
        if size.compiled
    ]
    compiled = time_variants(plan, jobs, "TAB7: torch.compile")
    return {
        "paper": dict(NETWORKS),
        "attribution": [attribution(result) for result in ladder],
        "compiled": [
            {"L": result["L"], "task": result["task"], "speedup": speedup(result, BEST, COMPILED)}
            for result in compiled
        ],
        "units": [*ladder, *compiled],
    }


def attribution(result: dict[str, Any]) -> dict[str, Any]:
    """What each step of the ladder contributes, where the branches end, and the paper's rows, in one result.

    Speed-ups of steps are over the step before, all others over Equiformer.
    """
    steps = [
        {"name": name, "speedup": speedup(result, before, after)}
        for (_, before), (name, after) in pairwise(LADDER.items())
    ]
    return {
        "L": result["L"],
        "task": result["task"],
        "steps": steps,
        "reached": {name: speedup(result, EQUIFORMER, variant) for name, variant in LADDER.items()},
        "branches": {name: speedup(result, EQUIFORMER, variant) for name, variant in BRANCHES.items()},
        "in_paper": {
            name: {"speedup": speedup(result, EQUIFORMER, variant), "parameters": row_of(result, variant)["parameters"]}
            for name, variant in IN_PAPER.items()
        },
    }


STUDY = Study(
    "TAB7",
    "The way from Equiformer to the exact network, one change at a time, and other ways to go",
    Cost.TIMED,
    SIZES,
    run,
    any_device=True,
)
