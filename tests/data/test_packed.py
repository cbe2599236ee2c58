"""Flat arrays against the structures they were made of, one by one."""

import pickle
from dataclasses import fields, replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.data import packed
from tdn_theory.data.packed import FIELDS, OPTIONAL, TEXTS, Packed, pack
from tdn_theory.data.structure import Structure
from tdn_theory.testing import strategies as own
from tests.data.reference import assert_packed, same

SETS = st.lists(own.structures(), min_size=1, max_size=5)


def test_every_field_of_a_structure_has_a_column():
    assert {field.name for field in fields(Structure)} == set(FIELDS)
    assert {field.name for field in fields(Structure) if field.default is None} == {*OPTIONAL, "fixed"}
    assert {field.name for field in fields(Structure) if field.type == "str"} == set(TEXTS)


@settings(max_examples=50)
@given(SETS, st.data())
def test_packed_structures_are_those_given(structures: list[Structure], data: st.DataObject):
    whole = pack(structures)
    assert pack(whole) is whole
    assert_packed(whole, structures)
    some = data.draw(st.lists(st.integers(0, len(structures) - 1), max_size=6))
    assert_packed(whole.select(np.array(some, np.int64)), [structures[k] for k in some])
    cut = data.draw(st.slices(len(structures)))
    assert_packed(whole[cut], structures[cut])
    assert same(whole[-1], structures[-1])
    with pytest.raises(IndexError):
        whole[len(structures)]


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
    for name in TEXTS:
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
    mapped = Packed(columns, whole.texts, whole.chosen)[3:]
    content = pickle.dumps(mapped)
    assert len(content) < 5000
    again = pickle.loads(content)  # noqa: S301 - its own
    assert all(map(same, again, mapped))
    assert all(isinstance(column, np.memmap) for column in again.columns.values())
    assert all(map(same, pickle.loads(pickle.dumps(whole)), whole))  # noqa: S301 - its own
