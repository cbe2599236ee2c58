"""TAB2, scaled: adsorption energies of systems with new adsorbates, new catalysts and both, by TDN and other networks.

On the shipped surfaces, whose energies are those of effective medium theory, from the positions before relaxation; and
where they are there (`catalyst_sources`), on DFT energies of atoms on metals, from relaxed positions.
"""

from __future__ import annotations

from typing import Any

from tdn_theory.experiments.comparisons.relaxed_energies import Size, compare, sizes
from tdn_theory.jobs import Jobs
from tdn_theory.paper import OC20
from tdn_theory.study import Cost, Study


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train and test all networks, with the paper's numbers beside."""
    return {"paper": {name: {key: dict(of) for key, of in row.items()} for name, row in OC20.items()}} | compare(
        size, seed, jobs
    )


STUDY = Study(
    "TAB2",
    "Adsorption energies with new adsorbates, new catalysts and both: TDN's products and other networks (scaled)",
    Cost.TRAINED,
    sizes("surfaces", hours=("surfaces", "DFT")),
    run,
    any_device=True,
)
