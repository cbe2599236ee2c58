"""Assertions about products, representations and bounds. Each fails on what it is meant to catch (`tests/meta`).

What catches what: equivariance does not pin the product. Swapping x and y, or z and x, gives another equivariant
product (odd paths change sign), and so does any other set of path weights. So `assert_equivariant` wants the right norm
as well, or at least one that is not zero, and `assert_same_product` compares with the definition. Nor does equivariance
under the transposed D mean anything, since D(R)^T = D(R^-1): the action itself must be tied to the rotation
(`assert_representation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jaxtyping
import numpy as np
from scipy.linalg import block_diag

from tdn_theory.coupling import Coupling, CouplingLike
from tdn_theory.so3 import irreps, rotation
from tdn_theory.testing.tolerances import Tolerances
from tdn_theory.theory.products import Product, as_tensor, call
from tdn_theory.theory.witness import witness

EPS = float(np.finfo(float).eps)


def tolerance(lmax: int) -> float:
    """Bound on the error of one pass of the degree recursions, relative to the length of the result: 8 d eps.

    Step l is an isometry applied to the result of step l-1 and a sum of 2l+1 products, so it adds at most about
    (2l+1) eps; the steps add up to (lmax+1)^2 = d. The factor 8 is for the few passes a test chains, and for rotation
    matrices that are orthogonal to a few eps only.
    """
    return 8 * irreps.dim(lmax) * EPS


@contextmanager
def annotations_unchecked() -> Iterator[None]:
    """Without the checks that the test session adds to the package's annotations, as users run it."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


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


def assert_representation(wigner_D: Callable, lmax: int, first: np.ndarray, second: np.ndarray) -> None:
    """`D` is orthogonal, a representation, and the rotation itself on degree 1: D(R) D(S) = D(RS), D^1(R) = R."""
    atol = tolerance(lmax)
    matrix = wigner_D(lmax, first)
    assert_close(matrix @ matrix.T, np.eye(irreps.dim(lmax)), atol, "D(R) D(R)^T")
    if lmax:
        vector = irreps.component_slice(1)
        assert_close(matrix[vector, vector], first, atol, "D^1(R)")
    assert_close(matrix @ wigner_D(lmax, second), wigner_D(lmax, first @ second), atol, "D(R) D(S)")


def probe(product: Callable[..., Any], d1: int, d2: int) -> np.ndarray:
    """The tensor M[k, i, j] of a bilinear map, from its values at all pairs of basis vectors."""
    values = np.asarray(product(np.repeat(np.eye(d1), d2, axis=0), np.tile(np.eye(d2), (d1, 1))))
    return values.reshape(d1, d2, -1).transpose(2, 0, 1)


def assert_equivariant(
    product: Product,
    coupling: CouplingLike,
    *,
    norm: float | None = None,
    wigner_D: Callable = rotation.wigner_D,
    rotations: np.ndarray | None = None,
    seed: int = 0,
    rtol: float | None = None,
    name: str = "product",
) -> None:
    """`product(D x, D y) = D product(x, y)`, for a `D` that represents rotations and a product that is not zero.

    Where the irreps have parity, that is asked for rotations and for their products with inversion.

    Args:
        product: What `as_tensor` takes: a function (n, d1), (n, d2) -> (n, d3) of arrays or torch tensors, a torch
            module, an array, or what has one.
        coupling: What acts on x, y and z; L for the paper's features.
        norm: Frobenius norm of the product's tensor, e.g. `CouplingTensor(lmax).norm`; None: any but zero.
        wigner_D: Action `(lmax, R) -> D(R)` on features of all degrees.
        rotations: Rotation matrices (n, 3, 3); by default four of the Haar measure, a half turn and a quarter turn.
        seed: Seed of the features, and of the rotations.
        rtol: Allowed error relative to `norm`, which is the root mean square length of the product of random features;
            None: `Tolerances.product` of the precision in which the product returns its values.
        name: What to call the product in messages.

    Raises:
        AssertionError: It is not equivariant, or zero, or of another norm.
        ValueError: `norm` is not positive.

    >>> from tdn_theory.coupling import CouplingTensor
    >>> assert_equivariant(CouplingTensor("0e+1o"), "0e+1o")
    """
    if norm is not None and not norm > 0:
        raise ValueError(f"norm is {norm}; every map that is zero is equivariant: give a product that is not")
    coupling = Coupling.of(coupling)
    product, unit = _function(product, coupling)
    rtol = Tolerances(unit).product if rtol is None else rtol
    rng = np.random.default_rng(seed)
    if rotations is None:
        special = np.array([np.diag([1.0, -1.0, -1.0]), [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]])
        rotations = np.concatenate([special, rotation.haar_rotations(4, rng)])
    d1, d2, _ = coupling.dims
    found = float(np.linalg.norm(probe(product, d1, d2)))
    if norm is None and not found > 0:
        raise AssertionError(f"got a product of norm {found}, but should be one that is not zero [{name}]")
    norm = found if norm is None else norm
    assert_close(found, norm, rtol * norm, f"norm of the tensor of {name}")
    x, y = rng.standard_normal((8, d1)), rng.standard_normal((8, d2))
    lmax = max(irrep.l for mode in coupling.modes for irrep in mode)
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


