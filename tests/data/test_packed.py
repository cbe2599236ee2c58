"""Flat arrays against the structures they were made of, one by one."""

import pickle
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.data import packed
from tdn_theory.data.packed import COLUMNS, NAMES, OPTIONAL, RARE, Packed, pack
from tdn_theory.data.structure import LABELS, Structure
from tdn_theory.testing import strategies as own

FIELDS = [field.name for field in fields(Structure)]


def same(got: Structure, wanted: Structure) -> bool:
    """Bit for bit, as naively as can be."""
    for name in FIELDS:
        one, other = getattr(got, name), getattr(wanted, name)
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            if one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes():
                return False
        elif type(one) is not type(other) or one != other:
            return False
    return True


SETS = st.lists(own.structures(), min_size=1, max_size=5)


def test_every_field_of_a_structure_has_a_column():
    assert set(FIELDS) <= set(COLUMNS)
    assert set(OPTIONAL) == {field.name for field in fields(Structure) if field.default is None} - {"fixed"}


@settings(max_examples=30)
@given(SETS, st.data())
def test_structures_come_back_bit_for_bit(structures: list[Structure], data: st.DataObject):
    whole = pack(structures)
    assert pack(whole) is whole
    assert len(whole) == len(structures)
    assert all(map(same, whole, structures))
    assert same(whole[-1], structures[-1])
    some = data.draw(st.lists(st.integers(0, len(structures) - 1), max_size=6))
    chosen = whole.select(np.array(some, np.int64))
    assert all(map(same, chosen, [structures[k] for k in some]))
    cut = data.draw(st.slices(len(structures)))
    assert all(map(same, whole[cut], structures[cut]))
    assert len(whole[cut]) == len(structures[cut])
    with pytest.raises(IndexError):
        whole[len(structures)]


@settings(max_examples=30)
@given(SETS, st.data())
def test_columns_are_those_of_the_structures(structures: list[Structure], data: st.DataObject):
    some = data.draw(st.lists(st.integers(0, len(structures) - 1), min_size=1, max_size=6))
    part, wanted = pack(structures).select(np.array(some)), [structures[k] for k in some]
    assert part.groups == [s.group for s in wanted]
    assert part.labels == tuple(name for name in LABELS if any(name in s.labels for s in wanted))
    assert part.elements == tuple(sorted({z for s in wanted for z in s.numbers.tolist()}))
    elements = sorted({1, *part.elements[:-1]})
    assert part.counts(elements).tolist() == [[s.numbers.tolist().count(z) for z in elements] for s in wanted]
    for name in OPTIONAL:
        assert part.known(name).tolist() == [getattr(s, name) is not None for s in wanted]
        assert np.array_equal(part.column(name), _concatenated(wanted, name), equal_nan=True)
    for name in NAMES:
        assert part.named(name) == [getattr(s, name) for s in wanted]
    for name in RARE.keys() - set(NAMES):
        assert part.column(name).tolist() == _concatenated(wanted, name).tolist()
    assert part.column("numbers").tolist() == [z for s in wanted for z in s.numbers.tolist()]
    assert part.column("atoms").tolist() == list(map(len, wanted))
    for s, nearest in zip(wanted, part.column("nearest"), strict=True):
        pairs = [np.linalg.norm(s.positions[a] - s.positions[b]) for a in range(len(s)) for b in range(a)]
        assert nearest == pytest.approx(min(pairs, default=np.inf), rel=1e-12)


def _concatenated(structures: Sequence[Structure], name: str) -> np.ndarray:
    rows = []
    for s in structures:
        shape = (len(s) if COLUMNS[name].per_atom else 1, *COLUMNS[name].shape)
        value = getattr(s, name)
        rows.append(np.full(shape, np.nan) if value is None else np.reshape(value, shape))
    return np.concatenate(rows)


def test_chunks_are_all_of_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packed, "CHUNK", 3)
    structures = [Structure(np.array([1]), np.full((1, 3), float(k))) for k in range(7)]
    parts = list(pack(structures)[::-1].chunks())
    assert [len(part) for part in parts] == [3, 3, 1]
    assert [s.positions[0, 0] for part in parts for s in part] == [6, 5, 4, 3, 2, 1, 0]


def test_the_fingerprint_is_of_the_content():
    first, second = (Structure(np.array([1, z]), np.eye(3)[:2], energy=1.0, group="g") for z in (1, 8))
    whole = pack([first, second])
    assert whole.fingerprint == pack([second, first])[::-1].fingerprint != whole[::-1].fingerprint
    assert pack([replace(first, weight=2.0), second]).fingerprint != whole.fingerprint
    assert pack([replace(first, fixed=np.array([True, False])), second]).fingerprint != whole.fingerprint
    for change in ({"energy": 1.0 + 1e-15}, {"energy": None}, {"cell": np.eye(3)}, {"pbc": np.zeros(3, bool)}):
        other = pack([replace(first, **change), second])
        assert (other.fingerprint == whole.fingerprint) == ("pbc" in change)
        assert (other.column("place")[0] == whole.column("place")[0]) == ("cell" not in change)
    for name in NAMES:
        assert pack([replace(first, **{name: "other"}), second]).fingerprint == whole.fingerprint
    moved = replace(first, positions=np.nextafter(first.positions, 2.0))
    assert pack([moved, second]).column("place")[0] != whole.column("place")[0]


def test_other_groups():
    structures = pack([Structure(np.array([1]), np.zeros((1, 3)), group="a") for _ in range(4)])[1:]
    assert structures.regrouped(["x", "y", "x"]).groups == ["x", "y", "x"]
    assert structures.groups == ["a", "a", "a"]


def test_other_weights():
    structures = pack([Structure(np.array([1]), np.zeros((1, 3)), weight=k) for k in (5.0, 1.0, 2.0)])
    other = structures[1:].weighted(np.array([3.0, 0.5]))
    assert [s.weight for s in other] == [3.0, 1.0]
    assert [s.weight for s in structures] == [5.0, 1.0, 2.0]
    assert other.fingerprint != structures[1:].fingerprint


def test_what_is_mapped_pickles_as_the_names_of_files(tmp_path: Path):
    whole = pack([Structure(np.array([1] * 1000), np.arange(3000.0).reshape(-1, 3)) for _ in range(10)])
    for name, column in whole.columns.items():
        np.save(tmp_path / name, column)
    columns = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in whole.columns}
    mapped = Packed(columns, whole.names, whole.chosen)[3:]
    content = pickle.dumps(mapped)
    assert len(content) < 5000
    again = pickle.loads(content)  # noqa: S301 - its own
    assert all(map(same, again, mapped))
    assert all(isinstance(column, np.memmap) for column in again.columns.values())
    assert all(map(same, pickle.loads(pickle.dumps(whole)), whole))  # noqa: S301 - its own
