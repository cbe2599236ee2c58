"""Catalysts, as in OC20 and OC22: a slab that repeats in two directions, and an adsorbate on it.

Released files come as shards, and have records that cannot be used; readers count those with the reason. Records are
checked here, whatever format they were in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from tdn_theory.data.lmdb_file import UnusableError
from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import LARGEST, Structure

CLOSEST = 0.1
"""Atoms closer than this (Angstrom) are an error of the record."""


def shards(place: Path, *endings: str) -> list[Path]:
    """`place` itself if it is a file, else the files of that folder with one of the endings, in the order of names.

    Raises:
        FileNotFoundError: There is no such file or folder, or no file in it.
    """
    if place.is_file():
        return [place]
    found = sorted(file for file in place.glob("*") if file.name.endswith(endings) and file.is_file())
    if not found:
        raise FileNotFoundError(f"{place} is no file, and no folder with files that end in {' or '.join(endings)}")
    return found


def stream(reader: Reader, files: Sequence[Path], left_out: Counter[str]) -> Iterator[Structure]:
    """Structures of some files, a part in memory at a time.

    Args:
        reader: Reads the files.
        files: Files, one after the other.
        left_out: What was left out is added to it, by reason.

    Raises:
        ValueError: A file is not as the reader wants it.
    """
    for file in files:
        for part in reader.parts(file):
            structures, reasons = reader.read(file, part)
            left_out.update(reasons)
            yield from structures


def checked(record: Mapping[str, Any], positions: str, energy: str | None, forces: str | None) -> Structure:
    """The structure of a record, every field looked at; its group is the system, or the formula if that has no name.

    Args:
        record: Attributes as OC20 and OC22 call them; `cell`, `atomic_numbers` and what is read there must be.
        positions: Name of the positions.
        energy: Name of the energy; None if it is not to be read.
        forces: Name of the forces; None if they are not to be read.

    Raises:
        UnusableError: A field is missing, or not what it should be; the message is the reason, the same for all alike.
    """
    numbers = _whole(record, "atomic_numbers", (None,))
    n = len(numbers)
    if not n or numbers.min() < 1 or numbers.max() > 118:
        raise UnusableError("atomic_numbers are not 1 to 118")
    if record.get("natoms") is not None and _whole(record, "natoms", ()) != n:
        raise UnusableError("natoms differs from the number of atoms")
    place = _real(record, positions, (n, 3))
    cell = _real({"cell": np.squeeze(np.asarray(record.get("cell")))}, "cell", (3, 3))
    if max(np.abs(place).max(), np.abs(cell).max()) > LARGEST or np.linalg.matrix_rank(cell) < 3:
        raise UnusableError("cell or positions are none")
    check_apart(place)
    tags = None if record.get("tags") is None else _whole(record, "tags", (n,))
    if tags is not None and not np.isin(tags, (0, 1, 2)).all():
        raise UnusableError("tags are not 0, 1 or 2")
    fixed = np.zeros(n, int) if record.get("fixed") is None else _whole(record, "fixed", (n,))
    if not np.isin(fixed, (0, 1)).all():
        raise UnusableError("fixed is not 0 or 1")
    sid, fid = (name_of(record.get(name), name) for name in ("sid", "fid"))
    structure = Structure(
        numbers,
        place,
        cell,
        np.array([True, True, True]),
        energy=None if energy is None else float(_real(record, energy, ())),
        forces=None if forces is None else _real(record, forces, (n, 3)),
        fixed=fixed.astype(bool),
        tags=tags,
        sid=sid,
        fid=fid,
        group=sid,
    )
    return structure if sid else replace(structure, group=structure.formula)


def check_apart(positions: Float[np.ndarray, "n 3"]) -> None:
    """Whether no two atoms are closer than `CLOSEST`; images in neighbouring cells are not looked at.

    Raises:
        UnusableError: Two are.
    """
    if len(positions) > 1 and cKDTree(positions).query_pairs(CLOSEST):
        raise UnusableError("atoms at the same place")


def _real(record: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    if record.get(name) is None:
        raise UnusableError(f"no {name}")
    value = np.asarray(record[name])
    if value.size == 1 and not shape:
        value = value.reshape(())
    fits = value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
    if value.dtype.kind not in "iuf" or not fits:
        raise UnusableError(f"{name} has the wrong shape or type")
    if not np.isfinite(value).all():
        raise UnusableError(f"{name} is not finite")
    return value.astype(np.float64)


def _whole(record: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    value = _real(record, name, shape)
    if np.any(value != np.rint(value)) or np.any(np.abs(value) > 2**31):
        raise UnusableError(f"{name} is not whole")
    return value.astype(np.int64)


def name_of(value: Any, what: str) -> str:
    """The name of a system or a frame, which files may number; empty if there is none.

    Raises:
        UnusableError: `what` is neither a text nor a number.
    """
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    if value is None:
        return ""
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise UnusableError(f"{what} is no name")
    return str(value)
