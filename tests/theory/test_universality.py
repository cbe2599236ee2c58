"""Path space: invariants of scalings, local dimensions of what CP forms reach, and the rank-7 product at L = 1."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.so3.irreps import paths
from tdn_theory.theory import universality
from tdn_theory.theory.equivariance import mean_square_error
from tests import strategies
from tests.assertions import assert_close, refuses


def scaled(lmax: int, weights: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """`w_p s_l3 t_l1 u_l2`."""
    factors = [scales[0, path.l3] * scales[1, path.l1] * scales[2, path.l2] for path in paths(lmax)]
    return weights * np.array(factors)


@given(st.integers(1, 3), strategies.seeds())
@settings(max_examples=20)
def test_invariants_are_invariant(lmax: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 2, len(paths(lmax))) * rng.choice([-1, 1], len(paths(lmax)))
    other = scaled(lmax, weights, rng.uniform(0.5, 2, (3, lmax + 1)) * rng.choice([-1, 1], (3, lmax + 1)))
    invariants = universality.scaling_invariants(lmax)
    assert len(invariants) == len(paths(lmax)) - universality.scaling_dimension(lmax)
    for invariant in invariants:
        value = universality.invariant_value(lmax, invariant, weights)
        assert_close(universality.invariant_value(lmax, invariant, other), value, 1e-9 * abs(value), "invariant")
    changed = weights * np.where(np.arange(len(weights)) == 0, 2.0, 1.0)
    before, after = ([universality.invariant_value(lmax, i, w) for i in invariants] for w in (weights, changed))
    assert not np.allclose(before, after)


def test_scaling_keeps_the_rank() -> None:
    """Scaling degrees of the factors scales the weights, and the number of terms stays."""
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.5, 2, (3, 2))
    factors = outer_product(CouplingTensor(1))
    k, i, j = (np.repeat(scale, [1, 3])[:, None] for scale in scales)
    turned = CPFactors(k * factors.A, i * factors.B, j * factors.C)
    found = universality.reach(turned)
    assert_close(found.weights, scaled(1, np.ones(5), scales), 1e-12, "weights")


def test_the_outer_product_reaches_everything() -> None:
    found = universality.reach(outer_product(CouplingTensor(1)))
    assert (found.rank, found.alive, found.dimension, found.paths, found.scaling) == (16, 5, 5, 5, 4)
    assert found.everything


def test_an_exact_fit_at_rank_8_reaches_everything() -> None:
    found = universality.reach(LevenbergMarquardt(8, ridge=1e-3).solve(CouplingTensor(1)).factors)
    assert_close(found.weights, np.ones(5), 1e-12, "weights")
    assert found.everything


def test_rank_7_reaches_one_orbit() -> None:
    """Exactly equivariant with all five paths, but only at invariant 2 / sqrt 3."""
    factors = universality.find_equivariant(1, 7, seed=1)
    assert mean_square_error(factors) < 1e-24
    found = universality.reach(factors)
    assert (found.alive, found.dimension, found.scaling) == (5, 4, 4)
    assert not found.everything
    (invariant,) = universality.scaling_invariants(1)
    assert_close(universality.invariant_value(1, invariant, found.weights), 2 / np.sqrt(3), 1e-10, "invariant")


def test_jacobian() -> None:
    """Against finite differences: the tensor is a polynomial, so a central difference of step h errs by h^2."""
    rng = np.random.default_rng(0)
    theta, change = rng.standard_normal((2, 3, 4, 2))
    h = 1e-5
    difference = (CPFactors(*(theta + h * change)).array - CPFactors(*(theta - h * change)).array) / (2 * h)
    assert_close(universality.jacobian(CPFactors(*theta)) @ change.ravel(), difference.ravel(), 1e-8, "J v")


@pytest.mark.parametrize("rank", [1, 2])
def test_a_few_terms(rank: int) -> None:
    """One term represents multiples of the path 0x0->0 alone."""
    scalar = np.zeros((4, rank))
    scalar[0] = 1.0
    found = universality.reach(CPFactors(scalar, scalar, scalar))
    assert (found.alive, found.dimension) == (1, 1)


def test_errors_teach() -> None:
    with refuses(ValueError, "non-equivariant part", "refine"):
        universality.reach(CPFactors(np.ones((4, 1)), np.ones((4, 1)), np.ones((4, 1))))
    with refuses(ValueError, "4 weights", "5 paths"):
        universality.invariant_value(1, universality.scaling_invariants(1)[0], np.ones(4))
    with refuses(ValueError, "is zero"):
        universality.invariant_value(1, universality.scaling_invariants(1)[0], np.zeros(5))
    with refuses(ValueError, "rank is 0"):
        universality.find_equivariant(1, 0)
