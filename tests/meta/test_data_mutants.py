"""Tests of the tests of `data`: wrong neighbour lists fail the assertion that the right one passes."""

from __future__ import annotations

import numpy as np
import pytest

from tdn_theory.data.graph import neighbours
from tdn_theory.data.structure import Structure
from tests.data.reference import assert_neighbours

CUTOFF = 2.5
POSITIONS = np.array([[0.0, 0, 0], [0.9, 0.8, 0.7], [2.0, 0.1, 0.3]])
CRYSTAL = Structure(np.array([1, 6, 8]), POSITIONS, np.diag([2.5, 2.2, 2.3]), np.array([True, True, True]))
"""Small enough for an atom to see its own images, and one atom exactly at the cutoff from itself."""
FAILS = r"got .*, but should be .*\[.*\]"


def chosen(keep):
    """The right list, but only the rows for which `keep(target, source, offsets)` holds."""

    def find(structure, cutoff):
        target, source, offsets = neighbours(structure, cutoff)
        rows = keep(target, source, offsets)
        return target[rows], source[rows], offsets[rows]

    return find


def mirrored(structure, cutoff):
    """Offsets with the other sign: right where no edge crosses the boundary."""
    target, source, offsets = neighbours(structure, cutoff)
    return target, source, -offsets


def exchanged(structure, cutoff):
    """Source for target."""
    target, source, offsets = neighbours(structure, cutoff)
    return source, target, offsets


def closed(structure, cutoff):
    """Pairs at the cutoff, too."""
    return neighbours(structure, np.nextafter(cutoff, np.inf))


def unordered(structure, cutoff):
    """In another order."""
    return tuple(column[::-1] for column in neighbours(structure, cutoff))


def repeated(structure, cutoff):
    """Every edge twice."""
    return tuple(np.repeat(column, 2, axis=0) for column in neighbours(structure, cutoff))


WRONG = {
    "own images forgotten": chosen(lambda target, source, offsets: target != source),
    "one direction only": chosen(lambda target, source, offsets: target <= source),
    "no images": chosen(lambda target, source, offsets: ~offsets.any(1)),
    "last edge lost": chosen(lambda target, source, offsets: np.arange(len(target)) < len(target) - 1),
    "mirrored": mirrored,
    "exchanged": exchanged,
    "closed": closed,
    "unordered": unordered,
    "repeated": repeated,
}


def test_the_right_list_passes():
    assert_neighbours(neighbours, CRYSTAL, CUTOFF)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_list_fails(name: str):
    with pytest.raises(AssertionError, match=FAILS):
        assert_neighbours(WRONG[name], CRYSTAL, CUTOFF)
