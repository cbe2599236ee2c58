"""Many structures in a few flat arrays, which may be mapped from files: what is asked for is read, and nothing else.

Atoms of all structures are concatenated, one array per property (`COLUMNS`); a label that a structure lacks is NaN.
Some columns hold what takes long to find and depends on one structure alone: the distance of its nearest atoms, and
hashes of where its atoms are and of all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, SupportsIndex, overload

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped
from scipy.spatial import cKDTree

from tdn_theory.data.structure import LABELS, Structure

CHUNK = 2**14
"""Structures that are looked at together where all of a set is."""


@dataclass(frozen=True)
class Column:
    """One property of structures, or of their atoms.

    Attributes:
        dtype: Type of its numbers.
        shape: Shape of one value.
        per_atom: Whether every atom has a value, rather than every structure.
        default: Value of structures that say nothing else.
    """

    dtype: str
    shape: tuple[int, ...] = ()
    per_atom: bool = False
    default: float = np.nan

    def missing(self, rows: int) -> np.ndarray:
        """The default, so many times."""
        return np.full((rows, *self.shape), self.default, self.dtype)


OPTIONAL: Mapping[str, Column] = {
    "cell": Column("<f8", (3, 3)),
    **{name: Column("<f8", shape, per_atom=name == "forces") for name, shape in LABELS.items()},
    "tags": Column("<f8", per_atom=True),
    "reference_energy": Column("<f8"),
}
"""Fields of `Structure` that may be None, which is NaN here; there is no column where no structure has a value."""

TEXTS = ("group", "config_type", "sid", "fid")
"""Fields that are texts; each text is stored once, and the column numbers them; 0 is the empty one."""

RARE: Mapping[str, Column] = {
    "fixed": Column("|b1", per_atom=True, default=0),
    "weight": Column("<f8", default=1),
    **{name: Column("<i8", default=0) for name in TEXTS},
}
"""Fields that mostly have their default; there is no column where all structures have it."""

FIELDS: Mapping[str, Column] = {
    "numbers": Column("|u1", per_atom=True),
    "positions": Column("<f8", (3,), per_atom=True),
    "pbc": Column("|b1", (3,)),
    **OPTIONAL,
    **RARE,
}
"""All fields of `Structure`."""

PLACE = ("numbers", "positions", "cell", "pbc")
"""Fields by which structures are duplicates."""

COLUMNS: Mapping[str, Column] = {
    **FIELDS,
    "first": Column("<i8"),
    "atoms": Column("<i8"),
    "nearest": Column("<f8"),
    "place": Column("<u8"),
    "content": Column("<u8", (4,)),
}
"""The fields, and of each structure its `first` atom, how many `atoms` it has, the distance of its `nearest` two
(infinite for one atom; images in neighbouring cells are not looked at), and hashes of its `place` (`PLACE`) and of its
`content` (that, fixed atoms and the labels)."""


@dataclass(frozen=True, eq=False)
class Packed(Sequence[Structure]):
    """Structures in flat arrays, of which slices and selections are views; mapped ones pickle as the names of files.

    Attributes:
        columns: The arrays by name, of all structures that are stored; see `COLUMNS`.
        texts: What the columns of `TEXTS` number.
        chosen: Which of the stored structures these are, in order (n,).
    """

    columns: Mapping[str, Shaped[np.ndarray, "..."]]
    texts: Mapping[str, list[str]]
    chosen: Int64[np.ndarray, " n"]

    def __repr__(self) -> str:
        """How many, and their labels."""
        return f"Packed({', '.join([f'{len(self)} structures', *self.labels])})"

    def __len__(self) -> int:
        """Number of structures."""
        return len(self.chosen)

    @overload
    def __getitem__(self, number: SupportsIndex) -> Structure: ...

    @overload
    def __getitem__(self, number: slice) -> Packed: ...

    def __getitem__(self, number: SupportsIndex | slice) -> Structure | Packed:
        """One structure, or those of a slice."""
        if isinstance(number, slice):
            return replace(self, chosen=self.chosen[number])
        stored = self.chosen[range(len(self))[number]]
        first = self.columns["first"][stored]
        atoms = slice(first, first + self.columns["atoms"][stored])
        values: dict[str, Any] = {}
        for name, kind in FIELDS.items():
            if name in self.columns:
                value = self.columns[name][atoms if kind.per_atom else stored]
                if name in TEXTS:
                    values[name] = self.texts[name][value]
                elif name not in OPTIONAL or not np.isnan(value).any():
                    values[name] = value
        for name in ("numbers", "tags"):
            if name in values:
                values[name] = values[name].astype(np.int64)
        values["weight"] = float(values.get("weight", RARE["weight"].default))
        return Structure(**values)

    def __getstate__(self) -> dict[str, Any]:
        """Of mapped arrays only where they are."""
        columns = {
            name: (array.filename, array.dtype.str, array.offset, array.shape)
            if isinstance(array, np.memmap)
            else array
            for name, array in self.columns.items()
        }
        return {"columns": columns, "texts": self.texts, "chosen": self.chosen}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map them again."""
        columns = {
            name: np.memmap(found[0], found[1], "r", found[2], found[3]) if isinstance(found, tuple) else found
            for name, found in state["columns"].items()
        }
        self.__dict__.update(state | {"columns": columns})

    def select(self, numbers: Int64[np.ndarray, " m"]) -> Packed:
        """Only these structures, in this order."""
        return replace(self, chosen=self.chosen[numbers])

    def chunks(self) -> Iterator[Packed]:
        """All of them in turn, so many at a time that their columns fit into memory."""
        for begin in range(0, len(self), CHUNK):
            yield self[begin : begin + CHUNK]

    def column(self, name: str) -> Shaped[np.ndarray, "..."]:
        """The values of one property; NaN where a structure has none.

        Args:
            name: One of `COLUMNS`; of a property of atoms all are given, one structure after the other.
        """
        kind = COLUMNS[name]
        if name not in self.columns:
            return kind.missing(int(self.column("atoms").sum()) if kind.per_atom else len(self))
        return self.columns[name][self._atoms if kind.per_atom else self.chosen]

    @cached_property
    def _atoms(self) -> slice | Int64[np.ndarray, " m"]:
        """Which of the stored atoms are theirs."""
        first, atoms = self.column("first"), self.column("atoms")
        if len(self) and np.array_equal(first[1:], first[:-1] + atoms[:-1]):
            return slice(int(first[0]), int(first[-1] + atoms[-1]))
        ends = np.cumsum(atoms)
        return np.repeat(first - ends + atoms, atoms) + np.arange(atoms.sum())

    def known(self, name: str) -> Bool[np.ndarray, " n"]:
        """Which of them have a value of an optional property."""
        if name not in self.columns:
            return np.zeros(len(self), bool)
        rows = self.column("first") if COLUMNS[name].per_atom else self.chosen
        return ~np.isnan(self.columns[name][(rows, *(0 for _ in COLUMNS[name].shape))])  # of a value all or nothing

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that one of them has at least."""
        return tuple(name for name in LABELS if self.known(name).any())

    @property
    def groups(self) -> list[str]:
        """The group of each."""
        return self.text("group")

    def text(self, name: str) -> list[str]:
        """The text of each, of one of `TEXTS`."""
        return [self.texts[name][number] for number in self.column(name).tolist()]

    def regrouped(self, groups: Sequence[str]) -> Packed:
        """The same structures in other groups, one name for each."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(["", *groups]))}
        other = self._replaced("group", np.array([numbers[name] for name in groups], np.int64))
        return replace(other, texts={**self.texts, "group": list(numbers)})

    def weighted(self, factors: Float[np.ndarray, " n"]) -> Packed:
        """The same structures with their weights multiplied by these factors."""
        return self._replaced("weight", self.column("weight") * factors)

    def _replaced(self, name: str, values: Shaped[np.ndarray, " n"]) -> Packed:
        column = COLUMNS[name].missing(len(self.columns["first"]))
        column[self.chosen] = values
        return replace(self, columns={**self.columns, name: column})

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that occur, ascending."""
        found = np.zeros(256, np.int64)
        for part in self.chunks():
            found += np.bincount(part.column("numbers"), minlength=256)
        return tuple(np.flatnonzero(found).tolist())

    def counts(self, elements: Sequence[int]) -> Int64[np.ndarray, "n elements"]:
        """How many atoms of each of some elements each of them has."""
        place = np.full(256, len(elements))  # the last column is of all others, and left out
        place[list(elements)] = np.arange(len(elements))
        width = len(elements) + 1
        owner = np.repeat(np.arange(len(self)), self.column("atoms"))
        flat = np.bincount(owner * width + place[self.column("numbers")], minlength=len(self) * width)
        return flat.reshape(len(self), width)[:, :-1]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of their content in their order: of atoms, cells, labels and weights, not of texts."""
        parts = [np.ascontiguousarray(self.column(name)).tobytes() for name in ("content", "weight")]
        return sha256(b"".join(parts)).hexdigest()[:32]


