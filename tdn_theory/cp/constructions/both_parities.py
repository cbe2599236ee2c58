"""Features with both parities of every degree, from a product for rotations alone, with twice its terms.

Let F = E + O be an equivariant product of degrees `x, y -> z`, E its even paths (`l1 + l2 + l3` even) and O its odd
ones. Let the features hold each degree twice, with natural parity (0e, 1o, 2e, ...; n) and with the other (u), and
the harmonics natural parity alone. The selection rule of parity sends

    z_n = E(x_n, y) + O(x_u, y),        z_u = O(x_n, y) + E(x_u, y).

With `P = (-1)^l` on every degree, `P E(P x, P y) = E(x, y)` and `P O(P x, P y) = -O(x, y)`. So two products suffice,

    z_n + z_u = F(x_n + x_u, y),        z_n - z_u = P F(P (x_n - x_u), P y),

one with the factors of F, the other with those factors times P. Every path has the weight of the path of the same
degrees in F. This is the product of NequIP's features. The derivation is ours.
"""

from __future__ import annotations

import numpy as np

from tdn_theory.coupling import Coupling
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3.irreps import Irrep, Irreps


def both_parities(factors: CPFactors, coupling: Coupling) -> CPFactors:
    """Factors for `doubled(coupling)`, of twice the rank; exact arithmetic, without any rounding.

    Args:
        factors: Factors of a product that is equivariant under rotations.
        coupling: What they couple.

    >>> from tdn_theory.cp.constructions.matrix_multiplication import matrix_multiplication
    >>> both_parities(matrix_multiplication(2), Coupling.of(2))
    CPFactors(R=46, 18 x 9 -> 18)
    """
    z, x, y = (_signs(irreps)[:, None] for irreps in coupling.modes)
    A, B, C = factors.A, factors.B, factors.C
    return CPFactors(
        np.vstack([np.hstack([A, z * A]), np.hstack([A, -z * A])]) / 2,
        np.vstack([np.hstack([B, x * B]), np.hstack([B, -x * B])]),
        np.hstack([C, y * C]),
    )


def doubled(coupling: Coupling) -> Coupling:
    """Natural parity, then the other, of every degree in x and z, and natural parity in y.

    >>> doubled(Coupling.of(1))
    Coupling(0e+1o+0o+1e x 0e+1o -> 0e+1o+0o+1e, 10 paths)
    """

    def with_parity(irreps: Irreps, sign: int) -> Irreps:
        return tuple(Irrep(irrep.l, sign * (-1) ** irrep.l) for irrep in irreps)

    x, z = (with_parity(irreps, 1) + with_parity(irreps, -1) for irreps in (coupling.x, coupling.z))
    return Coupling(x, with_parity(coupling.y, 1), z)


def _signs(irreps: Irreps) -> np.ndarray:
    """The diagonal of P."""
    return np.repeat([(-1.0) ** irrep.l for irrep in irreps], [irrep.dim for irrep in irreps])
