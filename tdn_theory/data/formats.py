"""Structures from and to files, by the suffix of their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdn_theory.data.archive import read_archive, write_archive
from tdn_theory.data.ase_files import FORMATS, read_ase
from tdn_theory.data.deepmd import read_deepmd
from tdn_theory.data.extxyz import Keys, read_extxyz, write_extxyz
from tdn_theory.data.pubchemqcr import read_pubchemqcr, write_pubchemqcr
from tdn_theory.data.structure import Structure
from tdn_theory.provenance import provenance

TEXT = (".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz", ".xyz.xz", ".extxyz.xz")
READABLE = (".npz", ".lmdb", *TEXT, *FORMATS)
WRITABLE = (".npz", ".lmdb", *TEXT)


def read_structures(file: Path, keys: Keys) -> list[Structure]:
    """All structures of a file.

    Args:
        file: File with one of the suffixes `READABLE`, or a folder of DeePMD-kit.
        keys: What an extended XYZ file calls its labels; other formats say it themselves.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: A package that reads the file is missing; the message names the extra.
        ValueError: The suffix is none of these, or the file is damaged.
    """
    if file.is_dir():
        return read_deepmd(file)
    suffix = _suffix(file, READABLE)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    if suffix == ".npz":
        return read_archive(file)
    if suffix == ".lmdb":
        return list(read_pubchemqcr([file]))
    if suffix in FORMATS:
        return read_ase(file, keys.ignore)
    return read_extxyz(file, keys)


def check_writable(file: Path) -> None:
    """Whether structures can be written to a file of this name.

    Raises:
        ValueError: The suffix is none of `WRITABLE`.
    """
    _suffix(file, WRITABLE)


def write_structures(file: Path, structures: Sequence[Structure], source: str) -> None:
    """Write structures, atomically.

    Args:
        file: File with one of the suffixes `WRITABLE`.
        structures: What to write.
        source: Where they come from, for the provenance of `.npz`.

    Raises:
        ValueError: The suffix is none of these, or the format cannot hold a structure.
    """
    suffix = _suffix(file, WRITABLE)
    if suffix == ".npz":
        write_archive(file, structures, {"converted": source, **provenance(None)})
    elif suffix == ".lmdb":
        write_pubchemqcr(file, structures)
    else:
        write_extxyz(file, structures)


def _suffix(file: Path, allowed: tuple[str, ...]) -> str:
    found = next((suffix for suffix in allowed if file.name.endswith(suffix)), None)
    if found is None:
        raise ValueError(f"{file} ends in {file.suffix!r}; it must end in one of {', '.join(allowed)}")
    return found
