"""Coupling tensors: entries, closed-form spectrum, projection, construction."""

from __future__ import annotations

import copy

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.coupling import Coupling, CouplingTensor, Normalization, check_tensor
from tdn_theory.so3 import clebsch_gordan, exact, irreps
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import (
    EPS,
    annotations_unchecked,
    assert_close,
    assert_equivariant,
    assert_same_product,
)
from tests.assertions import assert_projection, assert_spectrum, refuses


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
        product_of(tensor.array),
        tensor.coupling,
        norm=tensor.norm,
        rotations=matrix[None],
        seed=seed,
        name=repr(tensor),
    )


@given(strategies.coupling_tensors(max_lmax=3))
@settings(max_examples=40)
def test_singular_values(tensor: CouplingTensor) -> None:
    """The closed form against numpy's SVD, three modes, any weights, both normalisations; they sum to the norm."""
    assert_spectrum(CouplingTensor.singular_values, tensor)
    for mode in (0, 1, 2):
        values = tensor.singular_values(mode)
        assert np.all(np.diff(values) <= 0)
        assert_close(np.sum(values**2), tensor.norm**2, 8 * max(tensor.dims) * EPS * tensor.norm**2, "sum of sigma^2")


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


@given(strategies.couplings(), st.data())
@settings(max_examples=25)
def test_projection_of_any_coupling(coupling: Coupling, data: st.DataObject) -> None:
    """On all that the irreps allow; on some of their paths, on the span of these."""
    assert_projection(lambda array: CouplingTensor(coupling).project(array).array, coupling)
    some = data.draw(st.lists(st.sampled_from(coupling.paths), min_size=1, unique=True))
    with annotations_unchecked():
        tensor = CouplingTensor(Coupling(coupling.x, coupling.y, coupling.z, some))
    array = data.draw(strategies.tensors(coupling.shape))
    whole = CouplingTensor(coupling).project(array)
    kept = {path: weight for path, weight in zip(whole.paths, whole.weights, strict=True) if path in some}
    assert_close(tensor.project(array).array, CouplingTensor(coupling, kept).array, 1e-13 * array.size, "project(T)")


@given(strategies.coupling_tensors(max_lmax=3), strategies.seeds())
@settings(max_examples=25)
def test_projection_finds_the_weights(tensor: CouplingTensor, seed: int) -> None:
    """Of M + noise orthogonal to every path tensor, the projection is M: weights and normalisation come back."""
    noise = np.random.default_rng(seed).standard_normal(tensor.array.shape)
    noise -= CouplingTensor(tensor.coupling).project(noise).array
    found = tensor.project(tensor.array + noise)
    assert (found.coupling, found.normalization) == (tensor.coupling, tensor.normalization)
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
    assert repr(CouplingTensor("0e+1o x 1o -> 1e")) == "CouplingTensor(0e+1o x 1o -> 1e, 1 path)"
    assert repr(Coupling.of(1)) == "Coupling(0+1 x 0+1 -> 0+1, 5 paths)"
    assert [str(path) for path in Coupling.of("1o x 1o -> 2e+0e").paths] == ["1ox1o->2e", "1ox1o->0e"]


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
        ((1.0,), TypeError, ["coupling is 1.0", "must be an integer", "'0e+1o+2e'"]),
        ((1, (1.0,) * 4), ValueError, ["4 weights given", "L=1 has 5 paths", "Coupling.paths"]),
        ((1, {(1, 1, 3): 1.0}), ValueError, ["no path (1, 1, 3) in L=1", "(1, 1, 0)"]),
        ((1, {(0, 2, 2): 1.0}), ValueError, ["no path (0, 2, 2) in L=1", "(1, 1, 0)"]),
        ((1, {7: 1.0}), ValueError, ["no path 7 in L=1", "(1, 1, 0)"]),
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
    assert check_tensor(np.ones((2, 2, 3), int)).dtype == float
    with refuses(ValueError, "shape (2, 2)", "must be (d3, d1, d2)"):
        check_tensor(np.zeros((2, 2)))


@given(strategies.couplings())
@settings(max_examples=40)
def test_what_is_written_is_read(coupling: Coupling) -> None:
    """Equal texts, equal couplings; another order of irreps is another coupling."""
    assert Coupling.of(str(coupling)) == coupling == copy.deepcopy(coupling)
    assert hash(Coupling.of(str(coupling))) == hash(coupling)
    assert [path.irreps for path in copy.deepcopy(coupling).paths] == [path.irreps for path in coupling.paths]
    with annotations_unchecked():
        other = Coupling(coupling.x[::-1], coupling.y, coupling.z)
    assert (other == coupling) == (coupling.x[::-1] == coupling.x)


