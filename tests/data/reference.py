"""Neighbours by their definition, and what makes a list of them right."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from tdn_theory.data.structure import Structure


def neighbours(structure: Structure, cutoff: float) -> set[tuple[int, int, int, int, int]]:
    """All (target, source, shift) closer than `cutoff`, over every pair of atoms and every image that can be."""
    cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
    reach = 2 * np.linalg.norm(structure.positions, axis=1).max() + cutoff
    counts = np.zeros(3, int)
    if structure.pbc.any():
        # |c_a| of a lattice vector is at most the norm of column a of the pseudoinverse times its length
        counts[structure.pbc] = np.ceil(reach * np.linalg.norm(np.linalg.pinv(cell[structure.pbc]), axis=0))
    found = set()
    for shift in product(*(range(-count, count + 1) for count in counts)):
        vectors = structure.positions[None] + np.array(shift) @ cell - structure.positions[:, None]
        for i, j in np.argwhere(np.linalg.norm(vectors, axis=-1) < cutoff).tolist():
            if i != j or any(shift):
                found.add((i, j, *shift))
    return found


def assert_neighbours(find: Callable, structure: Structure, cutoff: float) -> None:
    """`find(structure, cutoff)` gives each neighbour once, ordered by target, source and shift."""
    target, source, offsets = find(structure, cutoff)
    got = [tuple(row) for row in np.column_stack((target, source, offsets)).tolist()]
    wanted = neighbours(structure, cutoff)
    missing, wrong = sorted(wanted - set(got)), sorted(set(got) - wanted)
    where = f"[neighbours({structure}, {cutoff})]"
    if missing or wrong or len(got) != len(wanted):
        raise AssertionError(
            f"got {len(got)} edges, but should be {len(wanted)}: missing {missing[:2]}, wrong {wrong[:2]} {where}"
        )
    if got != sorted(got):
        raise AssertionError(f"got edges out of order, but should be ascending {where}")
