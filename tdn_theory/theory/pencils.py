"""Ranks of matrices that depend on a parameter, `A + t B`, at every value of it: modulo a prime, in exact arithmetic.

A lower bound that holds for a family of spaces needs the least rank over the family. At a value t0 drawn at random find
a minor of A + t B that is as large as the rank r there and not zero. It is a polynomial f in t. At a root of f of
multiplicity k the rank is r - k at least: of the minor's matrix in Smith's form over the polynomials, each entry of the
diagonal that vanishes there takes one factor of f. Of several blocks the multiplicities at one value add, so what is
lost at any value is at most the largest multiplicity of a root of the product of all f. Roots that come from the choice
of minors hardly ever meet.

With K = A + t0 B restricted to the rows and columns of the minor,

    f(t0 + s) / f(t0) = det(I + s X),      X = K^-1 B,

the characteristic polynomial of X written backwards, for which the columns suffice where B is not zero. It is found by
reduction to Hessenberg form, and all values in the algebraic closure of the field of p elements are covered. Complex
values are, too: if A and B are images of matrices of algebraic numbers, and t is algebraic, the rank there is at least
that of the image, at the image of t, which may be infinity; and a t that is not algebraic is generic.

The derivation is ours; the polynomial is found as in Cohen, A Course in Computational Algebraic Number Theory, 2.2.9.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

Matrix = Float[np.ndarray, "m n"]
Polynomial = Int[np.ndarray, " _"]
"""Coefficients modulo the prime, of the lowest degree first; the last is not zero, none at all is the polynomial 0."""


def least_rank(pencils: Iterable[tuple[Matrix, Matrix]], p: int, seed: int = 0) -> int:
    """A lower bound on the sum of the ranks of `A + t B` at every t but 0 and infinity.

    Args:
        pencils: Pairs A, B of residues modulo p, of the same shape; in all fewer than p columns.
        p: A prime below 2^22.
        seed: Of the values and minors drawn; any gives a valid bound.

    >>> A, B = np.diag([1.0, 1.0, 0.0]), np.diag([0.0, 1.0, 1.0])
    >>> least_rank([(A, B)], 10007)  # at t = -1 the second entry is 0
    2
    """
    rng = np.random.default_rng(seed)
    total, product = 0, np.ones(1, dtype=np.int64)
    t = int(rng.integers(1, p))
    for A, B in pencils:
        rank, minor = _minor(A, B, t, p, rng)
        total += rank
        product = np.convolve(product, _without_root(minor, -t % p, p)) % p
    return total - _largest_multiplicity(product, p)


def _minor(A: Matrix, B: Matrix, t: int, p: int, rng: np.random.Generator) -> tuple[int, Polynomial]:
    """Rank of A + t B, and a largest minor of A + (t + s) B as a polynomial in s, up to a factor."""
    K, B = ((A + t * B) % p).astype(np.int64), B.astype(np.int64) % p
    rows, columns = K.shape
    order = np.ix_(rng.permutation(rows), rng.permutation(columns))
    both, pivots = np.hstack([K[order], B[order]]), list[int]()
    for column in range(columns):  # pivot rows change by those above alone, so the others are left out at the end
        rank = len(pivots)
        candidates = np.flatnonzero(both[rank:, column])
        if candidates.size == 0:
            continue
        pivot = rank + int(candidates[0])
        both[[rank, pivot]] = both[[pivot, rank]]
        factors = both[rank + 1 :, column] * pow(int(both[rank, column]), -1, p) % p
        both[rank + 1 :, column:] = (both[rank + 1 :, column:] - np.outer(factors, both[rank, column:])) % p
        pivots.append(column)
        if len(pivots) == rows:
            break
    rank = len(pivots)
    triangle, rest = both[:rank, pivots], both[:rank, [columns + c for c in pivots]]
    moving = np.flatnonzero(rest.any(axis=0))
    X = rest[:, moving]
    for row in range(rank - 1, -1, -1):
        X[row] = (X[row] - _dot(X[row + 1 :].T, triangle[row, row + 1 :], p)) * pow(int(triangle[row, row]), -1, p) % p
    return rank, _reversed_characteristic(X[moving], p)


def _reversed_characteristic(X: np.ndarray, p: int) -> Polynomial:
    """`det(I + s X)`, by similarity to a Hessenberg matrix and expansion along its columns."""
    H, n = -X % p, len(X)
    for column in range(n - 2):
        candidates = np.flatnonzero(H[column + 1 :, column])
        if candidates.size == 0:
            continue
        pivot, row = column + 1 + int(candidates[0]), column + 1
        H[[row, pivot]] = H[[pivot, row]]
        H[:, [row, pivot]] = H[:, [pivot, row]]
        factors = H[row + 1 :, column] * pow(int(H[row, column]), -1, p) % p
        H[row + 1 :] = (H[row + 1 :] - np.outer(factors, H[row])) % p
        H[:, row] = (H[:, row] + _dot(H[:, row + 1 :], factors, p)) % p
    # of the leading parts: c_(k+1) = (x - h_kk) c_k - sum_(i<k) h_ik (h_(i+1)i ... h_k(k-1)) c_i
    leading = np.zeros((n + 1, n + 1), dtype=np.int64)
    leading[0, 0] = 1
    for k in range(n):
        weights, along = np.zeros(k + 1, dtype=np.int64), 1
        weights[k] = H[k, k]
        for i in range(k - 1, -1, -1):
            along = along * int(H[i + 1, i]) % p
            weights[i] = int(H[i, k]) * along % p
        leading[k + 1, 1:] = leading[k, :-1]
        leading[k + 1] = (leading[k + 1] - _dot(leading[: k + 1].T, weights, p)) % p
    return _trimmed(leading[n, ::-1])


def _dot(matrix: np.ndarray, vector: np.ndarray, p: int) -> np.ndarray:
    """Their product modulo p: sums of at most 2^19 products below 2^44 fit into 63 bits."""
    return matrix @ vector % p


def _trimmed(polynomial: np.ndarray) -> Polynomial:
    used = np.flatnonzero(polynomial)
    return polynomial[: int(used[-1]) + 1] if used.size else polynomial[:0]


def _gcd(first: Polynomial, second: Polynomial, p: int) -> Polynomial:
    """Euclid's algorithm."""
    while len(second):
        first, second = second, _divided(first, second, p)[1]
    return first


