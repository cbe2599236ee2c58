"""The same structure in other arrangements, which must not matter: elsewhere, in another order, of other images."""

from __future__ import annotations

import numpy as np
from ase import Atoms

SHIFT = 3.0
"""Angstrom: the structure is moved by at most this along each axis."""


def moved(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """All atoms are moved alike."""
    found = atoms.copy()
    found.positions += SHIFT * rng.uniform(-1, 1, 3)
    return found


def other_images(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Other images of the atoms, and, with two periodic directions, a + b in place of a."""
    found = atoms.copy()
    cell = np.array(atoms.cell)
    found.positions = atoms.positions + rng.integers(-1, 2, (len(atoms), 3)) * atoms.pbc @ cell
    periodic = np.flatnonzero(atoms.pbc)
    if len(periodic) > 1:
        cell[periodic[0]] += cell[periodic[1]]
    found.set_cell(cell)
    return found


def rearranged(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """All of it at once, at random."""
    return moved(other_images(atoms[rng.permutation(len(atoms))], rng), rng)
