"""Structures of files, read once by several processes and kept: later, and in other processes, they are only mapped.

A set is a folder in the user's cache, named by a hash of the content of the files, of the reader's settings and of the
code that reads: one `.npy` file per column of `Packed`, the texts that columns number, and a manifest with checksums of
these. The manifest is written last and makes the set exist; so whatever is killed leaves a whole set or none. A set
whose checksums are wrong is made again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from joblib import Parallel, cpu_count, delayed
from platformdirs import user_cache_path

from tdn_theory.data.packed import COLUMNS, TEXTS, Column, Packed, pack
from tdn_theory.data.reader import Reader
from tdn_theory.files import read_json, sha256, write_json
from tdn_theory.jobs import checksum

VARIABLE = "TDN_THEORY_STRUCTURES"
MANIFEST, TEXTS_FILE, LOCK = "manifest.json", "texts.json", "lock"


def folder() -> Path:
    """Where sets are kept: `$TDN_THEORY_STRUCTURES`, or the platform's folder for what can be made again.

    Raises:
        FileNotFoundError: The user has no home folder.
    """
    override = os.environ.get(VARIABLE)
    found = Path(override) if override else user_cache_path("tdn-theory") / "structures"
    if not found.is_absolute():
        raise FileNotFoundError(f"the folder {found} for structures that were read is not absolute; set {VARIABLE}")
    return found


def kept(reader: Reader, files: Sequence[Path], say: Callable[[str], None] = lambda line: None) -> Packed:
    """All structures of some files, one file after the other.

    Args:
        reader: Reads them, if they are not kept yet.
        files: Files.
        say: Called with a line where reading takes time or something was left out.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file is not as the reader wants it, changes meanwhile, or there is no structure.
        OSError: The set cannot be kept.
    """
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"there is no file {missing[0]}")
    place = folder() / _address(reader, files)
    found = _mapped(place)
    if found is None:
        with _locked(place.parent, say):
            found = _mapped(place)  # another process may have made it meanwhile
            if found is None:
                again = " again, since what was kept is damaged" if (place / MANIFEST).exists() else ""
                say(f"reading {len(files)} files{again}; what they hold is kept in {place} (tdn-theory data clear)")
                _make(place, reader, files)
                found = _mapped(place)
    if found is None:
        raise OSError(f"{place} does not hold what was written there; set {VARIABLE} to a folder on a sound disk")
    structures, left_out = found
    if left_out:
        say(f"left out: {_told(left_out)}")
    return structures


def clear() -> int:
    """Remove all sets; returns how many there were."""
    if not folder().is_dir():
        return 0
    with _locked(folder()):
        sets = [path for path in folder().iterdir() if path.is_dir()]
        for path in sets:
            shutil.rmtree(path)
    return len(sets)


def _address(reader: Reader, files: Sequence[Path]) -> str:
    what = {
        "reader": type(reader).__name__,
        "settings": asdict(reader),  # pyright: ignore[reportArgumentType]
        "files": [_digests([file, *reader.beside(file)]) for file in files],
        "code": checksum(Path(__file__).parent),
        "ase": version("ase"),
    }
    return sha256(json.dumps(what, sort_keys=True).encode())[:32]


def _digests(files: Sequence[Path]) -> list[str]:
    """SHA-256 of the content of files, several at a time."""

    def digest(file: Path) -> str:
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()

    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(digest, files))


def _mapped(place: Path) -> tuple[Packed, dict[str, int]] | None:
    """A set that is there and whole, and what was left out of it."""
    try:
        manifest = read_json(place / MANIFEST)
        names = list(manifest["sha256"])
        if _digests([place / name for name in names]) != list(manifest["sha256"].values()):
            return None
    except (OSError, ValueError, KeyError):
        return None
    arrays = [name for name in names if name != TEXTS_FILE]
    columns = {name.removesuffix(".npy"): np.load(place / name, mmap_mode="r") for name in arrays}
    return Packed(columns, read_json(place / TEXTS_FILE), np.arange(len(columns["first"]))), manifest["left_out"]


@contextmanager
def _locked(place: Path, say: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Alone among the processes that write sets; the system takes the lock away from a process that dies."""
    import fcntl

    try:
        place.mkdir(parents=True, exist_ok=True)
        stream = (place / LOCK).open("a")
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}: structures cannot be kept there; set {VARIABLE} to another folder",
            str(place),
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process, which reads structures into {place}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _make(place: Path, reader: Reader, files: Sequence[Path]) -> None:
    shutil.rmtree(place, ignore_errors=True)  # what a killed process, or a damaged disk, has left
    place.mkdir()
    try:
        left_out = _write(place, reader, files)
        if _address(reader, files) != place.name:
            raise ValueError(f"{', '.join(map(str, files))} changed while being read; wait until they are written")
    except BaseException as error:
        shutil.rmtree(place)
        if isinstance(error, OSError) and error.errno and error.filename is None:  # as when the disk is full
            advice = f"{error.strerror}, keeping structures; make space, or set {VARIABLE} to another folder"
            raise OSError(error.errno, advice, str(place)) from error
        raise
    written = sorted(place.iterdir())
    checksums = dict(zip((path.name for path in written), _digests(written), strict=True))
    write_json(place / MANIFEST, {"files": [str(file) for file in files], "left_out": left_out, "sha256": checksums})


