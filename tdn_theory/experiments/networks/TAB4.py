"""TAB4: throughput and parameters of the paper's network and of Equiformer."""

from __future__ import annotations

from typing import Any

from tdn_theory.experiments.networks.variants import (
    BEST,
    EQUIFORMER,
    PAPER,
    PUBLISHED,
    Variant,
    ladder_units,
    measured,
    row_of,
    speedup,
)
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset

NETWORKS: dict[str, Variant] = {"Equiformer": EQUIFORMER, "TDN, as published": PUBLISHED, "TDN, exact": BEST}
"""The published one has CP products at R = 7 L^2 in the released order of operations; the exact one is ours."""


def run(preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Samples per second, parameters, memory and rotation errors, out of the same units as TAB7."""
    found = measured(units, ladder_units(preset, seed, jobs.device), "TAB4: networks timed")
    rows = [
        {
            "L": unit["L"],
            "task": unit["task"],
            "device": unit["device"],
            "networks": {name: row_of(unit, variant) for name, variant in NETWORKS.items()},
            "speedups": {name: speedup(unit, EQUIFORMER, variant) for name, variant in NETWORKS.items()},
        }
        for unit in found
    ]
    return {"paper": PAPER, "molecules": found[0]["molecules"], "network": found[0]["network"], "rows": rows}
