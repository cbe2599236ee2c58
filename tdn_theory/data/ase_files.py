"""Structures in files of other programs that ASE reads: in its units, which are those of this package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tdn_theory.data.electrons import check_electrons, information
from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import Structure

if TYPE_CHECKING:
    from ase import Atoms

DATABASES = {".db": "db", ".json": "json"}
VASP = {"OUTCAR": "vasp-out", "vasprun.xml": "vasp-xml"}
FORMATS = {
    ".traj": "traj",
    **DATABASES,
    **{f"{name}{packed}": format for name, format in VASP.items() for packed in ("", ".gz", ".xz")},
}
"""ASE's name of a format by the end of a file's name. None of them executes what it reads."""


@dataclass(frozen=True)
class AseReader(Reader):
    """Reads files as `read_ase` does, each as one part.

    Attributes:
        ignore: Total `charge` or `spin`, which are refused otherwise (`check_electrons`).
    """

    ignore: tuple[str, ...] = ()

    def read(self, file: Path, part: tuple[()]) -> tuple[list[Structure], Counter[str]]:
        """All structures of a file; none is left out.

        Raises:
            ValueError: As `read_ase`.
        """
        return read_ase(file, self.ignore), Counter()


def read_ase(path: Path, ignore: Sequence[str] = ()) -> list[Structure]:
    """All frames of a file, with the energies, forces, stresses and dipoles that it holds; formulas are the groups.

    The `config_type` of a frame is what its information, or its column of a database, calls so.

    Args:
        path: ASE's trajectories (`.traj`) and databases (`.db`, `.json`), VASP's `OUTCAR` and `vasprun.xml`, which may
            be compressed (`.gz`, `.xz`).
        ignore: Total `charge` or `spin`, which are refused otherwise (`check_electrons`).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The name ends in none of `FORMATS`, or the file, or a frame of it, cannot be read.
    """
    name = next((name for end, name in FORMATS.items() if path.name.endswith(end)), None)
    if name is None:
        raise ValueError(f"{path} must end in one of {', '.join(FORMATS)}; other files: write them as extended XYZ")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    structures: list[Structure] = []
    try:
        for atoms in _frames(path, name):
            check_electrons(atoms, ignore)
            structure = Structure.from_ase(atoms, group=atoms.get_chemical_formula())
            structures.append(replace(structure, config_type=str(information(atoms).get("config_type", ""))))
    except Exception as error:  # a parser of ASE may raise anything
        raise ValueError(f"{path}, frame {len(structures)}: {type(error).__name__}: {error}") from error
    if not structures:
        raise ValueError(f"{path} holds no structure")
    return structures


def _frames(path: Path, name: str) -> Iterator[Atoms]:
    from ase.db import connect
    from ase.io import iread

    if name in DATABASES.values():
        for row in connect(path, name).select():
            yield row.toatoms(add_additional_information=True)  # with the columns, which `ase.io` leaves out
    else:
        yield from iread(str(path), index=":", format=name)
