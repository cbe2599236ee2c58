"""Extended XYZ files, the community's exchange format, read with explicit keys and explicit units.

A file does not say in which units its numbers are, and programs differ in the names they write; so both are arguments,
never guesses. The format itself is read by ASE.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tdn_theory.data import units
from tdn_theory.data.structure import Structure
from tdn_theory.files import write_bytes

if TYPE_CHECKING:
    from ase import Atoms


def read_extxyz(
    path: Path,
    *,
    energy_key: str,
    energy_unit: str,
    forces_key: str | None,
    force_unit: str | None,
    length_unit: str,
    group_key: str | None = None,
) -> list[Structure]:
    """Read all frames of an extended XYZ file.

    Args:
        path: File.
        energy_key: Name of the energy in the comment lines, as the file writes it.
        energy_unit: Its unit, e.g. `"eV"` or `"Hartree"` (`units.ENERGIES`).
        forces_key: Name of the forces among the columns; None if the file has none.
        force_unit: Their unit, e.g. `"eV/Angstrom"` or `"Hartree/Bohr"`; None if there are none.
        length_unit: Unit of positions and cell, e.g. `"Angstrom"`.
        group_key: Name, in the comment lines, of what a split must not cut: molecule or trajectory. Without it, the
            structures of one chemical formula are a group.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A key is missing in a frame, a unit is not known, or a label is not finite.
    """
    from ase.io import iread

    energy, length = units.energy_unit(energy_unit), units.length_unit(length_unit)
    if (forces_key is None) != (force_unit is None):
        raise ValueError(
            f"forces_key={forces_key!r}, force_unit={force_unit!r}; give both, or None for both if there are no forces"
        )
    force = units.force_unit(force_unit) if force_unit else 1.0
    structures = []
    for number, atoms in enumerate(iread(str(path), format="extxyz")):
        try:
            structure = Structure(
                atoms.numbers,
                atoms.positions * length,
                np.array(atoms.cell) * length if atoms.cell.rank else None,
                np.array(atoms.pbc),
                energy=float(_find(atoms, energy_key)) * energy,
                forces=None if forces_key is None else np.asarray(_find(atoms, forces_key), float) * force,
                group=atoms.get_chemical_formula() if group_key is None else str(_find(atoms, group_key)),
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"frame {number} of {path}: {error}") from error
        structures.append(structure)
    if not structures:
        raise ValueError(f"{path} holds no frame; it must be an extended XYZ file")
    return structures


def write_extxyz(path: Path, structures: Sequence[Structure]) -> None:
    """Write an extended XYZ file, atomically, in eV and Angstrom with 8 decimals.

    Labels have ASE's names, `energy`, `forces`, `stress` and `dipole`, and groups the key `group`. Polarizabilities are
    left out.

    Args:
        path: File.
        structures: Structures.
    """
    frames = []
    for structure in structures:
        atoms = structure.to_ase()
        atoms.info["group"] = structure.group
        frames.append(atoms)
    write_frames(path, frames)


def write_frames(path: Path, frames: Sequence[Atoms]) -> None:
    """Write atoms of ASE, with what their calculators hold, as an extended XYZ file, atomically."""
    from ase.io import write

    stream = io.StringIO()
    write(stream, list(frames), format="extxyz")
    write_bytes(path, stream.getvalue().encode())


def _find(atoms: Atoms, key: str) -> Any:
    """The value that the file calls `key`; ASE keeps what it knows by name with the calculator."""
    results = atoms.calc.results if atoms.calc is not None else {}
    columns = {name: column for name, column in atoms.arrays.items() if name not in ("numbers", "positions")}
    places = (atoms.info, columns, results)
    for place in places:
        if key in place:
            return place[key]
    present = sorted({name for place in places for name in place})
    raise ValueError(f"there is no {key!r}; the frame has {', '.join(present) or 'no labels'}: name one of these")
