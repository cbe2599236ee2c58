"""Motion of atoms at constant energy, under pretrained potentials with another product (T8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from tdn_theory.experiments.measuring import single_thread
from tdn_theory.experiments.potentials.sevennet import DEGREES, predict, pretrained, with_tensor
from tdn_theory.experiments.potentials.swapped_products import DYNAMIC, made
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        products: Products (arguments of `made`), by potential; the potential as it is goes first.
        femtoseconds: Of motion.
    """

    products: dict[str, tuple[dict[str, Any], ...]]
    femtoseconds: int


SIZES = {
    Preset.SMALLEST: Size({"7net-0": ({"kind": "CP", "rank": 15},)}, femtoseconds=2),
    Preset.QUICK: Size({"7net-0": ({"kind": "CP", "rank": 15},)}, femtoseconds=100),
    Preset.HOURS: Size({"7net-0": DYNAMIC["7net-0"]}, femtoseconds=5000),
    Preset.FULL: Size(DYNAMIC, femtoseconds=5000),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Drift and turning of every product in every potential, beside those of the potential as it is."""
    plan = [
        {"potential": potential, "product": product, "femtoseconds": size.femtoseconds, "seed": seed}
        for potential, products in size.products.items()
        for product in (None, *products)
    ]
    return {
        "degrees": {p: DEGREES[p] for p in size.products},
        "femtoseconds": size.femtoseconds,
        "rows": jobs.map(move, plan, "motion at constant energy"),
    }


def move(potential: str, product: Mapping[str, Any] | None, femtoseconds: int, seed: int) -> dict[str, Any]:
    """Motion at constant energy from 300 K: drift of the total energy, and of a free molecule's angular momentum.

    Args:
        potential: SevenNet's name of it.
        product: Arguments of `made`, with the best path weights; None: the potential as it is.
        femtoseconds: Steps of velocity Verlet, 1 fs each.
        seed: Seed of the velocities.
    """
    from ase.build import bulk, molecule
    from ase.units import fs, kB

    bodies = {
        "CH3OH": molecule("CH3OH"),
        "NaCl": bulk("NaCl", "rocksalt", a=5.64, cubic=True),
        "Cu": bulk("Cu", cubic=True),
    }
    rng = np.random.default_rng(seed)
    for atoms in bodies.values():
        masses = atoms.get_masses()[:, None]  # at 600 K, of which half becomes potential energy
        momenta = np.sqrt(masses * kB * 600) * rng.standard_normal((len(atoms), 3))
        atoms.set_momenta(momenta - masses * momenta.sum(0) / masses.sum())
    structures = list(bodies.values())
    with single_thread():
        if product is None:
            model = pretrained(potential)
        else:
            M, _ = made(DEGREES[potential], **product)
            model = with_tensor(potential, M, rescaled=True)
        found = predict(model, structures)
        totals, spins, heat = [], [], []
        for _ in range(femtoseconds):
            for atoms, forces in zip(structures, found.forces, strict=True):
                atoms.set_momenta(atoms.get_momenta() + 0.5 * fs * forces)
                atoms.positions += fs * atoms.get_velocities()
            found = predict(model, structures)
            for atoms, forces in zip(structures, found.forces, strict=True):
                atoms.set_momenta(atoms.get_momenta() + 0.5 * fs * forces)
            kinetic = np.array([atoms.get_kinetic_energy() for atoms in structures])
            totals.append(found.energies + kinetic)
            heat.append(kinetic)
            spins.append(structures[0].get_angular_momentum())
    times = np.arange(femtoseconds) / 1000
    numbers = np.array([len(atoms) for atoms in structures])
    energy = 1000 * np.array(totals) / numbers
    turned = np.linalg.norm(np.array(spins) - spins[0], axis=1)
    thermal = sqrt(float(structures[0].get_moments_of_inertia().mean()) * kB * 300)
    return {
        "potential": potential,
        "product": None if product is None else dict(product),
        "bodies": {
            name: {
                "drift": float(np.polyfit(times, energy[:, k], 1)[0]),
                "fluctuation": float(energy[:, k].std()),
                "temperature": float(np.mean(heat, axis=0)[k] / (1.5 * kB * numbers[k])),
            }
            for k, name in enumerate(bodies)
        },
        "angular_momentum": float(turned.max() / thermal),
    }


STUDY = Study(
    "motion",
    "Motion at constant energy under pretrained SevenNet potentials with low-rank products",
    Cost.TRAINED,
    SIZES,
    run,
)
