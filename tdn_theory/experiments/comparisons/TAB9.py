"""TAB9, extended: NequIP and MACE before and after their products were replaced: time, accuracy, equivariance."""

from __future__ import annotations

from typing import Any

from tdn_theory.experiments.comparisons.exchanged_products import SIZES, Size, compare
from tdn_theory.jobs import Jobs
from tdn_theory.study import Cost, Study

CHOICE = {"NequIP": ("e3nn paths", "CP", "cubature"), "MACE": ("e3nn paths", "CP", "cubature")}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Both networks with their own products, CP and cubature."""
    return compare(CHOICE, size, seed, jobs)


STUDY = Study(
    "TAB9",
    "NequIP and MACE before and after their products were replaced: time, accuracy on unseen molecules, equivariance",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
