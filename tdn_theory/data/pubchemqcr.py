"""PubChemQCR (Fu et al. 2025, arXiv 2506.23008): 3.5 million DFT relaxations in LMDB files, in their released format.

A key is the number of a compound, a value a gzipped pickle of a dictionary of stages, `pm3`, `hf`, `DFT_1st` and
`DFT_2nd`. A stage is a list of steps, or None where it does not exist (also where Hartree-Fock output had been copied
in its place). A step has `coordinates` and `gradient`, each a list with one dictionary per atom (`atom`, `x`, `y`, `z`
in Angstrom; `atom`, `dx`, `dy`, `dz` in Hartree/Bohr), and `energy` in Hartree; atoms also have a nuclear `charge`,
except in steps computed by SMASH, and it is not used. Pickles are read as plain data only (`plain_pickle`).

Each step is taken or rejected by itself, and the reasons are counted: no label is guessed or repaired.
"""

from __future__ import annotations

import gzip
import io
import random
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Int64

from tdn_theory.data import lmdb_file, plain_pickle
from tdn_theory.data.lmdb_file import UnusableError, reading
from tdn_theory.data.structure import Structure
from tdn_theory.data.units import BOHR, HARTREE
from tdn_theory.files import npz_arrays, npz_bytes, sha256, write_bytes

STAGES = ("pm3", "hf", "DFT_1st", "DFT_2nd")
LARGEST_RECORD = 2**28
"""Bytes of an unpacked record; larger ones are not read."""
MOST_STEPS = 100_000
"""Steps of a stage; a record may hold one step a million times in few bytes."""
CLOSEST = 0.1
"""Atoms closer than this (Angstrom) are an error of the record."""


