"""LMDB files: opened without locks and without a way to read outside of them, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tdn_theory.data.lmdb_pages import check_pages

T = TypeVar("T")

PART = 1000
"""Records that a process reads at a time."""


class UnusableError(ValueError):
    """Why a record, or a part of one, is not used."""


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise ImportError("LMDB files need lmdb: pip install 'tdn-theory[lmdb]'") from error
    return lmdb


@contextmanager
def reading(file: Path) -> Iterator[Any]:
    """A transaction that reads `file`; short, since a database that is open must not be taken across a fork.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: lmdb is not installed.
        ValueError: It is cut off or damaged, or no LMDB file.
    """
    lmdb = _lmdb()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    try:
        database = lmdb.open(str(file), subdir=False, readonly=True, lock=False, readahead=False)
        with database:
            needed = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
            size = file.stat().st_size
            if size < needed:  # what is missing would be read as a bus error, which ends the process
                raise ValueError(f"{file} has {size} bytes where its pages need {needed}: it is cut off; copy it again")
            check_pages(file)
            with database.begin() as transaction:
                yield transaction
    except lmdb.Error as error:
        raise ValueError(f"{file} cannot be read as an LMDB file ({error})") from error


def write(path: Path, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Write keys and values, atomically.

    Raises:
        ImportError: lmdb is not installed.
    """
    lmdb = _lmdb()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        database = lmdb.open(str(part), subdir=False, lock=False, map_size=2**40)
        with database, database.begin(write=True) as transaction:
            for key, value in records:
                transaction.put(key, value)
        os.replace(part, path)


def parts(transaction: Any, other: Collection[bytes] = (), gone: Collection[int] = ()) -> list[tuple[str, ...]]:
    """Keys of a file whose records are numbered, `PART` at a time: by number (the file has 10 before 2).

    Args:
        transaction: Of the file.
        other: Keys that belong there besides the numbers. What else is no number comes last, to be counted.
        gone: Numbers of records that do not count.
    """
    keys = [key.decode("utf-8", "backslashreplace") for key in transaction.cursor().iternext(values=False)]
    numbers = sorted(int(key) for key in keys if _is_number(key))
    known = {key.decode() for key in other}
    found = [str(number) for number in numbers if number not in gone]
    found += [key for key in keys if not _is_number(key) and key not in known]
    return [tuple(found[begin : begin + PART]) for begin in range(0, len(found), PART)]


def records(file: Path, part: Sequence[str], read: Callable[[bytes], T]) -> tuple[list[T], Counter[str]]:
    """What `read` makes of the records of a part, and how many were left out for which reason, its `UnusableError`."""
    found, left_out = list[T](), Counter[str]()
    with reading(file) as transaction:
        for key in part:
            try:
                if not _is_number(key):
                    raise UnusableError("key is no number")
                found.append(read(transaction.get(key.encode())))
            except UnusableError as reason:
                left_out[str(reason)] += 1
    return found, left_out


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdecimal() and (key == "0" or key[0] != "0")
