"""Sets of catalyst systems, each before and after its relaxation: kept in one archive, and in files of IS2RE by part.

In an archive the frames of a system, `first` and `relaxed`, follow each other, with their own energies and forces.
Two small sets are shipped (`data.surfaces`, `data.oxides`). They show that everything runs; their chemistry is that of
the method which labelled them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Int64
from numpy import ndarray

from tdn_theory.data.archive import read_archive, write_archive
from tdn_theory.data.catalyst_lmdb import CatalystLmdbReader, write_is2re
from tdn_theory.data.catalysts import stream
from tdn_theory.data.structure import Structure

FILES = Path(__file__).parent / "files"
SHIPPED = ("surfaces", "oxides")
"""Names of the shipped sets."""


class System(NamedTuple):
    """A system before and after its relaxation, with energies and forces of both.

    Attributes:
        first: Before.
        relaxed: After.
    """

    first: Structure
    relaxed: Structure

    @property
    def direct(self) -> Structure:
        """What IS2RE direct learns from: the positions before, with the energy after."""
        return replace(self.first, energy=self.relaxed.energy, forces=None, group=self.first.sid)


def numbered(systems: Sequence[System]) -> list[System]:
    """The same systems, called 0, 1, 2, ..."""
    return [System(*(replace(s, sid=str(number)) for s in system)) for number, system in enumerate(systems)]


def shipped(name: str) -> list[System]:
    """A shipped set.

    Args:
        name: One of `SHIPPED`.

    Raises:
        DamagedError: The file is not the one that was shipped.
    """
    return read_systems(FILES / f"{name}.npz")


def write_systems(path: Path, systems: Sequence[System], made_by: Mapping[str, Any]) -> None:
    """Write an archive (`.npz`) and its manifest (`.json`).

    Args:
        path: File to write, ending in `.npz`.
        systems: With names (`sid`).
        made_by: How they were made.
    """
    kinds = System._fields
    frames = [replace(s, fid=kind, group=s.sid) for system in systems for kind, s in zip(kinds, system, strict=True)]
    write_archive(path, frames, made_by)


def read_systems(path: Path) -> list[System]:
    """Read what `write_systems` wrote.

    Raises:
        FileNotFoundError: The file or its manifest is missing.
        ValueError: It is damaged, or does not hold two frames of every system.
    """
    frames = read_archive(path)
    systems = [System(*pair) for pair in zip(frames[::2], frames[1::2], strict=False)]
    if len(frames) % 2 or any(s.first.sid != s.relaxed.sid or s.relaxed.fid != "relaxed" for s in systems):
        raise ValueError(f"{path} does not hold each system before and after its relaxation; give one that does")
    return systems


def write_parts(folder: Path, systems: Sequence[System], parts: Mapping[str, Int64[ndarray, " s"]]) -> dict[str, int]:
    """Write each part of a split as an LMDB file of IS2RE in `folder`, which is read back.

    Args:
        folder: Where to write `train.lmdb` and so on.
        systems: With names.
        parts: Numbers of the systems in each part.

    Returns:
        Systems in each part.

    Raises:
        ImportError: lmdb is not installed.
        OSError: What was written is not what is read.
    """
    for name, numbers in parts.items():
        file, own = folder / f"{name}.lmdb", [systems[k] for k in numbers]
        write_is2re(file, [system.first for system in own], [system.relaxed for system in own])
        left_out = Counter[str]()
        energies = [structure.energy for structure in stream(CatalystLmdbReader(), [file], left_out)]
        if left_out or energies != [system.relaxed.energy for system in own]:
            raise OSError(f"{file} does not hold what was written: {dict(left_out)}; is the disk full or broken?")
    return {name: len(numbers) for name, numbers in parts.items()}
