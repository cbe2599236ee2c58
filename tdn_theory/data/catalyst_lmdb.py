"""OC20 and OC22 in LMDB files: systems before and after relaxation (IS2RE), and frames with forces (S2EF).

Keys are the numbers of the records, and there may be a `length`. A value is a pickled object of torch_geometric
(`geometric_pickle`), without compression: `atomic_numbers`, `cell`, `tags` (0 below the surface, 1 in it, 2 of the
adsorbate), `fixed`, `sid`, and

- of IS2RE `pos` and `pos_relaxed`, with energies `y_init` and `y_relaxed`;
- of S2EF `pos`, `y`, `force` and `fid`.

There are no boundary conditions in it: all three directions are periodic. Units are eV and Angstrom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tdn_theory.data import geometric_pickle, lmdb_file, plain_pickle
from tdn_theory.data.catalysts import checked
from tdn_theory.data.lmdb_file import UnusableError
from tdn_theory.data.plain_pickle import UnsafePickleError
from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import Structure

Label = Literal["relaxed energy", "frame", "relaxed structure", "positions"]


@dataclass(frozen=True)
class CatalystLmdbReader(Reader):
    """Reads the LMDB files of IS2RE and S2EF.

    Attributes:
        label: What a record is read as: its first positions with the `relaxed energy` (IS2RE direct), its first
            positions with their own energy and forces, a `frame`, the `relaxed structure` with its energy, or its first
            `positions` alone, as of test sets, whose labels are not released.
    """

    label: Label = "relaxed energy"

    def parts(self, file: Path) -> list[tuple[str, ...]]:
        """Keys, some at a time, by number; what is neither a number nor `length` comes last.

        Raises:
            FileNotFoundError: There is no such file.
            ImportError: lmdb is not installed.
            ValueError: It is no LMDB file, cut off, or has not as many records as it says.
        """
        with lmdb_file.reading(file) as transaction:
            parts, length = lmdb_file.parts(transaction, [b"length"]), transaction.get(b"length")
        if length is not None:
            try:
                said = plain_pickle.loads(length)
            except UnsafePickleError as error:
                raise ValueError(f"{file}: its length cannot be read ({error}); copy it again") from error
            count = sum(map(len, parts))
            if said != count:
                raise ValueError(f"{file} says that it has {said!r} records, but has {count}: copy it again")
        return parts

    def read(self, file: Path, part: tuple[str, ...]) -> tuple[list[Structure], Counter[str]]:
        """The usable records of some keys, and how many others were left out for which reason."""
        return lmdb_file.records(file, part, self._structure)

    def _structure(self, content: bytes) -> Structure:
        try:
            record = geometric_pickle.loads(content)
        except UnsafePickleError as error:
            raise UnusableError("damaged or unsafe pickle") from error
        if not isinstance(record, dict):
            raise UnusableError("no object of torch_geometric")
        if self.label == "positions":
            return checked(record, "pos", None, None)
        if self.label == "relaxed energy":
            return checked(record, "pos", "y_relaxed", None)
        if self.label == "relaxed structure":
            return checked(record, "pos_relaxed", "y_relaxed", None)
        return checked(record, "pos", "y_init" if record.get("y") is None else "y", "force")


def write_is2re(path: Path, first: Sequence[Structure], relaxed: Sequence[Structure]) -> None:
    """Write systems before and after relaxation as an LMDB file of IS2RE, atomically, with tensors in float32.

    Args:
        path: File.
        first: Systems before, with the names `sid`; energies and forces are written where they are known.
        relaxed: The same systems after, with energies.

    Raises:
        ImportError: lmdb is not installed.
        ValueError: The two are not the same systems in the same order, one is not periodic in all directions, or a
            relaxed one has no energy.
    """
    if len(first) != len(relaxed):
        raise ValueError(f"{len(first)} first and {len(relaxed)} relaxed structures; give both of every system")
    for before, after in zip(first, relaxed, strict=True):
        same = before.sid == after.sid and np.array_equal(before.numbers, after.numbers)
        if not same or not before.pbc.all() or before.cell is None or after.energy is None:
            raise ValueError(
                f"{before} and {after} must be one system, periodic in three directions, the second with an energy"
            )
    records = (
        (str(number).encode(), geometric_pickle.dumps(_record(before, after)))
        for number, (before, after) in enumerate(zip(first, relaxed, strict=True))
    )
    lmdb_file.write(path, chain(records, [(b"length", plain_pickle.dumps(len(first)))]))


def _record(first: Structure, relaxed: Structure) -> dict[str, Any]:
    found: dict[str, Any] = {
        "pos": _floats(first.positions),
        "pos_relaxed": _floats(relaxed.positions),
        "cell": _floats(first.cell)[None],
        "atomic_numbers": _floats(first.numbers),
        "natoms": len(first),
        "fixed": _floats(first.fixed),
        "sid": int(first.sid) if first.sid.isdecimal() and str(int(first.sid)) == first.sid else first.sid,
        "y_relaxed": relaxed.energy,
    }
    optional = {"y_init": first.energy, "tags": first.tags}
    found |= {name: np.array(v) if name == "tags" else v for name, v in optional.items() if v is not None}
    return found if first.forces is None else found | {"force": _floats(first.forces)}


def _floats(values: Any) -> np.ndarray:
    return np.array(values, np.float32)