def read_record(content: bytes) -> dict[str, Any]:
    """Unpack a value of the database.

    Raises:
        UnusableError: It is damaged, too large, or not plain data.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            unpacked = stream.read(LARGEST_RECORD + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnusableError("damaged record") from error
    if len(unpacked) > LARGEST_RECORD:
        raise UnusableError("record too large")
    try:
        record = plain_pickle.loads(unpacked)
    except plain_pickle.UnsafePickleError as error:
        raise UnusableError("damaged or unsafe pickle") from error
    if not isinstance(record, dict):
        raise UnusableError("damaged record")
    return record


def read_steps(record: Mapping[str, Any], stages: Sequence[str], group: str) -> tuple[list[Structure], Counter[str]]:
    """The usable steps of some stages of a record, and how often others were rejected for which reason.

    The molecule is what most of the steps with most atoms have, in the whole record: a step that was cut off has fewer.
    """
    found, rejected = [], Counter[str]()
    if any(len(_steps(record, stage)) > MOST_STEPS for stage in STAGES):
        return [], Counter([f"more than {MOST_STEPS} steps"])
    molecules = Counter(_elements(step) for stage in STAGES for step in _steps(record, stage))
    atoms = max(molecules, key=lambda elements: (len(elements), molecules[elements]), default=())
    for stage in stages:
        steps = _steps(record, stage)
        if not steps:
            rejected[f"no {stage}"] += 1
        for step in steps:
            try:
                found.append(_structure(step, atoms, group))
            except UnusableError as reason:
                rejected[str(reason)] += 1
    return found, rejected


def _steps(record: Mapping[str, Any], stage: str) -> list[Any]:
    steps = record.get(stage)
    return steps if isinstance(steps, list) else []


def _elements(step: Any, key: str = "coordinates") -> tuple[str, ...]:
    """Element symbols of a step; none if it has no proper list of atoms."""
    rows = step.get(key) if isinstance(step, dict) else None
    named = isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get("atom"), str) for row in rows)
    if rows is None or not named:
        return ()
    return tuple(row["atom"].capitalize() for row in rows)


def _structure(step: Any, atoms: tuple[str, ...], group: str) -> Structure:
    from ase.data import atomic_numbers
    from scipy.spatial.distance import pdist

    elements = _elements(step)
    if not elements or step.get("energy") is None or not _elements(step, "gradient"):
        raise UnusableError("coordinates, energy or gradient missing")
    if len(elements) < len(atoms):
        raise UnusableError("cut off: atoms missing")
    if elements != atoms or _elements(step, "gradient") != atoms:
        raise UnusableError("atoms of coordinates and gradient differ")
    if not all(element in atomic_numbers and atomic_numbers[element] for element in elements):
        raise UnusableError("unknown element")
    try:
        if isinstance(step["energy"], bool):
            raise UnusableError("a number is missing")
        energy = float(step["energy"])
        positions = np.array([[float(row[axis]) for axis in ("x", "y", "z")] for row in step["coordinates"]])
        gradient = np.array([[float(row[axis]) for axis in ("dx", "dy", "dz")] for row in step["gradient"]])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnusableError("a number is missing") from error
    if not (np.isfinite(energy) and np.isfinite(positions).all() and np.isfinite(gradient).all()):
        raise UnusableError("a number is not finite")
    if len(positions) > 1 and pdist(positions).min() < CLOSEST:
        raise UnusableError("atoms at the same place")
    return Structure(
        np.array([atomic_numbers[element] for element in elements]),
        positions,
        energy=energy * HARTREE,
        forces=-gradient * (HARTREE / BOHR),
        group=group,
    )


def _unpack(content: bytes, stages: Sequence[str], key: bytes) -> tuple[list[Structure], Counter[str]]:
    try:
        return read_steps(read_record(content), stages, key.decode("utf-8", "backslashreplace"))
    except UnusableError as reason:
        return [], Counter([str(reason)])


@lru_cache(maxsize=256)
def _trajectory(file: Path, key: bytes, stages: tuple[str, ...]) -> list[Structure]:
    with reading(file) as transaction:
        content = transaction.get(key)
    return _unpack(content, stages, key)[0]


@dataclass(frozen=True, eq=False)
class Trajectories(Sequence[Structure]):
    """Usable snapshots of trajectories in LMDB files, read when they are asked for.

    As a sequence, it is in the order of the trajectories; `stream` shuffles and shares out among processes.

    Attributes:
        files: LMDB files.
        stages: Stages of a relaxation that are read.
        file_number: Number of the file of each trajectory (t,).
        key: Key of each trajectory (t,), in hexadecimal.
        snapshots: Usable snapshots of each trajectory (t,), at least one.
        rejected: How often what was rejected, in all records of the files.
    """

    files: tuple[Path, ...]
    stages: tuple[str, ...]
    file_number: Int64[np.ndarray, " t"]
    key: np.ndarray
    snapshots: Int64[np.ndarray, " t"]
    rejected: Mapping[str, int]

    def __repr__(self) -> str:
        """Sizes, and what was rejected."""
        reasons = ", ".join(f"{number} x {reason}" for reason, number in self.rejected.items()) or "nothing"
        return f"Trajectories({len(self.snapshots)} trajectories, {len(self)} snapshots; rejected {reasons})"

    @cached_property
    def _first(self) -> list[int]:
        """Number of the first snapshot of each trajectory, and the number of all snapshots."""
        return np.cumsum([0, *self.snapshots]).tolist()

    def __len__(self) -> int:
        """Number of snapshots."""
        return self._first[-1]

    @overload
    def __getitem__(self, number: int) -> Structure: ...

    @overload
    def __getitem__(self, number: slice) -> list[Structure]: ...

    def __getitem__(self, number: int | slice) -> Structure | list[Structure]:
        """One snapshot, or all of a slice."""
        if isinstance(number, slice):
            return [self[k] for k in range(len(self))[number]]
        number = range(len(self))[number]
        trajectory = bisect_right(self._first, number) - 1
        return self.trajectory(trajectory)[number - self._first[trajectory]]

    def trajectory(self, number: int) -> list[Structure]:
        """All usable snapshots of one trajectory."""
        file, key = self.files[self.file_number[number]], bytes.fromhex(self.key[number])
        return _trajectory(file, key, self.stages)

    @property
    def fingerprint(self) -> str:
        """A hash of which trajectories these are, how many snapshots they have, and how large their files are."""
        files = [str(file.stat().st_size) for file in self.files]
        arrays = [array.tobytes() for array in (self.file_number, self.key, self.snapshots)]
        return sha256("\n".join([*files, *self.stages]).encode() + b"".join(arrays))[:32]

    def select(self, numbers: Int64[np.ndarray, " s"]) -> Trajectories:
        """Only these trajectories, in this order."""
        file_number, key, snapshots = (c[numbers] for c in (self.file_number, self.key, self.snapshots))
        return replace(self, file_number=file_number, key=key, snapshots=snapshots)

    def split(self, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 42) -> list[Trajectories]:
        """Split by trajectory, by the rule of the released code, whose seed is 42.

        Python's generator shuffles the trajectories; each part but the last has `int(fraction * t)` of them, and the
        last the rest. What is released is the rule: its parts are the published ones if the same trajectories are
        usable.

        Raises:
            ValueError: A fraction is negative, or they do not add up to 1.
        """
        if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
            raise ValueError(f"fractions are {list(fractions)}; they must not be negative, and add up to 1")
        order = list(range(len(self.snapshots)))
        random.Random(seed).shuffle(order)
        sizes = [int(fraction * len(order)) for fraction in fractions[:-1]]
        return [self.select(part) for part in np.split(np.array(order, np.int64), np.cumsum(sizes))]

    def stream(
        self, seed: int, epoch: int = 0, rank: int = 0, ranks: int = 1, buffer: int = 1024
    ) -> Iterator[Structure]:
        """Snapshots of one epoch, shuffled, each trajectory unpacked once: no rank reads what another reads.

        Trajectories come in an order drawn from (seed, epoch), each `ranks`-th on this rank, and their snapshots leave
        a buffer at random. All ranks yield equally many: a few snapshots at the end of the longer ones are left out.

        Args:
            seed: Seed of the order.
            epoch: Number of the epoch, from 0.
            rank: This process.
            ranks: Number of processes.
            buffer: Snapshots to choose from.

        Raises:
            ValueError: There is no such rank, or the buffer is empty.
        """
        if not 0 <= rank < ranks or buffer < 1:
            raise ValueError(f"rank={rank}, ranks={ranks}, buffer={buffer}; rank is 0 to ranks - 1, buffer at least 1")
        order = np.random.default_rng((seed, epoch)).permutation(len(self.snapshots))
        left = min(int(self.snapshots[order[other::ranks]].sum()) for other in range(ranks))
        generator = np.random.default_rng((seed, epoch, rank))
        waiting: list[Structure] = []
        for number in order[rank::ranks]:
            waiting += self.trajectory(int(number))
            while len(waiting) > buffer and left:
                yield _pop(waiting, generator)
                left -= 1
        while left:
            yield _pop(waiting, generator)
            left -= 1


def _pop(waiting: list[Structure], generator: np.random.Generator) -> Structure:
    chosen = int(generator.integers(len(waiting)))
    waiting[chosen], waiting[-1] = waiting[-1], waiting[chosen]
    return waiting.pop()


def read_pubchemqcr(
    files: Sequence[Path], stages: Sequence[str] = ("DFT_1st",), index: Path | None = None
) -> Trajectories:
    """All trajectories of some LMDB files that have a usable snapshot.

    Args:
        files: LMDB files; their order matters for `split` (the released code sorts them by name).
        stages: Stages to read, of `pm3`, `hf`, `DFT_1st` and `DFT_2nd`; only the last two are B3LYP/6-31G*.
        index: File (npz) that keeps what reading everything once has found; written if it does not exist.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: lmdb is not installed.
        ValueError: There is no such stage, no file, no usable snapshot, a file is not an LMDB file, or the index is of
            other files or stages.
    """
    unknown = [stage for stage in stages if stage not in STAGES]
    if unknown or not stages or not files:
        raise ValueError(f"files {list(map(str, files))}, stages {list(stages)}; give files, and stages of {STAGES}")
    paths = tuple(Path(file) for file in files)
    _trajectory.cache_clear()  # a file may have been replaced since it was read
    of = np.array([f"{file.name} {file.stat().st_size}" for file in paths] + list(stages))
    if index is not None and index.exists():
        known = npz_arrays(index.read_bytes())
        if not np.array_equal(known["of"], of):
            raise ValueError(
                f"{index} is of other files or stages: {', '.join(known['of'])}; delete it, or name another"
            )
    else:
        known = {"of": of, **_scan(paths, tuple(stages))}
        if index is not None:
            write_bytes(index, npz_bytes(known))
    reasons = dict(zip(known["reason"].tolist(), known["times"].tolist(), strict=True))
    if not len(known["snapshots"]):
        raise ValueError(f"no usable snapshot of {list(stages)} in {', '.join(map(str, paths))}; rejected: {reasons}")
    return Trajectories(paths, tuple(stages), known["file_number"], known["key"], known["snapshots"], reasons)


def _scan(files: tuple[Path, ...], stages: tuple[str, ...]) -> dict[str, np.ndarray]:
    found, rejected = [], Counter[str]()
    for number, file in enumerate(files):
        with reading(file) as transaction:
            for key, content in transaction.cursor():
                usable, reasons = _unpack(content, stages, key)
                rejected += reasons
                if usable:
                    found.append((number, key.hex(), len(usable)))
    numbers, keys, counts = zip(*found, strict=True) if found else ((), (), ())
    return {
        "file_number": np.array(numbers, np.int64),
        "key": np.array(keys, str),
        "snapshots": np.array(counts, np.int64),
        "reason": np.array(list(rejected), str),
        "times": np.array(list(rejected.values()), np.int64),
    }


def write_pubchemqcr(path: Path, structures: Sequence[Structure], stage: str = "DFT_1st") -> None:
    """Write molecules in the released format, atomically: a group is a trajectory, its steps in one stage.

    Only energies and forces have a place in the format.

    Args:
        path: LMDB file to write.
        structures: Molecules with energies and forces.
        stage: Their stage; the other stages are None.

    Raises:
        ImportError: lmdb is not installed.
        ValueError: A structure is periodic, has no energy or forces, or its group is empty or too long for a key.
    """
    steps: dict[bytes, list[Any]] = {}
    for structure in structures:
        key = structure.group.encode()
        if structure.pbc.any() or structure.energy is None or structure.forces is None or not 0 < len(key) < 512:
            raise ValueError(f"{structure} must be a molecule with energy, forces, and a group of 1 to 511 bytes")
        steps.setdefault(key, []).append(_step(structure))
    records = {key: {name: found if name == stage else None for name in STAGES} for key, found in steps.items()}
    packed = ((key, gzip.compress(plain_pickle.dumps(record), mtime=0)) for key, record in records.items())
    lmdb_file.write(path, packed)


def _step(structure: Structure) -> dict[str, Any]:
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[number] for number in structure.numbers]
    gradient = -np.asarray(structure.forces) * (BOHR / HARTREE)
    return {
        "coordinates": [
            {"atom": symbol, "charge": float(number), **dict(zip("xyz", row, strict=True))}
            for symbol, number, row in zip(symbols, structure.numbers, structure.positions.tolist(), strict=True)
        ],
        "energy": structure.energy / HARTREE,
        "gradient": [
            {"atom": symbol, "charge": float(number), **dict(zip(("dx", "dy", "dz"), row, strict=True))}
            for symbol, number, row in zip(symbols, structure.numbers, gradient.tolist(), strict=True)
        ],
    }
