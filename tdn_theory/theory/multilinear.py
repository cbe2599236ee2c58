"""Equivariant products of N inputs as (N+1)-way tensors: how equivariant they are, and what CP can do with them (T4).

The tensor `T[k, i_1, ..., i_N]` of a product has the paper's features in every mode. As for two inputs:

* Equivariant tensors are the sums of coupling trees: couple x_1 and x_2 to a degree m_2, that with x_3 to m_3, ..., and
  that with x_N to the degree of z (Schur's lemma, one input after the other). Trees of other intermediate degrees are
  orthogonal, since the path tensors obey `sum_ij C[a,i,j] C[b,i,j] = delta_ab / (2l+1)`; that also is why the last tree
  has square length `1 / ((2 m_2 + 1) ... (2 m_(N-1) + 1))` if all C have length 1.
* With P the orthogonal projection on them, `eps(R, x) = D T(x) - T(D x)` has, over rotations of the Haar measure and
  independent inputs of identity covariance, `E ||eps||^2 = 2 ||T - P T||^2`: neither the derivation nor its terms ask
  how many inputs there are (`equivariance.py`, fact 3).

**A lower bound that two inputs do not have.** A sum of R terms has rank at most R in every flattening, that is, as a
matrix with some modes as rows and the others as columns. For three modes such a matrix has at most d rows or columns,
so nothing follows beyond R = d. For N >= 3 modes can be halved, and `(k, i_1 | i_2, i_3)` has d^2 rows and columns:

    R >= max rank,      ||T - That||  >=  max sqrt(sum_(r > R) sigma_r^2)      (Eckart and Young).

**Exact products of few terms.** The mean of `Y_k Y_i1 ... Y_iN` over the sphere is equivariant, and a rule of degree
(N+1) L computes it with one term per point (`cubature.py`). The product `X_1 ... X_N` of n x n matrices, n = L + 1 odd,
is equivariant (`matrix_multiplication.py`), and has n^(N+1) terms written out. For N = 3 these n^4 = d^2 are the
fewest: the flattening (k, i_2 | i_1, i_3) of the trace of four matrices, `X_ab Y_bc Z_ca' W_a'a`, is a permutation of
the d^2 pairs, of full rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product
from math import prod

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.constructions.cubature import CubatureRule
from tdn_theory.cp.constructions.matrix_multiplication import basis
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.harmonics import spherical_harmonics
from tdn_theory.so3.irreps import component_slice, dim, lmax_of
from tdn_theory.theory.rank import modular_rank, modular_root, prime


@dataclass(frozen=True, eq=False)
class Terms:
    """`T[k, i_1, ..., i_N] = sum_r A[k, r] B_1[i_1, r] ... B_N[i_N, r]`.

    Attributes:
        factors: A, B_1, ..., B_N, each of its own d, (d, R).

    Raises:
        ValueError: The factors are not matrices with equally many columns.
    """

    factors: tuple[Float[np.ndarray, "_ R"], ...]

    def __post_init__(self) -> None:
        shapes = [factor.shape for factor in self.factors]
        if len(shapes) < 2 or any(len(shape) != 2 for shape in shapes) or len({shape[1] for shape in shapes}) != 1:
            raise ValueError(f"factors have shapes {shapes}; they must be two or more matrices (d, R) of the same R")

    def __repr__(self) -> str:
        """Number of terms and of inputs."""
        return f"Terms(R={self.rank}, {len(self.factors) - 1} inputs)"

    @property
    def rank(self) -> int:
        """Number of terms R."""
        return self.factors[0].shape[1]

    @property
    def array(self) -> Float[np.ndarray, "..."]:
        """The tensor `T[k, i_1, ..., i_N]`."""
        whole, *rest = self.factors
        for factor in rest:
            whole = whole[..., None, :] * factor
        return whole.sum(-1)


def chain(tensor: CouplingTensor, inputs: int) -> Float[np.ndarray, "..."]:
    """The product of one input after the other, `(...((x_1 x_2) x_3)...) x_N`, as networks stack products.

    Args:
        tensor: The product of two inputs, whose z has the irreps of its x.
        inputs: N, at least 2.

    Raises:
        ValueError: z has other irreps than x, or there are fewer than two inputs.
    """
    if tensor.coupling.z != tensor.coupling.x or inputs < 2:
        raise ValueError(
            f"{tensor} of {inputs} inputs cannot be chained; z must have the irreps of x, and N must be at least 2"
        )
    M = tensor.array
    T = M
    for _ in range(inputs - 2):
        T = np.tensordot(M, T, (1, 0))  # k, last input, first inputs
        T = np.moveaxis(T, 1, -1)
    return T


def symmetrized(T: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Mean over all orders of the inputs: the product of equal inputs x, as in MACE's symmetric contraction."""
    orders = list(permutations(range(1, T.ndim)))
    return sum((T.transpose(0, *order) for order in orders), np.zeros_like(T)) / len(orders)


