"""Local uniqueness: whether the terms of one given CP form are the only ones near them with the same sum (T5).

Kruskal's condition (`rank.kruskal_limit`) is sufficient for uniqueness, not necessary: where it fails, nothing follows.
What can be decided at given factors theta = (A, B, C) is uniqueness near them. Let J be the derivative of `theta -> T =
[[A, B, C]]`. Every term `a (x) b (x) c` may be written as `(s a) (x) (t b) (x) (c / s t)`; the directions of these
scalings,

    (a, -b, 0)  and  (a, 0, -c)  for each term,

are 2R independent vectors in the kernel of J. So rank J is at most (d1 + d2 + d3 - 2) R. If it is that, it cannot grow,
nor fall nearby, and by the theorem of constant rank the solutions of `T(theta') = T(theta)` near theta are a manifold
of dimension 2R, which the scalings fill: up to scalings, the terms are the only ones near them with the sum T. A
smaller rank proves nothing by itself, except by counting: where `(d1 + d2 + d3 - 2) R > d1 d2 d3`, the rank is smaller
at every theta, and the solutions near theta have more dimensions than the scalings.

This is about the decomposition of T, the sum of the given terms. That T is a best approximation of an equivariant M is
another matter: turning all vectors gives another best approximation of M, `D T (D (x) D)^T`, with other terms.

Sources: the rank of J is that of Terracini's lemma, and this is the usual test of local identifiability (Chiantini,
Ottaviani and Vannieuwenhoven, SIAM J. Matrix Anal. Appl. 35 (2014) 1265).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdn_theory.cp.factors import CPFactors
from tdn_theory.theory.universality import jacobian


@dataclass(frozen=True)
class LocalUniqueness:
    """The rank of J at given factors, and how clear it is.

    Attributes:
        unknowns: `(d1 + d2 + d3) R`.
        scalings: `2 R`, the dimension of the kernel that every J has.
        equations: `d1 d2 d3`.
        rank: Rank of J: singular values above the rounding of their computation.
        least: Smallest singular value that counts, relative to the largest.
        rounding: What singular values must exceed to count, relative to the largest.
    """

    unknowns: int
    scalings: int
    equations: int
    rank: int
    least: float
    rounding: float

    @property
    def unique(self) -> bool:
        """Whether no other terms nearby have the same sum; false means not shown."""
        return self.rank == self.unknowns - self.scalings

    @property
    def possible(self) -> bool:
        """Whether counting allows it: `(d1 + d2 + d3 - 2) R <= d1 d2 d3`."""
        return self.unknowns - self.scalings <= self.equations


def local_uniqueness(factors: CPFactors) -> LocalUniqueness:
    """The rank of J at `factors`, balanced (which changes no rank), from its singular values.

    A singular value is computed with an error of at most about `n u ||J||`, n the larger side of J and u = 2^-53; those
    above 64 times that count. J has `3 d^4 R` entries if all dimensions are d: 0.1 GB at L = 3, R = 63, and 1 GB at
    L = 4, R = 112.

    Raises:
        ValueError: A term is zero, and then its vectors are not determined at all.

    >>> local_uniqueness(CPFactors(np.eye(4), np.eye(4), np.eye(4))).unique
    True
    """
    balanced = factors.balance()
    if not np.all(np.linalg.norm(balanced.A, axis=0) > 0):
        raise ValueError(f"{factors} has a term that is zero; leave it out")
    J = jacobian(balanced)
    values = np.linalg.svd(J, compute_uv=False)
    rounding = 64 * max(J.shape) * 2.0**-53
    counted = values[values > rounding * values[0]]
    return LocalUniqueness(
        unknowns=J.shape[1],
        scalings=2 * factors.rank,
        equations=J.shape[0],
        rank=len(counted),
        least=float(counted[-1] / values[0]),
        rounding=rounding,
    )
