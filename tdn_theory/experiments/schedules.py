"""The points of F3a and F3b: every rank schedule of the paper (E5) at every L."""

from __future__ import annotations

from typing import Any

from tdn_theory.cp.schedules import PAPER_SCHEDULES
from tdn_theory.experiments.decompositions.rank_sweep import DEGREES, best_name


def points(seed: int) -> list[dict[str, Any]]:
    """One unit of work per schedule and L."""
    return [
        {"schedule": name, "lmax": lmax, "rank": rank, "name": best_name(lmax, rank), "seed": seed}
        for name, schedule in PAPER_SCHEDULES.items()
        for lmax in DEGREES
        if (rank := schedule(lmax))
    ]
