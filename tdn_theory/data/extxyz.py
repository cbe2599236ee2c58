"""Extended XYZ files, the community's exchange format, read with explicit keys and explicit units.

A file does not say in which units its numbers are, and programs differ in the names they write; so both are arguments,
never guesses. A frame is read by ASE; where it begins and ends is found here, so that whatever is wrong is told with
file, frame and line. Files may be compressed (`.gz`, `.xz`).

What catalysts have besides labels is read under its usual names: columns `move_mask` (false of fixed atoms) and `tags`,
and `sid`, `fid` and `reference_energy` of the comment line.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy.spatial import cKDTree

from tdn_theory.data import units
from tdn_theory.data.electrons import check_electrons, check_ignored
from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import Structure, fixed_atoms
from tdn_theory.files import write_bytes

if TYPE_CHECKING:
    from ase import Atoms

CLOSEST = 0.1
"""Atoms closer than this (Angstrom) are an error of the file."""

PART_BYTES = 2**24
"""What a process reads at a time."""

ISOLATED_ATOM = "IsolatedAtom"
"""Value of `config_type` that marks single atoms, whose energies are those of the elements."""


@dataclass(frozen=True)
class Keys:
    """What a file calls its labels, and in which units they are; a label without a key is not read.

    Attributes:
        energy_key: Name of the energy in the comment lines, as the file writes it.
        energy_unit: Its unit, e.g. `eV` or `Hartree` (`units.ENERGIES`).
        length_unit: Unit of positions and cell, e.g. `Angstrom`.
        forces_key: Name of the forces among the columns.
        force_unit: Their unit, e.g. `eV/Angstrom` or `Hartree/Bohr`.
        stress_key: Name of the stress, 9 or 6 numbers (xx, yy, zz, yz, xz, xy), positive under tension.
        stress_unit: Its unit, e.g. `eV/Angstrom^3` or `GPa` (`units.STRESSES`).
        virial_key: Name of the virial, minus volume times stress, 9 or 6 numbers in the unit of energy.
        dipole_key: Name of the dipole moment.
        dipole_unit: Its unit, `e Angstrom`, `e Bohr` or `Debye` (`units.DIPOLES`).
        group_key: Name of what a split must not cut: molecule or trajectory. Without it, the structures of one chemical
            formula are a group.
        weight_key: Name of the weight in the loss, which is 1 without a key.
        missing: What to do with a frame without one of the labels: `refuse` the file, or read it `without` the label.
        ignore: Total `charge` or `spin`, which are refused otherwise (`check_electrons`).

    Raises:
        ValueError: A unit is not known, or a key lacks its unit, or the other way round.
    """

    energy_key: str
    energy_unit: str
    length_unit: str
    forces_key: str | None = None
    force_unit: str | None = None
    stress_key: str | None = None
    stress_unit: str | None = None
    virial_key: str | None = None
    dipole_key: str | None = None
    dipole_unit: str | None = None
    group_key: str | None = None
    weight_key: str | None = None
    missing: str = "refuse"
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key, unit in (("forces_key", "force_unit"), ("stress_key", "stress_unit"), ("dipole_key", "dipole_unit")):
            given = getattr(self, key), getattr(self, unit)
            if (given[0] is None) != (given[1] is None):
                name = key.removesuffix("_key")
                raise ValueError(f"{key}={given[0]!r}, {unit}={given[1]!r}; give both, or none if there is no {name}")
        if self.stress_key is not None and self.virial_key is not None:
            raise ValueError("stress_key and virial_key are given; they are the same label, give one of them")
        if self.missing not in ("refuse", "without"):
            raise ValueError(f"missing is {self.missing!r}; it must be 'refuse' or 'without'")
        check_ignored(self.ignore)
        self.factors()

    def factors(self) -> dict[str, float]:
        """Factors to the units of this package, by label."""
        found = {"energy": units.energy_unit(self.energy_unit), "length": units.length_unit(self.length_unit)}
        if self.force_unit is not None:
            found["forces"] = units.force_unit(self.force_unit)
        if self.stress_unit is not None:
            found["stress"] = units.stress_unit(self.stress_unit)
        if self.dipole_unit is not None:
            found["dipole"] = units.dipole_unit(self.dipole_unit)
        return found


@dataclass(frozen=True)
class ExtxyzReader(Reader):
    """Reads extended XYZ files, `.xyz` or `.extxyz`, also with `.gz` or `.xz`.

    Blank lines between frames do not matter.

    Attributes:
        keys: Names and units of what is read.
    """

    keys: Keys

    def parts(self, file: Path) -> list[tuple[int, int | None, int, int]]:
        """Whole frames of about `PART_BYTES` each: first byte, end, and the numbers of the first frame and line.

        What is compressed is one part, and what comes after a frame that is not as it should be belongs to its part,
        whose reading tells what is wrong.

        Raises:
            FileNotFoundError: There is no such file.
        """
        if file.suffix in (".gz", ".xz"):
            return [(0, None, 0, 1)]
        parts, (begin, frame, line) = [], (0, 0, 1)
        place, frames, lines = 0, 0, 1
        with file.open("rb") as stream:
            while head := stream.readline():
                atoms = 0
                if head.strip():
                    if frames > frame and place - begin >= PART_BYTES:
                        parts.append((begin, place, frame, line))
                        begin, frame, line = place, frames, lines
                    try:
                        atoms = int(head)
                    except ValueError:
                        break
                    if atoms < 1:
                        break
                    place += sum(map(len, islice(stream, atoms + 1)))
                    frames, lines = frames + 1, lines + atoms + 1
                place, lines = place + len(head), lines + 1
        return [*parts, (begin, None, frame, line)]

    def read(self, file: Path, part: tuple[int, int | None, int, int]) -> tuple[list[Structure], Counter[str]]:
        """The structures of a part; none is left out.

        Raises:
            ValueError: The file, or a frame, is not as it should be; the message has file, frame and line.
        """
        begin, end, frame, line = part
        with file.open("rb") as stream:
            stream.seek(begin)
            content = stream.read(-1 if end is None else end - begin)
        factors, structures = self.keys.factors(), []
        for number, (start, text) in enumerate(_frames(file, content, frame, line), frame):
            try:
                structures.append(_structure(text, self.keys, factors))
            except (TypeError, ValueError, LookupError, OverflowError) as error:
                reason = f"no element {error}" if isinstance(error, KeyError) else error
                raise ValueError(f"{file}, frame {number} (line {start}): {reason}") from error
        if not structures:
            raise ValueError(f"{file} holds no frame; it must be an extended XYZ file")
        return structures, Counter()


def read_extxyz(path: Path, keys: Keys) -> list[Structure]:
    """All frames of an extended XYZ file, as `ExtxyzReader` reads them.

    Args:
        path: File, `.xyz` or `.extxyz`, also with `.gz` or `.xz`.
        keys: Names and units of what is read.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file, or a frame, is not as it should be; the message has file, frame and line.
    """
    reader = ExtxyzReader(keys)
    return [structure for part in reader.parts(path) for structure in reader.read(path, part)[0]]


def _frames(path: Path, content: bytes, number: int, first: int) -> Iterator[tuple[int, str]]:
    """The number of the first line of each frame, and its text.

    Args:
        path: The file, for messages.
        content: Of the file, or of a part.
        number: Of the first frame in it, from 0.
        first: Number of its first line, from 1.
    """
    lines = _text(path, content, first).splitlines()
    place = 0
    while place < len(lines):
        if not lines[place].strip():
            place += 1
            continue
        here = f"{path}, frame {number} (line {place + first})"
        try:
            atoms = int(lines[place])
        except ValueError as error:
            raise ValueError(
                f"{here}: {lines[place][:60]!r} stands where the number of atoms must; does the frame before it have "
                "more atoms than it says, or is this no XYZ file?"
            ) from error
        end = place + atoms + 2
        if atoms < 1:
            raise ValueError(f"{here}: a frame of {atoms} atoms; it must have one at least")
        if end > len(lines):
            raise ValueError(f"{here}: {atoms} atoms, but the file ends after {len(lines) - place - 2}: it is cut off")
        short = next((k for k in range(place + 2, end) if not lines[k].strip()), None)
        if short is not None:
            raise ValueError(f"{here}: {atoms} atoms, but line {short + first} is blank: atoms are missing")
        yield place + first, "\n".join(lines[place:end]) + "\n"
        place, number = end, number + 1


def _text(path: Path, content: bytes, first: int) -> str:
    try:
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        elif path.suffix == ".xz":
            content = lzma.decompress(content)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{path} cannot be decompressed ({error}): it is damaged, or cut off") from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + first
        raise ValueError(f"{path}, line {line}: not UTF-8 text ({error.reason}); write the file as UTF-8") from error


def _structure(text: str, keys: Keys, factors: dict[str, float]) -> Structure:
    from ase.io import read

    comment = text.splitlines()[1]
    atoms = cast("Atoms", read(io.StringIO(text), format="extxyz"))
    check_electrons(atoms, keys.ignore)
    config_type = _raw(comment, "config_type") or ""
    group = atoms.get_chemical_formula()
    if keys.group_key is not None and not (len(atoms) == 1 and config_type == ISOLATED_ATOM):
        raw = _raw(comment, keys.group_key)
        group = str(_find(atoms, keys.group_key)) if raw is None else raw
    weight = None if keys.weight_key is None else _find(atoms, keys.weight_key, keys.missing == "refuse")
    if weight is not None and (np.ndim(weight) or np.asarray(weight).dtype.kind not in "iuf"):
        raise ValueError(f"{keys.weight_key} is {weight!r}; it must be a number >= 0")
    reference = _raw(comment, "reference_energy")
    structure = Structure(
        atoms.numbers,
        atoms.positions * factors["length"],
        np.array(atoms.cell) * factors["length"] if atoms.cell.rank else None,
        np.array(atoms.pbc),
        **_labels(atoms, keys, factors),
        group=group,
        config_type=config_type,
        weight=1.0 if weight is None else float(weight),
        fixed=fixed_atoms(atoms),
        tags=atoms.get_tags() if atoms.has("tags") else None,
        sid=_raw(comment, "sid") or "",
        fid=_raw(comment, "fid") or "",
        reference_energy=None if reference is None else float(reference) * factors["energy"],
    )
    if len(structure) > 1:
        pairs = cKDTree(structure.positions).query_pairs(CLOSEST)
        if pairs:
            first, second = min(pairs)
            raise ValueError(f"atoms {first} and {second} (from 0) are closer than {CLOSEST} Angstrom; remove one")
    return structure


def _labels(atoms: Atoms, keys: Keys, factors: dict[str, float]) -> dict[str, Any]:
    named = {
        "energy": keys.energy_key,
        "forces": keys.forces_key,
        "stress": keys.stress_key,
        "dipole": keys.dipole_key,
        "virial": keys.virial_key,
    }
    found: dict[str, Any] = {}
    for label, key in named.items():
        if key is None:
            continue
        value = _find(atoms, key, required=keys.missing == "refuse" and not (label != "energy" and len(atoms) == 1))
        if value is None:
            continue
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "iuf":
            raise ValueError(f"{key} is {value!r}; it must be {'a number' if label == 'energy' else 'numbers'}")
        if label == "energy":
            found["energy"] = float(value) * factors["energy"]
        elif label == "virial":
            volume = abs(float(np.linalg.det(atoms.cell.array))) * factors["length"] ** 3
            if volume == 0:
                raise ValueError(f"{key} is given, but the frame has no volume: a virial needs three cell vectors")
            found["stress"] = -_matrix(numbers, key) * factors["energy"] / volume
        else:
            value = _matrix(numbers, key) if label == "stress" else numbers.astype(float)
            found[label] = value * factors[label]
    return found


def _matrix(numbers: np.ndarray, key: str) -> np.ndarray:
    """A symmetric matrix from 9 numbers, or from 6 in the order xx, yy, zz, yz, xz, xy."""
    if numbers.size == 6:
        xx, yy, zz, yz, xz, xy = numbers.ravel().astype(float)
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if numbers.size != 9:
        raise ValueError(f"{key} has {numbers.size} numbers; it must have 9, or 6: xx, yy, zz, yz, xz, xy")
    matrix = numbers.reshape(3, 3).astype(float)
    skew = np.abs(matrix - matrix.T).max()
    if skew > 1e-3 * np.abs(matrix).max() + 1e-12:
        raise ValueError(f"{key} is not symmetric: entries differ by {skew:.2g}")
    return (matrix + matrix.T) / 2


def write_extxyz(path: Path, structures: Sequence[Structure]) -> None:
    """Write an extended XYZ file, atomically, in eV and Angstrom with 8 decimals; compressed if it is named so.

    Labels have ASE's names, `energy`, `forces`, `stress` and `dipole`, fixed atoms and tags the columns that
    `read_extxyz` reads, and `group`, `config_type`, `sid`, `fid`, `reference_energy` and `weight` are keys where a
    structure has one (a weight other than 1). Polarizabilities are left out.

    Args:
        path: File, also with `.gz` or `.xz`.
        structures: Structures.

    Raises:
        ValueError: A group, or another name, has a line break, which the format cannot hold.
    """
    parts = []
    for structure in structures:
        atoms = structure.to_ase()
        atoms.info.clear()  # ASE would write the name 012 as a number
        number, comment, rest = _written([atoms]).split("\n", 2)
        for key in ("group", "config_type", "sid", "fid"):
            name: str = getattr(structure, key)
            if len(name.splitlines()) > 1:
                raise ValueError(f"{key} {name!r} has a line break; a comment line cannot hold it")
            if name:
                escaped = name.replace("\\", "\\\\").replace('"', '\\"')
                comment += f' {key}="{escaped}"'
        if structure.reference_energy is not None:
            comment += f" reference_energy={structure.reference_energy!r}"
        comment += "" if structure.weight == 1 else f" weight={structure.weight!r}"
        parts.append(f"{number}\n{comment}\n{rest}")
    pack = {".gz": partial(gzip.compress, mtime=0), ".xz": lzma.compress}.get(path.suffix, bytes)
    write_bytes(path, pack("".join(parts).encode()))


def write_frames(path: Path, frames: Sequence[Atoms]) -> None:
    """Write atoms of ASE, with what their calculators hold, as an extended XYZ file, atomically."""
    write_bytes(path, _written(frames).encode())


def _written(frames: Sequence[Atoms]) -> str:
    from ase.io import write

    stream = io.StringIO()
    write(stream, list(frames), format="extxyz")
    return stream.getvalue()


def _raw(comment: str, key: str) -> str | None:
    """The text of `key=text` or `key="text"` in a comment line, as it stands there: `T` and `012` are no numbers."""
    found = re.search(rf'(?:^|\s){re.escape(key)}\s*=\s*(?:"((?:[^"\\]|\\.)*)"|(\S+))', comment)
    if found is None:
        return None
    return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])


def _find(atoms: Atoms, key: str, required: bool = True) -> Any:
    """The value that the file calls `key`; ASE keeps what it knows by name with the calculator."""
    results = atoms.calc.results if atoms.calc is not None else {}
    columns = {name: column for name, column in atoms.arrays.items() if name not in ("numbers", "positions")}
    places = (atoms.info, columns, results)
    for place in places:
        if key in place:
            return place[key]
    if not required:
        return None
    present = sorted({name for place in places for name in place})
    raise ValueError(
        f"there is no {key!r}; the frame has {', '.join(present) or 'no labels'}: name one of these, or read frames "
        "that lack labels without them (missing = 'without')"
    )
