"""Whether the tree of an LMDB file stays within the file: the library follows its pages without looking.

A file is pages of equal size. The first two are meta pages, of which the one of the later transaction counts; numbers
are little-endian, as on all machines that this package runs on. After a header of 16 bytes (own number, flags, and in
`lower` where the list of node offsets ends) a page has

- as a branch, nodes with a key and the number of a page below;
- as a leaf, nodes with a key and a value, which may lie in pages of its own: then the node has the first one's number.

Layout: `mdb.c` of LMDB 0.9, by Howard Chu, Symas Corporation.
"""

from __future__ import annotations

import mmap
from functools import lru_cache
from pathlib import Path
from struct import Struct, error

META = Struct("<II8x8x I44x xxxxHHQQQQQ QQ")
"""Behind the header: magic, version, page size; of the main tree flags, depth, counts, root; last page, transaction."""
MAGIC, EMPTY = 0xBEEFC0DE, 2**64 - 1
HEADER, NODE = Struct("<QHHHH"), Struct("<HHHH")
BRANCH, LEAF = 1, 2
ELSEWHERE = 1
"""Flag of a leaf's node: its value lies in pages of its own."""
DEEPEST = 32


def check_pages(file: Path) -> None:
    """Follow all pages of the tree; pages of values are not read. A file that does not change is looked at once.

    Raises:
        ValueError: A page, a node or a value is not within the file, a page is no part of a tree, or is met twice.
    """
    status = file.stat()
    _check(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _check(file: Path, size: int, changed: int) -> None:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            _follow(content)
        except (_StrayError, error) as reason:
            raise ValueError(f"{file} is damaged ({reason}); copy it again") from reason


class _StrayError(ValueError):
    """The tree leads out of the file."""


def _follow(content: mmap.mmap) -> None:
    page, root, flags = _meta(content)
    pages = len(content) // page
    if flags:
        raise _StrayError("it has several values of a key")
    waiting, seen = [(root, 1)] if root != EMPTY else [], set[int]()
    while waiting:
        number, depth = waiting.pop()
        if not 2 <= number < pages or number in seen or depth > DEEPEST:
            raise _StrayError(f"page {number} is not within it, or is met twice")
        seen.add(number)
        waiting += [(below, depth + 1) for below in _below(content, number * page, page)]


def _meta(content: mmap.mmap) -> tuple[int, int, int]:
    """Size of a page, root of the main tree, and its flags, from the meta page of the later transaction."""
    found = []
    first = META.unpack_from(content, HEADER.size)
    for start in (0, first[2]):
        magic, version, page, flags, _, _, _, _, _, root, _, transaction = META.unpack_from(
            content, start + HEADER.size
        )
        if magic != MAGIC or version != 1 or page < 512 or page & (page - 1):
            raise _StrayError("it has no meta page")
        found.append((transaction, page, root, flags))
    return max(found)[1:]


def _below(content: mmap.mmap, start: int, page: int) -> list[int]:
    """Numbers of the pages below one, all of its nodes looked at."""
    _, _, kind, lower, upper = HEADER.unpack_from(content, start)
    if kind not in (BRANCH, LEAF) or not HEADER.size <= lower <= upper <= page or lower % 2:
        raise _StrayError(f"page {start // page} is neither a branch nor a leaf")
    found = []
    for place in memoryview(content[start + HEADER.size : start + lower]).cast("H"):
        if not lower <= place <= page - NODE.size:
            raise _StrayError(f"a node of page {start // page} is not in it")
        low, high, flags, key = NODE.unpack_from(content, start + place)
        end = place + NODE.size + key
        if kind == BRANCH:
            found.append(low | high << 16 | flags << 32)
        elif flags == ELSEWHERE:
            end += 8
            first = int.from_bytes(content[start + end - 8 : start + end], "little")
            if first < 2 or first * page + HEADER.size + (low | high << 16) > len(content):
                raise _StrayError("a value is not within it")
        elif flags:
            raise _StrayError("it has several values of a key")
        else:
            end += low | high << 16
        if end > page:
            raise _StrayError(f"a node of page {start // page} is longer than the page")
    return found
