"""Exact rank bounds: modular arithmetic, flattenings of known rank, and consistency with known decompositions."""

from __future__ import annotations

from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import Store
from tdn_theory.so3.clebsch_gordan import clebsch_gordan, real_basis
from tdn_theory.so3.irreps import paths
from tdn_theory.theory import rank
from tests import reference, strategies
from tests.assertions import assert_close, refuses


def fraction_rank(matrix: np.ndarray) -> int:
    """Gaussian elimination over the rational numbers."""
    rows = [[Fraction(int(value)) for value in row] for row in matrix]
    found = 0
    for column in range(matrix.shape[1]):
        pivot = next((r for r in range(found, len(rows)) if rows[r][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for r in range(found + 1, len(rows)):
            factor = rows[r][column] / rows[found][column]
            rows[r] = [a - factor * b for a, b in zip(rows[r], rows[found], strict=True)]
        found += 1
    return found


def test_the_prime() -> None:
    p = rank.prime()
    assert p < 2**22
    assert all(p % q for q in range(2, 2049))  # 2048^2 = 2^22
    for q in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        root = rank._root(q)
        assert root * root % p == q
    assert rank._root(12) == 2 * rank._root(3) % p


@given(strategies.seeds(), st.integers(1, 40), st.integers(1, 40), st.integers(0, 12))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_modular_rank(seed: int, rows: int, columns: int, inner: int) -> None:
    """Products of small integer matrices, of any rank: never above the rational rank, and equal to it here."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-3, 4, (rows, inner)) @ rng.integers(-3, 4, (inner, columns))
    assert rank.modular_rank(matrix.astype(float)) == fraction_rank(matrix)


def test_modular_rank_over_several_blocks() -> None:
    rng = np.random.default_rng(0)
    for rows, columns, inner in ((400, 300, 170), (130, 500, 129), (300, 300, 300)):
        matrix = rank._reduce(
            (rng.integers(0, 50, (rows, inner)) @ rng.integers(0, 50, (inner, columns))) * 1.0, rank.prime()
        )
        assert rank.modular_rank(matrix) == inner


def test_modular_rank_sees_zeros_modulo_the_prime() -> None:
    p = float(rank.prime())
    assert rank.modular_rank(np.array([[p, 0.0], [0.0, 1.0]])) == 1
    assert rank.modular_rank(np.zeros((3, 2))) == 0
    assert rank.modular_rank(np.zeros((0, 2))) == 0


@pytest.mark.parametrize("path", paths(3), ids=str)
def test_the_complex_basis_has_the_same_tensor(path) -> None:
    """What modular_tensor rests on: the real block is the complex one in another basis, its sign included."""
    l1, l2, l3 = path
    block = np.zeros((2 * l3 + 1, 2 * l1 + 1, 2 * l2 + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            a, b, c = l1 + l2 - l3, l1 - l2 + l3, -l1 + l2 + l3
            value = float(rank._integer_coefficient(path, m1, m2))
            for l, m in ((l1, m1), (l2, m2), (l3, m1 + m2)):
                value *= np.sqrt(float(reference.factorial(l + m) * reference.factorial(l - m)))
            denominator = reference.factorial(l1 + l2 + l3 + 1)
            denominator *= reference.factorial(a) * reference.factorial(b) * reference.factorial(c)
            block[l3 + m1 + m2, l1 + m1, l2 + m2] = value / np.sqrt(float(denominator))
    bases = real_basis(l3).conj(), real_basis(l1), real_basis(l2)
    real = np.einsum("cab,ck,ai,bj->kij", block, *bases, optimize=True)
    assert_close(real, clebsch_gordan(l1, l2, l3), 1e-13, "complex block in the real basis")


@given(strategies.coupling_tensors(0, 2))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_flattenings(tensor: CouplingTensor) -> None:
    """The unfoldings' ranks are the numbers of nonzero singular values."""
    wanted = max(int(np.count_nonzero(tensor.singular_values(mode))) for mode in (0, 1, 2))
    assert rank.flattening_bound(tensor) == wanted


@given(st.data(), strategies.seeds(), st.integers(1, 8))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_koszul_never_exceeds_a_known_rank(data: st.DataObject, seed: int, R: int) -> None:
    """Sums of R rank-one tensors of small integers."""
    A, B, C = np.random.default_rng(seed).integers(0, 3, (3, 9, R)).astype(float)
    T = np.einsum("kr,ir,jr->kij", A, B, C)
    assert rank._koszul(T, data.draw(st.integers(1, 3)), seed) <= R


def test_koszul_of_a_generic_tensor() -> None:
    """(2p+1)/(p+1) d at most, which a generic tensor reaches."""
    T = np.random.default_rng(0).integers(0, 1000, (9, 9, 9)).astype(float)
    assert [rank._koszul(T, p, 0) for p in (1, 2, 3)] == [14, 15, 16]


def test_the_papers_tensors() -> None:
    """Lower bounds on the border rank; exact decompositions with 8 and 30 terms are known."""
    one, two, three = (CouplingTensor(lmax) for lmax in (1, 2, 3))
    assert [rank.flattening_bound(t) for t in (one, two, three)] == [4, 9, 16]
    assert rank.koszul_bound(one, 1) == 6
    assert rank.border_substitution_bound(two, 3) == 17
    assert rank.border_substitution_bound(three, 2) == 28
    for lmax in range(1, 5):
        tensor = CouplingTensor(lmax)
        assert rank.koszul_bound(tensor, 1) > rank.kruskal_limit(tensor.d)


def test_the_normalisation_does_not_matter() -> None:
    even = CouplingTensor.even(2)
    assert rank.koszul_bound(even, 2) == rank.koszul_bound(CouplingTensor.even(2, "component"), 2)


def test_kruskal_rank() -> None:
    assert rank.kruskal_rank(np.eye(4)) == 4
    assert rank.kruskal_rank(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])) == 2
    assert rank.kruskal_rank(np.array([[1.0, 2.0], [1.0, 2.0]])) == 1
    assert rank.kruskal_rank(np.array([[0.0, 2.0], [0.0, 2.0]])) == 0


def test_best_known(tmp_path) -> None:
    """Theorem if nothing is stored; inexact decompositions do not count."""
    store, tensor = Store(tmp_path, ()), CouplingTensor(1)
    assert rank.best_known(tensor, store) == rank.UpperBound(12, "slices in pairs", 0.0)
    factors = LevenbergMarquardt(6, max_iterations=5).solve(tensor).factors
    store.save(CPSolution(tensor, factors, Status.STALLED, factors.relative_residual(tensor.array), {}))
    assert rank.best_known(tensor, store).rank == 12
    store.save(LevenbergMarquardt(8, ridge=1e-3).solve(tensor))
    found = rank.best_known(tensor, store)
    assert (found.rank, found.source) == (8, "stored")
    assert found.rank >= rank.koszul_bound(tensor, 1)


def test_errors_teach() -> None:
    with refuses(ValueError, "L is 13", "at most 12"):
        rank.modular_tensor(CouplingTensor(13, {(0, 0, 0): 1.0}))
    with refuses(ValueError, "p is 2", "dimension 4"):
        rank.koszul_bound(CouplingTensor(1), 2)
    with refuses(ValueError, "not concise"):
        rank.border_substitution_bound(CouplingTensor(1, {(0, 0, 0): 1.0}), 1)
    with refuses(ValueError, "17 columns", "at most 16"):
        rank.kruskal_rank(np.ones((3, 17)))