def pack(structures: Iterable[Structure]) -> Packed:
    """Structures as flat arrays in memory; packed ones as they are."""
    if isinstance(structures, Packed):
        return structures
    texts: dict[str, dict[str, int]] = {name: {"": 0} for name in TEXTS}
    rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    first = 0
    for structure in structures:
        found = {name: getattr(structure, name) for name in FIELDS}
        for name, numbers in texts.items():
            found[name] = numbers.setdefault(found[name], len(numbers))
        for name, value in (found | _derived(structure) | {"first": first}).items():
            rows[name].append(value)
        first += len(structure)
    sizes = rows["atoms"]
    columns = {name: _column(COLUMNS[name], values, sizes) for name, values in rows.items() if _needed(name, values)}
    return Packed(columns, {name: list(numbers) for name, numbers in texts.items()}, np.arange(len(sizes)))


def _needed(name: str, values: Sequence[Any]) -> bool:
    if name in OPTIONAL:
        return any(value is not None for value in values)
    return name not in RARE or any(np.any(value != RARE[name].default) for value in values)


def _column(kind: Column, values: Sequence[Any], sizes: Sequence[int]) -> np.ndarray:
    blocks = [np.empty((0, *kind.shape), kind.dtype)]
    for value, size in zip(values, sizes, strict=True):
        if value is None:
            blocks.append(kind.missing(size if kind.per_atom else 1))
        else:
            blocks.append(np.asarray(value, kind.dtype).reshape(-1, *kind.shape))
    return np.concatenate(blocks)


def _derived(structure: Structure) -> dict[str, Any]:
    nearest = np.inf
    if len(structure) > 1:
        nearest = cKDTree(structure.positions).query(structure.positions, 2)[0][:, 1].min()
    hashed = sha256()
    for name in PLACE:
        _add(hashed, name, getattr(structure, name))
    place = hashed.digest()
    for name in ("fixed", *LABELS):
        _add(hashed, name, getattr(structure, name))
    return {
        "atoms": len(structure),
        "nearest": nearest,
        "place": np.frombuffer(place, "<u8")[0],
        "content": np.frombuffer(hashed.digest(), "<u8"),
    }


def _add(hashed: Any, name: str, value: Any) -> None:
    hashed.update(b"-" if value is None else name.encode() + np.ascontiguousarray(value).tobytes())
