"""ASE's database in LMDB files (`.aselmdb`), in which sets later than OC20 are released. No pickle is in it.

Keys are the numbers of the rows, from 1, besides `nextid`, `deleted_ids` and `metadata`. A value is a row of ASE as
JSON, compressed by zlib, with arrays as `{"__ndarray__": [shape, type, numbers]}`. Its `constraints` say which atoms
are fixed, its `data` may have `sid` and `fid`. Units are eV and Angstrom; forces are those without constraints.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from tdn_theory.data import lmdb_file
from tdn_theory.data.catalysts import check_apart, name_of
from tdn_theory.data.lmdb_file import UnusableError
from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import Structure
from tdn_theory.files import sha256

LARGEST_ROW = 2**28
"""Bytes of an unpacked row; larger ones are not read."""
OTHERS = {b"nextid", b"deleted_ids", b"metadata"}


@dataclass(frozen=True)
class AseLmdbReader(Reader):
    """Reads `.aselmdb` files: energies, forces and stresses as far as a row has them, fixed atoms, tags and names."""

    def parts(self, file: Path) -> list[tuple[str, ...]]:
        """Numbers of rows that were not deleted, some at a time; what is no number comes last.

        Raises:
            FileNotFoundError: There is no such file.
            ImportError: lmdb is not installed.
            ValueError: It is no LMDB file, or cut off.
        """
        with lmdb_file.reading(file) as transaction:
            deleted = transaction.get(b"deleted_ids")
            try:
                gone = set() if deleted is None else set(_unpacked(deleted))
            except (UnusableError, TypeError) as error:
                raise ValueError(f"{file}: which rows were deleted cannot be read ({error}); copy it again") from error
            return lmdb_file.parts(transaction, OTHERS, gone)

    def read(self, file: Path, part: tuple[str, ...]) -> tuple[list[Structure], Counter[str]]:
        """The usable rows, and how many others were left out for which reason."""
        return lmdb_file.records(file, part, lambda content: _structure(_unpacked(content)))


def _unpacked(content: bytes) -> Any:
    try:
        stream = zlib.decompressobj()
        text = stream.decompress(content, LARGEST_ROW)
        if stream.unconsumed_tail:
            raise UnusableError("row too large")
        if not stream.eof:
            raise UnusableError("damaged row")
        return json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise error if isinstance(error, UnusableError) else UnusableError("damaged row") from error


def _structure(row: Any) -> Structure:
    if not isinstance(row, dict):
        raise UnusableError("damaged row")
    data = row.get("data") or {}
    if not isinstance(data, dict):
        raise UnusableError("data is no table")
    try:
        numbers, positions = _array(row["numbers"]), _array(row["positions"])
        fixed = np.zeros(len(numbers), bool)
        for indices in _fixed(row.get("constraints") or []):
            fixed[indices] = True
        known: dict[str, Any] = {
            name: _array(row[name]) for name in ("cell", "forces", "tags") if row.get(name) is not None
        }
        if row.get("stress") is not None:
            from ase.stress import voigt_6_to_full_3x3_stress

            known["stress"] = voigt_6_to_full_3x3_stress(_array(row["stress"]))
        if row.get("energy") is not None:
            known["energy"] = float(row["energy"])
        if "cell" in known and not known["cell"].any():
            del known["cell"]
        pbc = _array(row.get("pbc", [False, False, False])).astype(bool)
        sid, fid = (name_of(data.get(name), "sid or fid") for name in ("sid", "fid"))
        structure = Structure(numbers, positions, pbc=pbc, **known, fixed=fixed, sid=sid, fid=fid, group=sid)
        check_apart(structure.positions)
        return structure if sid else replace(structure, group=structure.formula)
    except UnusableError:
        raise
    except KeyError as error:
        raise UnusableError(f"no {error.args[0]}") from error
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise UnusableError("a field has the wrong shape or type") from error


def _array(value: Any) -> np.ndarray:
    if isinstance(value, dict) and "array" in value:  # a cell, as an object of ASE
        value = value["array"]
    if isinstance(value, dict):
        shape, kind, numbers = value["__ndarray__"]
        if math.prod(shape) != len(numbers) or np.dtype(kind).kind not in "biuf":
            raise UnusableError("a field has the wrong shape or type")
        return np.array(numbers, kind).reshape(shape)
    return np.array(value)


def _fixed(constraints: Any) -> Iterator[np.ndarray]:
    for constraint in constraints:
        if constraint["name"] != "FixAtoms":
            raise UnusableError("a constraint other than FixAtoms")
        indices = np.atleast_1d(_array(constraint["kwargs"]["indices"]))
        if indices.size and (indices.dtype.kind not in "iu" or indices.min() < 0):
            raise UnusableError("indices of fixed atoms are no numbers of atoms")
        yield indices.astype(int)


def write_aselmdb(path: Path, structures: Sequence[Structure]) -> None:
    """Write structures as ASE's database in an LMDB file, atomically; equal structures give equal rows.

    Dipoles, polarizabilities, groups and reference energies have no place in it.

    Raises:
        ImportError: lmdb is not installed.
    """
    rows = ((str(number), _row(number, structure)) for number, structure in enumerate(structures, 1))
    own = {"nextid": len(structures) + 1, "deleted_ids": [], "metadata": {"made_by": "tdn-theory"}}
    lmdb_file.write(path, ((key.encode(), _packed(value)) for key, value in chain(rows, own.items())))


def _row(number: int, structure: Structure) -> dict[str, Any]:
    from ase.stress import full_3x3_to_voigt_6_stress

    cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
    arrays = {"numbers": structure.numbers, "positions": structure.positions, "pbc": structure.pbc, "cell": cell}
    optional = {"forces": structure.forces, "tags": structure.tags}
    arrays |= {name: value for name, value in optional.items() if value is not None}
    if structure.stress is not None:
        arrays["stress"] = full_3x3_to_voigt_6_stress(structure.stress)
    row: dict[str, Any] = {name: _as_json(value) for name, value in arrays.items()}
    if structure.energy is not None:
        row["energy"] = structure.energy
    if structure.fixed.any():
        indices = np.flatnonzero(structure.fixed).tolist()
        row["constraints"] = [{"name": "FixAtoms", "kwargs": {"indices": indices}}]
    if set(row) & {"energy", "forces", "stress"}:
        row |= {"calculator": "unknown", "calculator_parameters": {}}
    row["data"] = {name: value for name in ("sid", "fid") if (value := getattr(structure, name))}
    identity = sha256(json.dumps([number, row]).encode())[:32]
    return row | {"unique_id": identity, "ctime": 0.0, "mtime": 0.0, "user": None}


def _as_json(array: np.ndarray) -> dict[str, Any]:
    return {"__ndarray__": [list(array.shape), array.dtype.name, array.ravel().tolist()]}


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode())
