"""Rotations, their matrices in the real basis, generators, and Haar sampling (float64).

The basis of degree 1 is (x, y, z), so there the Wigner matrix is the rotation matrix itself, `D^1(R) = R`.
Higher degrees follow from the coupling `l x 1 -> l+1`, which intertwines `D^l (x) D^1` and `D^(l+1)`:

    D^(l+1)_kk' = (2l+3) sum C_kij C_k'i'j' D^l_ii' R_jj',      C = clebsch_gordan(l, 1, l+1),

because the blocks of `C` satisfy `sum_ij C_kij C_k'ij = delta_kk' / (2l+3)`. No Euler angles, no special cases at the
poles.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import Irreps, check_degree, check_lmax, component_slice, dim


def haar_rotations(count: int, rng: np.random.Generator) -> Float[np.ndarray, "count 3 3"]:
    """Rotation matrices drawn from the Haar measure of SO(3).

    Args:
        count: Number of rotations.
        rng: Source of randomness.

    Raises:
        TypeError: `count` is not an integer.
        ValueError: `count` is negative.
    """
    count = check_degree(count, "count of rotations")
    return Rotation.random(count, rng).as_matrix().reshape(count, 3, 3)


def _check_orthogonal(
    rotation: Float[np.ndarray, "*batch 3 3"], improper: bool = False
) -> Float[np.ndarray, "*batch 3 3"]:
    rotation = np.asarray(rotation)
    if rotation.dtype.kind not in "fiu":
        raise TypeError(f"rotation has dtype {rotation.dtype}; it must be real: pass rotation matrices")
    rotation = rotation.astype(float)
    if rotation.shape[-2:] != (3, 3):
        raise ValueError(f"rotation has shape {rotation.shape}; it must be (..., 3, 3): pass rotation matrices")
    defect = np.abs(rotation @ np.swapaxes(rotation, -1, -2) - np.eye(3)).max(initial=0.0)
    if not defect <= 1e-8:
        raise ValueError(
            f"rotation is not a rotation (R R^T differs from 1 by {defect:.1e}); "
            "pass orthogonal 3x3 matrices, e.g. from haar_rotations()"
        )
    if not improper and not np.all(np.linalg.det(rotation) > 0):
        raise ValueError(
            "rotation is not a proper rotation (det R is not +1), and what it acts on has no parity; "
            "pass orthogonal 3x3 matrices of determinant +1, e.g. from haar_rotations()"
        )
    return rotation


def wigner_d(l: int, rotation: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch k kk"]:
    """Wigner matrix `D^l(R)` in the real basis.

    Args:
        l: Degree.
        rotation: Rotation matrices of shape (..., 3, 3).

    Returns:
        Orthogonal matrices of shape (..., 2l+1, 2l+1) with `Y^l(R v) = D^l(R) Y^l(v)`.

    Raises:
        TypeError: `rotation` is not real.
        ValueError: `rotation` is not a stack of proper rotation matrices.
    """
    return wigner_D(check_degree(l), rotation)[..., l * l :, l * l :]


def wigner_D(lmax: int, rotation: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch d d"]:
    """Block-diagonal action `D(R)` on the `d = (lmax+1)^2` components of a feature (E2).

    Args:
        lmax: Maximal degree.
        rotation: Rotation matrices of shape (..., 3, 3).

    Returns:
        Array of shape (..., d, d).

    Raises:
        TypeError: `rotation` is not real.
        ValueError: `rotation` is not a stack of proper rotation matrices.
    """
    lmax = check_lmax(lmax)
    rotation = _check_orthogonal(rotation)
    matrix = np.zeros((*rotation.shape[:-2], dim(lmax), dim(lmax)))
    block = np.ones((*rotation.shape[:-2], 1, 1))
    matrix[..., :1, :1] = block
    for l in range(lmax):
        couple = clebsch_gordan(l, 1, l + 1)
        half = np.einsum("kij,...ia,...jb->...kab", couple, block, rotation, optimize=True)
        block = (2 * l + 3) * np.einsum("...kab,cab->...kc", half, couple, optimize=True)
        part = component_slice(l + 1)
        matrix[..., part, part] = block
    return matrix


def representation(irreps: Irreps, matrix: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch d d"]:
    """Block-diagonal action `D(Q)` on a list of irreps, in its order.

    Args:
        irreps: The irreps, all with parity or all without.
        matrix: Orthogonal matrices of shape (..., 3, 3): rotations, and improper ones if the irreps have parity. An
            improper Q is the inversion, which multiplies an irrep by its parity, times the rotation -Q.

    Returns:
        Array of shape (..., d, d).

    Raises:
        TypeError: `matrix` is not real.
        ValueError: `matrix` is not a stack of orthogonal matrices, or one is improper and the irreps have no parity.
    """
    parities = np.array([irrep.parity for irrep in irreps])
    matrix = _check_orthogonal(matrix, improper=bool(np.all(parities)))
    sign = np.sign(np.linalg.det(matrix))[..., None, None]
    D = _on(irreps, wigner_D(max(irrep.l for irrep in irreps), sign * matrix))
    return np.where(sign > 0, 1.0, np.repeat(parities, [irrep.dim for irrep in irreps])) * D


def representation_generators(irreps: Irreps) -> Float[np.ndarray, "3 d d"]:
    """Infinitesimal rotations on a list of irreps, see `generators`."""
    return _on(irreps, generators(max(irrep.l for irrep in irreps)))


def _on(irreps: Irreps, matrix: Float[np.ndarray, "*batch D D"]) -> Float[np.ndarray, "*batch d d"]:
    """The blocks of a matrix on degrees 0..lmax, put on the diagonal in the order of a list of irreps."""
    components = np.concatenate([np.arange(irrep.l**2, (irrep.l + 1) ** 2) for irrep in irreps])
    slots = np.repeat(np.arange(len(irreps)), [irrep.dim for irrep in irreps])
    return matrix[..., components[:, None], components] * (slots[:, None] == slots)


def generators(lmax: int) -> Float[np.ndarray, "3 d d"]:
    """Infinitesimal rotations `X_a = d/dt D(exp(t E_a))` at `t = 0` about the axes a = x, y, z.

    They follow from the recursion of the Wigner matrices by the product rule. Each is antisymmetric, and
    `[X_x, X_y] = X_z` cyclically. A bilinear map is SO(3)-equivariant exactly when it commutes with all three.
    """
    lmax = check_lmax(lmax)
    levi_civita = np.zeros((3, 3, 3))
    for a in range(3):
        levi_civita[a, (a + 1) % 3, (a + 2) % 3], levi_civita[a, (a + 2) % 3, (a + 1) % 3] = -1.0, 1.0
    result = np.zeros((3, dim(lmax), dim(lmax)))
    block = np.zeros((3, 1, 1))
    for l in range(lmax):
        couple = clebsch_gordan(l, 1, l + 1)
        left = np.einsum("kij,gia->gkaj", couple, block)
        right = np.einsum("kij,gjb->gkib", couple, levi_civita)
        block = (2 * l + 3) * np.einsum("gkab,cab->gkc", left + right, couple)
        part = component_slice(l + 1)
        result[:, part, part] = block
    return result