def _write(place: Path, reader: Reader, files: Sequence[Path]) -> Counter[str]:
    """Write columns and texts, part after part, as processes have read them; what was left out."""
    pieces = [(file, part) for file in files for part in reader.parts(file)]
    calls = (delayed(_read)(reader, file, part) for file, part in pieces)
    texts: dict[str, dict[str, int]] = {name: {"": 0} for name in TEXTS}
    left_out = Counter[str]()
    with ExitStack() as open_files:
        columns: dict[str, _Growing] = {}
        structures = atoms = 0
        for part, reasons in Parallel(max(1, min(cpu_count(), len(pieces))), return_as="generator")(calls):
            left_out += reasons
            for name, kind in COLUMNS.items():
                if name in part.columns and name not in columns:
                    columns[name] = open_files.enter_context(_growing(place / f"{name}.npy", kind))
                    if structures:
                        columns[name].append(kind.missing(atoms if kind.per_atom else structures))
            for name, column in columns.items():
                values = part.column(name)
                if name == "first":
                    values = values + atoms
                elif name in TEXTS:
                    numbers = [texts[name].setdefault(text, len(texts[name])) for text in part.texts[name]]
                    values = np.array(numbers, values.dtype)[values]
                column.append(values)
            structures, atoms = structures + len(part), atoms + int(part.column("atoms").sum())
    if not structures:
        raise ValueError(f"no usable structure in {', '.join(map(str, files))}; left out: {_told(left_out)}")
    write_json(place / TEXTS_FILE, {name: list(numbers) for name, numbers in texts.items()})
    return left_out


def _told(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{number} x {reason}" for reason, number in left_out.items()) or "nothing"


def _read(reader: Reader, file: Path, part: tuple[Any, ...]) -> tuple[Packed, Counter[str]]:
    structures, left_out = reader.read(file, part)
    return pack(structures), left_out


class _Growing:
    """An array in a `.npy` file that grows; numpy leaves room in the header for any length."""

    def __init__(self, stream: BinaryIO, kind: Column):
        self.stream, self.kind, self.rows = stream, kind, 0
        self.header()

    def header(self) -> None:
        """Write the header for the rows there are."""
        self.stream.seek(0)
        shape = (self.rows, *self.kind.shape)
        found = {"descr": self.kind.dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.stream, found)

    def append(self, values: np.ndarray) -> None:
        """Add rows."""
        self.stream.write(np.ascontiguousarray(values, self.kind.dtype).data)
        self.rows += len(values)


@contextmanager
def _growing(path: Path, kind: Column) -> Iterator[_Growing]:
    """A new file, whole and on the disk at the end."""
    with path.open("wb") as stream:
        array = _Growing(stream, kind)
        yield array
        array.header()
        stream.flush()
        os.fsync(stream.fileno())
