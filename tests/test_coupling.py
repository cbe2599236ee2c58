"""Coupling tensors: entries, closed-form spectrum, projection, construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.coupling import CouplingTensor, Normalization, check_tensor
from tdn_theory.so3 import clebsch_gordan, exact, irreps
from tests import strategies
from tests.assertions import (
    EPS,
    assert_close,
    assert_equivariant,
    assert_projection,
    assert_same_product,
    assert_spectrum,
    refuses,
)


def product_of(array: np.ndarray):
    """The bilinear map of a tensor."""
    return lambda x, y: np.einsum("kij,ni,nj->nk", array, x, y, optimize=True)


@pytest.mark.parametrize(("lmax", "count"), [(0, 1), (1, 5), (2, 15), (3, 34), (4, 65), (5, 111), (6, 175)])
def test_square_of_the_norm_is_the_number_of_paths(lmax: int, count: int) -> None:
    """E2, for the tensor of all paths with unit-norm blocks."""
    tensor = CouplingTensor(lmax)
    assert_close(tensor.norm**2, count, 4 * EPS * count, "norm**2")
    assert_close(np.sum(tensor.array**2), count, 8 * EPS * count, "sum of squares of the entries")


@pytest.mark.parametrize("lmax", [0, 1, 2, 3])
def test_equals_the_exact_tensor(lmax: int) -> None:
    wanted = np.zeros((irreps.dim(lmax),) * 3)
    for index, value in exact.coupling_tensor(lmax).items():
        wanted[index] = float(value.evalf(30))
    tensor = CouplingTensor(lmax)
    assert_close(tensor.array, wanted, 4 * EPS, "CouplingTensor(lmax).array")
    assert_same_product(product_of(tensor.array), wanted)


def test_degree_one_is_vector_calculus() -> None:
    """At L = 1 by hand: the five products of a scalar and a vector with a scalar and a vector."""
    rng = np.random.default_rng(0)
    (a, b), (u, v) = rng.standard_normal((2, 1)), rng.standard_normal((2, 3))
    root = np.sqrt([2.0, 3.0, 6.0])
    got = np.einsum("kij,i,j->k", CouplingTensor(1).array, np.append(a, u), np.append(b, v))
    wanted = np.append(a * b + u @ v / root[1], (a * v + b * u) / root[1] + np.cross(u, v) / root[2])
    assert_close(got, wanted, 16 * EPS, "M(x, y)")


@pytest.mark.parametrize("lmax", [1, 2, 3, 4])
@pytest.mark.parametrize("normalization", ["norm", "component"])
def test_equivariance(lmax: int, normalization: Normalization) -> None:
    for tensor in (CouplingTensor(lmax, normalization=normalization), CouplingTensor.even(lmax, normalization)):
        assert_equivariant(product_of(tensor.array), lmax, norm=tensor.norm, name=repr(tensor))


@given(strategies.coupling_tensors(max_lmax=3, nonzero=True), strategies.rotations(), strategies.seeds())
@settings(max_examples=40)
def test_equivariance_of_any_weights(tensor: CouplingTensor, matrix: np.ndarray, seed: int) -> None:
    assert_equivariant(
        product_of(tensor.array), tensor.lmax, norm=tensor.norm, rotations=matrix[None], seed=seed, name=repr(tensor)
    )


@given(strategies.coupling_tensors(max_lmax=3))
@settings(max_examples=40)
def test_singular_values(tensor: CouplingTensor) -> None:
    """The closed form against numpy's SVD, three modes, any weights, both normalisations; they sum to the norm."""
    assert_spectrum(CouplingTensor.singular_values, tensor)
    for mode in (0, 1, 2):
        values = tensor.singular_values(mode)
        assert np.all(np.diff(values) <= 0)
        assert_close(np.sum(values**2), tensor.norm**2, 8 * tensor.d * EPS * tensor.norm**2, "sum of sigma^2")


