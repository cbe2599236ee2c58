"""Tucker forms and tensor trains: fits lie in the bracket that the spectrum gives, and no cheaper form is missed."""

from itertools import product
from math import inf

import numpy as np
import pytest
import tensorly
from hypothesis import given
from hypothesis import strategies as st
from tensorly.decomposition import tensor_train

from tdn_theory.coupling import CouplingTensor
from tdn_theory.testing.strategies import coupling_tensors
from tdn_theory.theory.formats import fewest_numbers, fit_tucker, tucker_bracket, tucker_numbers

TENSORS = coupling_tensors(max_lmax=1, nonzero=True)
ROUNDING = 1e-7
"""Errors are roots of sums of squares that may cancel to the precision of float64."""


def relative_error(tensor, approximation):
    return np.linalg.norm(tensor.array - approximation) / tensor.norm


def cores(tensor):
    """Core ranks that a Tucker form can have: none above the product of the two others."""
    ranges = [range(1, d + 1) for d in tensor.coupling.shape]
    return [c for c in product(*ranges) if all(c[n] <= c[n - 1] * c[n - 2] for n in range(3))]


@given(TENSORS, st.data())
def test_a_fit_is_in_the_bracket(tensor, data):
    core = data.draw(st.sampled_from(cores(tensor)))
    bracket, found = tucker_bracket(tensor, core), relative_error(tensor, fit_tucker(tensor, core))
    assert bracket.low - ROUNDING <= found <= bracket.high + ROUNDING


@given(TENSORS, st.integers(0, 2), st.data())
def test_with_one_mode_truncated_the_bracket_is_a_point_that_is_attained(tensor, mode, data):
    core = list(tensor.coupling.shape)
    core[mode] = data.draw(st.integers(1, core[mode]))
    bracket = tucker_bracket(tensor, tuple(core))
    assert bracket.low == pytest.approx(bracket.high, abs=ROUNDING)
    first = np.moveaxis(tensor.array, mode, 0)
    U = np.linalg.svd(first.reshape(len(first), -1))[0][:, : core[mode]]
    projected = np.moveaxis(np.tensordot(U @ U.T, first, 1), 0, mode)
    assert relative_error(tensor, projected) == pytest.approx(bracket.high, abs=ROUNDING)


@given(TENSORS, st.integers(0, 2), st.data())
def test_a_tensor_train_is_in_the_bracket_of_its_middle(tensor, middle, data):
    left, right = (mode for mode in range(3) if mode != middle)
    core = list(tensor.coupling.shape)
    turned = tensor.array.transpose(left, middle, right)
    ranks = [data.draw(st.integers(1, min(core[n], tensor.array.size // core[n]))) for n in (left, right)]
    train = tensor_train(turned, [1, *ranks, 1])
    found = np.linalg.norm(turned - tensorly.tt_to_tensor(train)) / tensor.norm
    core[left], core[right] = train[0].shape[-1], train[2].shape[0]
    bracket = tucker_bracket(tensor, tuple(core))
    assert bracket.low - ROUNDING <= found <= bracket.high + ROUNDING


@given(TENSORS, st.floats(0, 0.99), st.sampled_from((None, 0, 1, 2)))
def test_the_fewest_numbers_are_those_of_all_core_ranks_tried_one_by_one(tensor, error, middle):
    shape = tensor.coupling.shape
    fewest = inf
    for core in product(*(range(1, d + 1) for d in shape)):
        if (middle is None or core[middle] == shape[middle]) and tucker_bracket(tensor, core).low <= error * (1 + 1e-9):
            fewest = min(fewest, tucker_numbers(shape, core))
    assert fewest_numbers(tensor, error, middle)[0] == fewest


@pytest.mark.parametrize("lmax", range(1, 7))
def test_the_paper_s_tensor_cannot_be_compressed(lmax):
    """At one in twenty, which CP reaches at R = 7 L^2, neither form holds fewer numbers than M itself."""
    tensor = CouplingTensor(lmax)
    for middle in (None, 0, 1, 2):
        assert fewest_numbers(tensor, 0.05, middle) == (tensor.array.size, tensor.coupling.shape)


@pytest.mark.parametrize(("core", "message"), [((0, 1, 1), "core rank is 0"), ((1, 5, 1), r"in 1\.\.d = 1\.\.4")])
def test_core_ranks_are_checked(core, message):
    with pytest.raises(ValueError, match=message):
        tucker_bracket(CouplingTensor(1), core)


def test_the_zero_tensor_has_no_relative_error():
    with pytest.raises(ValueError, match="is zero"):
        tucker_bracket(CouplingTensor(1, (0.0,) * 5), (1, 1, 1))
