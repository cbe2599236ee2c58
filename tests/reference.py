"""Naive implementations straight from the definitions: slow, short, and independent of the package."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from math import factorial, pi, sqrt
from typing import Any

import numpy as np
from scipy.linalg import block_diag
from scipy.special import lpmv

from tdn_theory.coupling import Coupling, CouplingLike
from tdn_theory.so3 import rotation
from tdn_theory.so3.irreps import Irreps


def ladder(l: int) -> np.ndarray:
    """`J_+` of degree l in the basis |l, m>, m = -l..l."""
    return np.diag([sqrt(l * (l + 1) - m * (m + 1)) for m in range(-l, l)], k=-1)


def complex_to_real(l: int) -> np.ndarray:
    """Unitary matrix from components in |l, m> to real ones, degree 1 being (x, y, z) with polar axis y."""
    matrix = np.zeros((2 * l + 1, 2 * l + 1), complex)
    for n in range(-l, l + 1):
        m = abs(n)
        if n == 0:
            matrix[l, l] = 1
        elif n > 0:
            matrix[l + n, l + m], matrix[l + n, l - m] = (-1) ** m / sqrt(2), 1 / sqrt(2)
        else:
            matrix[l + n, l + m], matrix[l + n, l - m] = 1j * (-1) ** m / sqrt(2), -1j / sqrt(2)
    return (-1j) ** l * matrix


def clebsch_gordan(l1: int, l2: int, l3: int) -> np.ndarray:
    """The textbook definition: total angular momentum l3 in l1 (x) l2, made real, unit norm. Returns [k, i, j].

    The state |l3, m> is the eigenvector of `J_- J_+ = J^2 - m(m+1)` among the |m1, m2> with m1 + m2 = m. Signs after
    Condon and Shortley: |l3, l3> has a positive coefficient of |l1, l3-l1>, and `J_-` has positive matrix elements.
    """
    size1, size2 = 2 * l1 + 1, 2 * l2 + 1
    raising = np.kron(ladder(l1), np.eye(size2)) + np.kron(np.eye(size1), ladder(l2))
    weight = np.add.outer(np.arange(-l1, l1 + 1), np.arange(-l2, l2 + 1)).ravel()
    block = np.zeros((2 * l3 + 1, size1 * size2))
    above = np.zeros((size1, size2))
    above[2 * l1, l2 + l3 - l1] = 1
    above = above.ravel()  # what |l3, m> must have a positive product with
    for m in range(l3, -l3 - 1, -1):
        support = np.flatnonzero(weight == m)
        values, vectors = np.linalg.eigh(raising[:, support].T @ raising[:, support])
        nearest = np.argmin(np.abs(values - (l3 * (l3 + 1) - m * (m + 1))))
        block[l3 + m, support] = vectors[:, nearest] * np.sign(vectors[:, nearest] @ above[support])
        above = raising.T @ block[l3 + m]
    real = np.einsum(
        "kc,cab,ia,jb->kij",
        complex_to_real(l3),
        block.reshape(-1, size1, size2),
        complex_to_real(l1).conj(),
        complex_to_real(l2).conj(),
        optimize=True,
    )
    assert np.abs(real.imag).max() < 1e-10
    return real.real / sqrt(2 * l3 + 1)


def spherical_harmonics(l: int, direction: np.ndarray) -> np.ndarray:
    """Orthonormal real harmonics of degree l in closed form: Legendre functions of y times cos or sin of m phi."""
    x, y, z = direction
    phi = np.arctan2(x, z)
    values = []
    for n in range(-l, l + 1):
        m = abs(n)
        scale = sqrt((2 * l + 1) / (4 * pi) * factorial(l - m) / factorial(l + m)) * (sqrt(2) if m else 1.0)
        angular = np.cos(m * phi) if n >= 0 else np.sin(m * phi)
        values.append((-1) ** m * scale * lpmv(m, l, np.clip(y, -1, 1)) * angular)
    return np.array(values)


def haar_quadrature(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (n, 3, 3) and weights (n,) that average every polynomial of that degree in D exactly over SO(3).

    Angles about the pole: degree + 1 equidistant ones each; cosine of the angle between: Gauss-Legendre.
    """
    turns = 2 * pi * np.arange(degree + 1) / (degree + 1)
    cosines, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    zero, one = np.zeros_like(turns), np.ones_like(turns)
    about_y = np.array([[np.cos(turns), zero, np.sin(turns)], [zero, one, zero], [-np.sin(turns), zero, np.cos(turns)]])
    sines = np.sqrt(1 - cosines**2)
    zero, one = np.zeros_like(cosines), np.ones_like(cosines)
    about_x = np.array([[one, zero, zero], [zero, cosines, -sines], [zero, sines, cosines]])
    rotations = np.einsum("xya,yzb,zwc->abcxw", about_y, about_x, about_y, optimize=True)
    share = np.broadcast_to(weights[None, :, None] / 2 / len(turns) ** 2, rotations.shape[:3])
    return rotations.reshape(-1, 3, 3), share.ravel()


