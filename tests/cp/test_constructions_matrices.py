"""Matrix multiplication as an equivariant product."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from sympy.physics.wigner import wigner_6j

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.constructions.matrix_multiplication import (
    FOLDER,
    MatrixAlgorithm,
    algorithm,
    basis,
    factors_of,
    matrix_multiplication,
    matrix_weights,
    quaternion_algorithm,
)
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3.irreps import component_slice
from tests.assertions import refuses

RANKS = {0: 1, 1: 8, 2: 23, 3: 56, 4: 93, 5: 184, 6: 249, 7: 384, 8: 486}


def schoolbook(size: int) -> MatrixAlgorithm:
    """The definition of the matrix product, size^3 multiplications."""
    left, right, out = np.zeros((3, size, size, size**3), dtype=np.int64)
    for r, (a, b, c) in enumerate(np.ndindex(size, size, size)):
        left[a, b, r] = right[b, c, r] = out[a, c, r] = 1
    return MatrixAlgorithm(size, left, right, out)


def product_of(lmax: int) -> CPFactors:
    return matrix_multiplication(lmax) if lmax in RANKS else factors_of(schoolbook(lmax + 1), lmax)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 9])
def test_algorithms_multiply_matrices(size, rng):
    found = algorithm(size)
    found.check()
    x, y = rng.integers(-9, 9, size=(2, size, size))
    products = np.einsum("abr,ab->r", found.left, x) * np.einsum("abr,ab->r", found.right, y)
    np.testing.assert_array_equal(found.out @ products, found.denominator * (x @ y))


def test_a_wrong_coefficient_is_found():
    for size in (4, 5, 7, 9):
        assert algorithm(size).table == (FOLDER / f"{size}.txt").read_text().strip()
    right = algorithm(3)
    left = right.left.copy()
    left[0, 0, 0] += 1
    with refuses(ValueError, "Brent equations"):
        MatrixAlgorithm(3, left, right.right, right.out).check()
    with refuses(ValueError, "Brent equations"):
        MatrixAlgorithm(3, right.left, right.right, right.out, 2).check()
    with refuses(ValueError, "coefficient 2", "table"):
        _ = MatrixAlgorithm(3, 2 * right.left, right.right, right.out, 2).table


def test_quaternions_multiply():
    A, B, C = quaternion_algorithm()
    table = np.zeros((4, 4, 4))
    units = {(1, 2): 3, (2, 3): 1, (3, 1): 2}
    for n in range(4):
        table[n, 0, n] = table[n, n, 0] = 1
    for n in range(1, 4):
        table[0, n, n] = -1
    for (i, j), k in units.items():
        table[k, i, j], table[k, j, i] = 1, -1
    np.testing.assert_allclose(np.einsum("kr,ir,jr->kij", A, B, C), table, rtol=0, atol=1e-15)


@pytest.mark.parametrize("lmax", range(7))
def test_basis_is_orthonormal(lmax):
    flat = basis(lmax).reshape((lmax + 1) ** 2, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), rtol=0, atol=1e-13)


@pytest.mark.parametrize("lmax", range(7))
def test_product_is_equivariant_with_6j_symbols_as_weights(lmax):
    factors = product_of(lmax)
    assert factors.rank == RANKS.get(lmax, (lmax + 1) ** 3)
    tensor = CouplingTensor(lmax).project(factors.array)
    np.testing.assert_allclose(factors.array, np.array(tensor.array), rtol=0, atol=1e-13 * tensor.norm)
    j = Fraction(lmax, 2)
    closed_form = matrix_weights(lmax)
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        symbol = float(wigner_6j(*path, j, j, j)) if lmax else 1.0
        expected = np.sqrt((1, 2)[lmax % 2] * np.prod([2 * l + 1 for l in path])) * abs(symbol)
        np.testing.assert_allclose(abs(weight), expected, rtol=0, atol=1e-13 * tensor.norm)
        np.testing.assert_allclose(closed_form.get(path, 0.0), expected, rtol=1e-14, atol=1e-15)


def test_degree_2_at_L_3_are_gamma_matrices():
    """`u_i u_j + u_j u_i` is a multiple of the identity (degree 0), so 2x2->2 vanishes."""
    two = component_slice(2)
    product = matrix_multiplication(3).array
    symmetric = (product + product.transpose(0, 2, 1))[:, two, two]
    np.testing.assert_allclose(symmetric[0], 2 / np.sqrt(2) * np.eye(5), rtol=0, atol=1e-13)  # w_000 = 1 / sqrt 2
    np.testing.assert_allclose(symmetric[1:], 0.0, rtol=0, atol=1e-13)


def test_degrees_1_and_5_at_L_6_are_a_subalgebra():
    """Commutators of the 14 of g2 stay among them, so 5x5->3 vanishes; those with degree 3 make all of so(7)."""
    product = matrix_multiplication(6).array
    commutators = product - product.transpose(0, 2, 1)
    g2 = np.r_[component_slice(1), component_slice(5)]
    three = component_slice(3)
    assert len(g2) == 14
    assert np.abs(commutators[np.ix_(g2, g2, g2)]).max() > 0.1
    outside = np.setdiff1d(np.arange(49), g2)
    np.testing.assert_allclose(commutators[np.ix_(outside, g2, g2)], 0.0, rtol=0, atol=1e-12)
    assert np.abs(commutators[three][:, g2, three]).max() > 0.1


def test_missing_paths_are_the_vanishing_symbols():
    def missing(lmax):
        tensor = CouplingTensor(lmax).project(product_of(lmax).array)
        return {tuple(p) for p, w in zip(tensor.paths, tensor.weights, strict=True) if abs(w) < 1e-10}

    assert missing(3) == {(2, 2, 2)}
    assert missing(6) == {(5, 5, 3), (5, 3, 5), (3, 5, 5)}
    assert missing(8) == set(permutations((5, 6, 7)))
    assert all(missing(lmax) == set() for lmax in (1, 2, 4, 5, 7))


def test_refusals_teach():
    with refuses(ValueError, "6x6", "sizes are"):
        algorithm(6)
    with refuses(ValueError, "does not fit", "L = 4"):
        factors_of(algorithm(3), 4)
