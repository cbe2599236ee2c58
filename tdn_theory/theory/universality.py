"""Which equivariant maps a CP form of rank R represents exactly (T2, T3): path space, reached weights, invariants.

Equivariant tensors are the points w of path space, `M_w = sum_p w_p C_p`. The ones of CP rank at most R are a set
`X_R`, all of path space once R reaches d^2 (T2), and much earlier in practice.

Scaling. Multiplying degree l of mode n by a number changes no rank and keeps M_w equivariant. It multiplies w_p by
`s_l3 t_l1 u_l2`, so X_R is a union of orbits of these scalings, of dimension `rank of the incidence matrix (paths x
3(L+1))`. What is left are `paths - that` invariants, products of powers of weights.

Local dimension. Let theta be exact factors of some M_w and J the derivative of `theta -> tensor`. Moving theta keeps
the tensor equivariant to first order if the change lies in the kernel of `(I - P) J`, and then changes w by `P J` times
it. So the weights reached near w have, to first order, the dimension

    dim P J ker((I - P) J) = rank J - rank (I - P) J.

It is at least the local dimension of X_R at w as reached through theta, and equal to it where the rank of (I - P) J is
constant. The derivation is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy
from jaxtyping import Float

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors, khatri_rao
from tdn_theory.so3.irreps import Path, lmax_of, paths
from tdn_theory.theory.equivariance import rms_error_relative_to_output

EQUIVARIANT = 1e-10
"""Equivariance error relative to the output up to which factors count as exactly equivariant."""

ALIVE = 1e-6
"""Relative weight below which a path counts as absent."""

Exponents = dict[Path, int]
"""A product of powers of path weights."""


def scaling_invariants(lmax: int) -> list[Exponents]:
    """Independent products of powers of the weights that no scaling of degrees changes.

    Their exponents are an integer basis of the kernel of the transposed incidence matrix of paths and (mode, degree).

    >>> scaling_invariants(1)
    [{Path(0, 0, 0): 1, Path(1, 1, 0): -1, ...]
    >>> [len(scaling_invariants(lmax)) for lmax in (1, 2, 3)]
    [1, 8, 24]
    """
    known = paths(lmax)
    kernel = sympy.Matrix(_incidence(lmax).T.tolist()).nullspace()
    result = []
    for vector in kernel:
        scale = sympy.ilcm(*(entry.q for entry in vector))
        result.append({path: int(entry * scale) for path, entry in zip(known, vector, strict=True) if entry != 0})
    return result


def _incidence(lmax: int) -> np.ndarray:
    """Which degree a path has in each mode: shape (paths, 3 (L+1))."""
    known = paths(lmax)
    matrix = np.zeros((len(known), 3 * (lmax + 1)), dtype=int)
    for row, path in enumerate(known):
        for mode, degree in enumerate((path.l3, path.l1, path.l2)):
            matrix[row, mode * (lmax + 1) + degree] = 1
    return matrix


def scaling_dimension(lmax: int) -> int:
    """Dimension of the orbits of scalings on weights that are all nonzero.

    >>> [scaling_dimension(lmax) for lmax in (1, 2, 3)]
    [4, 7, 10]
    """
    return int(np.linalg.matrix_rank(_incidence(lmax)))


def invariant_value(lmax: int, exponents: Exponents, weights: Float[np.ndarray, " paths"]) -> float:
    """Value of a product of powers of weights, given in the order of `paths(L)`.

    Raises:
        ValueError: The number of weights is wrong, or a weight with a negative exponent is zero.
    """
    known = paths(lmax)
    if len(weights) != len(known):
        raise ValueError(f"{len(weights)} weights given; L = {lmax} has {len(known)} paths: give one weight each")
    of = dict(zip(known, weights, strict=True))
    if any(of[path] == 0 for path, power in exponents.items() if power < 0):
        raise ValueError("a weight with a negative exponent is zero; the invariant has no value there")
    return float(np.prod([of[path] ** power for path, power in exponents.items()]))


@dataclass(frozen=True, eq=False)
class Reach:
    """What exact equivariant factors represent, and what is reached near them.

    Attributes:
        rank: Number of terms R.
        weights: Path weights, in the order of `paths(L)`.
        alive: Number of paths with a weight that is not zero.
        dimension: First-order dimension of the weights reached nearby, out of the number of paths.
        paths: Number of paths.
        scaling: Dimension of the orbit of w under scalings of degrees, always reached.
    """

    rank: int
    weights: Float[np.ndarray, " paths"]
    alive: int
    dimension: int
    paths: int
    scaling: int

    @property
    def everything(self) -> bool:
        """Whether all nearby equivariant maps are reached, to first order; true nearby if the Jacobian is onto."""
        return self.dimension == self.paths


def reach(factors: CPFactors) -> Reach:
    """Path weights of exact equivariant factors, and the first-order dimension of the weights near them.

    Raises:
        ValueError: The factors are not equivariant to `EQUIVARIANT`, relative to their norm.
    """
    lmax = lmax_of(factors.d)
    error = rms_error_relative_to_output(factors)
    if error > EQUIVARIANT:
        raise ValueError(
            f"{factors} has the relative equivariance error {error:.1e}; only exact decompositions of equivariant maps "
            f"(at most {EQUIVARIANT:.0e}) represent one: refine the factors"
        )
    norm = float(np.linalg.norm(factors.array))
    J = jacobian(factors.balance())
    C = _path_basis(lmax)
    projected = C.T @ J
    weights = np.array(CouplingTensor(lmax).project(factors.array).weights)
    alive = np.abs(weights) > ALIVE * norm
    incidence = _incidence(lmax)[alive]
    values, rest = (np.linalg.svd(matrix, compute_uv=False) for matrix in (J, J - C @ projected))
    cut = 1e-8 * values[0]  # the same for both; Gram matrices would lose half the digits
    dimension = int(np.count_nonzero(values > cut)) - int(np.count_nonzero(rest > cut))
    return Reach(
        factors.rank, weights, int(alive.sum()), dimension, len(weights), int(np.linalg.matrix_rank(incidence))
    )


def _path_basis(lmax: int) -> Float[np.ndarray, "ddd paths"]:
    """The unit-norm path tensors as columns."""
    known = paths(lmax)
    columns = [CouplingTensor(lmax, {path: 1.0}).array.ravel() for path in known]
    return np.stack(columns, axis=1)


def jacobian(factors: CPFactors) -> Float[np.ndarray, "ddd unknowns"]:
    """Derivative of the tensor by (A, B, C), each in the order (component, term)."""
    A, B, C = factors.A, factors.B, factors.C
    d, R = A.shape
    eye = np.eye(d)
    by_A = np.einsum("ka,ijr->kijar", eye, khatri_rao(B, C).reshape(d, d, R))
    by_B = np.einsum("ia,kjr->kijar", eye, khatri_rao(A, C).reshape(d, d, R))
    by_C = np.einsum("ja,kir->kijar", eye, khatri_rao(A, B).reshape(d, d, R))
    return np.concatenate([part.reshape(d**3, d * R) for part in (by_A, by_B, by_C)], axis=1)
