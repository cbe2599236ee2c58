"""Tests of the tests of `data`: wrong neighbour lists, splits and packed structures fail what the right ones pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tdn_theory.data.catalyst_splits import split_catalysts
from tdn_theory.data.graph import neighbours
from tdn_theory.data.packed import pack
from tdn_theory.data.structure import Structure
from tests.data.reference import assert_neighbours, assert_packed, assert_split

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


ADSORBATES, COMPOSITIONS = ["H", "O", "CO"] * 8, ["Cu", "Pt", "Ag", "Au"] * 6
SPLIT = split_catalysts(ADSORBATES, COMPOSITIONS, seed=1)
WRONG_SPLITS = {
    "exchanged": SPLIT | {"ood_ads": SPLIT["ood_cat"], "ood_cat": SPLIT["ood_ads"]},
    "one of a held-out adsorbate trains": SPLIT
    | {"train": np.append(SPLIT["train"], SPLIT["ood_ads"][0]), "ood_ads": SPLIT["ood_ads"][1:]},
    "one that is trained on tests": SPLIT | {"id": np.append(SPLIT["id"], SPLIT["train"][0])},
    "one is lost": SPLIT | {"train": SPLIT["train"][1:]},
    "all that is new is in one part": SPLIT
    | {"ood_both": np.concatenate([SPLIT["ood_both"], SPLIT["ood_cat"]]), "ood_cat": SPLIT["ood_cat"][:0]},
}


def test_the_right_split_passes():
    assert_split(SPLIT, ADSORBATES, COMPOSITIONS, "split")


@pytest.mark.parametrize("name", WRONG_SPLITS)
def test_wrong_splits_fail(name: str):
    with pytest.raises(AssertionError, match=FAILS):
        assert_split(WRONG_SPLITS[name], ADSORBATES, COMPOSITIONS, name)


STRUCTURES = [
    replace(CRYSTAL, energy=-1.0, group="a", weight=0.5, fixed=np.arange(len(CRYSTAL)) == 0),
    Structure(np.array([1, 6]), POSITIONS[:2], forces=-POSITIONS[:2], energy=0.0, group="b"),
    Structure(np.array([8]), -POSITIONS[:1], group="a"),
]
PACKED = pack(STRUCTURES)


def changed(name, change):
    """Packed structures with one column that is wrong."""
    return replace(PACKED, columns={**PACKED.columns, name: change(PACKED.columns[name].copy())})


WRONG_SETS = {
    "the last is lost": PACKED[:-1],
    "in another order": PACKED[::-1],
    "first atoms of one structure only": changed("first", lambda first: 0 * first),
    "one atom too few": changed("atoms", lambda atoms: np.maximum(atoms - 1, 1)),
    "one sign": changed("positions", lambda positions: np.abs(positions)),  # a zero that was negative
    "single precision": changed("positions", lambda positions: positions.astype(np.float32).astype(np.float64)),
    "zero for unknown": changed("energy", np.nan_to_num),
    "unknown for zero": changed("energy", lambda energy: np.where(energy == 0, np.nan, energy)),
    "forces of others": changed("forces", lambda forces: np.roll(forces, 1, 0)),
    "no forces": replace(PACKED, columns={k: v for k, v in PACKED.columns.items() if k != "forces"}),
    "nothing periodic": changed("pbc", np.zeros_like),
    "groups exchanged": replace(PACKED, texts={**PACKED.texts, "group": PACKED.texts["group"][::-1]}),
    "weights of others": changed("weight", lambda weight: weight[::-1]),
    "others are fixed": changed("fixed", lambda fixed: fixed[::-1]),
    "nearest of images": changed("nearest", lambda nearest: np.minimum(nearest, 1.0)),
}


def test_the_right_set_passes():
    assert_packed(PACKED, STRUCTURES)


@pytest.mark.parametrize("name", WRONG_SETS)
def test_a_wrong_set_fails(name: str):
    with pytest.raises(AssertionError, match="got "):
        assert_packed(WRONG_SETS[name], STRUCTURES)
