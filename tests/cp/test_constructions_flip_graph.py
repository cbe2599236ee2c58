"""Walks on the flip graph: every step keeps the product, and what they find multiplies matrices."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from tdn_theory.cp.constructions import flip_graph
from tdn_theory.cp.constructions.flip_graph import BinaryScheme, search, standard, walk, with_signs
from tdn_theory.cp.constructions.matrix_multiplication import algorithm
from tests.assertions import refuses


def form(scheme: BinaryScheme) -> np.ndarray:
    """The trilinear form modulo 2, term by term."""
    d = scheme.size**2
    total = np.zeros((d, d, d), dtype=np.int64)

    def bits(matrix: int) -> np.ndarray:
        return np.array([matrix >> n & 1 for n in range(d)])

    for a, b, c in [*scheme.orbits, *((cube,) * 3 for cube in scheme.cubes)]:
        turns = [(a, b, c)] if a == b == c else [(a, b, c), (b, c, a), (c, a, b)]
        for turn in turns:
            total += np.einsum("i,j,k->ijk", *map(bits, turn))
    return total % 2


@pytest.mark.parametrize(("size", "cubes"), [(2, 1), (2, 2), (3, 1), (3, 3), (4, 2)])
def test_the_start_is_the_definition(size: int, cubes: int) -> None:
    scheme = standard(size, cubes, Random(1))
    assert len(scheme.cubes) == cubes
    assert scheme.rank == size**3 + 5 * (size - cubes)  # a merge adds two orbits and takes a cube
    assert np.array_equal(form(scheme), form(standard(size, size, Random(0))))


def test_walks_keep_the_product() -> None:
    start = standard(3, 2, Random(0))
    found = [walk(start, Random(seed), flips=1000, patience=50) for seed in range(5)]
    assert min(scheme.rank for scheme in found) < start.rank
    for scheme in found:
        assert np.array_equal(form(scheme), form(start))


def test_plus_keeps_the_product() -> None:
    scheme = standard(3, 2, Random(0))
    matrices = [m for orbit in scheme.orbits for m in orbit]
    for seed in range(20):
        flip_graph._plus(matrices, Random(seed))
    assert len(matrices) > 3 * len(scheme.orbits)
    orbits = tuple(tuple(matrices[n : n + 3]) for n in range(0, len(matrices), 3))
    assert np.array_equal(form(replace(scheme, orbits=orbits)), form(scheme))


def test_a_split_keeps_the_product() -> None:
    scheme = standard(3, 1, Random(0))
    found = flip_graph.split(scheme, 0, Random(0))
    assert (found.rank, len(found.cubes)) == (scheme.rank + 7, 2)
    assert np.array_equal(form(found), form(scheme))


@pytest.mark.parametrize(("size", "cubes", "rank"), [(1, 1, 1), (2, 1, 7), (3, 2, 23)])
def test_known_ranks_are_found(size: int, cubes: int, rank: int) -> None:
    """Strassen's and Laderman's, from the definition alone; `with_signs` proves them over the integers."""
    scheme = search(size, cubes, 0, flips=5000, patience=500, walks=8)
    assert scheme.rank == rank
    found = with_signs(scheme)
    assert found.rank == rank
    x, y = np.random.default_rng(0).integers(-9, 9, (2, size, size))
    products = np.einsum("abr,ab->r", found.left, x) * np.einsum("abr,ab->r", found.right, y)
    np.testing.assert_array_equal(found.out @ products, x @ y)


def test_the_shipped_algorithm_is_cyclic() -> None:
    """5 x 5, 93 terms: a sum of orbits, three cubes, coefficients -1, 0, 1."""
    found = algorithm(5)
    found.check()
    assert found.rank == 93
    assert set(np.unique(np.stack([found.left, found.right, found.out]))) == {-1, 0, 1}
    terms = [
        tuple(f[:, :, r].tobytes() for f in (found.left, found.right, found.out.transpose(1, 0, 2))) for r in range(93)
    ]
    assert all((b, c, a) in set(terms) for a, b, c in terms)
    assert sum(a == b == c for a, b, c in terms) == 3


def test_refusals_teach() -> None:
    with refuses(ValueError, "cubes is 4", "1..3"):
        standard(3, 4, Random(0))
    with refuses(ValueError, "single one", "another cube"):
        flip_graph.split(standard(2, 2, Random(0)), 0, Random(0))
    with refuses(ValueError, "does not multiply", "standard()"):
        with_signs(BinaryScheme(2, ((1, 2, 4),), (1,)))
