"""Rank against error in pretrained potentials: SevenNet with low-rank products in the place of its own (T8, O2).

Nothing is trained: what changes is the tensor of all products. So errors here are what CP costs a network that was
trained with the exact product, in the units that its users know. `distilled` trains again, `motion` moves atoms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tdn_theory.coupling import CouplingTensor, error_relative_to_output
from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.measuring import single_thread
from tdn_theory.experiments.potentials.fitting import spread
from tdn_theory.experiments.potentials.small_structures import crystals, small_structures
from tdn_theory.experiments.potentials.swapped_products import KINDS, made
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.study import Cost, Study

if TYPE_CHECKING:
    from ase import Atoms

    from tdn_theory.experiments.potentials.sevennet import Predictions

STRETCHES = (0.96, 0.98, 1.0, 1.02, 1.04)
"""Of a crystal's lattice constants, for its equation of state."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        ranks: Ranks of our fits, by potential.
        recipe: Ranks and seeds of fits by the released recipe, by potential.
        recipe_steps: Steps of that recipe.
        share: Share of `small_structures`.
        crystals: Perfect crystals whose equation of state is compared.
    """

    ranks: dict[str, tuple[int, ...]]
    recipe: dict[str, tuple[tuple[int, int], ...]]
    recipe_steps: int
    share: float
    crystals: int


SIZES = {
    Preset.SMALLEST: Size(
        {"7net-0": (28,)},
        {"7net-0": ((28, 0),)},
        recipe_steps=5000,
        share=0.0,
        crystals=1,
    ),
    Preset.QUICK: Size(
        {"7net-0": (15, 28, 30)},
        {"7net-0": ((28, 0),)},
        recipe_steps=50_000,
        share=0.1,
        crystals=4,
    ),
    Preset.FULL: Size(
        {
            "7net-0": (4, 7, 10, 14, 15, 19, 20, 23, 26, 28, 29, 30),
            "7net-l3i5": (7, 21, 42, 63, 80, 90),
        },
        {
            "7net-0": ((28, 0), (28, 1), (28, 2), (20, 0), (15, 0)),
            "7net-l3i5": ((63, 0), (63, 1), (63, 2)),
        },
        recipe_steps=50_000,
        share=1.0,
        crystals=20,
    ),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Errors of every product in every potential, against the potential as it is."""
    from tdn_theory.experiments.potentials.sevennet import DEGREES

    plan = []
    for potential, ranks in size.ranks.items():
        common = {"potential": potential, "share": size.share, "crystals": size.crystals, "seed": seed}
        fits = [{"kind": "CP", "rank": rank} for rank in ranks]
        fits += [
            {"kind": "CP, released recipe", "rank": rank, "recipe_seed": s, "steps": size.recipe_steps}
            for rank, s in size.recipe[potential]
        ]
        plan += [{**common, "product": fit, "rescaled": rescaled} for fit in fits for rescaled in (False, True)]
        plan += [{**common, "product": {"kind": kind}, "rescaled": True} for kind in KINDS[2:]]
    rows = jobs.map(measure, plan, "products in pretrained potentials")
    return {
        "degrees": {potential: DEGREES[potential] for potential in size.ranks},
        "paper_rank": {potential: quadratic(DEGREES[potential]) for potential in size.ranks},
        "rows": rows,
    }


def measure(
    potential: str, product: Mapping[str, Any], rescaled: bool, share: float, crystals: int, seed: int
) -> dict[str, Any]:
    """Compare one product in one potential with the potential as it is.

    Args:
        potential: SevenNet's name of it.
        product: Arguments of `made`.
        rescaled: Whether every path gets its best weight (`sevennet.with_tensor`).
        share: Share of `small_structures`.
        crystals: Perfect crystals whose equation of state is compared.
        seed: Seed of structures and rotations.
    """
    from tdn_theory.experiments.potentials.sevennet import (
        DEGREES,
        differences,
        predict,
        rotated,
        turned,
        with_tensor,
    )

    lmax = DEGREES[potential]
    M, rank = made(lmax, **product)
    tensor = CouplingTensor(lmax)
    with single_thread():
        model = with_tensor(potential, M, rescaled)
        own = _reference(potential, share, seed)
        kinds = {}
        for kind, (structures, rotations, wanted, wanted_turned, wanted_inverted) in own.items():
            inversion = [-np.eye(3)] * len(structures)
            found = predict(model, structures)
            found_turned = predict(model, turned(structures, rotations))
            found_inverted = predict(model, turned(structures, inversion))
            kinds[kind] = {
                "error": differences(structures, found, wanted),
                "rotation": differences(structures, found_turned, rotated(found, rotations)),
                "own_rotation": differences(structures, wanted_turned, rotated(wanted, rotations)),
                "inversion": differences(structures, found_inverted, rotated(found, inversion)),
                "own_inversion": differences(structures, wanted_inverted, rotated(wanted, inversion)),
            }
            if not structures[0].pbc.any():
                kinds[kind]["torque"] = float(np.mean(_torques(structures, found)))
        states = {formula: equation_of_state(model, atoms) for formula, atoms in _perfect(crystals).items()}
        own_states = _own_states(potential, crystals)
    return {
        "potential": potential,
        **product,
        "rank": rank,
        "rescaled": rescaled,
        "residual": float(np.linalg.norm(M - tensor.array) / tensor.norm),
        "equivariance_error": error_relative_to_output(M, tensor.project(M).array),
        "kinds": kinds,
        "equations_of_state": [
            {"formula": formula, "own": own_states[formula], "found": state} for formula, state in states.items()
        ],
    }


