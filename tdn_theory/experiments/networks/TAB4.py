"""TAB4: throughput and parameters of the paper's network and of Equiformer."""

from __future__ import annotations

from typing import Any

from tdn_theory.experiments.networks.variants import (
    BEST,
    EQUIFORMER,
    LADDERS,
    PUBLISHED,
    Ladder,
    Variant,
    row_of,
    speedup,
    time_ladder,
)
from tdn_theory.jobs import Jobs
from tdn_theory.paper import NETWORKS
from tdn_theory.study import Cost, Study

COMPARED: dict[str, Variant] = {"Equiformer": EQUIFORMER, "TDN, as published": PUBLISHED, "TDN, exact": BEST}
"""The published one has CP products at R = 7 L^2 in the released order of operations; the exact one is ours."""


def run(size: Ladder, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Samples per second, parameters, memory and rotation errors, out of the same jobs as TAB7."""
    found = time_ladder(size, seed, jobs)
    rows = [
        {
            "L": result["L"],
            "task": result["task"],
            "device": result["device"],
            "networks": {name: row_of(result, variant) for name, variant in COMPARED.items()},
            "speedups": {name: speedup(result, EQUIFORMER, variant) for name, variant in COMPARED.items()},
        }
        for result in found
    ]
    return {"paper": dict(NETWORKS), "molecules": found[0]["molecules"], "network": found[0]["network"], "rows": rows}


STUDY = Study(
    "TAB4",
    "Throughput, speed-up over Equiformer and parameters of the paper's network, and of it with an exact product",
    Cost.TIMED,
    LADDERS,
    run,
    any_device=True,
)
