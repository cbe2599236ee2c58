"""Lengths and squares at the ends of the range of float64."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tdn_theory import scale
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

arrays = hnp.arrays(float, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-10, 10, width=16))
exponents = st.integers(-900, 900)


@given(arrays, exponents)
def test_lengths_are_numpys_at_any_scale(array: np.ndarray, exponent: int) -> None:
    """To the last bit: powers of two are exact, in numpy's own range and far out of it."""
    scaled = np.ldexp(array, exponent)
    assert scale.length(scaled) == np.ldexp(np.linalg.norm(array), exponent)
    for axis in range(array.ndim):
        wanted = np.ldexp(np.linalg.norm(array, axis=axis), exponent)
        assert_close(scale.lengths(scaled, axis) / 2.0**exponent, wanted / 2.0**exponent, 0.0, "lengths")


@given(arrays, exponents)
def test_powers_of_two(array: np.ndarray, exponent: int) -> None:
    found = scale.power_of_two(np.ldexp(array, exponent)).item()
    largest = float(np.abs(array).max())
    assert found == 0 if largest == 0 else 0.5 <= np.ldexp(largest, exponent - found) < 1


def test_vectors_of_very_different_scales() -> None:
    """Each along its axis by itself."""
    found = scale.lengths(np.array([[3e200, 4e200], [3e-200, 4e-200], [0.0, 0.0]]), axis=1)
    assert_close(found[:2] / [5e200, 5e-200], [1.0, 1.0], 1e-15, "lengths")
    assert found[2] == 0


@pytest.mark.parametrize("value", [1e-160, 1e-320, 1e155, -1e200, float("nan")])
def test_squares_out_of_range(value: float) -> None:
    with refuses(ValueError, "the tail is the square", "float64 cannot hold", "scale the tensor"):
        scale.square(value, "the tail")


def test_squares() -> None:
    assert [scale.square(value, "it") for value in (0.0, -3.0, 1e-150)] == [0.0, 9.0, 1e-150**2]
