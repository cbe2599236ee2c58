"""Path space: invariants of scalings, local dimensions of what CP forms reach, and the rank-7 product at L = 1."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import assert_close
from tdn_theory.theory import universality
from tests.assertions import assert_invariants, assert_jacobian, assert_reach, refuses, scaled_weights

ANY = st.one_of(st.integers(1, 3).map(Coupling.of), strategies.couplings())


@given(ANY, strategies.seeds())
@settings(max_examples=20)
def test_invariants_are_invariant(coupling: Coupling, seed: int) -> None:
    assert_invariants(universality.scaling_invariants, coupling, seed)
    invariants = len(universality.scaling_invariants(coupling))
    assert invariants == len(coupling.paths) - universality.scaling_dimension(coupling)


@given(ANY, strategies.seeds())
@settings(max_examples=20)
def test_values_of_invariants(coupling: Coupling, seed: int) -> None:
    """Signs of the weights and of the scalings included; another weight changes those in which it occurs."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 2, len(coupling.paths)) * rng.choice([-1, 1], len(coupling.paths))
    scales = [rng.uniform(0.5, 2, len(mode)) * rng.choice([-1, 1], len(mode)) for mode in coupling.modes]
    other = scaled_weights(coupling, weights, scales)
    changed = weights * np.where(np.arange(len(weights)) == 0, 2.0, 1.0)
    for invariant in universality.scaling_invariants(coupling):
        value, scaled, moved = (universality.invariant_value(coupling, invariant, w) for w in (weights, other, changed))
        assert_close(scaled, value, 1e-9 * abs(value), "invariant")
        assert (coupling.paths[0] in invariant) == (abs(moved - value) > 1e-9 * abs(value))


def test_scaling_keeps_the_rank() -> None:
    """Scaling degrees of the factors scales the weights, and the number of terms stays."""
    rng = np.random.default_rng(0)
    scales = list(rng.uniform(0.5, 2, (3, 2)))
    factors = outer_product(CouplingTensor(1))
    k, i, j = (np.repeat(scale, [1, 3])[:, None] for scale in scales)
    turned = CPFactors(k * factors.A, i * factors.B, j * factors.C)
    found = universality.reach(turned)
    assert_close(found.weights, scaled_weights(1, np.ones(5), scales), 1e-12, "weights")


@given(strategies.couplings())
@settings(max_examples=15)
def test_the_outer_product_reaches_everything(coupling: Coupling) -> None:
    """With one term for each pair of input components every tensor is reached, hence every equivariant one (T2)."""
    found = universality.reach(outer_product(CouplingTensor(coupling)), coupling)
    assert (found.alive, found.dimension, found.paths) == (len(coupling.paths),) * 3
    assert found.scaling == universality.scaling_dimension(coupling)
    assert_close(found.weights, np.ones(len(coupling.paths)), 1e-12, "weights")


def test_reach() -> None:
    assert_reach(universality.reach)
    found = universality.reach(outer_product(CouplingTensor(1)))
    assert (found.rank, found.paths, found.scaling) == (16, 5, 4)
    assert found.everything


def test_rank_7_reaches_one_orbit() -> None:
    """Exactly equivariant with all five paths, but only at invariant 2 / sqrt 3."""
    found = universality.reach(atlas.best(1).factors)
    assert (found.alive, found.dimension, found.scaling) == (5, 4, 4)
    assert not found.everything
    (invariant,) = universality.scaling_invariants(1)
    assert_close(universality.invariant_value(1, invariant, found.weights), 2 / np.sqrt(3), 1e-10, "invariant")


def test_jacobian() -> None:
    assert_jacobian(universality.jacobian)


@pytest.mark.parametrize("rank", [1, 2])
def test_a_few_terms(rank: int) -> None:
    """One term represents multiples of the path 0x0->0 alone."""
    scalar = np.zeros((4, rank))
    scalar[0] = 1.0
    found = universality.reach(CPFactors(scalar, scalar, scalar))
    assert (found.alive, found.dimension) == (1, 1)


def test_errors_teach() -> None:
    with refuses(ValueError, "relative equivariance error", "refine"):
        universality.reach(CPFactors(np.ones((4, 1)), np.ones((4, 1)), np.ones((4, 1))))
    with refuses(ValueError, "4 weights", "5 paths"):
        universality.invariant_value(1, universality.scaling_invariants(1)[0], np.ones(4))
    with refuses(ValueError, "is zero"):
        universality.invariant_value(1, universality.scaling_invariants(1)[0], np.zeros(5))
