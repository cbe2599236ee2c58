"""Assertions shared by all tests. `tests/meta` shows that each of them fails on what it is meant to catch.

Those that users have, too, are in `tdn_theory.testing.assertions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.linalg import block_diag

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3 import irreps, rotation
from tdn_theory.so3.clebsch_gordan import real_basis
from tdn_theory.testing.assertions import EPS, annotations_unchecked, assert_bound, assert_close, part
from tests import reference


@contextmanager
def refuses(error: type[Exception], *fragments: str) -> Iterator[None]:
    """The block raises `error`, and its message has all `fragments`: what was given, what is allowed, what to do.

    It runs with `annotations_unchecked`, so that the error is the one that users meet.
    """
    with annotations_unchecked(), pytest.raises(error) as caught:
        yield
    message = str(caught.value)
    for fragment in fragments:
        if fragment not in message:
            raise AssertionError(f"got the message {message!r}, but it should mention {fragment!r}")


def assert_spectrum(singular_values: Callable[[CouplingTensor, Any], np.ndarray], tensor: CouplingTensor) -> None:
    """`singular_values(tensor, mode)` are those of the three unfoldings, by numpy's SVD, descending."""
    for mode, d in enumerate(tensor.array.shape):
        unfolding = np.moveaxis(tensor.array, mode, 0).reshape(d, -1)
        values = np.linalg.svd(unfolding, compute_uv=False)
        wanted = np.concatenate([values, np.zeros(d - len(values))])  # all d of them, where there are fewer columns
        # backward stability: an SVD errs by a small multiple of eps times the largest singular value
        atol = 8 * max(tensor.array.shape) * EPS * max(float(wanted[0]), EPS)
        assert_close(singular_values(tensor, mode), wanted, atol, f"singular_values({mode}) of {tensor}")


def assert_projection(project: Callable[[np.ndarray], np.ndarray], coupling: CouplingLike, seed: int = 0) -> None:
    """`project` is the orthogonal projection onto the equivariant tensors, (d3, d1, d2) -> (d3, d1, d2).

    That is: idempotent, self-adjoint, the identity on coupling tensors, with values that commute with the generators.
    For degrees <= 2 it is also compared with the average over the group itself, by a quadrature that is exact for it.
    """
    coupling, rng = Coupling.of(coupling), np.random.default_rng(seed)
    first, second = rng.standard_normal((2, *coupling.shape))
    image = project(first)
    atol = 1e-12 * float(np.linalg.norm(first))
    assert_close(project(image), image, atol, "project(project(T))")
    left, right = float(np.vdot(image, second)), float(np.vdot(first, project(second)))
    assert_close(left, right, atol * float(np.linalg.norm(second)), "<project(S), T>")
    fixed = CouplingTensor(coupling, tuple(rng.standard_normal(len(coupling.paths)))).array
    assert_close(project(fixed), fixed, 1e-12 * float(np.linalg.norm(fixed)), "project(M)")
    lmax = reference.highest(coupling)
    for generator in rotation.generators(lmax):
        X3, X1, X2 = (block_diag(*(part(generator, irrep.l) for irrep in mode)) for mode in coupling.modes)
        outer = np.einsum("lk,kij->lij", X3, image)
        inner = np.einsum("kij,ia->kaj", image, X1) + np.einsum("kij,ja->kia", image, X2)
        assert_close(outer, inner, atol * max(lmax, 1), "X project(T)")
    if lmax <= 2:
        assert_close(image, reference.haar_average(first, coupling), atol, "project(T)")


def assert_mean_square(mean_square: Callable[[np.ndarray], float], tensor: np.ndarray, coupling: CouplingLike) -> None:
    """`mean_square(T)` is `E eps^2` (E6), by quadrature over the group."""
    wanted = reference.mean_square_error(tensor, coupling)
    atol = 1e-11 * float(np.linalg.norm(tensor)) ** 2
    assert_close(mean_square(tensor), wanted, atol, "mean_square_error(T)")


def assert_relative_error(relative: Callable[[np.ndarray], float], tensor: np.ndarray, coupling: CouplingLike) -> None:
    """`relative(T)` is `sqrt(E eps^2 / E |T(x, y)|^2)` by quadrature over the group, free of the scale of T."""
    wanted = (reference.mean_square_error(tensor, coupling) / np.sum(tensor**2)) ** 0.5
    for scale in (1.0, 1e-3, -7.0, 1e-200, 1e200):
        assert_close(relative(scale * tensor), wanted, 1e-11, f"relative error of {scale} T")