def representation(irreps: Irreps, matrix: np.ndarray) -> np.ndarray:
    """`D(Q)`, block by block: an improper Q is inversion, which multiplies by the parity, and a rotation."""
    proper = bool(np.linalg.det(matrix) > 0)
    blocks = [rotation.wigner_d(irrep.l, matrix if proper else -matrix) for irrep in irreps]
    signs = [1 if proper else irrep.parity for irrep in irreps]
    return block_diag(*(sign * block for sign, block in zip(signs, blocks, strict=True)))


@lru_cache(maxsize=2)
def group_quadrature(coupling: Coupling, degree: int) -> list[tuple[float, tuple[np.ndarray, ...]]]:
    """Weights, and `D` on the modes k, i, j, whose sum is the average over the group of the coupling."""
    rotations, weights = haar_quadrature(degree)
    blocks = [rotation.wigner_d(l, rotations) for l in range(highest(coupling) + 1)]
    return [
        (
            float(weight) / len(signs),
            tuple(block_diag(*(sign(irrep) * blocks[irrep.l][n] for irrep in mode)) for mode in coupling.modes),
        )
        for signs in [(lambda irrep: 1, lambda irrep: irrep.parity) if coupling.parity else (lambda irrep: 1,)]
        for sign in signs
        for n, weight in enumerate(weights)
    ]


def highest(coupling: Coupling) -> int:
    """The largest degree of all irreps."""
    return max(irrep.l for irreps in coupling.modes for irrep in irreps)


def haar_average(tensor: np.ndarray, coupling: CouplingLike) -> np.ndarray:
    """`integral D(R)^T T (D(R) (x) D(R)) dR`, the average over the group of the tensor."""
    coupling, result = Coupling.of(coupling), np.zeros_like(tensor)
    for weight, (D3, D1, D2) in group_quadrature(coupling, 3 * highest(coupling)):
        result += weight * np.einsum("ck,cab,ai,bj->kij", D3, tensor, D1, D2, optimize=True)
    return result


def equivariance_error(
    tensor: np.ndarray, coupling: CouplingLike, matrix: np.ndarray, x: np.ndarray, y: np.ndarray
) -> float:
    """E6, for one rotation and one pair of vectors."""
    D3, D1, D2 = (representation(irreps, matrix) for irreps in Coupling.of(coupling).modes)
    turned = D3 @ np.einsum("kij,i,j->k", tensor, x, y)
    return float(np.linalg.norm(turned - np.einsum("kij,i,j->k", tensor, D1 @ x, D2 @ y)))


def mean_square_error(tensor: np.ndarray, coupling: CouplingLike) -> float:
    """`E eps^2` for x, y of identity covariance: the squared norm of `D T - T (D (x) D)`, averaged by quadrature."""
    coupling, total = Coupling.of(coupling), 0.0
    for weight, (D3, D1, D2) in group_quadrature(coupling, 6 * highest(coupling)):  # degree 3 L in D, squared
        turned = np.tensordot(D3, tensor, (1, 0))
        inner = np.tensordot(np.tensordot(tensor, D1, (1, 0)), D2, (1, 0))
        total += weight * float(np.sum((turned - inner) ** 2))
    return total


def koszul_map(slices: np.ndarray, p: int) -> np.ndarray:
    """`e_I (x) b -> sum_a (e_a ^ e_I) (x) M(a, b, .)` for slices M(a, ., .), with rows (J, c) and columns (I, b)."""
    size, d1, d2 = slices.shape
    sources, images = (list(combinations(range(size), n)) for n in (p, p + 1))
    matrix = np.zeros((len(images), d2, len(sources), d1))
    for column, subset in enumerate(sources):
        for a in set(range(size)) - set(subset):
            image = tuple(sorted((*subset, a)))
            matrix[images.index(image), :, column, :] = (-1) ** image.index(a) * slices[a].T
    return matrix.reshape(len(images) * d2, -1)


def ungraded(T: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of a tensor without symmetry: all zero."""
    a, b, c = (np.zeros(d, int) for d in T.shape)
    return a, b, c


def exact_rank(matrix: np.ndarray, field: Callable[[int], Any] = Fraction) -> int:
    """Rank of an integer matrix by Gaussian elimination over a field, that of the rational numbers if none is given."""
    rows = [[field(int(value)) for value in row] for row in matrix]
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
