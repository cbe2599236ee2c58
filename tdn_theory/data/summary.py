"""What a set of structures holds, and what looks wrong with it: for the start of a training, and for `data check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tdn_theory.data.packed import Packed, pack
from tdn_theory.data.structure import Structure

ABSURD_ENERGY = 100.0
"""Energies per atom that differ from those of constants per element by more than this (eV) look like an error."""

ABSURD_FORCE = 100.0
"""So do forces beyond this, eV/Angstrom."""

SMALL_FORCE = 1e-4
"""And forces all below this: they look as if they were in another unit."""


@dataclass(frozen=True)
class Summary:
    """A set of structures.

    Attributes:
        structures: Their number.
        groups: Number of groups.
        atoms: Fewest and most atoms of a structure.
        elements: Symbols, with the number of structures that have them.
        periodic: Structures with periodic directions.
        labels: Of each label: how many structures have it, the least and the greatest component (energies per atom).
        nearest: Least distance between two atoms of a structure, Angstrom; infinite if all have one atom. Images in
            neighbouring cells are not looked at.
        duplicates: Structures that are equal to one before them, labels aside.
        warnings: What looks wrong.
    """

    structures: int
    groups: int
    atoms: tuple[int, int]
    elements: dict[str, int]
    periodic: int
    labels: dict[str, tuple[int, float, float]]
    nearest: float
    duplicates: int
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        """A few lines."""
        units = {"energy": "eV/atom", "forces": "eV/A", "stress": "eV/A^3", "dipole": "e A", "polarizability": "A^3"}
        some = f"{self.atoms[0]}" if self.atoms[0] == self.atoms[1] else f"{self.atoms[0]} to {self.atoms[1]}"
        lines = [
            f"{self.structures} structures in {self.groups} groups, {some} atoms, {self.periodic} periodic, "
            f"{self.duplicates} duplicates; nearest atoms {self.nearest:.3g} A",
            "elements: " + ", ".join(f"{name} ({count})" for name, count in self.elements.items()),
        ]
        for label, (count, low, high) in self.labels.items():
            lines.append(f"{label}: {count} of {self.structures}, {low:.4g} to {high:.4g} {units[label]}")
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


def summary(structures: Sequence[Structure], cutoff: float | None = None) -> Summary:
    """Look at all of a set.

    Args:
        structures: At least one.
        cutoff: Of the potential, Angstrom: whether any atoms are that near to each other.

    Raises:
        ValueError: There is no structure.
    """
    if not structures:
        raise ValueError("there is no structure to sum up")
    from ase.data import chemical_symbols

    packed = pack(structures)
    elements, low, high = np.zeros(119, int), {}, {}
    for part in packed.chunks():
        elements += (part.counts(range(119)) > 0).sum(0)
        for label in part.labels:
            values = part.column(label)
            if label == "energy":
                values = values / part.column("atoms")
            low[label] = min(low.get(label, np.inf), float(np.nanmin(values)))
            high[label] = max(high.get(label, -np.inf), float(np.nanmax(values)))
    atoms, nearest = packed.column("atoms"), float(packed.column("nearest").min())
    periodic = int(packed.column("pbc").any(1).sum())
    labels = {label: (int(packed.known(label).sum()), low[label], high[label]) for label in packed.labels}
    return Summary(
        len(packed),
        len(np.unique(packed.column("group"))),
        (int(atoms.min()), int(atoms.max())),
        {chemical_symbols[z]: int(elements[z]) for z in packed.elements},
        periodic,
        labels,
        nearest,
        len(packed) - len(np.unique(packed.column("place"))),
        tuple(_warnings(packed, labels, nearest, periodic, cutoff)),
    )


def _warnings(
    structures: Packed,
    labels: dict[str, tuple[int, float, float]],
    nearest: float,
    periodic: int,
    cutoff: float | None,
) -> list[str]:
    found = []
    if cutoff is not None and not periodic and nearest > cutoff:
        found.append(f"no two atoms are within the cutoff of {cutoff} A: are lengths in another unit?")
    known = structures.select(np.flatnonzero(structures.known("energy")))
    if len(known):
        left = _off_constants(known)
        worst = int(np.abs(left).argmax())
        if abs(left[worst]) > ABSURD_ENERGY:
            found.append(
                f"an energy is {left[worst]:.3g} eV/atom off constants per element ({known[worst]!r}): a wrong label, "
                "or another unit?"
            )
    if "forces" in labels:
        size = max(-labels["forces"][1], labels["forces"][2])
        if size > ABSURD_FORCE or 0 < size < SMALL_FORCE:
            found.append(f"forces reach {size:.3g} eV/A: are they in another unit?")
    return found


def _off_constants(structures: Packed) -> np.ndarray:
    """Energies per atom less those of constants per element, by least squares of energies per atom; eV/atom."""
    sizes = structures.column("atoms")
    parts = np.concatenate([part.counts(structures.elements) for part in structures.chunks()]) / sizes[:, None]
    energies = structures.column("energy") / sizes
    return energies - parts @ np.linalg.lstsq(parts, energies, rcond=None)[0]
