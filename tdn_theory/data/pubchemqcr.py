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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tdn_theory.data import lmdb_file, plain_pickle
from tdn_theory.data.lmdb_file import UnusableError, reading
from tdn_theory.data.packed import Packed
from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import Structure
from tdn_theory.data.units import BOHR, HARTREE

STAGES = ("pm3", "hf", "DFT_1st", "DFT_2nd")
PART_BYTES = 2**20
"""Packed records that a process reads at a time."""
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


@dataclass(frozen=True)
class PubChemQCRReader(Reader):
    """Reads the usable snapshots of LMDB files, trajectory by trajectory.

    Attributes:
        stages: Stages of a relaxation that are read, of `STAGES`; only the last two are B3LYP/6-31G*.

    Raises:
        ValueError: There is no such stage.
    """

    stages: tuple[str, ...] = ("DFT_1st",)

    def __post_init__(self) -> None:
        if not self.stages or any(stage not in STAGES for stage in self.stages):
            raise ValueError(f"stages are {list(self.stages)}; give some of {', '.join(STAGES)}")

    def parts(self, file: Path) -> list[tuple[str, int]]:
        """Records of about `PART_BYTES` each: the first key, in hexadecimal, and how many.

        Raises:
            FileNotFoundError: There is no such file.
            ImportError: lmdb is not installed.
            ValueError: It is not an LMDB file, or cut off.
        """
        parts, begin, count, size = [], "", 0, 0
        with reading(file) as transaction:
            for key, content in transaction.cursor():
                if count and size >= PART_BYTES:
                    parts.append((begin, count))
                    count = size = 0
                if not count:
                    begin = key.hex()
                count, size = count + 1, size + len(content)
        return [*parts, *([(begin, count)] if count else [])]

    def read(self, file: Path, part: tuple[str, int]) -> tuple[list[Structure], Counter[str]]:
        """The usable snapshots of some records, and how often others were rejected for which reason."""
        begin, count = part
        found, rejected = list[Structure](), Counter[str]()
        with reading(file) as transaction, transaction.cursor() as cursor:
            cursor.set_key(bytes.fromhex(begin))
            for key, content in islice(cursor, count):
                usable, reasons = _unpack(content, self.stages, key)
                found += usable
                rejected += reasons
        return found, rejected


def split_by_trajectory(
    structures: Packed, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 42
) -> list[Packed]:
    """Split by trajectory, by the rule of the released code, whose seed is 42; a group is a trajectory.

    Python's generator shuffles the trajectories; each part but the last has `int(fraction * t)` of them, and the last
    the rest, in the order of the shuffle. What is released is the rule: its parts are the published ones if the same
    trajectories are usable, and files are read in the order of their names.

    Raises:
        ValueError: A fraction is negative, or they do not add up to 1.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions are {list(fractions)}; they must not be negative, and add up to 1")
    _, begins, trajectory = np.unique(structures.column("group"), return_index=True, return_inverse=True)
    order = np.argsort(begins).tolist()
    random.Random(seed).shuffle(order)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    ends = np.cumsum([int(fraction * len(order)) for fraction in fractions[:-1]])
    shuffled = np.argsort(place[trajectory], kind="stable")
    return [structures.select(part) for part in np.split(shuffled, np.searchsorted(place[trajectory][shuffled], ends))]


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