def assert_supremum(
    supremum: Callable[[np.ndarray], float],
    tensor: np.ndarray,
    search: Callable[[np.ndarray], Any],
    coupling: CouplingLike,
) -> None:
    """No equivariance error that `search(T)` finds (and proves by its rotation and vectors) is above `supremum(T)`."""
    witness = search(tensor)
    assert_close([np.linalg.norm(witness.x), np.linalg.norm(witness.y)], [1.0, 1.0], 1e-12, "lengths of x, y")
    found = reference.equivariance_error(tensor, coupling, witness.rotation, witness.x, witness.y)
    assert_close(witness.value, found, 1e-12 * float(np.linalg.norm(tensor)), "search(T).value")
    assert_bound(supremum(tensor), found, float(np.linalg.norm(tensor)), "supremum_bound(T)")


def assert_truncation_bound(
    core: Callable[[CouplingTensor, int], tuple[int, int, int]], tensor: CouplingTensor, rank: int
) -> None:
    """The core of a bound like T1 belongs to a decomposition of at most `rank` terms, and its residual obeys it.

    So the residual of a best approximation obeys the bound; numpy's SVD and the fibres of the core make the terms.
    """
    ranks = core(tensor, rank)
    terms = min(ranks[0] * ranks[1], ranks[0] * ranks[2], ranks[1] * ranks[2])
    if terms > rank:
        raise AssertionError(f"got core {ranks}, but should be one of at most {rank} terms, not {terms} [core({rank})]")
    truncated = np.asarray(tensor.array)
    squares = 0.0
    for mode, size in enumerate(ranks):
        unfolding = np.moveaxis(tensor.array, mode, 0).reshape(tensor.array.shape[mode], -1)
        U, values, _ = np.linalg.svd(unfolding, full_matrices=False)
        squares += float(np.sum(values[size:] ** 2))
        truncated = np.moveaxis(np.tensordot(U[:, :size] @ U[:, :size].T, np.moveaxis(truncated, mode, 0), 1), 0, mode)
    residual = float(np.linalg.norm(truncated - tensor.array))
    assert_bound(squares**0.5, residual, tensor.norm, "tail of the core")


