"""Products of several inputs: chains, trees and terms against their definitions, and bounds from flattenings."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.constructions import cubature
from tdn_theory.cp.constructions.matrix_multiplication import basis, matrix_multiplication
from tdn_theory.so3.irreps import component_slice, dim
from tdn_theory.so3.rotation import haar_rotations, wigner_D
from tdn_theory.testing.strategies import rotations, seeds
from tdn_theory.theory import multilinear as ml

ROUNDING = 1e-11


def random_tensor(lmax, inputs, seed=0):
    return np.random.default_rng(seed).standard_normal((dim(lmax),) * (inputs + 1))


def turned(T, lmax, rotation):
    """D on every mode."""
    D = wigner_D(lmax, rotation)
    for mode in range(T.ndim):
        T = np.moveaxis(np.tensordot(D, T, (1, mode)), 0, mode)
    return T


@given(seeds(), st.integers(2, 4))
def test_a_chain_multiplies_one_input_after_the_other(seed, inputs):
    tensor, rng = CouplingTensor(1, (1.0, -0.5, 2.0, 1.5, 1.0)), np.random.default_rng(seed)
    vectors = rng.standard_normal((inputs, 4))
    found, wanted = ml.chain(tensor, inputs), vectors[0]
    for vector in vectors[1:]:
        wanted = np.einsum("kij,i,j->k", tensor.array, wanted, vector)
    for vector in vectors:
        found = np.tensordot(found, vector, (1, 0))
    np.testing.assert_allclose(found, wanted, atol=1e-10)


@pytest.mark.parametrize(("lmax", "inputs"), [(1, 1), (1, 2), (1, 3), (2, 3), (1, 4)])
def test_trees_are_an_orthonormal_basis_of_all_equivariant_tensors(lmax, inputs):
    trees, invariants = [], 0
    for degrees in product(range(lmax + 1), repeat=inputs + 1):
        where = tuple(component_slice(l) for l in degrees)
        for tree in ml._trees(degrees[0], degrees[1:]):
            whole = np.zeros((dim(lmax),) * (inputs + 1))
            whole[where] = tree
            trees.append(whole.ravel())
        # how often the trivial representation occurs in the tensor product, degree by degree
        reached = {0: 1}
        for l in degrees:
            following: dict[int, int] = {}
            for m, count in reached.items():
                for n in range(abs(m - l), m + l + 1):
                    following[n] = following.get(n, 0) + count
            reached = following
        invariants += reached.get(0, 0)
    assert len(trees) == invariants
    np.testing.assert_allclose(np.array(trees) @ np.array(trees).T, np.eye(len(trees)), atol=ROUNDING)


@given(seeds(), rotations())
def test_the_projection_is_equivariant_and_keeps_what_is(seed, rotation):
    T = random_tensor(1, 3, seed)
    projected = ml.project(T)
    np.testing.assert_allclose(turned(projected, 1, rotation), projected, atol=ROUNDING)
    np.testing.assert_allclose(ml.project(turned(T, 1, rotation)), projected, atol=ROUNDING)
    np.testing.assert_allclose(ml.project(projected), projected, atol=ROUNDING)
    chain = ml.chain(CouplingTensor(1), 3)
    np.testing.assert_allclose(ml.project(chain), chain, atol=ROUNDING)


def test_the_mean_square_error_is_that_of_many_rotations():
    """By Monte Carlo: the mean of ||T - D T||^2, over rotations, is that over inputs, too, of identity covariance."""
    T, rng = random_tensor(1, 3), np.random.default_rng(0)
    squares = [np.square(T - turned(T, 1, R)).sum() for R in haar_rotations(2000, rng)]
    error = np.std(squares) / np.sqrt(len(squares))
    assert abs(np.mean(squares) - ml.mean_square_error(T)) < 5 * error


@given(seeds(), st.integers(2, 3), st.integers(1, 5))
def test_no_sum_of_terms_is_below_the_bound(seed, inputs, rank):
    rng = np.random.default_rng(seed)
    T = random_tensor(1, inputs, seed)
    terms = ml.Terms(tuple(rng.standard_normal((4, rank)) for _ in range(inputs + 1)))
    bound = ml.residual_lower_bound(T, rank)
    fitted = ml.fit(T, rank, seed % 100, sweeps=5)
    assert np.linalg.norm(fitted.array - T) / np.linalg.norm(T) >= bound - ROUNDING
    assert ml.residual_lower_bound(terms.array, rank) == pytest.approx(0, abs=ROUNDING)


def test_terms_are_summed_as_defined(rng):
    A, B, C, D = (rng.standard_normal((d, 5)) for d in (2, 3, 4, 6))
    found = ml.Terms((A, B, C, D))
    np.testing.assert_allclose(found.array, np.einsum("ar,br,cr,dr->abcd", A, B, C, D), atol=ROUNDING)
    assert repr(found) == "Terms(R=5, 3 inputs)"


def test_a_fit_of_an_exact_rank_finds_it(rng):
    T = ml.Terms(tuple(rng.standard_normal((4, 2)) for _ in range(4))).array
    assert min(np.linalg.norm(ml.fit(T, 2, seed).array - T) for seed in range(3)) < 1e-6 * np.linalg.norm(T)


@pytest.mark.parametrize(("lmax", "inputs"), [(1, 2), (1, 3), (2, 3), (1, 4)])
def test_the_cubature_of_several_harmonics_is_equivariant_and_their_mean(lmax, inputs):
    rule = cubature.rule((inputs + 1) * lmax)
    T = ml.gaunt(lmax, inputs, rule).array
    assert ml.mean_square_error(T) < ROUNDING * np.square(T).sum()
    finer = ml.gaunt(lmax, inputs, cubature.lebedev(31)).array
    np.testing.assert_allclose(T, finer, atol=1e-10)
    if inputs == 2:
        np.testing.assert_allclose(T, cubature.gaunt(lmax, rule).array, atol=ROUNDING)


def test_a_product_of_matrices_is_one_after_the_other(rng):
    units = basis(2)[..., 0]
    T = ml.matrix_chain(2, 3).array
    vectors = rng.standard_normal((3, 9))
    X, Y, Z = (np.tensordot(v, units, 1) for v in vectors)
    wanted = np.tensordot(units, X @ Y @ Z, ([1, 2], [0, 1]))
    np.testing.assert_allclose(np.einsum("kijm,i,j,m->k", T, *vectors), wanted, atol=1e-10)
    np.testing.assert_allclose(ml.matrix_chain(2, 2).array, matrix_multiplication(2).array, atol=1e-10)
    assert ml.mean_square_error(T) < ROUNDING
    ranks = {rows: int((values > 1e-9).sum()) for rows, values in ml.flattening_spectra(T).items()}
    assert ranks[0, 2] == 81 == ml.matrix_chain(2, 3).rank


@pytest.mark.parametrize("lmax", [0, 1, 2])
def test_the_exact_bound_on_the_rank_of_a_chain_is_the_numerical_rank(lmax):
    values = ml.flattening_spectra(ml.chain(CouplingTensor(lmax), 3))[0, 1]
    assert ml.chain_rank_bound(lmax) == (values > 1e-9 * values[0]).sum() == dim(lmax) ** 2


def test_a_symmetrized_product_does_not_see_the_order_of_its_inputs():
    T = ml.symmetrized(ml.chain(CouplingTensor(1), 3))
    for order in ((0, 2, 1, 3), (0, 3, 2, 1)):
        np.testing.assert_allclose(T.transpose(order), T, atol=ROUNDING)
    x = np.arange(1.0, 5)
    chain = ml.chain(CouplingTensor(1), 3)
    np.testing.assert_allclose(np.einsum("kijm,i,j,m->k", T, x, x, x), np.einsum("kijm,i,j,m->k", chain, x, x, x))


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="cannot be chained"):
        ml.chain(CouplingTensor(Coupling.of("0e x 1o -> 1o")), 3)
    with pytest.raises(ValueError, match="too weak"):
        ml.gaunt(2, 3, cubature.rule(6))
    with pytest.raises(ValueError, match="must be even"):
        ml.matrix_chain(1, 3)
    with pytest.raises(ValueError, match="every mode"):
        ml.project(np.zeros((4, 4, 9)))
    with pytest.raises(ValueError, match="is zero"):
        ml.residual_lower_bound(np.zeros((4, 4, 4)), 1)
    with pytest.raises(ValueError, match="same R"):
        ml.Terms((np.ones((4, 2)), np.ones((4, 3))))
