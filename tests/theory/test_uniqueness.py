"""Local uniqueness of CP terms: cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.store import Store
from tdn_theory.theory.rank import kruskal_limit
from tdn_theory.theory.uniqueness import local_uniqueness
from tests.assertions import refuses


def random_factors(d: int, rank: int, seed: int = 0) -> CPFactors:
    return CPFactors(*np.random.default_rng(seed).standard_normal((3, d, rank)))


@pytest.mark.parametrize("d", [4, 9])
def test_generic_terms_are_unique_where_kruskal_says_so_and_beyond(d: int) -> None:
    """Generic d x d x d tensors are identifiable up to R < d^3 / (3d - 2), far above Kruskal's limit for large d."""
    most = (d**3 - 1) // (3 * d - 2) - 1  # one below the largest, where small formats have exceptions
    for rank in (1, kruskal_limit(d), most):
        found = local_uniqueness(random_factors(d, rank))
        assert found.unique
        assert found.rank == (3 * d - 2) * rank <= d**3
        assert found.least > 1e6 * found.rounding


def test_what_is_not_unique() -> None:
    """More terms than counting allows, and a vector that two terms share."""
    many = local_uniqueness(random_factors(4, 7))
    assert (many.unique, many.possible, many.rank) == (False, False, 64)
    two = random_factors(4, 2)
    # the same vector in one mode: what is left is a matrix of rank 2, which any basis decomposes
    found = local_uniqueness(CPFactors(two.A[:, [0, 0]], two.B, two.C))
    assert (found.unique, found.possible) == (False, True)
    assert found.rank == 20 - 2  # invertible changes of basis of the two terms: 4 dimensions, 2 of them scalings


def test_scalings_of_terms_change_nothing() -> None:
    factors = random_factors(4, 3)
    scaled = CPFactors(factors.A * 100, factors.B / [1, 10, 1000], factors.C)
    assert local_uniqueness(scaled).rank == local_uniqueness(factors).rank


def test_terms_of_the_stored_fit_are_unique() -> None:
    """L = 2, R = 28, the paper's: no other terms near these have the same sum, though Kruskal's condition fails."""
    found = local_uniqueness(Store().best(CouplingTensor(2), 28).factors)
    assert found.unique
    assert found.rank == 3 * 9 * 28 - 2 * 28 == 700
    assert kruskal_limit(9) < 28


def test_a_zero_term_is_refused() -> None:
    factors = random_factors(4, 2)
    with refuses(ValueError, "zero", "leave it out"):
        local_uniqueness(CPFactors(factors.A * [1, 0], factors.B, factors.C))


def test_unequal_dimensions() -> None:
    """Three generic terms are unique by Kruskal; of 3 x 2 x 2, three are more than the entries can tell apart."""
    rng = np.random.default_rng(0)
    found = local_uniqueness(CPFactors(*(rng.standard_normal((d, 3)) for d in (3, 4, 5))))
    assert (found.unknowns, found.scalings, found.equations, found.rank) == (36, 6, 60, 30)
    assert found.unique
    few = local_uniqueness(CPFactors(*(rng.standard_normal((d, 3)) for d in (2, 3, 2))))
    assert not few.possible
    assert not few.unique
