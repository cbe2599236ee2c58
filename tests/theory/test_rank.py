"""Exact rank bounds: modular arithmetic, flattenings of known rank, and consistency with known decompositions."""

from __future__ import annotations

from dataclasses import replace
from math import comb
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import Store
from tdn_theory.so3.clebsch_gordan import clebsch_gordan, real_basis
from tdn_theory.so3.irreps import paths
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import assert_close
from tdn_theory.theory import rank
from tests import reference
from tests.assertions import (
    assert_any_weights_bound,
    assert_bounds_atlas,
    assert_kruskal_limit,
    assert_modular_rank,
    assert_pair_bound,
    assert_rank_bound,
    refuses,
)


def test_the_prime() -> None:
    p = rank.prime()
    assert p < 2**22
    assert all(p % q for q in range(2, 2049))  # 2048^2 = 2^22
    for q in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        root = rank.modular_root(q)
        assert root * root % p == q
    assert rank.modular_root(12) == 2 * rank.modular_root(3) % p


@given(strategies.seeds(), st.integers(1, 40), st.integers(1, 40), st.integers(0, 12))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_modular_rank(seed: int, rows: int, columns: int, inner: int) -> None:
    """Products of small integer matrices, of any rank: never above the rational rank, and equal to it here."""
    assert_modular_rank(rank.modular_rank, rows, columns, inner, seed)


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
    spectra = [tensor.singular_values(mode) for mode in (0, 1, 2)]
    # copies that meet alike leave singular values of roundoff; weights are at least 1e-3
    wanted = max(int(np.count_nonzero(values > 1e-9 * max(values[0], 1e-300))) for values in spectra)
    assert rank.flattening_bound(tensor) == wanted


@given(st.data(), strategies.seeds(), st.integers(1, 8))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_koszul_never_exceeds_a_known_rank(data: st.DataObject, seed: int, R: int) -> None:
    """Sums of R rank-one tensors of small integers."""
    p = data.draw(st.integers(1, 3))
    assert_rank_bound(lambda T: rank._koszul(T, reference.ungraded(T), p, seed), 9, R, seed)


def test_koszul_of_a_generic_tensor() -> None:
    """(2p+1)/(p+1) d at most, which a generic tensor reaches."""
    T = np.random.default_rng(0).integers(0, 1000, (9, 9, 9)).astype(float)
    assert [rank._koszul(T, reference.ungraded(T), p, 0) for p in (1, 2, 3)] == [14, 15, 16]