class Reference(NamedTuple):
    """Structures of a kind, a rotation of each, and what the potential as it is says: as they are, turned, inverted."""

    structures: list[Atoms]
    rotations: list[np.ndarray]
    straight: Predictions
    turned: Predictions
    inverted: Predictions


@cache
def _reference(potential: str, share: float, seed: int) -> dict[str, Reference]:
    from tdn_theory.experiments.potentials.sevennet import predict, pretrained, turned

    model, rng = pretrained(potential), np.random.default_rng(seed)
    found = {}
    for kind, structures in small_structures(share, seed).items():
        rotations = list(haar_rotations(len(structures), rng))
        others = turned(structures, rotations), turned(structures, [-np.eye(3)] * len(structures))
        found[kind] = Reference(structures, rotations, *(predict(model, some) for some in (structures, *others)))
    return found


def _torques(structures: Sequence[Atoms], found: Predictions) -> list[float]:
    """Length of the sum of `r x F`, meV: what the energy of a free molecule gains by turning it, per radian."""
    return [
        1000 * float(np.linalg.norm(np.cross(atoms.positions, forces).sum(0)))
        for atoms, forces in zip(structures, found.forces, strict=True)
    ]


@cache
def _own_states(potential: str, number: int) -> dict[str, dict[str, float]]:
    """Equations of state of the potential as it is."""
    from tdn_theory.experiments.potentials.sevennet import pretrained

    return {formula: equation_of_state(pretrained(potential), atoms) for formula, atoms in _perfect(number).items()}


def _perfect(number: int) -> dict[str, Atoms]:
    """Some of the perfect crystals, by the formula of their cell."""
    return {atoms.get_chemical_formula(): atoms for atoms in spread(list(crystals().values()), number)}


def equation_of_state(model: Any, atoms: Atoms) -> dict[str, float]:
    """Least energy of a crystal (eV/atom), volume there (Angstrom^3/atom) and bulk modulus (GPa).

    From a cubic in V^(-2/3), which is exact for Birch and Murnaghan's equation of third order, through all stretches.
    """
    from tdn_theory.experiments.potentials.sevennet import EV_PER_A3, predict

    stretched = [atoms.copy() for _ in STRETCHES]
    for copy, stretch in zip(stretched, STRETCHES, strict=True):
        copy.set_cell(stretch * atoms.cell.array, scale_atoms=True)
    volumes = np.array([copy.get_volume() for copy in stretched]) / len(atoms)
    energies = predict(model, stretched).energies / len(atoms)
    energy = np.polynomial.Polynomial.fit(volumes ** (-2 / 3), energies, 3)
    slope, curvature = energy.deriv(), energy.deriv(2)
    places = [x.real for x in slope.roots() if abs(x.imag) < 1e-9 and x.real > 0 and curvature(x.real) > 0]
    if not places:
        return {}
    least = min(places, key=lambda x: abs(x - volumes[len(volumes) // 2] ** (-2 / 3)))
    volume = least**-1.5
    # B = V d2E/dV2, where x = V^(-2/3) and dE/dx = 0
    modulus = 4 / 9 * volume ** (-7 / 3) * float(curvature(least))
    return {"energy": float(energy(least)), "volume": float(volume), "bulk_modulus": EV_PER_A3 * float(modulus)}


STUDY = Study(
    "pretrained",
    "Error of pretrained SevenNet potentials against the rank of the product that stands in for theirs",
    Cost.TRAINED,
    SIZES,
    run,
)
