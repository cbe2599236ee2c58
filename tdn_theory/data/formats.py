"""Structures from and to files, by the suffix of their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tdn_theory.data.archive import ArchiveReader, write_archive
from tdn_theory.data.ase_files import FORMATS, AseReader
from tdn_theory.data.aselmdb import AseLmdbReader, write_aselmdb
from tdn_theory.data.cp2k import POSITIONS, Cp2kReader
from tdn_theory.data.deepmd import read_deepmd
from tdn_theory.data.extxyz import ExtxyzReader, Keys, write_extxyz
from tdn_theory.data.kept import kept
from tdn_theory.data.packed import Packed, pack
from tdn_theory.data.pubchemqcr import PubChemQCRReader, write_pubchemqcr
from tdn_theory.data.structure import Structure
from tdn_theory.provenance import provenance

TEXT = (".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz", ".xyz.xz", ".extxyz.xz")
READABLE = (".npz", ".lmdb", ".aselmdb", *TEXT, POSITIONS, *FORMATS)
WRITABLE = (".npz", ".lmdb", ".aselmdb", *TEXT)


def read_structures(file: Path, keys: Keys, say: Callable[[str], None] = lambda line: None) -> Packed:
    """All structures of a file; they are kept for the next time (`kept`).

    Args:
        file: File with one of the suffixes `READABLE`, or a folder of DeePMD-kit.
        keys: What an extended XYZ file calls its labels; other formats say it themselves.
        say: Called with a line where reading takes time or something was left out.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: A package that reads the file is missing; the message names the extra.
        ValueError: The suffix is none of these, or the file is damaged.
    """
    if file.is_dir():
        return pack(read_deepmd(file))
    suffix = _suffix(file, READABLE)
    reader = ExtxyzReader(keys)
    if suffix == ".npz":
        reader = ArchiveReader()
    elif suffix == ".lmdb":
        reader = PubChemQCRReader()
    elif suffix == ".aselmdb":
        reader = AseLmdbReader()
    elif suffix == POSITIONS:
        reader = Cp2kReader()
    elif suffix in FORMATS:
        reader = AseReader(keys.ignore)
    return kept(reader, [file], say)


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
    elif suffix == ".aselmdb":
        write_aselmdb(file, structures)
    else:
        write_extxyz(file, structures)


def _suffix(file: Path, allowed: tuple[str, ...]) -> str:
    found = max((suffix for suffix in allowed if file.name.endswith(suffix)), key=len, default=None)
    if found is None:
        raise ValueError(f"{file} ends in {file.suffix!r}; it must end in one of {', '.join(allowed)}")
    return found
