"""CPFactors against its definition, T_kij = sum_r A_kr B_ir C_jr."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tdn_theory.cp.factors import CPFactors
from tests.assertions import EPS, assert_close, assert_same_product, refuses
from tests.strategies import seeds


def random_factors(seed: int, d: int, rank: int) -> CPFactors:
    return CPFactors(*np.random.default_rng(seed).standard_normal((3, d, rank)))


def by_definition(factors: CPFactors) -> np.ndarray:
    return sum(
        np.multiply.outer(np.multiply.outer(factors.A[:, r], factors.B[:, r]), factors.C[:, r])
        for r in range(factors.rank)
    )


@given(seeds(), st.integers(1, 6), st.integers(1, 9))
def test_array_and_evaluation(seed, d, rank):
    factors = random_factors(seed, d, rank)
    wanted = by_definition(factors)
    # a sum of `rank` products of three entries
    atol = 4 * (rank + 3) * EPS * factors.condition * np.linalg.norm(wanted)
    assert_close(factors.array, wanted, atol, f"{factors}.array")
    assert_same_product(factors, wanted, rtol=4 * (rank + d) * EPS * factors.condition, name=repr(factors))


@given(seeds(), st.integers(1, 5), st.integers(1, 6))
def test_balance_keeps_the_tensor_and_equalises_the_lengths(seed, d, rank):
    factors = random_factors(seed, d, rank)
    balanced = factors.balance()
    atol = 16 * EPS * factors.condition * np.linalg.norm(factors.array)
    assert_close(balanced.array, factors.array, atol, "balance().array")
    lengths = [np.linalg.norm(f, axis=0) for f in (balanced.A, balanced.B, balanced.C)]
    assert_close(lengths[0], lengths[1], 8 * EPS * lengths[0].max(), "|a_r|, |b_r|")
    assert_close(lengths[0], lengths[2], 8 * EPS * lengths[0].max(), "|a_r|, |c_r|")


def test_balance_keeps_a_vanishing_term():
    factors = CPFactors(np.array([[1.0, 0.0]]), np.array([[2.0, 3.0]]), np.array([[4.0, 5.0]]))
    assert_close(factors.balance().array, factors.array, 1e-14, "balance() with a zero column")


def test_condition_is_one_without_cancellation_and_counts_cancelling_terms():
    e = np.eye(3)[:, :1]
    assert CPFactors(e, e, e).condition == pytest.approx(1.0)
    huge = 1e6
    pair = CPFactors(np.hstack([huge * e, -(huge - 1) * e]), np.hstack([e, e]), np.hstack([e, e]))
    assert pair.condition == pytest.approx(2 * huge - 1)


def test_residual_is_not_cancelled_by_rounding():
    factors = random_factors(0, 4, 5)
    off = factors.array + 1e-13 * np.linalg.norm(factors.array) * np.eye(64)[0].reshape(4, 4, 4)
    assert factors.relative_residual(off) == pytest.approx(1e-13, rel=1e-2)


def test_shapes_broadcast():
    factors = random_factors(0, 4, 3)
    x, y = np.ones((2, 1, 4)), np.ones((5, 4))
    assert factors(x, y).shape == (2, 5, 4)


@pytest.mark.parametrize(
    ("A", "error", "fragments"),
    [
        (np.ones((4, 2, 1)), ValueError, ("factor A", "(4, 2, 1)", "(d, R)")),
        (np.ones((4, 0)), ValueError, ("(4, 0)", "R >= 1")),
        (np.ones((4, 2)) * 1j, TypeError, ("complex128", "real")),
        (np.full((4, 2), np.nan), ValueError, ("NaN", "finite")),
        (np.ones((3, 1)), ValueError, ("(3, 1)", "(4, 2)", "same")),
    ],
)
def test_bad_factors(A, error, fragments):
    with refuses(error, *fragments):
        CPFactors(A, np.ones((4, 2)), np.ones((4, 2)))


def test_bad_inputs():
    factors = random_factors(0, 4, 3)
    with refuses(ValueError, "y has shape (3,)", "d = 4"):
        factors(np.ones(4), np.ones(3))
    with refuses(ValueError, "(2, 2, 2)", "(4, 4, 4)"):
        factors.relative_residual(np.ones((2, 2, 2)))
    with refuses(ValueError, "zero"):
        factors.relative_residual(np.zeros((4, 4, 4)))


def test_factors_cannot_be_changed():
    factors = random_factors(0, 4, 3)
    with pytest.raises(ValueError, match="read-only"):
        factors.A[0, 0] = 1.0
