"""All combinations of the ingredients of TAB7, and what each ingredient does whatever the others are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, get_args

import numpy as np

from tdn_theory.experiments.networks.variants import (
    BEST,
    PAPERS,
    TASKS,
    TINY,
    UNSHARED,
    Product,
    Setting,
    Variant,
    job,
    row_of,
    time_variants,
)
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        setting: What is timed on.
        rounds: How often each combination is timed.
        compiled: Time all combinations with `torch.compile` too: 192 compilations of minutes each.
    """

    setting: Setting
    rounds: int
    compiled: bool = False


SIZES = {
    Preset.SMALLEST: Size(TINY, rounds=1),
    Preset.QUICK: Size(PAPERS, rounds=5),
    Preset.FULL: Size(PAPERS, rounds=5, compiled=True),
}

INGREDIENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "PS": ({"shared": False}, {"shared": True}),
    "PS-Linear": ({"shared_linear": False}, {"shared_linear": True}),
    "only what is read": ({"pruned": False}, {"pruned": True}),
    "torch.compile": ({"compiled": False}, {"compiled": True}),
    **{
        name: ({"product": "e3nn paths"}, {"product": other})
        for name, other in {
            "CP, naive order": "CP naive",
            "CP, released order": "CP released",
            "paths one by one, fused": "fused paths",
            "cubature": "cubature",
            "one tensor, harmonics first": "exact",
        }.items()
    },
}
"""Settings of `Variant` without an ingredient, and with it; other products take the place of e3nn's."""


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Speed, parameters and memory of all combinations, and the effects of the ingredients.

    First all without `torch.compile`; then all with it, first in inference, then in training.
    """
    plan = grid_jobs(size, False, TASKS, seed, jobs.device)
    if size.compiled:
        plan += [entry for task in TASKS for entry in grid_jobs(size, True, (task,), seed, jobs.device)]
    cells = cells_of(time_variants(plan, jobs, "combinations of ingredients"))
    return {"rounds": size.rounds, "cells": cells, "effects": effects(cells)}


def grid(compiled: bool) -> list[Variant]:
    """All combinations of product, PS, PS-Linear and pruning, with `torch.compile` or without."""
    products = [*product(UNSHARED, (False,)), *product(get_args(Product), (True,))]
    return [
        Variant("TDN", name, shared, shared_linear, pruned, compiled)
        for name, shared in products
        for shared_linear, pruned in product((False, True), repeat=2)
    ]


def grid_jobs(size: Size, compiled: bool, tasks: Sequence[str], seed: int, device: str) -> list[dict[str, Any]]:
    """Jobs of `measure`: four variants of the grid at a time, each with `BEST` to compare with."""
    variants = grid(compiled)
    parts = [list(dict.fromkeys([BEST, *variants[k : k + 4]])) for k in range(0, len(variants), 4)]
    return [
        job(size.setting, lmax, task, part, size.rounds, seed, device)
        for lmax in size.setting.degrees
        for part in parts
        for task in tasks
    ]


def cells_of(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was measured of each combination, L and task; of those in several results of `measure`, the first.

    The `relative_time` is the median over the rounds of the time over that of `BEST` in the same round.
    """
    cells: dict[tuple[Any, ...], dict[str, Any]] = {}
    for result in results:
        best = row_of(result, BEST)["seconds"]
        for row in result["variants"]:
            place = {"L": result["L"], "task": result["task"], **{name: row[name] for name in asdict(BEST)}}
            values = {name: row[name] for name in ("samples_per_second", "parameters", "peak_bytes")}
            values["relative_time"] = float(np.median(np.divide(row["seconds"], best)))
            cells.setdefault(tuple(place.values()), {**place, **values})
    return list(cells.values())


def effects(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many times faster each ingredient makes the network: geometric mean, least and most over all other choices.

    Args:
        cells: What `cells_of` found.

    Returns:
        For each L, task and ingredient with which two cells differ in this alone: the `mean`, `least` and `most` ratio
        of their times, and the number of `pairs`.
    """
    found = []
    degrees = sorted({cell["L"] for cell in cells})
    for lmax, task, (name, (without, switched_on)) in product(degrees, TASKS, INGREDIENTS.items()):
        ratios = speedups(cells, without, {"L": lmax, "task": task, **switched_on})
        if ratios:
            mean = float(np.exp(np.mean(np.log(ratios))))
            numbers = {"mean": mean, "least": min(ratios), "most": max(ratios), "pairs": len(ratios)}
            found.append({"L": lmax, "task": task, "ingredient": name, **numbers})
    return found


def speedups(cells: Sequence[dict[str, Any]], slow: dict[str, Any], fast: dict[str, Any]) -> list[float]:
    """How many times faster cells are than those that differ from them in some settings alone.

    Args:
        cells: What `cells_of` found.
        slow: These settings.
        fast: What the faster cells have, of their settings, L and task.

    Returns:
        The ratio of their times for each cell with `fast` of which there is one with `slow`, in the order of the cells.
    """
    places = ("L", "task", *asdict(BEST))
    times = {tuple(cell[name] for name in places): cell["relative_time"] for cell in cells}
    chosen = [cell for cell in cells if fast.items() <= cell.items()]
    before = [times.get(tuple({**cell, **slow}[name] for name in places)) for cell in chosen]
    return [time / cell["relative_time"] for time, cell in zip(before, chosen, strict=True) if time is not None]


STUDY = Study(
    "ablation_grid",
    "What each ingredient of the network does to its speed, over all combinations of the others",
    Cost.TIMED,
    SIZES,
    run,
    any_device=True,
)