def _largest_multiplicity(polynomial: Polynomial, p: int) -> int:
    """Of its roots: each derivative takes one off, as long as p is above the degree."""
    count = 0
    while len(polynomial) > 1:
        slope = _trimmed(polynomial[1:] * np.arange(1, len(polynomial)) % p)
        polynomial = _gcd(polynomial, slope, p)
        count += 1
    return count


def _divided(dividend: Polynomial, divisor: Polynomial, p: int) -> tuple[Polynomial, Polynomial]:
    """Quotient and remainder."""
    rest, inverse = dividend.copy(), pow(int(divisor[-1]), -1, p)
    quotient = np.zeros(max(len(dividend) - len(divisor) + 1, 0), dtype=np.int64)
    for shift in range(len(quotient) - 1, -1, -1):
        factor = int(rest[shift + len(divisor) - 1]) * inverse % p
        quotient[shift] = factor
        rest[shift : shift + len(divisor)] = (rest[shift : shift + len(divisor)] - factor * divisor) % p
    return _trimmed(quotient), _trimmed(rest)


def _without_root(polynomial: Polynomial, root: int, p: int) -> Polynomial:
    """The polynomial divided by `s - root` as often as that goes."""
    while len(polynomial) > 1:
        quotient, rest = _divided(polynomial, np.array([-root % p, 1]), p)
        if len(rest):
            break
        polynomial = quotient
    return polynomial