def project(T: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Orthogonal projection of a tensor of the paper's features, (d, d, ..., d), on the equivariant ones.

    Raises:
        ValueError: The modes differ in size, or the size is not (L+1)^2.
    """
    lmax = lmax_of(len(T))
    if len(set(T.shape)) != 1:
        raise ValueError(f"the tensor has shape {T.shape}; every mode must have the components of degrees 0..L")
    result = np.zeros_like(T)
    for degrees in product(range(lmax + 1), repeat=T.ndim):
        where = tuple(component_slice(l) for l in degrees)
        for tree in _trees(degrees[0], degrees[1:]):
            result[where] += np.vdot(tree, T[where]) * tree
    return result


def _trees(l: int, inputs: Sequence[int]) -> Iterator[Float[np.ndarray, "..."]]:
    """Orthonormal coupling trees of inputs of these degrees to degree l."""
    for tree in _unscaled(l, inputs):
        yield tree / np.linalg.norm(tree)


def _unscaled(l: int, inputs: Sequence[int]) -> Iterator[Float[np.ndarray, "..."]]:
    *first, last = inputs
    if not first:
        if l == last:
            yield np.eye(2 * l + 1)
        return
    for m in range(abs(l - last), l + last + 1):
        for tree in _unscaled(m, first):
            yield np.moveaxis(np.tensordot(clebsch_gordan(m, last, l), tree, (1, 0)), 1, -1)


def mean_square_error(T: Float[np.ndarray, "..."]) -> float:
    """`E ||eps||^2 = 2 ||T - P T||^2` of rotations and independent inputs of identity covariance (module docstring)."""
    return 2 * float(np.square(T - project(T)).sum())


def flattening_spectra(T: Float[np.ndarray, "..."]) -> dict[tuple[int, ...], Float[np.ndarray, " n"]]:
    """Singular values of the tensor as a matrix, for every choice of its rows up to half of the modes, mode 0 first."""
    found = {}
    for size in range(1, T.ndim // 2 + 1):
        for rows in combinations(range(T.ndim), size):
            if 2 * size < T.ndim or 0 in rows:
                columns = [mode for mode in range(T.ndim) if mode not in rows]
                matrix = T.transpose(*rows, *columns).reshape(prod(T.shape[mode] for mode in rows), -1)
                found[rows] = np.linalg.svd(matrix, compute_uv=False)
    return found


def residual_lower_bound(T: Float[np.ndarray, "..."], rank: int) -> float:
    """No sum of `rank` terms is closer to T than this, relative to ||T|| (module docstring).

    Raises:
        ValueError: The tensor is zero.
    """
    norm = float(np.linalg.norm(T))
    if norm == 0:
        raise ValueError("the tensor is zero: it has no relative error")
    return max(float(np.linalg.norm(values[rank:])) for values in flattening_spectra(T).values()) / norm


def gaunt(lmax: int, inputs: int, rule: CubatureRule) -> Terms:
    """The mean of `Y_k Y_i1 ... Y_iN` by a rule, one term per point.

    Raises:
        ValueError: The degree of the rule is below (N+1) L.
    """
    if rule.degree < (inputs + 1) * lmax:
        raise ValueError(f"{rule} is too weak for {inputs} inputs at L = {lmax}; its degree must be (N+1) L at least")
    harmonics = spherical_harmonics(lmax, rule.points, "component").T
    return Terms((harmonics * rule.weights, *[harmonics] * inputs))


def matrix_chain(lmax: int, inputs: int) -> Terms:
    """The product of N real n x n matrices written out, n = L + 1: n^(N+1) terms.

    Raises:
        ValueError: L is odd, where the matrices have quaternions as entries.
    """
    if lmax % 2:
        raise ValueError(f"L is {lmax}; it must be even, where degrees 0..L are the real (L+1) x (L+1) matrices")
    units, n = basis(lmax)[..., 0], lmax + 1
    ways = np.array(list(product(range(n), repeat=inputs + 1))).T  # rows of X_1, columns of X_1 = rows of X_2, ...
    factors = [units[:, ways[step], ways[step + 1]] for step in range(inputs)]
    return Terms((units[:, ways[0], ways[-1]], *factors))


def fit(T: Float[np.ndarray, "..."], rank: int, seed: int, sweeps: int = 500) -> Terms:
    """R terms by alternating least squares (tensorly) from a normally distributed start: an upper bound, no optimum.

    Args:
        T: The tensor.
        rank: Number of terms R.
        seed: Seed of the start.
        sweeps: Sweeps over all factors.
    """
    import warnings

    from tensorly.cp_tensor import CPTensor
    from tensorly.decomposition import parafac

    rng = np.random.default_rng(seed)
    start = [rng.standard_normal((d, rank)) * d**-0.5 for d in T.shape]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorly warns about its own near-singular least-squares systems
        _, found = parafac(T, rank, n_iter_max=sweeps, init=CPTensor((None, start)), tol=0, normalize_factors=False)
    return Terms(tuple(np.asarray(factor) for factor in found))


def chain_rank_bound(lmax: int) -> int:
    """No sum of fewer terms is the chain of three inputs, `chain(CouplingTensor(L), 3)`: a proof by exact arithmetic.

    The rank of the flattening (k, i_1 | i_2, i_3) modulo a prime, with the square roots in the entries of M replaced by
    square roots modulo that prime: such a map of numbers respects sums and products, so no minor that vanishes stays.
    """
    from tdn_theory.theory.proofs import exact_tensor

    p, d = prime(), dim(lmax)
    M = np.zeros((d, d, d))
    for index, value in exact_tensor(Coupling.of(lmax)).items():
        residues = (f.numerator * pow(f.denominator, -1, p) * modular_root(root) for root, f in value.items())
        M[index] = sum(residues) % p
    T = np.tensordot(M, M, (1, 0)) % p  # k, j, i_1, i_2: sums of d products of residues below 2^22 are exact
    return modular_rank(T.transpose(0, 2, 3, 1).reshape(d * d, d * d))
