"""Assertions shared by all tests. `tests/meta` shows that each of them fails on what it is meant to catch.

What catches what: equivariance does not pin the product. Swapping x and y, or z and x, gives another equivariant
product (odd paths change sign), and so does any other set of path weights. So `assert_equivariant` wants the right norm
as well, which excludes the zero product, and `assert_same_product` compares with the definition. Nor does equivariance
under the transposed D mean anything, since D(R)^T = D(R^-1): the action itself must be tied to the rotation
(`assert_representation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import jaxtyping
import numpy as np
import pytest
from scipy.linalg import block_diag

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3 import irreps, rotation
from tests import reference

EPS = float(np.finfo(float).eps)

Product = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A bilinear map of features: (n, d1), (n, d2) -> (n, d3)."""


def tolerance(lmax: int) -> float:
    """Bound on the error of one pass of the degree recursions, relative to the length of the result: 8 d eps.

    Step l is an isometry applied to the result of step l-1 and a sum of 2l+1 products, so it adds at most about
    (2l+1) eps; the steps add up to (lmax+1)^2 = d. The factor 8 is for the few passes a test chains, and for rotation
    matrices that are orthogonal to a few eps only.
    """
    return 8 * irreps.dim(lmax) * EPS


def assert_close(got: Any, wanted: Any, atol: float, where: str) -> None:
    """`|got - wanted| <= atol` in every entry; `where` is the call that made `got`, e.g. "wigner_D(2, R)"."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape:
        raise AssertionError(f"got shape {got.shape}, but should be {wanted.shape} [{where}]")
    if got.size == 0:
        return
    error = np.abs(got - wanted)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
    if not error[worst] <= atol:
        entry = f" at {tuple(map(int, worst))}" if got.ndim else ""
        raise AssertionError(
            f"got {got[worst]:.17g}, but should be {wanted[worst]:.17g}{entry}, "
            f"off by {error[worst]:.1e} where {atol:.1e} is allowed [{where}]"
        )


@contextmanager
def annotations_unchecked() -> Iterator[None]:
    """Without the checks that the test session adds to the package's annotations, as users run it."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


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


def assert_representation(wigner_D: Callable, lmax: int, first: np.ndarray, second: np.ndarray) -> None:
    """`D` is orthogonal, a representation, and the rotation itself on degree 1: D(R) D(S) = D(RS), D^1(R) = R."""
    atol = tolerance(lmax)
    matrix = wigner_D(lmax, first)
    assert_close(matrix @ matrix.T, np.eye(irreps.dim(lmax)), atol, "D(R) D(R)^T")
    if lmax:
        vector = irreps.component_slice(1)
        assert_close(matrix[vector, vector], first, atol, "D^1(R)")
    assert_close(matrix @ wigner_D(lmax, second), wigner_D(lmax, first @ second), atol, "D(R) D(S)")


def probe(product: Product, d1: int, d2: int) -> np.ndarray:
    """The tensor M[k, i, j] of a bilinear map, from its values at all pairs of basis vectors."""
    values = np.asarray(product(np.repeat(np.eye(d1), d2, axis=0), np.tile(np.eye(d2), (d1, 1))))
    return values.reshape(d1, d2, -1).transpose(2, 0, 1)


def assert_equivariant(
    product: Product,
    coupling: CouplingLike,
    *,
    norm: float,
    wigner_D: Callable = rotation.wigner_D,
    rotations: np.ndarray | None = None,
    seed: int = 0,
    rtol: float = 1e-12,
    name: str = "product",
) -> None:
    """`product(D x, D y) = D product(x, y)`, for a `D` that represents rotations and a product that is not zero.

    Where the irreps have parity, that is asked for rotations and for their products with inversion.

    Args:
        product: Bilinear map (n, d1), (n, d2) -> (n, d3).
        coupling: What acts on x, y and z; L for the paper's features.
        norm: Frobenius norm of the product's tensor, e.g. `CouplingTensor(lmax).norm`; not zero.
        wigner_D: Action `(lmax, R) -> D(R)` on features of all degrees.
        rotations: Rotation matrices (n, 3, 3); by default four of the Haar measure, a half turn and a quarter turn.
        seed: Seed of the features, and of the rotations.
        rtol: Allowed error relative to `norm`, which is the root mean square length of the product of random features.
        name: What to call the product in messages.
    """
    if not norm > 0:
        raise ValueError(f"norm is {norm}; every map that is zero is equivariant: give a product that is not")
    coupling = Coupling.of(coupling)
    rng = np.random.default_rng(seed)
    if rotations is None:
        special = np.array([np.diag([1.0, -1.0, -1.0]), [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]])
        rotations = np.concatenate([special, rotation.haar_rotations(4, rng)])
    d1, d2, _ = coupling.dims
    assert_close(np.linalg.norm(probe(product, d1, d2)), norm, rtol * norm, f"norm of the tensor of {name}")
    x, y = rng.standard_normal((8, d1)), rng.standard_normal((8, d2))
    lmax = reference.highest(coupling)
    for first, second in zip(rotations, np.roll(rotations, 1, axis=0), strict=True):
        assert_representation(wigner_D, lmax, first, second)
        matrix = wigner_D(lmax, first)
        for sign in (1, -1) if coupling.parity else (1,):
            D3, D1, D2 = (
                block_diag(
                    *(irrep.parity * part(matrix, irrep.l) if sign < 0 else part(matrix, irrep.l) for irrep in mode)
                )
                for mode in coupling.modes
            )
            # lengths of x and y are about sqrt(d), and roundoff grows with them
            assert_close(product(x @ D1.T, y @ D2.T), product(x, y) @ D3.T, rtol * norm, f"{name}(D x, D y)")


def part(matrix: np.ndarray, l: int) -> np.ndarray:
    """The block of degree l of a matrix on all degrees."""
    return matrix[irreps.component_slice(l), irreps.component_slice(l)]


def assert_same_product(product: Product, tensor: np.ndarray, *, rtol: float = 1e-12, name: str = "product") -> None:
    """`product` is the bilinear map of `tensor[k, i, j]`, path weights, signs and order of the modes included."""
    scale, rng = float(np.linalg.norm(tensor)), np.random.default_rng(0)
    _, d1, d2 = tensor.shape
    assert_close(probe(product, d1, d2), tensor, rtol * scale, f"tensor of {name}")
    x, y = rng.standard_normal((5, d1)), rng.standard_normal((5, d2))
    wanted = np.einsum("kij,ni,nj->nk", tensor, x, y, optimize=True)
    assert_close(product(x, y), wanted, rtol * scale * max(tensor.shape), f"{name}(x, y)")


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


def assert_bound(bound: float, found: float, scale: float, where: str) -> None:
    """`found <= bound`, up to the roundoff of `found` itself, an error of products of size `scale`."""
    if not found <= bound * (1 + 1e-12) + 1e-13 * scale:
        raise AssertionError(f"got {bound:.17g}, but should be at least {found:.17g}, which occurs [{where}]")


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
    found, wanted = modular_rank(matrix.astype(float)), reference.rational_rank(matrix)
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