def assert_same_product(
    product: Product, tensor: np.ndarray, *, rtol: float | None = None, name: str = "product"
) -> None:
    """`product` is the bilinear map of `tensor[k, i, j]`, path weights, signs and order of the modes included.

    Args:
        product: As for `assert_equivariant`.
        tensor: What it should be, e.g. `CouplingTensor(2).array`.
        rtol: Allowed error relative to the norm of the tensor, as for `assert_equivariant`.
        name: What to call the product in messages.

    Raises:
        AssertionError: It is another one.
    """
    product, unit = _function(product, None)
    rtol = Tolerances(unit).product if rtol is None else rtol
    scale, rng = float(np.linalg.norm(tensor)), np.random.default_rng(0)
    _, d1, d2 = tensor.shape
    assert_close(probe(product, d1, d2), tensor, rtol * scale, f"tensor of {name}")
    x, y = rng.standard_normal((5, d1)), rng.standard_normal((5, d2))
    wanted = np.einsum("kij,ni,nj->nk", tensor, x, y, optimize=True)
    assert_close(product(x, y), wanted, rtol * scale * max(tensor.shape), f"{name}(x, y)")


def assert_bound(bound: float, found: float, scale: float, where: str) -> None:
    """`found <= bound`, up to the roundoff of `found` itself, an error of products of size `scale`."""
    if not found <= bound * (1 + 1e-12) + 1e-13 * scale:
        raise AssertionError(f"got {bound:.17g}, but should be at least {found:.17g}, which occurs [{where}]")


def assert_bound_holds(
    bound: float | Callable[[Any], float], product: Product, coupling: CouplingLike | None = None, *, seed: int = 0
) -> None:
    """No equivariance error over unit x, y that a cheap search finds is above the bound: `eps <= bound`.

    The search takes milliseconds and finds at least half of the supremum, see `theory.witness`; so a bound that is less
    than half of the truth is refuted, and one that is nearer to it perhaps. Draw many products: a wrong bound is rarely
    wrong by little everywhere.

    Args:
        bound: The bound, or a function of the product that gives it.
        product: What `as_tensor` takes.
        coupling: Irreps of the modes, see `as_tensor`.
        seed: Of the search.

    Raises:
        AssertionError: The bound is wrong; the message has the rotation and the vectors that show it.

    >>> from tdn_theory.theory.equivariance import supremum_bound
    >>> assert_bound_holds(lambda T: supremum_bound(T).value, np.ones((4, 4, 4)))
    """
    array, known = as_tensor(product, coupling)
    claimed = float(bound(product)) if callable(bound) else float(bound)
    found = witness(array, known, seed)
    try:
        assert_bound(claimed, found.value, float(np.linalg.norm(array)), "bound on the equivariance error")
    except AssertionError as error:
        shown = ", ".join(f"{name} = {np.round(getattr(found, name), 6).tolist()}" for name in ("rotation", "x", "y"))
        raise AssertionError(f"{error} at {shown}") from None


def _function(product: Product, coupling: Coupling | None) -> tuple[Callable[..., np.ndarray], float]:
    """A product as a function of numpy arrays, and the unit roundoff of its values."""
    array = getattr(product, "array", product)
    if callable(array):
        one = call(product, *(np.ones((1, d)) for d in coupling.dims[:2]))[1] if coupling else 2.0**-53
        return (lambda x, y: call(product, x, y)[0]), one
    array = np.asarray(array)
    return (lambda x, y: np.einsum("kij,ni,nj->nk", array, x, y, optimize=True)), 2.0**-53
