"""No group is in two parts."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.data.splits import split_by_group
from tdn_theory.data.structure import Structure
from tdn_theory.testing import strategies as own
from tests.assertions import refuses

FRACTIONS = st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.5, 0.5), (1.0,), (0.9, 0.1, 0.0), (0.98, 0.01, 0.01)])


def with_groups(groups: list[int]) -> list[Structure]:
    return [Structure(np.array([1]), np.full((1, 3), float(n)), group=str(group)) for n, group in enumerate(groups)]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), FRACTIONS, own.seeds())
def test_parts_share_no_group_and_lose_nothing(groups: list[int], fractions: tuple[float, ...], seed: int):
    structures = with_groups(groups)
    count, filled = len(set(groups)), sum(fraction > 0 for fraction in fractions)
    if count < filled:
        with refuses(ValueError, f"{count} groups", f"{filled} parts", "files of its own"):
            split_by_group(structures, fractions, seed)
        return
    parts = split_by_group(structures, fractions, seed)
    found = [{structure.group for structure in part} for part in parts]
    assert sum(map(len, found)) == count == len(set().union(*found))
    assert sorted(s.positions[0, 0] for part in parts for s in part) == list(range(len(structures)))
    for part, fraction in zip(found, fractions, strict=True):
        assert abs(len(part) - fraction * count) < max(1.0, filled - 1)
        assert bool(part) == (fraction > 0)
    for part in parts:
        assert [s.positions[0, 0] for s in part] == sorted(s.positions[0, 0] for s in part)


@settings(max_examples=25)
@given(st.permutations(range(12)), own.seeds())
def test_the_choice_depends_on_the_groups_only(order: list[int], seed: int):
    first, second = (split_by_group(with_groups(groups), seed=seed) for groups in (list(range(12)), [*order, *order]))
    assert [{s.group for s in part} for part in first] == [{s.group for s in part} for part in second]


def test_seeds_differ():
    structures = with_groups(list(range(20)))
    first, second = (split_by_group(structures, seed=seed)[0] for seed in (0, 1))
    assert first.groups != second.groups


def test_bad_fractions_are_refused():
    for fractions in ((0.5, 0.2), (1.2, -0.2)):
        with refuses(ValueError, str(list(fractions)), "add up to 1"):
            split_by_group(with_groups([1, 2, 3]), fractions)


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_unlike_size_are_balanced_by_structures(seed):
    """Of groups of 1, 48, 1 and 2 structures, the large one is trained on."""
    structures = with_groups([number for number, count in enumerate((1, 48, 1, 2)) for _ in range(count)])
    sizes = [len(part) for part in split_by_group(structures, (0.8, 0.1, 0.1), seed)]
    assert sizes[0] == 48
    assert min(sizes) >= 1


def test_one_group_names_the_way_out():
    structures = with_groups([0] * 9)
    with refuses(ValueError, "split = 'structure'"):
        split_by_group(structures)
