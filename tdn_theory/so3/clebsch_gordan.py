"""Real Clebsch-Gordan coefficients in float64, for any degree, in e3nn's convention (E1).

Complex coefficients come from van der Waerden's form of the Clebsch-Gordan sum, in which every term is an
integer. With `a = l1+l2-l3`, `b = l1-l2+l3`, `c = -l1+l2+l3`, `J = l1+l2+l3` and `m3 = m1+m2`,

    <l1 m1 l2 m2 | l3 m3> / sqrt(2 l3 + 1)
        = S sqrt( prod_i (l_i+m_i)! (l_i-m_i)! / ((J+1)! a! b! c!) ),
    S   = sum_t (-1)^t binom(a, t) binom(b, l1-m1-t) binom(c, l2+m2-t).

S and the radicand are evaluated in integers, so the only roundings are one division and one square root.
Dividing by `sqrt(2 l3 + 1)` gives the block unit Frobenius norm.

Source: Varshalovich, Moskalev and Khersonskii, Quantum Theory of Angular Momentum (1988), section 8.2.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb, factorial, sqrt

import numpy as np
from jaxtyping import Complex, Float

from tdn_theory.so3.irreps import admissible, check_degree


def _normalised_complex_coefficient(l1: int, m1: int, l2: int, m2: int, l3: int) -> float:
    """`<l1 m1 l2 m2 | l3 m1+m2> / sqrt(2 l3 + 1)` with Condon-Shortley phases."""
    a, b, c = l1 + l2 - l3, l1 - l2 + l3, -l1 + l2 + l3
    total = 0
    for t in range(max(0, l1 - m1 - b, l2 + m2 - c), min(a, l1 - m1, l2 + m2) + 1):
        total += (-1) ** t * comb(a, t) * comb(b, l1 - m1 - t) * comb(c, l2 + m2 - t)
    radicand = total * total
    for l, m in ((l1, m1), (l2, m2), (l3, m1 + m2)):
        radicand *= factorial(l + m) * factorial(l - m)
    denominator = factorial(l1 + l2 + l3 + 1) * factorial(a) * factorial(b) * factorial(c)
    return (1 if total >= 0 else -1) * sqrt(radicand / denominator)


@lru_cache(maxsize=64, typed=True)
def real_basis(l: int) -> Complex[np.ndarray, "m real"]:
    """Unitary `Q`, `Q[m, n] = <n|l,m>` of the real basis vectors `|n>`: `Q^T` takes complex components to real ones.

    With an overall phase `(-i)^l`, which makes every coupling block real, and for `m > 0`,

        row n = +m of Q^T:  ((-1)^m <l,m| + <l,-m|) / sqrt 2
        row n =  0:         <l,0|
        row n = -m:         i ((-1)^m <l,m| - <l,-m|) / sqrt 2.

    Args:
        l: Degree.

    Returns:
        Read-only array of shape (2l+1, 2l+1), rows `m = -l..l`, columns `n = -l..l`.
    """
    l = check_degree(l)
    basis = np.zeros((2 * l + 1, 2 * l + 1), complex)
    basis[l, l] = 1
    for m in range(1, l + 1):
        basis[l + m, l + m], basis[l - m, l + m] = (-1) ** m / sqrt(2), 1 / sqrt(2)
        basis[l + m, l - m], basis[l - m, l - m] = 1j * (-1) ** m / sqrt(2), -1j / sqrt(2)
    basis *= (-1j) ** l
    basis.setflags(write=False)
    return basis


@lru_cache(maxsize=4096)
def _ascending_block(l1: int, l2: int, l3: int) -> Float[np.ndarray, "i j k"]:
    """Block of `l1 <= l2 <= l3`, modes in the order (l1, l2, l3)."""
    complex_block = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            complex_block[l1 + m1, l2 + m2, l3 + m1 + m2] = _normalised_complex_coefficient(l1, m1, l2, m2, l3)
    block = np.einsum(
        "abc,ai,bj,ck->ijk", complex_block, real_basis(l1), real_basis(l2), real_basis(l3).conj(), optimize=True
    ).real
    block[np.abs(block) < 1e-15] = 0.0  # the basis change leaves roundoff where the coefficient is exactly zero
    return block / np.linalg.norm(block)


@lru_cache(maxsize=8192, typed=True)  # typed: 1.0 and True must reach the checks, although they equal 1
def clebsch_gordan(l1: int, l2: int, l3: int) -> Float[np.ndarray, "k i j"]:
    """Unit-norm coupling tensor of the path `l1 x l2 -> l3` in the real basis: `z_k = C_kij x_i y_j` (E1).

    All orderings of three degrees share one block, as 3j symbols do: a cyclic exchange of the modes changes
    nothing, any other one multiplies by `(-1)^(l1+l2+l3)`. The full tensor M of E2 is therefore invariant
    under cyclic exchanges of its modes.

    Args:
        l1: Degree of x.
        l2: Degree of y.
        l3: Degree of z.

    Returns:
        Read-only float64 array of shape (2 l3+1, 2 l1+1, 2 l2+1); equals e3nn's `wigner_3j(l1, l2, l3)` with its
        axes in the order (k, i, j), and has unit Frobenius norm.

    Raises:
        TypeError: A degree is not an integer.
        ValueError: A degree is negative, or the path violates the selection rule.

    >>> clebsch_gordan(1, 1, 0).round(3).tolist()
    [[[0.577, 0.0, 0.0], [0.0, 0.577, 0.0], [0.0, 0.0, 0.577]]]
    """
    l1, l2, l3 = check_degree(l1), check_degree(l2), check_degree(l3)
    if not admissible(l1, l2, l3):
        raise ValueError(
            f"path {l1}x{l2}->{l3} is not admissible: |l1-l2| <= l3 <= l1+l2 is required, "
            f"so l3 must be in {abs(l1 - l2)}..{l1 + l2}"
        )
    degrees = (l1, l2, l3)
    order = sorted(range(3), key=lambda mode: degrees[mode])
    block = _ascending_block(*(degrees[mode] for mode in order))
    if order in ([0, 2, 1], [1, 0, 2], [2, 1, 0]):
        block = block * (-1) ** sum(degrees)
    block = np.ascontiguousarray(block.transpose(np.argsort(order)).transpose(2, 0, 1))
    block.setflags(write=False)
    return block
