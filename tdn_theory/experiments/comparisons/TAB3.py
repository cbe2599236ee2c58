"""TAB3, scaled: total energies of oxides of new compositions, by TDN and other networks.

Energies are those of GFN1-xTB, learnt from the positions before relaxation: of the shipped oxides, in hours of a larger
set (`catalyst_sources`), which is made by a command.
"""

from __future__ import annotations

from typing import Any

from tdn_theory.experiments.comparisons.relaxed_energies import Size, compare, sizes
from tdn_theory.jobs import Jobs
from tdn_theory.paper import OC22
from tdn_theory.study import Cost, Study


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train and test all networks, with the paper's numbers beside."""
    return {"paper": {name: dict(row) for name, row in OC22.items()}, **compare(size, seed, jobs)}


STUDY = Study(
    "TAB3",
    "Total energies of oxides of known and of new compositions: TDN's products and other networks (scaled)",
    Cost.TRAINED,
    sizes("oxides", hours=("made oxides",)),
    run,
    any_device=True,
)
