"""Damaged LMDB files: what leads out of the file is refused, and what is not refused can be read."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tdn_theory.data import lmdb_file
from tdn_theory.data.lmdb_pages import check_pages
from tests.assertions import refuses

pytest.importorskip("lmdb", reason="needs the extra lmdb")

PAGE, COUNT = 4096, 200


def numbers(content: bytearray, place: int, size: int = 2) -> int:
    return int.from_bytes(content[place : place + size], "little")


def pages(content: bytearray, kind: int) -> list[int]:
    """Where the branches (1) or leaves (2) begin."""
    return [p for p in range(2 * PAGE, len(content), PAGE) if numbers(content, p + 10) == kind]


def node(content: bytearray, page: int, number: int) -> int:
    return page + numbers(content, page + 16 + 2 * number)


def put(content: bytearray, place: int, value: int, size: int = 2) -> None:
    content[place : place + size] = value.to_bytes(size, "little")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytearray:
    """Values in the leaves, and larger ones in pages of their own."""
    file, rng = tmp_path_factory.mktemp("good") / "a.lmdb", random.Random(0)
    sizes = [rng.choice([30, 400, 1500, 5000]) for _ in range(COUNT)]
    lmdb_file.write(file, [(str(k).encode(), bytes([k % 256]) * size) for k, size in enumerate(sizes)])
    check_pages(file)
    content = bytearray(file.read_bytes())
    assert pages(content, 1)
    assert len(pages(content, 2)) > 10
    return content


def big(content: bytearray) -> int:
    """The node of a value that lies elsewhere."""
    found = [
        node(content, page, k) for page in pages(content, 2) for k in range((numbers(content, page + 12) - 16) // 2)
    ]
    return next(place for place in found if numbers(content, place + 4) == 1)


HARM: dict[str, Callable[[bytearray], None]] = {
    "page below the file": lambda c: put(c, node(c, pages(c, 1)[0], 1), 0xFFFF),
    "page met twice": lambda c: put(c, node(c, pages(c, 1)[0], 1), numbers(c, node(c, pages(c, 1)[0], 2))),
    "a page that is its own child": lambda c: put(c, node(c, pages(c, 1)[0], 1), pages(c, 1)[0] // PAGE),
    "no leaf": lambda c: put(c, pages(c, 2)[0] + 10, 0x20),
    "list of nodes beyond the page": lambda c: put(c, pages(c, 2)[0] + 12, 0xFFF0),
    "node outside its page": lambda c: put(c, pages(c, 2)[0] + 16, 0xFFF0),
    "node in the list of nodes": lambda c: put(c, pages(c, 2)[0] + 16, 4),
    "key longer than the page": lambda c: put(c, node(c, pages(c, 2)[0], 0) + 6, 0xFFFF),
    "value longer than the page": lambda c: put(c, node(c, pages(c, 2)[0], 0) + 2, 0x7000),
    "value longer than the file": lambda c: put(c, big(c) + 2, 0x7000),
    "value beyond the file": lambda c: put(c, big(c) + 8 + numbers(c, big(c) + 6), 2**40, 8),
    "value in a database of its own": lambda c: put(c, big(c) + 4, 3),
    "root beyond the file": lambda c: [put(c, start + 16 + 112, 2**40, 8) for start in (0, PAGE)],
    "several values of a key": lambda c: [put(c, start + 16 + 76, 4) for start in (0, PAGE)],
}


@pytest.mark.parametrize("harm", HARM)
def test_what_leads_out_of_the_file_is_refused(harm: str, good: bytearray, tmp_path: Path):
    content = bytearray(good)
    HARM[harm](content)
    assert content != good
    (tmp_path / "a.lmdb").write_bytes(content)
    with refuses(ValueError, "a.lmdb", "damaged", "copy it again"), lmdb_file.reading(tmp_path / "a.lmdb"):
        pass


def test_what_is_not_refused_is_read(good: bytearray, tmp_path: Path):
    """Of files with bytes of tree pages changed; a crash would end this process."""
    tree, rng, read = pages(good, 1) + pages(good, 2), random.Random(1), 0
    for trial in range(60):
        content, page = bytearray(good), rng.choice(tree)
        count = (numbers(good, page + 12) - 16) // 2
        starts = [page, *(node(good, page, k) for k in range(count))]
        content[min(rng.choice(starts) + rng.randrange(16), page + PAGE - 1)] = rng.randrange(256)
        file = tmp_path / f"{trial}.lmdb"
        file.write_bytes(content)
        try:
            check_pages(file)
        except ValueError:
            continue
        with lmdb_file.reading(file) as transaction:
            for k in range(COUNT):
                read += transaction.get(str(k).encode()) is not None
    assert read > 10 * COUNT  # most changes are of values


def test_a_file_that_is_none(tmp_path: Path):
    for name, content in {"a": b"", "b": b"x" * 3, "c": bytes(3 * PAGE)}.items():
        (tmp_path / f"{name}.lmdb").write_bytes(content)
        with refuses(ValueError, f"{name}.lmdb"), lmdb_file.reading(tmp_path / f"{name}.lmdb"):
            pass
