"""Labelled structures in one npz file, with a JSON manifest beside it: how they were made, and the checksum.

Atoms of all structures are concatenated; a label that a structure lacks is NaN in the arrays and None again when read.
What only catalysts have, from fixed atoms to reference energies, has no array where no structure has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import LABELS, Structure
from tdn_theory.files import npz_arrays, npz_bytes, read_json, sha256, write_bytes, write_json

PER_ATOM = ("positions", "forces")
NAMES = ("sid", "fid")
SHAPES: Mapping[str, tuple[int, ...]] = {"positions": (3,), "cell": (3, 3), **LABELS}


class DamagedError(ValueError):
    """A file does not hold what its manifest says."""


@dataclass(frozen=True)
class ArchiveReader(Reader):
    """Reads what `write_archive` wrote, each file as one part: a large set is best written as several."""

    def read(self, file: Path, part: tuple[()]) -> tuple[list[Structure], Counter[str]]:
        """All structures of a file; none is left out.

        Raises:
            FileNotFoundError: Its manifest is missing.
            DamagedError: The file does not have the checksum of its manifest.
        """
        return read_archive(file), Counter()


def write_archive(path: Path, structures: Sequence[Structure], made_by: Mapping[str, Any]) -> None:
    """Write `path` (npz) and its manifest (`.json`, last), each atomically; equal structures give equal npz bytes.

    Args:
        path: File to write, ending in `.npz`.
        structures: Structures.
        made_by: How they were made: whatever JSON can hold.

    Raises:
        ValueError: The name does not end in `.npz`.
    """
    if path.suffix != ".npz":
        raise ValueError(f"{path} must end in .npz")
    structures = list(structures)  # packed ones are made anew each time they are asked for
    content = npz_bytes(_arrays(structures))
    write_bytes(path, content)
    groups = len({structure.group for structure in structures})
    write_json(
        path.with_suffix(".json"),
        {
            "structures": len(structures),
            "atoms": sum(map(len, structures)),
            "groups": groups,
            "labels": {name: sum(name in s.labels for s in structures) for name in LABELS},
            "units": "Angstrom, eV, eV/Angstrom, eV/Angstrom^3 (stress), e Angstrom, Angstrom^3 (polarizability)",
            "made_by": dict(made_by),
            "sha256": sha256(content),
        },
    )


def read_archive(path: Path) -> list[Structure]:
    """Read what `write_archive` wrote, its checksum verified.

    Raises:
        FileNotFoundError: The file or its manifest is missing.
        DamagedError: The file does not have the checksum of its manifest.
    """
    manifest = read_json(path.with_suffix(".json"))
    content = path.read_bytes()
    if sha256(content) != manifest.get("sha256"):
        raise DamagedError(
            f"{path} has checksum {sha256(content)[:16]}..., its manifest says {str(manifest.get('sha256'))[:16]}...; "
            "make or copy both files again"
        )
    arrays = npz_arrays(content)
    count = len(arrays["atoms"])
    arrays = {"config_type": np.full(count, ""), "weight": np.ones(count), **arrays}  # which older archives lack
    ends = np.cumsum(arrays["atoms"])
    structures = []
    for index, (begin, end) in enumerate(zip(ends - arrays["atoms"], ends, strict=True)):
        known: dict[str, Any] = {}
        for name in SHAPES:
            value = arrays[name][begin:end] if name in PER_ATOM else arrays[name][index]
            known[name] = None if np.isnan(value).any() else value
        if "fixed" in arrays:
            known["fixed"] = arrays["fixed"][begin:end]
        if "tags" in arrays and arrays["tagged"][index]:
            known["tags"] = arrays["tags"][begin:end]
        if "reference_energy" in arrays and not np.isnan(arrays["reference_energy"][index]):
            known["reference_energy"] = float(arrays["reference_energy"][index])
        known |= {name: str(arrays[name][index]) for name in ("group", "config_type", *NAMES) if name in arrays}
        known |= {"pbc": arrays["pbc"][index], "weight": float(arrays["weight"][index])}
        structures.append(Structure(arrays["numbers"][begin:end], **known))
    return structures


def _arrays(structures: Sequence[Structure]) -> dict[str, np.ndarray]:
    arrays = {
        "atoms": np.array([len(structure) for structure in structures], np.int64),
        "numbers": np.concatenate([np.empty(0, np.int64), *(structure.numbers for structure in structures)]),
        "pbc": np.array([structure.pbc for structure in structures], bool).reshape(-1, 3),
        "group": np.array([structure.group for structure in structures], str),
        "config_type": np.array([structure.config_type for structure in structures], str),
        "weight": np.array([structure.weight for structure in structures], float),
    }
    for name, shape in SHAPES.items():
        rows = []
        for structure in structures:
            value = getattr(structure, name)
            lead = (len(structure) if name in PER_ATOM else 1, *shape)
            rows.append(np.full(lead, np.nan) if value is None else np.reshape(value, lead))
        arrays[name] = np.concatenate([np.empty((0, *shape)), *rows])
    if any(structure.fixed.any() for structure in structures):
        arrays["fixed"] = np.concatenate([structure.fixed for structure in structures])
    tagged = np.array([structure.tags is not None for structure in structures])
    if tagged.any():
        arrays["tagged"] = tagged
        arrays["tags"] = np.concatenate([np.zeros(len(s), int) if s.tags is None else s.tags for s in structures])
    references = np.array([structure.reference_energy for structure in structures], float)  # None becomes NaN
    if not np.isnan(references).all():
        arrays["reference_energy"] = references
    for name in NAMES:
        if any(getattr(structure, name) for structure in structures):
            arrays[name] = np.array([getattr(structure, name) for structure in structures], str)
    return arrays