@given(strategies.couplings())
@settings(max_examples=40)
def test_paths_are_those_of_the_definition(coupling: Coupling) -> None:
    """Every triple of slots that obeys the triangle and parity rules, once, ordered by (z, x, y)."""
    wanted = [
        (i, j, k)
        for k, c in enumerate(coupling.z)
        for i, a in enumerate(coupling.x)
        for j, b in enumerate(coupling.y)
        if max(a.l, b.l, c.l) * 2 <= a.l + b.l + c.l and a.parity * b.parity == c.parity
    ]
    assert list(coupling.paths) == wanted
    assert all(path.degrees == (path.l1, path.l2, path.l3) for path in coupling.paths)
    assert coupling.dims == tuple(
        sum(2 * irrep.l + 1 for irrep in some) for some in (coupling.x, coupling.y, coupling.z)
    )
    assert coupling.complete == coupling == coupling.swapped.swapped


@given(strategies.coupling_tensors(max_lmax=2))
@settings(max_examples=25)
def test_swapped(tensor: CouplingTensor) -> None:
    """The same map of exchanged inputs, and its own inverse."""
    assert_close(tensor.swapped.array, tensor.array.transpose(0, 2, 1), 1e-15 * tensor.norm, "swapped.array")
    assert tensor.swapped.swapped == tensor


def test_alive_leaves_out_paths_of_weight_zero() -> None:
    tensor = CouplingTensor("0e+1o", {(1, 1, 0): 2.0, (0, 1, 1): -1.0}, "component")
    assert tensor.alive.paths == ((1, 1, 0), (0, 1, 1))
    assert tensor.alive.weights == (2.0, -1.0)
    assert np.array_equal(tensor.alive.array, tensor.array)
    assert tensor.alive.coupling.complete == tensor.coupling
    with refuses(ValueError, "zero"):
        _ = CouplingTensor(1, {}).alive


def test_the_papers_features_in_other_words() -> None:
    assert Coupling.of(2) == Coupling.of("0+1+2") == Coupling.of(np.arange(3)[2])
    assert CouplingTensor("0+1+2") == CouplingTensor(2)
    assert (CouplingTensor(2).lmax, CouplingTensor(2).d, CouplingTensor(2).dims) == (2, 9, (9, 9, 9))
    assert np.array_equal(CouplingTensor("0e+1o+2e").array, CouplingTensor.even(2).array)


@pytest.mark.parametrize("scale", [1e-200, 1e-170, 1e155, 1e200])
def test_any_scale(scale: float) -> None:
    """What squares would lose: the norm and the spectrum are those of weights 1, times the scale."""
    for coupling in (1, "1o+1o+0e x 0e+1o -> 1o+1o"):
        one = CouplingTensor(coupling)
        tensor = CouplingTensor(coupling, tuple(scale * w for w in one.weights))
        assert_close(tensor.norm / scale, one.norm, 1e-14 * one.norm, "norm / scale")
        assert_close(tensor.project(tensor.array).weights / np.array(scale), one.weights, 1e-14, "weights / scale")
        for mode in (0, 1, 2):
            assert_close(tensor.singular_values(mode) / scale, one.singular_values(mode), 1e-14, "sigma / scale")


@pytest.mark.parametrize(
    ("given_value", "error", "fragments"),
    [
        ("0e+1", ValueError, ["with and without parity"]),
        ("0e+1x", ValueError, ["0e+1x", "joined by +"]),
        ("0e x 0e", ValueError, ["0e x 0e", "-> z-irreps"]),
        ("0e x 0e -> 1o", ValueError, ["no path couples 0e x 0e -> 1o", "zero"]),
        (None, TypeError, ["None", "'0e+1o+2e'"]),
        (True, TypeError, ["True"]),
    ],
)
def test_bad_couplings(given_value, error, fragments) -> None:
    with refuses(error, *fragments):
        Coupling.of(given_value)


@pytest.mark.parametrize(
    ("paths", "fragments"),
    [
        ([(0, 0, 2)], ["slot 2 of z", "2 slots"]),
        ([(0, 1, 0)], ["0ex1o->0e", "not admissible"]),
        ([(0, 0, 0), (0, 0, 0)], ["twice", "add up"]),
        ([], ["no path couples"]),
    ],
)
def test_bad_paths(paths, fragments) -> None:
    irreps_of = Coupling.of("0e+1o").x
    with refuses(ValueError, *fragments):
        Coupling(irreps_of, irreps_of, irreps_of, paths)


def test_no_maximal_degree() -> None:
    with refuses(ValueError, "0e+1o x 0e+1o -> 0e+1o has no L", "without parity"):
        _ = CouplingTensor("0e+1o").lmax


@pytest.mark.parametrize("mode", [3, -1, "k"])
def test_bad_mode(mode) -> None:
    with refuses(ValueError, f"mode is {mode!r}", "0 (k), 1 (i) or 2 (j)"):
        CouplingTensor(1).singular_values(mode)
