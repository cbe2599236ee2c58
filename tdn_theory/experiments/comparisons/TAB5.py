"""TAB5, scaled: time per epoch and accuracy of TDN and NequIP with and without CP and shared path weights."""

from __future__ import annotations

from typing import Any

from tdn_theory.experiments.comparisons.exchanged_products import SIZES, Size, compare
from tdn_theory.jobs import Jobs
from tdn_theory.study import Cost, Study

CHOICE = {"TDN": ("e3nn paths", "CP", "exact"), "NequIP": ("e3nn paths", "CP")}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """The paper's four rows, and TDN with the exact product of shared weights."""
    return compare(CHOICE, size, seed, jobs)


STUDY = Study(
    "TAB5",
    "TDN and NequIP with and without CP and shared path weights: time per epoch, accuracy on unseen molecules, "
    "equivariance",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
