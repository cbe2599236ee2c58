"""Small structures of many kinds, made by ASE: what pretrained potentials are compared on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tdn_theory.audit.sources import adsorbed
from tdn_theory.experiments.potentials.fitting import spread

if TYPE_CHECKING:
    from ase import Atoms

ELEMENTS = {
    "fcc": "Ag Al Au Ca Cu Ir Ni Pb Pd Pt Rh Sr",
    "bcc": "Ba Cr Cs Fe K Li Mo Na Nb Rb Ta V W",
    "hcp": "Be Co Hf Mg Os Re Ru Sc Ti Y Zn Zr",
    "diamond": "C Ge Si",
}
"""Elements in the lattices in which they are found, of ASE's lattice constants."""

COMPOUNDS = {
    "rocksalt": {
        "AgCl": 5.55,
        "CaO": 4.81,
        "CaS": 5.69,
        "KBr": 6.60,
        "KCl": 6.29,
        "LiF": 4.03,
        "MgO": 4.21,
        "NaCl": 5.64,
        "TiC": 4.33,
        "TiN": 4.24,
        "ZrC": 4.69,
    },
    "zincblende": {"AlP": 5.46, "BN": 3.62, "CuCl": 5.42, "GaAs": 5.65, "InP": 5.87, "SiC": 4.36, "ZnS": 5.41},
    "cesiumchloride": {"CsCl": 4.12, "FeAl": 2.91, "NiAl": 2.89, "CuZn": 2.95},
}
"""Lattice constants in Angstrom."""

ADSORBATES = ("H", "O", "N", "CO", "OH")
SURFACES = ("Ag", "Al", "Au", "Cu", "Ir", "Ni", "Pd", "Pt", "Rh")

KINDS = ("molecules", "crystals", "rattled crystals", "adsorbates")

RATTLE = 0.1
"""Standard deviation of each coordinate of rattled crystals, Angstrom; their cells are strained by 3 %."""


def small_structures(share: float = 1.0, seed: int = 0) -> dict[str, list[Atoms]]:
    """Structures by kind: 60 molecules, 62 crystals, 62 rattled crystals, 45 adsorbates on surfaces.

    Molecules are those of G2 with at most 9 atoms; crystals have 1 to 4 atoms, the same ones rattled 2 to 16, and
    surfaces are three layers of (2x2) of which, with the adsorbate, all is rattled by half as much as crystals are.

    Args:
        share: Share of each kind to take, evenly spread; one structure at least.
        seed: Seed of the displacements.
    """
    from ase.build import molecule
    from ase.collections import g2

    rng = np.random.default_rng(seed)
    names = [name for name in g2.names if 1 < len(g2[name]) <= 9]
    molecules = [g2[name].copy() for name in spread(names, 60)]
    perfect = crystals()
    rattled = [_rattled(atoms * (2, 1, 1) if len(atoms) > 1 else atoms * (2, 2, 1), rng) for atoms in perfect.values()]
    adsorbates = [
        _displaced(adsorbed(metal, molecule(name) if len(name) > 1 else name, 1.6), RATTLE / 2, rng)
        for metal in SURFACES
        for name in ADSORBATES
    ]
    found = dict(zip(KINDS, (molecules, list(perfect.values()), rattled, adsorbates), strict=True))
    return {kind: spread(structures, max(1, round(share * len(structures)))) for kind, structures in found.items()}


def crystals() -> Mapping[str, Atoms]:
    """Perfect crystals by formula, in their primitive cells."""
    from ase.build import bulk

    found = {name: bulk(name, lattice) for lattice, names in ELEMENTS.items() for name in names.split()}
    for lattice, compounds in COMPOUNDS.items():
        found |= {name: bulk(name, lattice, a=a) for name, a in compounds.items()}
    return found


def _rattled(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    strained = atoms.copy()
    strain = np.eye(3) + 0.03 * rng.standard_normal((3, 3))
    strained.set_cell(strained.cell.array @ strain, scale_atoms=True)
    return _displaced(strained, RATTLE, rng)


def _displaced(atoms: Atoms, width: float, rng: np.random.Generator) -> Atoms:
    atoms.positions += width * rng.standard_normal((len(atoms), 3))
    return atoms
