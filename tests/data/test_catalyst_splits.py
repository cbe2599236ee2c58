"""Splits by what is new: every system is in the part that its names say, whatever the seed."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.data.catalyst_splits import PARTS, adsorbate, composition, split_catalysts
from tests.assertions import refuses
from tests.data.reference import assert_split, catalyst

ADSORBATES = [name for name in ("H", "O", "CO", "OH", "NH") for _ in range(12)]
COMPOSITIONS = ["Cu", "Pt", "Cu-Pt", "Ag"] * 15


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.05, 0.6), st.floats(0.05, 0.6), st.floats(0.05, 0.5))
def test_systems_are_where_their_names_say(seed: int, ads: float, cat: float, inside: float):
    parts = split_catalysts(ADSORBATES, COMPOSITIONS, (ads, cat), inside, seed)
    assert tuple(parts) == PARTS
    assert_split(parts, ADSORBATES, COMPOSITIONS, "split_catalysts")
    held = [{names[k] for k in parts["ood_both"]} for names in (ADSORBATES, COMPOSITIONS)]
    assert [len(names) for names in held] == [max(1, round(ads * 5)), max(1, round(cat * 4))]
    assert len(parts["id"]) == max(1, round(inside * (len(parts["id"]) + len(parts["train"]))))
    again = split_catalysts(ADSORBATES, COMPOSITIONS, (ads, cat), inside, seed)
    assert all(np.array_equal(parts[name], again[name]) for name in PARTS)


def test_the_seed_chooses():
    found = {tuple(split_catalysts(ADSORBATES, COMPOSITIONS, seed=seed)["ood_both"]) for seed in range(8)}
    assert len(found) > 3


@pytest.mark.parametrize("fractions", [((0.0, 0.0), 0.1), ((-0.1, 0.2), 0.1), ((0.2, 1.0), 0.1), ((0.2, 0.2), 0.0)])
def test_fractions_that_make_no_sense_are_refused(fractions):
    with refuses(ValueError, "between 0 and 1"):
        split_catalysts(ADSORBATES, COMPOSITIONS, *fractions)


@pytest.mark.parametrize(("fractions", "part", "names"), [((0.3, 0.0), "ood_ads", 0), ((0.0, 0.3), "ood_cat", 1)])
def test_of_a_fraction_0_nothing_is_held_out(fractions: tuple[float, float], part: str, names: int):
    own = (ADSORBATES, COMPOSITIONS)[names]
    parts = split_catalysts(ADSORBATES, COMPOSITIONS, fractions)
    assert list(parts) == ["train", "id", part]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(60))
    held = {own[k] for k in parts[part]}
    assert not held & {own[k] for name in ("train", "id") for k in parts[name]}
    assert {own[k] for k in parts["train"]} | held == set(own)


@pytest.mark.parametrize("seed", range(20))
def test_elements_of_new_compositions_are_known(seed: int):
    """Gold is in one composition only, which is never held out; where none can be, that is told."""
    compositions = ["Cu", "Pt", "Cu-Pt", "Ag", "Ag-Cu", "Ag-Au"] * 6
    parts = split_catalysts([""] * 36, compositions, (0.0, 0.5), seed=seed, new_elements=False)
    known = {element for k in (*parts["train"], *parts["id"]) for element in compositions[k].split("-")}
    held = {compositions[k] for k in parts["ood_cat"]}
    assert known == {"Cu", "Pt", "Ag", "Au"}
    assert 1 <= len(held) <= 3
    with refuses(ValueError, "ood_cat"):
        split_catalysts([""] * 20, ["Cu", "Ag"] * 10, (0.0, 0.5), seed=seed, new_elements=False)


def test_too_few_systems_are_refused():
    with refuses(ValueError, "2 systems", "train", "more systems"):
        split_catalysts(["H", "O"], ["Cu", "Cu"])


def test_names_come_from_tags():
    structure = catalyst()
    assert (adsorbate(structure), composition(structure)) == ("HO", "Cu")
    assert composition(replace(structure, numbers=np.array([78, 29, 8, 1]))) == "Cu-Pt"
    assert adsorbate(replace(structure, tags=np.array([0, 1, 1, 0]))) == ""
    with refuses(ValueError, "no tags"):
        adsorbate(replace(structure, tags=None))