def assert_modular_rank(
    modular_rank: Callable[[np.ndarray], int], rows: int, columns: int, inner: int, seed: int
) -> None:
    """`modular_rank` of a product of small integer matrices is its rank over the rational numbers."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-3, 4, (rows, inner)) @ rng.integers(-3, 4, (inner, columns))
    found, wanted = modular_rank(matrix.astype(float)), reference.exact_rank(matrix)
    if found != wanted:
        raise AssertionError(f"got {found}, but should be {wanted} [modular_rank of {rows} x {columns}]")


def assert_rank_bound(bound: Callable[[np.ndarray], int], d: int, R: int, seed: int) -> None:
    """`bound(T)` is at most R for a sum of R integer rank-one terms, and 1 at least if the sum is not zero."""
    A, B, C = np.random.default_rng(seed).integers(0, 3, (3, d, R)).astype(float)
    T = np.einsum("kr,ir,jr->kij", A, B, C)
    found = bound(T)
    if not bool(T.any()) <= found <= R:
        raise AssertionError(f"got {found}, but should be in 1..{R} [bound of a sum of {R} terms]")


def assert_bounds_atlas(bound: Callable[[CouplingTensor], int], lmax: int) -> None:
    """`bound(M)` exceeds no rank that the atlas proves, for Gaunt, matrix and weighted products, and is d at least."""
    for entry in atlas.entries():
        if entry.lmax == lmax:
            found = bound(entry.tensor)
            if not entry.tensor.d <= found <= entry.rank:
                raise AssertionError(f"got {found}, but should be in {entry.tensor.d}..{entry.rank} [bound of {entry}]")


def assert_any_weights_bound(bound: Callable[[Coupling], int], coupling: Coupling, seed: int) -> None:
    """`bound(coupling)` is the rank of full unfoldings at least, and at most what substitution gives random weights.

    That is, by numpy: the rank of an unfolding, and where it is full and no degree occurs twice, less one and with the
    least rank of the matrices at vectors of highest weight.
    """
    weights = np.random.default_rng(seed).choice([-2.0, -1.0, 0.5, 1.0, 3.0], len(coupling.paths))
    M = CouplingTensor(coupling, tuple(weights.tolist())).array
    least, most = 1, 1
    for mode, (modes, parts, d) in enumerate(zip(coupling.modes, coupling.slices, M.shape, strict=True)):
        slices = np.moveaxis(M, mode, 0)
        found = int(np.linalg.matrix_rank(slices.reshape(d, -1), 1e-9))
        most = max(most, found)
        if found == d and len({irrep.l for irrep in modes}) == len(modes):
            highest = [
                np.tensordot(real_basis(irrep.l)[-1], slices[p], 1) for irrep, p in zip(modes, parts, strict=True)
            ]
            least, most = max(least, d), max(most, d - 1 + min(np.linalg.matrix_rank(m, 1e-9) for m in highest))
    found = bound(coupling)
    if not least <= found <= most:
        raise AssertionError(f"got {found}, but should be in {least}..{most} [bound of {coupling} with any weights]")


def assert_pair_bound(pair_bound: Callable[..., int]) -> None:
    """Bounds all tensors: at least the largest known rank of small ones and the generic rank, at most d1 d2."""
    largest = {(1, 1, 1): 1, (2, 2, 2): 3, (2, 2, 3): 3, (2, 2, 4): 4, (2, 3, 3): 4, (3, 3, 3): 5}  # over the reals
    for dims in [*product(range(1, 7), repeat=3), *((d, d, d) for d in range(7, 50))]:
        a, b, c = sorted(dims)
        least = max(largest.get((a, b, c), 0), min(c, a * b), -(-(a * b * c) // (a + b + c - 2)))
        found = pair_bound(a) if a == b == c else pair_bound(*dims)
        if not least <= found <= a * b:
            raise AssertionError(f"got {found}, but should be in {least}..{a * b} [pair_bound of {dims}]")


def assert_kruskal_limit(kruskal_limit: Callable[[int], int]) -> None:
    """The largest R with `3 min(d, R) >= 2R + 2`, by trying all (d = 1 has none)."""
    for d in range(2, 50):
        wanted = max(R for R in range(1, 3 * d) if 3 * min(d, R) >= 2 * R + 2)
        if kruskal_limit(d) != wanted:
            raise AssertionError(f"got {kruskal_limit(d)}, but should be {wanted} [kruskal_limit({d})]")


def scaled_weights(coupling: CouplingLike, weights: np.ndarray, scales: list[np.ndarray]) -> np.ndarray:
    """`w_p s_z t_x u_y`, the weights after scaling every slot of the modes k, i, j."""
    paths = Coupling.of(coupling).paths
    return weights * np.array([scales[0][path.z] * scales[1][path.x] * scales[2][path.y] for path in paths])


def assert_invariants(
    invariants: Callable[[CouplingLike], list[dict[irreps.Path, int]]], coupling: CouplingLike, seed: int
) -> None:
    """`invariants(coupling)` are independent, as many as there can be, and do not change under scalings of slots."""
    coupling, rng = Coupling.of(coupling), np.random.default_rng(seed)
    known = coupling.paths
    found = invariants(coupling)
    exponents = np.array([[powers.get(path, 0) for path in known] for powers in found]).reshape(-1, len(known))
    weights = rng.uniform(0.5, 2, len(known))
    ends = np.cumsum([len(mode) for mode in coupling.modes])
    moves = []  # every scaling of one slot in one mode, to first order in the logarithms
    for scale in np.eye(ends[-1]):
        moved = scaled_weights(coupling, weights, np.split(np.exp(scale), ends[:2]))
        moves.append(np.log(moved / weights))
        assert_close(exponents @ np.log(moved), exponents @ np.log(weights), 1e-9, "logarithms of the invariants")
    wanted = len(known) - np.linalg.matrix_rank(np.array(moves))
    if not np.linalg.matrix_rank(exponents) == len(found) == wanted:
        raise AssertionError(
            f"got {len(found)} invariants, but should be {wanted} independent ones [invariants({coupling})]"
        )


def assert_jacobian(jacobian: Callable[[CPFactors], np.ndarray], seed: int = 0) -> None:
    """`jacobian(theta) v` is the derivative along v; by a central difference, which errs by h^2 for a cubic."""
    for shape in ((4, 4, 4), (3, 4, 5)):
        rng = np.random.default_rng(seed)
        theta, change = ([rng.standard_normal((d, 2)) for d in shape] for _ in range(2))
        h = 1e-5
        ends = (CPFactors(*(t + sign * h * c for t, c in zip(theta, change, strict=True))).array for sign in (1, -1))
        difference = np.subtract(*ends) / (2 * h)
        along = np.concatenate([c.ravel() for c in change])
        assert_close(jacobian(CPFactors(*theta)) @ along, difference.ravel(), 1e-8, "J v")


def assert_reach(reach: Callable[[CPFactors], Any]) -> None:
    """Known dimensions: a scalar product reaches itself, R = 7 one orbit of scalings, more terms everything."""
    scalar = np.zeros((4, 2))
    scalar[0] = 1.0
    seven, eight = (next(e for e in atlas.entries() if (e.lmax, e.rank) == (1, R)).factors for R in (7, 8))
    for factors, alive, dimension in (
        (CPFactors(scalar, scalar, scalar), 1, 1),
        (seven, 5, 4),
        (eight, 5, 5),
        (outer_product(CouplingTensor(1)), 5, 5),
    ):
        found = reach(factors)
        assert_close([found.alive, found.dimension], [alive, dimension], 0, f"alive, dimension of {factors}")
        weights = CouplingTensor(1).project(factors.array).weights
        assert_close(found.weights, weights, 1e-12, f"weights of {factors}")
