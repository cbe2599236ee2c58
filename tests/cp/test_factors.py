"""CPFactors against its definition, T_kij = sum_r A_kr B_ir C_jr."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tdn_theory.cp.factors import CPFactors
from tdn_theory.testing.assertions import EPS, assert_close, assert_same_product
from tdn_theory.testing.strategies import seeds
from tests.assertions import refuses


def random_factors(seed: int, d: int, rank: int, more: tuple[int, int] = (0, 0)) -> CPFactors:
    """Of d x d x d tensors, or of ones with as many more components in the inputs."""
    rng = np.random.default_rng(seed)
    return CPFactors(*(rng.standard_normal((d + extra, rank)) for extra in (0, *more)))


EXTRA = st.tuples(st.integers(0, 3), st.integers(0, 3))


def by_definition(factors: CPFactors) -> np.ndarray:
    return sum(
        np.multiply.outer(np.multiply.outer(factors.A[:, r], factors.B[:, r]), factors.C[:, r])
        for r in range(factors.rank)
    )


@given(seeds(), st.integers(1, 6), st.integers(1, 9), EXTRA)
def test_array_and_evaluation(seed, d, rank, more):
    factors = random_factors(seed, d, rank, more)
    assert factors.dims == (d + more[0], d + more[1], d)
    wanted = by_definition(factors)
    # a sum of `rank` products of three entries
    atol = 4 * (rank + 3) * EPS * factors.condition * np.linalg.norm(wanted)
    assert_close(factors.array, wanted, atol, f"{factors}.array")
    assert_same_product(factors, wanted, rtol=4 * (rank + d + 3) * EPS * factors.condition, name=repr(factors))


@given(seeds(), st.integers(1, 5), st.integers(1, 6), EXTRA)
def test_balance_keeps_the_tensor_and_equalises_the_lengths(seed, d, rank, more):
    factors = random_factors(seed, d, rank, more)
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


@pytest.mark.parametrize("exponents", [(660, -660, 0), (-660, -660, 700), (200, 200, 200), (-200, -200, -200)])
def test_any_scale(exponents):
    """Terms in range have a tensor, a balance and a condition, however large or small their vectors are."""
    one = random_factors(0, 3, 4, (1, 2))
    scales = [2.0**n for n in exponents]
    factors = CPFactors(*(scale * f for scale, f in zip(scales, (one.A, one.B, one.C), strict=True)))
    total = 2.0 ** sum(exponents)
    assert_close(factors.array / total, one.array, 0.0, "array / scale")
    assert factors.condition == one.condition
    wanted = one.balance()
    for name in "ABC":
        found = getattr(factors.balance(), name) / np.cbrt(total)
        assert_close(found, getattr(wanted, name), 1e-14 * np.abs(getattr(wanted, name)).max(), f"balance().{name}")
    assert factors.relative_residual(total * (one.array + 0.1)) == one.relative_residual(one.array + 0.1)


def test_no_common_dimension():
    factors = random_factors(0, 3, 4, (1, 2))
    assert repr(factors) == "CPFactors(R=4, 4 x 5 -> 3)"
    with refuses(ValueError, "4 x 5 -> 3", "dims"):
        _ = factors.d


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