@pytest.mark.parametrize(("coupling", "p"), [(1, 1), ("1 x 1 -> 1", 1), ("1 x 2 -> 2", 2), (2, 4)])
def test_blocks_of_the_koszul_map(coupling: int | str, p: int) -> None:
    """Their ranks add up to that of the whole map, by its definition in the real basis and in floats.

    Where 2p + 1 is the dimension, the projection changes nothing; at L = 1 another one has the same rank.
    """
    tensor = CouplingTensor(coupling)
    found = rank.koszul_bound(tensor, p)
    A = np.random.default_rng(0).standard_normal((2 * p + 1, tensor.coupling.shape[0]))
    slices = np.tensordot(A, tensor.array, 1)
    matrix = reference.koszul_map(slices, p)
    values = np.linalg.svd(matrix, compute_uv=False)
    wanted = int(np.sum(values > 1e-9 * values[0]))
    assert found == -(-wanted // comb(2 * p, p))


def test_the_papers_tensors() -> None:
    """Lower bounds on the border rank; exact decompositions with 8 and 30 terms are known."""
    one, two, three = (CouplingTensor(lmax) for lmax in (1, 2, 3))
    assert [rank.flattening_bound(t) for t in (one, two, three)] == [4, 9, 16]
    assert rank.koszul_bound(one, 1) == 6
    assert rank.border_substitution_bound(two, 3) == 17
    assert rank.border_substitution_bound(three, 4, 2) == 31
    for lmax in range(1, 5):
        tensor = CouplingTensor(lmax)
        assert rank.koszul_bound(tensor, 1) > rank.kruskal_limit(tensor.d)


def test_the_normalisation_does_not_matter() -> None:
    even = CouplingTensor.even(2)
    assert rank.koszul_bound(even, 2) == rank.koszul_bound(CouplingTensor.even(2, "component"), 2)


def test_best_known(tmp_path) -> None:
    """Theorem if nothing is stored; inexact decompositions do not count; proven ones go before numerical ones."""
    store, tensor = Store(tmp_path, ()), CouplingTensor(1)
    assert rank.best_known(tensor, store, []) == [rank.UpperBound(12, "slices in pairs", True)]
    factors = LevenbergMarquardt(6, max_iterations=5).solve(tensor).factors
    store.save(CPSolution(tensor, factors, Status.STALLED, factors.relative_residual(tensor.array), {}))
    assert rank.best_known(tensor, store, [])[0].rank == 12
    store.save(LevenbergMarquardt(8, ridge=1e-3).solve(tensor))
    assert rank.best_known(tensor, store, [])[0] == rank.UpperBound(8, "numerical", False)
    found = rank.best_known(tensor, store, atlas.entries())
    assert found[:2] == [rank.UpperBound(8, "newton", True), rank.UpperBound(8, "numerical", False)]
    assert rank.best_known(CouplingTensor.even(1), store, atlas.entries())[0].rank == 12  # its weights are not 1
    near = atlas.best(1, max_rank=7).tensor  # free weights: proven for a tensor near this one, not for it
    assert rank.best_known(near, store, atlas.entries()) == [rank.UpperBound(12, "slices in pairs", True)]


@pytest.mark.parametrize("lmax", [1, 2, 3])
def test_no_bound_exceeds_a_proven_rank(lmax: int) -> None:
    """Gaunt products, matrix products and path-weighted tensors: the bounds were not made for any of them."""
    assert_bounds_atlas(rank.flattening_bound, lmax)
    assert_bounds_atlas(lambda tensor: rank.koszul_bound(tensor, 1), lmax)
    assert_bounds_atlas(lambda tensor: rank.border_substitution_bound(tensor, 1, min(lmax, 2)), lmax)


def test_closed_formulas() -> None:
    assert_pair_bound(rank.pair_bound)
    assert_kruskal_limit(rank.kruskal_limit)


@given(strategies.coupling_tensors(1, 2, nonzero=True))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_koszul_of_random_equivariant_maps(tensor: CouplingTensor) -> None:
    """At most what any tensor of its shape has, by every mode; for the paper's features, at least half an unfolding."""
    for mode, d in enumerate(tensor.array.shape):
        if d >= 3:
            assert rank.koszul_bound(tensor, 1, mode=mode) <= rank.pair_bound(*tensor.dims)
    if tensor.coupling.cube and tensor.lmax:
        assert rank.flattening_bound(tensor) / 2 <= rank.koszul_bound(tensor, 1)


@pytest.mark.parametrize(
    ("coupling", "terms", "floor"),
    [("0+1 x 0+1+2+3 -> 0+1", 12, 9), ("0e+1o x 0e+1o+2e+3o -> 0e+1o", 9, 9), ("0+1 x 0+1 -> 0", 4, 4)],
)
def test_unequal_slots(coupling: str, terms: int, floor: int) -> None:
    """Ranks that are reached bound what is proven from below; the largest dimension that has paths bounds it."""
    tensor = CouplingTensor(coupling)
    solver = EquivariantLevenbergMarquardt(terms, max_seconds=60)
    solution = next(s for s in (replace(solver, seed=n).solve(tensor) for n in range(5)) if s.exact)
    bounds = [rank.koszul_bound(solution.tensor, 1, mode=m) for m, d in enumerate(tensor.array.shape) if d >= 3]
    bounds += [rank.flattening_bound(solution.tensor), rank.any_weights_bound(coupling)]
    assert max(bounds) <= terms
    assert rank.flattening_bound(tensor) == floor
    assert rank.best_known(tensor, Store(Path("nowhere"), ()), [])[0].rank == rank.pair_bound(*tensor.dims)


def test_weights_of_modes_are_those_of_the_tensor() -> None:
    """From p = 4 on the map is cut into blocks: no entry may be outside of them."""
    for coupling in (2, "1 x 2 -> 3+1"):
        tensor = CouplingTensor(coupling)
        z, x, y = rank._weights(tensor.coupling, 4)
        total = z[:, None, None] + x[:, None] + y
        assert not rank.modular_tensor(tensor)[total != 0].any()
        assert np.any(x)
        assert np.any(y)
    slices, chosen = rank._project(rank.modular_tensor(CouplingTensor(2)), rank._weights(Coupling.of(2), 4)[0], 5, 0)
    assert len(slices) == len(chosen) == 5
    assert sorted(chosen) == [-2, -1, 0, 1, 2]
    for weights, size in (([2, 1, -1, -2], 3), ([3, 2], 1), ([0, 0, 1], 2), ([1, 1, -1, 0], 4)):
        part = np.ones((len(weights), 1, 1))
        assert len(rank._project(part, np.array(weights), size, 0)[1]) == size


def test_border_substitution_needs_degrees_that_differ() -> None:
    assert rank.border_substitution_bound(CouplingTensor("0+1+2 x 0+1+2 -> 2+0+1"), 1, 1) == 15
    with refuses(ValueError, "a degree twice in the output"):
        rank.border_substitution_bound(CouplingTensor("0+1 x 0+1 -> 1+1"), 1)


def borel_fixed(lmax: int, depths: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A subspace that J_+ and J_z map to itself, columns: J_+^n of `sum_l c_l e^l_m`, its leading degree given."""
    d = (lmax + 1) ** 2
    raising = np.zeros((d, d))
    for l in range(lmax + 1):
        for m in range(-l, l):
            raising[l * l + l + m + 1, l * l + l + m] = np.sqrt(l * (l + 1) - m * (m + 1))
    columns = []
    for l, depth in enumerate(depths):
        if depth:
            m = l - depth + 1
            vector = np.zeros(d)
            for below in range(abs(m), l + 1):
                vector[below * below + below + m] = rng.standard_normal()
            for _ in range(depth):
                columns.append(vector)
                vector = raising @ vector
    return np.array(columns).reshape(-1, d).T


@pytest.mark.parametrize("depths", [(0, 0, 1), (0, 1, 1), (0, 0, 2), (1, 1, 2), (0, 2, 3), (0, 0, 4)])
def test_fixed_subspaces_are_covered(depths: tuple[int, ...], rng: np.random.Generator) -> None:
    """Spaces that the Borel group fixes, made at random, lie in one of the spans that the bound goes through."""
    space = borel_fixed(2, depths, rng)
    support = set(np.flatnonzero(np.abs(space).max(axis=1)).tolist())
    assert any(support <= span for span in rank._fixed_spans(Coupling.of(2).z, int(np.linalg.matrix_rank(space))))


def test_the_bound_for_any_weights() -> None:
    assert [rank.any_weights_bound(lmax) for lmax in range(7)] == [(lmax + 1) ** 2 + lmax for lmax in range(7)]
    assert rank.any_weights_bound(0) == outer_product(CouplingTensor(0)).rank
    for l in range(4):  # with a scalar, what is to be done is known
        assert rank.any_weights_bound(f"0 x {l} -> {l}") == outer_product(CouplingTensor(f"0 x {l} -> {l}")).rank
    assert rank.any_weights_bound("1+1 x 1 -> 1") == 4  # that of one copy: in another basis the other is left out


def test_the_even_paths_of_degree_one_take_six_terms() -> None:
    """No multiples of the other slices make the scalar's have rank below three; six terms are proven to be enough."""
    tensor = CouplingTensor.even(1)
    assert rank.scalar_bound(tensor.alive.coupling) == 6 == atlas.best(1, paths="even").rank
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = rng.choice([-2.0, -1.0, 0.5, 3.0], 4)
        slices = CouplingTensor(tensor.alive.coupling, tuple(weights)).array
        lambdas = rng.standard_normal(3) + 1j * rng.standard_normal(3)
        lambdas *= np.exp(rng.uniform(-5, 5))
        direction = slices[0] + np.tensordot(lambdas, slices[1:], 1)
        assert np.linalg.matrix_rank(direction[1:, 1:], tol=1e-6) == 3
    assert rank.scalar_bound(1) == 4  # the path 1 x 1 -> 1 fills the block of vectors, which says no more then
    assert rank.scalar_bound("0 x 2 -> 2") == 5
    assert rank.scalar_bound("1 x 1 -> 2") == 1  # without a scalar it says nothing
    assert rank.scalar_bound("0e+1o x 0e+1o -> 0e+1o+2e") == 9  # of z; of x the block 1 x 1 -> 2 is filled


@pytest.mark.parametrize("entry", atlas.entries(), ids=repr)
def test_no_entry_has_fewer_than_the_least_terms(entry: atlas.AtlasEntry) -> None:
    coupling = entry.tensor.alive.coupling
    assert rank.any_weights_bound(coupling) <= rank.least_terms(coupling) <= entry.rank


@given(strategies.couplings(), strategies.seeds())
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_what_is_left_of_any_weights(coupling: Coupling, seed: int) -> None:
    assert_any_weights_bound(rank.any_weights_bound, coupling, seed)


@pytest.mark.parametrize("path", paths(4), ids=str)
def test_single_paths(path) -> None:
    """J + 1 by substitution of all components but one, of any mode; at stretched paths, one more over the reals."""
    l1, l2, l3 = path
    text = f"{l1} x {l2} -> {l3}"
    assert rank.any_weights_bound(text) == l1 + l2 + l3 + 1
    if l3:
        assert rank.border_substitution_bound(CouplingTensor(text), 0, 2 * l3) == l1 + l2 + l3 + 1
    stretched = min(path) > 0 and 2 * max(path) == sum(path)
    assert rank.real_path_bound(*path) == l1 + l2 + l3 + 1 + stretched
    if stretched and max(path) == l3:  # no real z has a matrix of rank 1: its other minors cannot all vanish
        z = np.random.default_rng(0).standard_normal((1000, 2 * l3 + 1))
        values = np.linalg.svd(np.tensordot(z, clebsch_gordan(l1, l2, l3), 1), compute_uv=False)
        assert (values[:, 1] / values[:, 0]).min() > 1e-3


def test_the_real_rank_of_a_stretched_path_is_found() -> None:
    """Symmetric matrices without trace: five complex terms, and six real ones."""
    tensor = CouplingTensor("1 x 1 -> 2")
    assert LevenbergMarquardt(rank.real_path_bound(1, 1, 2)).solve(tensor).exact
    angles = 2 * np.pi * np.arange(5) / 5
    v = np.stack([np.cos(angles), np.sin(angles), 1j * np.ones(5)])
    basis = np.einsum("kij,ir,jr->kr", tensor.array, v, v)
    A = np.linalg.inv(basis).T / 5  # the matrices of z have square length 1 / 5
    assert_close(np.einsum("kr,ir,jr->kij", A, v, v), tensor.array, 1e-12, "five complex terms")


def test_substitution_and_flattening_may_be_of_different_modes() -> None:
    """Two components less of 9; what is projected best is the smallest mode, since its map is of the two others."""
    tensor = CouplingTensor("3 x 2 -> 4")
    assert [rank.border_substitution_bound(tensor, 1, 2, mode=mode) for mode in (0, 1, 2)] == [10, 10, 13]


def test_border_substitution_gains_by_steps() -> None:
    three = CouplingTensor(3)
    assert [rank.border_substitution_bound(three, 2, steps) for steps in (1, 2)] == [28, 29]
    assert set(rank._fixed_spans(Coupling.of(3).z, 1)) == {frozenset({l * l + 2 * l}) for l in range(4)}


def test_errors_teach() -> None:
    with refuses(ValueError, "L is 13", "at most 12"):
        rank.modular_tensor(CouplingTensor(13, {(0, 0, 0): 1.0}))
    with refuses(ValueError, "p is 2", "dimension 4"):
        rank.koszul_bound(CouplingTensor(1), 2)
    with refuses(ValueError, "not concise"):
        rank.border_substitution_bound(CouplingTensor(1, {(0, 0, 0): 1.0}), 1)
    with refuses(ValueError, "number of steps is 0", "at least 1"):
        rank.border_substitution_bound(CouplingTensor(1), 1, 0)
    with refuses(ValueError, "may leave 0 components", "fewer steps"):
        rank.border_substitution_bound(CouplingTensor("1 x 1 -> 1"), 0, 3)
    with refuses(ValueError, "may leave 2 components", "fewer steps"):
        rank.border_substitution_bound(CouplingTensor(1), 1, 2)


@pytest.mark.parametrize("p", [2, 3])
def test_a_family_of_fixed_planes(p: int) -> None:
    """At any t the bound is at most that of M without the plane, whose annihilator is found from the definition."""
    tensor = CouplingTensor(2)
    T, prime = rank.modular_tensor(tensor), rank.prime()
    same, below, highest = 7, 3, 8  # e^2_1, e^1_1, e^2_2
    (span,) = [span for span in rank._fixed_spans(tensor.coupling.z, 2) if span == {same, below, highest}]
    found = rank._family_bound(T, rank._weights(tensor.coupling, p), tensor.coupling.z, span, p, 0)
    others = [T[k] for k in range(9) if k not in span]
    for t in (0, 1, 2, 5, prime - 1, prime // 2, 12345):
        left = np.array([*others, (T[below] - t * T[same] % prime) % prime])
        assert found <= rank._koszul(left, reference.ungraded(left), p, 1)
    left = np.array([*others, T[same]])  # t at infinity
    assert found <= rank._koszul(left, reference.ungraded(left), p, 1)
    assert found >= {2: 12, 3: 15}[p]


def test_leaving_out_planes_alone_gains() -> None:
    """The border rank of M is 32 at least at L = 3: leaving out all that holds a family of planes gives 31."""
    tensor = CouplingTensor(3)
    T, weights = rank.modular_tensor(tensor), rank._weights(tensor.coupling, 5)
    (span,) = [span for span in rank._fixed_spans(tensor.coupling.z, 2) if len(span) == 3 and 15 in span]
    kept = [k for k in range(16) if k not in span]
    assert rank._koszul(T[kept], (weights[0][kept], *weights[1:]), 5, 0) == 29
    assert rank._family_bound(T, weights, tensor.coupling.z, span, 5, 0) == 30
