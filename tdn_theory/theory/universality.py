"""Which equivariant maps a CP form of rank R represents exactly (T2, T3): path space, reached weights, invariants.

Equivariant tensors are the points w of path space, `M_w = sum_p w_p C_p`. The ones of CP rank at most R are a set
`X_R`, all of path space once R reaches d^2 (T2), and much earlier in practice.

Scaling. Multiplying a slot of a mode (degree l, in the paper's features) by a number changes no rank and keeps M_w
equivariant. It multiplies w_p by `s_z t_x u_y`, so X_R is a union of orbits of these scalings, of dimension `rank of
the incidence matrix (paths x slots)`. What is left are `paths - that` invariants, products of powers of weights. (Where
an irrep occurs several times in a mode, mixing its copies changes no rank either; these mixings are not counted here.)

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
from jaxtyping import Float

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor
from tdn_theory.cp.factors import CPFactors, khatri_rao
from tdn_theory.extras import named
from tdn_theory.scale import length
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import Path
from tdn_theory.theory.equivariance import rms_error_relative_to_output
from tdn_theory.theory.products import as_tensor

EQUIVARIANT = 1e-10
"""Equivariance error relative to the output up to which factors count as exactly equivariant."""

ALIVE = 1e-6
"""Relative weight below which a path counts as absent."""

Exponents = dict[Path, int]
"""A product of powers of path weights."""


def scaling_invariants(coupling: CouplingLike) -> list[Exponents]:
    """Independent products of powers of the weights that no scaling of slots changes.

    Their exponents are an integer basis of the kernel of the transposed incidence matrix of paths and slots.

    >>> scaling_invariants(1)
    [{Path(0, 0, 0): 1, Path(1, 1, 0): -1, ...]
    >>> [len(scaling_invariants(lmax)) for lmax in (1, 2, 3)]
    [1, 8, 24]
    """
    with named():
        import sympy

    coupling = Coupling.of(coupling)
    kernel = sympy.Matrix(_incidence(coupling).T.tolist()).nullspace()
    result = []
    for vector in kernel:
        scale = sympy.ilcm(*(entry.q for entry in vector))
        powers = zip(coupling.paths, vector, strict=True)
        result.append({path: int(entry * scale) for path, entry in powers if entry != 0})
    return result


def _incidence(coupling: Coupling) -> np.ndarray:
    """Which slot a path has in each mode: shape (paths, slots of all modes)."""
    starts = np.cumsum([0, len(coupling.z), len(coupling.x)])
    matrix = np.zeros((len(coupling.paths), starts[-1] + len(coupling.y)), dtype=int)
    for row, path in zip(matrix, coupling.paths, strict=True):
        row[starts + np.array([path.z, path.x, path.y])] = 1
    return matrix


def scaling_dimension(coupling: CouplingLike) -> int:
    """Dimension of the orbits of scalings on weights that are all nonzero.

    >>> [scaling_dimension(lmax) for lmax in (1, 2, 3)]
    [4, 7, 10]
    """
    return int(np.linalg.matrix_rank(_incidence(Coupling.of(coupling))))


def invariant_value(coupling: CouplingLike, exponents: Exponents, weights: Float[np.ndarray, " paths"]) -> float:
    """Value of a product of powers of weights, given in the order of the coupling's paths.

    Raises:
        ValueError: The number of weights is wrong, or a weight with a negative exponent is zero.
    """
    coupling = Coupling.of(coupling)
    known = coupling.paths
    if len(weights) != len(known):
        raise ValueError(f"{len(weights)} weights given; {coupling.label} has {len(known)} paths: give one weight each")
    of = dict(zip(known, weights, strict=True))
    if any(of[path] == 0 for path, power in exponents.items() if power < 0):
        raise ValueError("a weight with a negative exponent is zero; the invariant has no value there")
    return float(np.prod([of[path] ** power for path, power in exponents.items()]))


@dataclass(frozen=True, eq=False)
class Reach:
    """What exact equivariant factors represent, and what is reached near them.

    Attributes:
        rank: Number of terms R.
        weights: Path weights, in the order of the paths of the coupling.
        alive: Number of paths with a weight that is not zero.
        dimension: First-order dimension of the weights reached nearby, out of the number of paths.
        paths: Number of paths.
        scaling: Dimension of the orbit of w under scalings of slots, always reached.
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


def reach(factors: CPFactors, coupling: CouplingLike | None = None) -> Reach:
    """Path weights of exact equivariant factors, and the first-order dimension of the weights near them.

    Args:
        factors: The factors.
        coupling: Irreps of the modes, see `products.as_tensor`; all their admissible paths count.

    Raises:
        ValueError: The factors are not equivariant to `EQUIVARIANT`, relative to their norm.
    """
    array, coupling = as_tensor(factors, coupling)
    coupling = coupling.complete
    error = rms_error_relative_to_output(factors, coupling)
    if error > EQUIVARIANT:
        raise ValueError(
            f"{factors} has the relative equivariance error {error:.1e}; only exact decompositions of equivariant maps "
            f"(at most {EQUIVARIANT:.0e}) represent one: refine the factors"
        )
    J = jacobian(factors.balance())
    C = _path_basis(coupling)
    projected = C.T @ J
    weights = np.array(CouplingTensor(coupling).project(array).weights)
    alive = np.abs(weights) > ALIVE * length(array)
    incidence = _incidence(coupling)[alive]
    values, rest = (np.linalg.svd(matrix, compute_uv=False) for matrix in (J, J - C @ projected))
    cut = 1e-8 * values[0]  # the same for both; Gram matrices would lose half the digits
    dimension = int(np.count_nonzero(values > cut)) - int(np.count_nonzero(rest > cut))
    return Reach(
        factors.rank, weights, int(alive.sum()), dimension, len(weights), int(np.linalg.matrix_rank(incidence))
    )


def _path_basis(coupling: Coupling) -> Float[np.ndarray, "entries paths"]:
    """The unit-norm path tensors as columns."""
    columns = np.zeros((len(coupling.paths), *coupling.shape))
    for column, path in zip(columns, coupling.paths, strict=True):
        column[coupling.where(path)] = clebsch_gordan(*path.degrees)
    return columns.reshape(len(columns), -1).T


def jacobian(factors: CPFactors) -> Float[np.ndarray, "entries unknowns"]:
    """Derivative of the tensor by (A, B, C), each in the order (component, term)."""
    A, B, C = factors.A, factors.B, factors.C
    d3, d1, d2 = len(A), len(B), len(C)
    by_A = np.einsum("ka,ijr->kijar", np.eye(d3), khatri_rao(B, C).reshape(d1, d2, -1))
    by_B = np.einsum("ia,kjr->kijar", np.eye(d1), khatri_rao(A, C).reshape(d3, d2, -1))
    by_C = np.einsum("ja,kir->kijar", np.eye(d2), khatri_rao(A, B).reshape(d3, d1, -1))
    return np.concatenate([part.reshape(d3 * d1 * d2, -1) for part in (by_A, by_B, by_C)], axis=1)