@pytest.mark.parametrize("lmax", range(1, 7))
def test_singular_values_of_the_full_tensor(lmax: int) -> None:
    """N_l / (2l+1), N_l the number of paths through l, the same for every mode."""
    tensor = CouplingTensor(lmax)
    assert_spectrum(CouplingTensor.singular_values, tensor)
    squares = [
        sum(path.l3 == l for path in irreps.paths(lmax)) / (2 * l + 1)
        for l in range(lmax + 1)
        for _ in range(2 * l + 1)
    ]
    for mode in (0, 1, 2):
        assert_close(tensor.singular_values(mode) ** 2, sorted(squares, reverse=True), 16 * EPS, "sigma^2")


@pytest.mark.parametrize("lmax", [0, 1, 2, 3])
@pytest.mark.parametrize("normalization", ["norm", "component"])
def test_projection(lmax: int, normalization: Normalization) -> None:
    """Idempotent, self-adjoint, the identity on coupling tensors, and the Haar average."""
    start = CouplingTensor(lmax, normalization=normalization)
    assert_projection(lambda array: start.project(array).array, lmax)


@given(strategies.coupling_tensors(max_lmax=3), strategies.seeds())
@settings(max_examples=25)
def test_projection_finds_the_weights(tensor: CouplingTensor, seed: int) -> None:
    """Of M + noise orthogonal to every path tensor, the projection is M: weights and normalisation come back."""
    noise = np.random.default_rng(seed).standard_normal((tensor.d,) * 3)
    noise -= CouplingTensor(tensor.lmax).project(noise).array
    found = tensor.project(tensor.array + noise)
    assert (found.lmax, found.normalization) == (tensor.lmax, tensor.normalization)
    assert_close(
        found.weights, tensor.weights, 1e-13 * max(1.0, float(np.linalg.norm(noise))), "weights of the projection"
    )


@given(strategies.coupling_tensors(max_lmax=3))
@settings(max_examples=25)
def test_norm(tensor: CouplingTensor) -> None:
    assert_close(tensor.norm, np.linalg.norm(tensor.array), 8 * EPS * max(tensor.norm, EPS), "norm")


def test_component_normalisation() -> None:
    """e3nn's: inputs of unit variance give outputs of unit variance, path by path: sum_ij C_kij^2 = 1 for every k."""
    for path in irreps.paths(3):
        tensor = CouplingTensor(3, {path: 1.0}, "component")
        variance = np.sum(tensor.array**2, axis=(1, 2))[irreps.component_slice(path.l3)]
        assert_close(variance, np.ones(2 * path.l3 + 1), 16 * EPS, f"variance of {path}")


def test_even() -> None:
    """All paths with even l1+l2+l3, and exactly those: a symmetric product."""
    for lmax in range(5):
        tensor = CouplingTensor.even(lmax)
        assert [weight != 0 for weight in tensor.weights] == [path.even for path in tensor.paths]
        assert np.array_equal(tensor.array, tensor.array.transpose(0, 2, 1))
        odd = CouplingTensor(lmax, {path: 1.0 for path in tensor.paths if not path.even})
        assert np.array_equal(odd.array, -odd.array.transpose(0, 2, 1))
        assert_close(tensor.array + odd.array, CouplingTensor(lmax).array, 0.0, "even + odd")


@pytest.mark.parametrize("lmax", [1, 2, 3, 4])
def test_cyclic_symmetry(lmax: int) -> None:
    """M[k, i, j] = M[i, j, k], to the roundoff of blocks with two equal degrees."""
    array = CouplingTensor(lmax).array
    assert_close(array.transpose(1, 2, 0), array, 8 * EPS, "M[i, j, k]")


def test_repr() -> None:
    assert repr(CouplingTensor(2)) == "CouplingTensor(L=2, 15 paths)"
    assert repr(CouplingTensor(0)) == "CouplingTensor(L=0, 1 path)"
    assert repr(CouplingTensor.even(2)) == "CouplingTensor(L=2, 11 paths)"
    assert repr(CouplingTensor(1, normalization="component")) == "CouplingTensor(L=1, 5 paths, component)"
    assert repr(CouplingTensor(1, (0.0, 1.0, 2.0, 1.0, 1.0))) == "CouplingTensor(L=1, 4 paths, weighted)"


