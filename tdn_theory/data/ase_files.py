"""Structures in files of other programs that ASE reads: in its units, which are those of this package."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import Structure

FORMATS = {
    ".traj": "traj",
    ".db": "db",
    ".json": "json",
    "OUTCAR": "vasp-out",
    "vasprun.xml": "vasp-xml",
}
"""ASE's name of a format by the end of a file's name. None of them executes what it reads."""


@dataclass(frozen=True)
class AseReader(Reader):
    """Reads files as `read_ase` does, each as one part."""

    def read(self, file: Path, part: tuple[()]) -> tuple[list[Structure], Counter[str]]:
        """All structures of a file; none is left out.

        Raises:
            ValueError: As `read_ase`.
        """
        return read_ase(file), Counter()


def read_ase(path: Path) -> list[Structure]:
    """All frames of a file, with the energies, forces, stresses and dipoles that it holds; formulas are the groups.

    Args:
        path: ASE's trajectories (`.traj`) and databases (`.db`, `.json`), VASP's `OUTCAR` and `vasprun.xml`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The name ends in none of `FORMATS`, or the file, or a frame of it, cannot be read.
    """
    from ase.io import iread

    name = next((name for end, name in FORMATS.items() if path.name.endswith(end)), None)
    if name is None:
        raise ValueError(f"{path} must end in one of {', '.join(FORMATS)}; other files: write them as extended XYZ")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    structures: list[Structure] = []
    try:
        for atoms in iread(str(path), index=":", format=name):
            structures.append(Structure.from_ase(atoms, group=atoms.get_chemical_formula()))
    except Exception as error:  # a parser of ASE may raise anything
        raise ValueError(f"{path}, frame {len(structures)}: {type(error).__name__}: {error}") from error
    if not structures:
        raise ValueError(f"{path} holds no structure")
    return structures
