"""Trajectories of CP2K: positions with energies, and beside them forces and cells, as its dynamics prints them.

`NAME-pos-1.xyz` has frames of positions in Angstrom, whose second line is ` i = 5, time = 2.5, E = -17.2` with the
energy in Hartree; `NAME-frc-1.xyz` the same frames with forces in Hartree/Bohr; and `NAME-1.cell` a line for each step:
step, time, the nine components of the cell vectors a, b, c in Angstrom, volume.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import Structure
from tdn_theory.data.units import BOHR, HARTREE

POSITIONS, FORCES, CELLS = "-pos-1.xyz", "-frc-1.xyz", "-1.cell"
"""How the names of the files end."""

STEP = re.compile(r"\s*i\s*=\s*(\d+)\s*,(?:.*,)?\s*E\s*=\s*(\S+)")


@dataclass(frozen=True)
class Cp2kReader(Reader):
    """Reads trajectories as `read_cp2k` does, each as one part."""

    def beside(self, file: Path) -> list[Path]:
        """Those of the files of forces and cells that are there."""
        return [path for path in (_sibling(file, FORCES), _sibling(file, CELLS)) if path.is_file()]

    def read(self, file: Path, part: tuple[Any, ...]) -> tuple[list[Structure], Counter[str]]:
        """All structures of a trajectory; none is left out.

        Raises:
            FileNotFoundError: As `read_cp2k`.
            ValueError: As `read_cp2k`.
        """
        return read_cp2k(file), Counter()


def read_cp2k(path: Path) -> list[Structure]:
    """All frames of a trajectory, periodic in all directions; the name of the file is the group.

    Args:
        path: `NAME-pos-1.xyz`, with `NAME-1.cell` and, for forces, `NAME-frc-1.xyz` beside it.

    Raises:
        FileNotFoundError: There is no such file, or none with cells beside it.
        ValueError: The name ends in something else, or a frame is not as it should be or not the same in all files; the
            message names file, frame and line.
    """
    if not path.name.endswith(POSITIONS):
        raise ValueError(f"{path} must end in {POSITIONS}, as CP2K calls trajectories of positions")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    cells, forces = _cells(_sibling(path, CELLS)), _sibling(path, FORCES)
    frames = list(_frames(path))
    pushed = list(_frames(forces)) if forces.is_file() else [None] * len(frames)
    if len(pushed) != len(frames):
        raise ValueError(f"{path} has {len(frames)} frames, {forces} {len(pushed)}; copy both again")
    found = []
    for count, (frame, push) in enumerate(zip(frames, pushed, strict=True)):
        if push is not None and (push.step, push.numbers.tolist()) != (frame.step, frame.numbers.tolist()):
            raise ValueError(f"{forces}, frame {count} is not of the step and atoms of that of {path}; copy both again")
        if frame.step not in cells:
            raise ValueError(
                f"{path}, frame {count} is of step {frame.step}, of which {_sibling(path, CELLS)} has none"
            )
        found.append(
            Structure(
                frame.numbers,
                frame.vectors,
                cells[frame.step],
                np.full(3, True),
                energy=frame.energy * HARTREE,
                forces=None if push is None else push.vectors * (HARTREE / BOHR),
                group=path.name.removesuffix(POSITIONS),
            )
        )
    if not found:
        raise ValueError(f"{path} holds no structure")
    return found


class _Frame(NamedTuple):
    step: int
    energy: float
    numbers: Int64[np.ndarray, " n"]
    vectors: Float[np.ndarray, "n 3"]


def _sibling(path: Path, end: str) -> Path:
    return path.with_name(path.name.removesuffix(POSITIONS) + end)


def _frames(path: Path) -> Iterator[_Frame]:
    from ase.data import atomic_numbers

    lines = path.read_text(encoding="utf-8").splitlines()
    line, count = 0, 0
    while line < len(lines):
        here = f"{path}, frame {count}, line {line + 1}"
        if not lines[line].strip().isdigit():
            raise ValueError(f"{here} is {lines[line]!r}; it must be the number of atoms")
        atoms = int(lines[line])
        rows = [row.split() for row in lines[line + 2 : line + 2 + atoms]]
        if len(rows) < atoms:
            raise ValueError(f"{here} says {atoms} atoms, but the file ends after {len(rows)}; copy it again")
        head = STEP.match(lines[line + 1])
        energy = None if head is None else _number(head[2])
        if head is None or energy is None:
            raise ValueError(
                f"{path}, frame {count}, line {line + 2} is {lines[line + 1]!r}; it must be like ' i = 5, E = -17.2'"
            )
        numbers, vectors = [], []
        for k, row in enumerate(rows):
            vector = [_number(word) for word in row[1:]]
            if len(vector) != 3 or None in vector or row[0] not in atomic_numbers:
                raise ValueError(
                    f"{path}, frame {count}, line {line + 3 + k} is {' '.join(row)!r}; it must be an element and three "
                    "numbers"
                )
            numbers.append(atomic_numbers[row[0]])
            vectors.append(vector)
        yield _Frame(int(head[1]), energy, np.array(numbers), np.array(vectors, float).reshape(-1, 3))
        line, count = line + 2 + atoms, count + 1


def _cells(path: Path) -> dict[int, Float[np.ndarray, "3 3"]]:
    """Cell vectors, as rows, by step."""
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path} with the cells; CP2K writes it under MOTION / PRINT / CELL, and for a cell that stays "
            "the same you can write its line for each step"
        )
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        values = [_number(word) for word in line.split()]
        if len(values) < 11 or None in values:
            raise ValueError(f"{path}, line {number} is {line!r}; it must have step, time and nine components")
        found[int(values[0] or 0)] = np.array(values[2:11], float).reshape(3, 3)
    return found


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if isfinite(value) else None