def test_a_value_not_an_object() -> None:
    """Equal weights, equal tensors, however they were given; hashable; read-only."""
    ones = {tuple(path): 1.0 for path in irreps.paths(1)}
    assert (
        CouplingTensor(1) == CouplingTensor(1, ones) == CouplingTensor(1, np.ones(5)) == CouplingTensor(1, (1.0,) * 5)
    )
    assert CouplingTensor(1) != CouplingTensor(1, normalization="component")
    assert len({CouplingTensor(1), CouplingTensor(1, ones)}) == 1
    with pytest.raises(ValueError, match="read-only"):
        CouplingTensor(1).array[0, 0, 0] = 2
    with pytest.raises(AttributeError, match="cannot assign"):
        CouplingTensor(1).lmax = 2  # type: ignore


def test_missing_paths_have_weight_zero() -> None:
    tensor = CouplingTensor(2, {(1, 1, 2): 3.0})
    assert tensor.norm == 3.0
    wanted = 3 * clebsch_gordan.clebsch_gordan(1, 1, 2)
    assert_close(tensor.array[4:9, 1:4, 1:4], wanted, 0.0, "block of 1x1->2")


@pytest.mark.parametrize(
    ("arguments", "error", "fragments"),
    [
        ((-1,), ValueError, ["lmax (L) is -1", "integer >= 0", "pass e.g. 2"]),
        ((1.0,), TypeError, ["lmax (L) is 1.0", "must be an integer"]),
        ((1, (1.0,) * 4), ValueError, ["4 weights given", "lmax 1 has 5 paths", "paths(1)"]),
        ((1, {(1, 1, 3): 1.0}), ValueError, ["no path (1, 1, 3) for lmax 1", "paths(1)"]),
        ((1, {(0, 2, 2): 1.0}), ValueError, ["no path (0, 2, 2) for lmax 1", "paths(1)"]),
        ((1, {7: 1.0}), ValueError, ["no path 7 for lmax 1", "paths(1)"]),
        ((1, (1.0, float("nan"), 1.0, 1.0, 1.0)), ValueError, ["weight of path 1x1->0 is nan", "must be finite"]),
        ((1, (1.0, 1.0, 1.0, float("inf"), 1.0)), ValueError, ["weight of path 1x0->1 is inf", "must be finite"]),
        ((1, np.ones(5) * 1j), TypeError, ["weight of path 0x0->0 is", "1j", "must be a real number"]),
        ((1, ("1",) * 5), TypeError, ["weight of path 0x0->0 is '1'", "must be a real number"]),
        ((1, (True,) * 5), TypeError, ["weight of path 0x0->0 is True", "must be a real number"]),
        ((1, 2.0), TypeError, ["weights are 2.0", "mapping from paths", "sequence of 5 numbers"]),
        ((1, None, "unit"), ValueError, ["normalization is 'unit'", "norm", "component"]),
    ],
)
def test_bad_arguments(arguments, error, fragments) -> None:
    with refuses(error, *fragments):
        CouplingTensor(*arguments)


@pytest.mark.parametrize(
    ("array", "error", "fragments"),
    [
        (np.zeros((9, 9, 9)), ValueError, ["shape (9, 9, 9)", "must be (4, 4, 4)", "[k, i, j]"]),
        (np.zeros((4, 4)), ValueError, ["shape (4, 4)", "must be (4, 4, 4)"]),
        (np.zeros((4, 4, 3)), ValueError, ["shape (4, 4, 3)", "must be (4, 4, 4)"]),
        (np.full((4, 4, 4), np.nan), ValueError, ["NaN or infinite", "must be finite"]),
        (np.zeros((4, 4, 4), complex), TypeError, ["dtype complex128", "must be real"]),
    ],
)
def test_bad_tensor(array: np.ndarray, error, fragments) -> None:
    with refuses(error, *fragments):
        CouplingTensor(1).project(array)


def test_check_tensor() -> None:
    assert check_tensor(np.ones((2, 2, 2), int)).dtype == float
    with refuses(ValueError, "shape (2, 2, 3)", "must be (d, d, d)"):
        check_tensor(np.zeros((2, 2, 3)))


@pytest.mark.parametrize("mode", [3, -1, "k"])
def test_bad_mode(mode) -> None:
    with refuses(ValueError, f"mode is {mode!r}", "0 (k), 1 (i) or 2 (j)"):
        CouplingTensor(1).singular_values(mode)
