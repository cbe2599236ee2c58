"""How far a bilinear product is from equivariant, in every sense of E6: per sample, on average, exactly, at worst.

Write `N = Mhat - P Mhat` for the non-equivariant part of a tensor, P being the orthogonal projection on the equivariant
tensors (`CouplingTensor.project`). The group is that of rotations; if the irreps of the coupling have parity, of
rotations and inversion, and then R below is any orthogonal matrix, drawn from the Haar measure of O(3), and P projects
on what commutes with inversion, too. Three facts carry this module; all hold for any real tensor and either group.

1. Only N counts. `D(R) E(x, y) - E(D(R) x, D(R) y) = 0` for an equivariant E, so `eps_Mhat = eps_(Mhat - E)`, and E = P
   Mhat gives `eps_Mhat = eps_N`, sample by sample.

2. Exact mean square. For Haar rotations and independent x, y with `E[x x^T] = E[y y^T] = 1`,

       E eps^2 = E|N(x, y)|^2 + E|N(Dx, Dy)|^2 - 2 E <D N(x, y), N(Dx, Dy)> = 2 ||N||_F^2.

   The first two are ||N||_F^2, since D is orthogonal and Dx, Dy again have identity covariance. In the third the
   average over R of `D^-1 N(Dx, Dy)` is `(P N)(x, y)`, and P N = 0.

3. Worst case within a factor of two. With the injective norm `|N| = max <z, N(x, y)>` over unit vectors,

       |N|  <=  sup over R and unit x, y of eps  <=  2 |N|.

   Right: the triangle inequality and the orthogonality of D. Left: take the maximising x, y; the average over R of
   `N(x, y) - D^-1 N(Dx, Dy)` is N(x, y) by fact 2, so some R gives a vector at least as long.

Sources: E6 for the definitions; facts 1 to 3 are ours. The relaxation behind `injective_norm_bound` is the
partial-transpose criterion of Peres, Phys. Rev. Lett. 77 (1996) 1413, read as a bound on biquadratic forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError, cholesky
from scipy.optimize import minimize_scalar
from scipy.sparse.linalg import eigsh
from scipy.spatial.transform import Rotation

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor, check_tensor, error_relative_to_output
from tdn_theory.cp.factors import CPFactors
from tdn_theory.scale import length, lengths, power_of_two, square
from tdn_theory.so3.irreps import check_degree
from tdn_theory.so3.rotation import haar_rotations, representation, representation_generators
from tdn_theory.theory.products import Product, as_tensor

Relaxation = Literal["partial_transpose", "unfolding"]

UNIT_ROUNDOFF = 2.0**-53

BLOCK_ROUNDING = 64 * UNIT_ROUNDOFF
"""Frobenius distance between a float64 path tensor and a multiple of the exact one, derived at `_rounding`."""

PARTIAL_TRANSPOSE_LIMIT = 64**2
"""Largest product of two dimensions for the partial-transpose relaxation, whose matrices have it as their side (134 MB
at the limit)."""

_EXACT_EIGENVALUES = 256  # largest matrix whose eigenvalues are all computed
_CHUNK = 1000  # samples evaluated at a time: at d = 49 their Wigner matrices take 19 MB


def apply(
    product: Product,
    x: Float[np.ndarray, "*batch d1"],
    y: Float[np.ndarray, "*batch d2"],
    coupling: CouplingLike | None = None,
) -> Float[np.ndarray, "*batch d3"]:
    """`z[k] = sum_ij T[k, i, j] x[i] y[j]`: O(R d) per sample for factors, O(d1 d2 d3) for others.

    Raises:
        TypeError: x or y is not real.
        ValueError: The last axis of x is not d1 or that of y not d2, or the leading axes differ.
    """
    array, coupling = as_tensor(product, coupling)
    for name, value, d in zip("xy", (x, y), coupling.dims, strict=False):
        if np.asarray(value).dtype.kind not in "fiu":
            raise TypeError(f"{name} has dtype {np.asarray(value).dtype}; it must be real")
        if np.ndim(value) == 0 or np.shape(value)[-1] != d:
            raise ValueError(f"{name} has shape {np.shape(value)}; its last axis must be d = {d}")
    if np.shape(x)[:-1] != np.shape(y)[:-1]:
        raise ValueError(f"x has shape {np.shape(x)}, y {np.shape(y)}; the leading axes of both must be the same")
    return product(x, y) if isinstance(product, CPFactors) else _contract(array, x, y)


def _contract(
    array: Float[np.ndarray, "d3 d1 d2"], x: Float[np.ndarray, "*batch d1"], y: Float[np.ndarray, "*batch d2"]
) -> Float[np.ndarray, "*batch d3"]:
    d3, d1, d2 = array.shape
    half = (x @ array.transpose(1, 0, 2).reshape(d1, d3 * d2)).reshape(*np.shape(x)[:-1], d3, d2)
    return np.matmul(half, y[..., None])[..., 0]


def _actions(coupling: Coupling, matrix: Float[np.ndarray, "*batch 3 3"]) -> list[Float[np.ndarray, "..."]]:
    """`D` on the modes k, i, j."""
    known = {irreps: representation(irreps, matrix) for irreps in set(coupling.modes)}
    return [known[irreps] for irreps in coupling.modes]


def equivariance_error(
    product: Product,
    rotation: Float[np.ndarray, "*batch 3 3"],
    x: Float[np.ndarray, "*batch d1"],
    y: Float[np.ndarray, "*batch d2"],
    coupling: CouplingLike | None = None,
) -> Float[np.ndarray, "*batch"]:
    """`eps(R, x, y) = || D(R) Mhat(x (x) y) - Mhat(D(R) x (x) D(R) y) ||` (E6), per sample.

    Args:
        product: Mhat, as `as_tensor` takes it.
        rotation: Rotation matrices, shape (..., 3, 3); improper ones, too, if the irreps have parity.
        x: Features, shape (..., d1).
        y: Features, shape (..., d2).
        coupling: Irreps of the modes, see `as_tensor`.

    Returns:
        Array of shape (...).

    Raises:
        TypeError: Something is not real.
        ValueError: Shapes do not fit, or `rotation` is not a stack of matrices of the group.
    """
    array, coupling = as_tensor(product, coupling)
    plain = product if isinstance(product, CPFactors) else array
    D3, D1, D2 = _actions(coupling, rotation)
    turned = np.matmul(D3, apply(plain, x, y, coupling)[..., None])[..., 0]
    inner = apply(plain, np.matmul(D1, x[..., None])[..., 0], np.matmul(D2, y[..., None])[..., 0], coupling)
    return lengths(turned - inner, axis=-1)


def approximation_error(
    product: Product,
    tensor: CouplingTensor,
    x: Float[np.ndarray, "*batch d1"],
    y: Float[np.ndarray, "*batch d2"],
) -> Float[np.ndarray, "*batch"]:
    """`|| M(x (x) y) - Mhat(x (x) y) || / || M(x (x) y) ||` (E6), per sample.

    Raises:
        TypeError: Something is not real.
        ValueError: Shapes do not fit, or `M(x (x) y)` is zero for a sample.
    """
    wanted = apply(tensor, x, y)
    size = lengths(wanted, axis=-1)
    if np.any(size == 0):
        raise ValueError("M(x (x) y) is zero for a sample, so its relative error is undefined; give other x and y")
    return lengths(apply(product, x, y, tensor.coupling) - wanted, axis=-1) / size


@dataclass(frozen=True)
class Estimate:
    """Sample means of an error and of its square, with their standard errors.

    Attributes:
        n: Number of samples.
        mean: Mean of the error, the number the paper plots.
        mean_se: Standard error of `mean`.
        mean_square: Mean of its square.
        mean_square_se: Standard error of `mean_square`.
    """

    n: int
    mean: float
    mean_se: float
    mean_square: float
    mean_square_se: float

    @classmethod
    def of(cls, errors: Float[np.ndarray, " n"]) -> Estimate:
        """Estimate from independent samples; at least two are needed for a standard error.

        Raises:
            ValueError: The squares are out of the range of float64.
        """
        square(float(errors.max()), "the mean square")
        squares = errors**2
        root = sqrt(len(errors))
        return cls(
            len(errors),
            float(errors.mean()),
            float(errors.std(ddof=1)) / root,
            float(squares.mean()),
            float(squares.std(ddof=1)) / root,
        )


def monte_carlo(product: Product, n: int = 1000, seed: int = 0, coupling: CouplingLike | None = None) -> Estimate:
    """Equivariance error over n Haar rotations with standard normal x and y, one draw each, as in the paper (E6).

    If the irreps have parity, half of the rotations come with an inversion.

    Raises:
        TypeError: `n` is not an integer.
        ValueError: `n` is below 2.
    """
    array, coupling = as_tensor(product, coupling)
    plain = product if isinstance(product, CPFactors) else array
    d1, d2, _ = coupling.dims
    rng = np.random.default_rng(seed)
    errors = []
    for size in _chunks(n):
        matrices, x, y = haar_rotations(size, rng), rng.standard_normal((size, d1)), rng.standard_normal((size, d2))
        if coupling.parity:
            matrices = rng.choice([-1.0, 1.0], (size, 1, 1)) * matrices
        errors.append(equivariance_error(plain, matrices, x, y, coupling))
    return Estimate.of(np.concatenate(errors))


def monte_carlo_approximation(product: Product, tensor: CouplingTensor, n: int = 1000, seed: int = 0) -> Estimate:
    """Relative approximation error over n pairs of standard normal x and y (E6).

    Raises:
        TypeError: `n` is not an integer.
        ValueError: `n` is below 2, or the shapes differ.
    """
    array, _ = as_tensor(product, tensor.coupling)
    plain = product if isinstance(product, CPFactors) else array
    d1, d2, _ = tensor.dims
    rng = np.random.default_rng(seed)
    errors = [
        approximation_error(plain, tensor, rng.standard_normal((size, d1)), rng.standard_normal((size, d2)))
        for size in _chunks(n)
    ]
    return Estimate.of(np.concatenate(errors))


def _chunks(n: int) -> list[int]:
    if check_degree(n, "number of samples n") < 2:
        raise ValueError(f"number of samples n is {n}; it must be at least 2, for a standard error")
    return [min(_CHUNK, n - start) for start in range(0, n, _CHUNK)]


def non_equivariant_part(product: Product, coupling: CouplingLike | None = None) -> Float[np.ndarray, "d3 d1 d2"]:
    """`N = Mhat - P Mhat`, the part that alone makes equivariance errors (fact 1).

    P projects on all that the irreps allow, whether or not it is among the paths of a coupling.

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: The product is none that `as_tensor` takes.
    """
    array, coupling = as_tensor(product, coupling)
    return array - _projection(array, coupling).array


def _projection(array: Float[np.ndarray, "d3 d1 d2"], coupling: Coupling) -> CouplingTensor:
    return CouplingTensor(coupling.complete).project(array)


def mean_square_error(product: Product, coupling: CouplingLike | None = None) -> float:
    """`E eps^2 = 2 ||Mhat - P Mhat||_F^2` over Haar rotations and independent x, y of identity covariance (fact 2).

    No sampling. Its root is at least the paper's mean error, by Jensen's inequality.

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: The product is none that `as_tensor` takes, or the square is out of the range of float64.

    >>> mean_square_error(CouplingTensor(2)) < 1e-25
    True
    """
    return 2 * square(length(non_equivariant_part(product, coupling)), "the mean square error")


def rms_error_relative_to_output(product: Product, coupling: CouplingLike | None = None) -> float:
    """`sqrt(E eps^2 / E ||Mhat(x (x) y)||^2) = sqrt(2) ||Mhat - P Mhat||_F / ||Mhat||_F`, between 0 and sqrt 2.

    The one relative equivariance error of the package (`coupling.error_relative_to_output`).

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: The product is zero, or none that `as_tensor` takes.

    >>> rms_error_relative_to_output(CouplingTensor(2)) < 1e-12
    True
    """
    array, coupling = as_tensor(product, coupling)
    return error_relative_to_output(array, _projection(array, coupling).array)


def relative_rms_approximation_error(product: Product, tensor: CouplingTensor) -> float:
    """`sqrt(E ||(M - Mhat)(x (x) y)||^2 / E ||M(x (x) y)||^2) = ||M - Mhat||_F / ||M||_F`, for identity covariance.

    Raises:
        ValueError: `tensor` is zero, or the shapes differ.
    """
    array, _ = as_tensor(product, tensor.coupling)
    if tensor.norm == 0:
        raise ValueError(f"{tensor} is zero; a relative error needs a tensor with a nonzero path weight")
    return length(array - tensor.array) / tensor.norm


@dataclass(frozen=True)
class Supremum:
    """A certified bound on `sup eps` over all rotations and all unit vectors x, y.

    Attributes:
        value: The bound, `2 (injective_norm + rounding)`; at most four times the true supremum if `injective_norm` is
            within a factor of two of the truth, by fact 3. Multiply by C^2 for vectors of length at most C.
        injective_norm: Certified bound on the injective norm of the non-equivariant part as computed.
        rounding: Bound on the Frobenius distance between that and the exact one.
    """

    value: float
    injective_norm: float
    rounding: float


def supremum_bound(
    product: Product, relaxation: Relaxation = "partial_transpose", coupling: CouplingLike | None = None
) -> Supremum:
    """Certified upper bound on `sup eps` over all rotations and unit x, y: `2 |N|` (fact 3), roundoff included.

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: The product is none that `as_tensor` takes, or too large for the relaxation.
    """
    array, coupling = as_tensor(product, coupling)
    projection = _projection(array, coupling)
    norm = injective_norm_bound(array - projection.array, relaxation)
    rounding = _rounding(product, array, projection)
    return Supremum((1 + 4 * UNIT_ROUNDOFF) * 2 * (norm + rounding), norm, rounding)


def _rounding(product: Product, array: Float[np.ndarray, "d3 d1 d2"], projection: CouplingTensor) -> float:
    """Bound on ||N^ - N||_F, N^ as computed, N = Mhat - E with the exact Mhat and some exactly equivariant E.

    With u = 2^-53 and gamma_n = n u / (1 - n u) (Higham, Accuracy and Stability of Numerical Algorithms, chapter 3):

    * Mhat from factors: an entry is a sum of R products of three numbers, off by at most gamma_(R+1) sum_r |a_r b_r
      c_r|; as a Frobenius norm, gamma_(R+1) sum_r ||a_r|| ||b_r|| ||c_r||. A tensor given as such has no error; that
      of a function is taken to be what it gave.
    * E = sum_p w_p C_p with the exact C_p, up to a factor each, and whatever float64 weights came out: it is
      equivariant, which is all that fact 1 needs. The float64 blocks are off by BLOCK_ROUNDING (below) and by u from
      multiplying with w_p; blocks do not overlap, so together by (BLOCK_ROUNDING + u) sqrt(sum_p w_p^2).
    * The subtraction adds u ||N^||_F.

    BLOCK_ROUNDING. An entry of a real block is a sum of at most two terms c Q Q Q, as m3 = m1 + m2 leaves two sign
    patterns. The complex coefficient c has two roundings (an exact integer quotient and a root), each Q = 1/sqrt 2 two
    as well, the products add three and the sum one: at most 14 u per term. The sum of the terms' magnitudes is |c|
    contracted with three matrices |Q| of spectral norm sqrt 2, so the block is off by at most 14 * 2^(3/2) u < 40 u in
    Frobenius norm; dividing by the norm adds u, and an error in that norm only changes the factor.
    """
    total = (BLOCK_ROUNDING + UNIT_ROUNDOFF) * projection.norm
    total += UNIT_ROUNDOFF * length(array - projection.array)
    if isinstance(product, CPFactors):
        total += _gamma(product.rank + 1) * float(product.term_lengths.sum())
    return 1.01 * total  # second order, and the roundings of this very sum


def _gamma(n: int) -> float:
    return n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF)


def injective_norm_bound(tensor: Float[np.ndarray, "d3 d1 d2"], relaxation: Relaxation = "partial_transpose") -> float:
    """Certified upper bound on `max <z, T(x, y)>` over unit vectors, for exactly these float64 entries.

    `"unfolding"`: the least spectral norm of the three unfoldings, since x (x) y is one of many unit vectors. Up to
    sqrt(d) too large, d the largest dimension; 2.5 times at d = 49 for what CP leaves of M.

    `"partial_transpose"`: `||T(x, y)||^2 = <x (x) y, G (x (x) y)>` with `G[ij, ab] = sum_k T[k,i,j] T[k,a,b]`.
    Exchanging j with b (partial transposition, G') does not change the form on product vectors, so for every t

        |T|^2 <= lambda_max((1 - t) G + t G').

    t = 0 is the unfolding. The function of t is convex; t is searched on [0, 3/2], for the best choice of the mode that
    k stands for. About 1.2 times the truth at d = 49. The value is certified, not just computed: a Cholesky
    factorisation of `lambda 1 - H` that runs through proves `lambda_max(H) <= lambda + gamma_(n+1) / (1 - gamma_(n+1))
    tr(lambda 1 - H)` for the n x n matrix (Rump, BIT 46 (2006) 433), and forming G adds at most gamma_d ||T||_F^2 to
    the spectral norm, d being the dimension summed over.

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: Unknown relaxation, a tensor with no two modes below `PARTIAL_TRANSPOSE_LIMIT` with
            `"partial_transpose"`, or an entry that is not finite.
    """
    tensor = check_tensor(tensor)
    if relaxation not in ("partial_transpose", "unfolding"):
        raise ValueError(f"relaxation is {relaxation!r}; it must be 'partial_transpose' or 'unfolding'")
    modes = [mode for mode in range(3) if tensor.size // tensor.shape[mode] <= PARTIAL_TRANSPOSE_LIMIT]
    if relaxation == "partial_transpose" and not modes:
        raise ValueError(
            f"tensor has shape {tensor.shape}; the partial-transpose relaxation needs two modes whose dimensions "
            f"multiply to {PARTIAL_TRANSPOSE_LIMIT} at most (64 each, L <= 7): use relaxation='unfolding'"
        )
    scale = power_of_two(tensor).item()  # scaling by a power of two is exact, and nothing under- or overflows
    unit = np.ldexp(tensor, -scale)
    squared = float(np.linalg.norm(unit)) ** 2 * (1 + 1e-10)
    if squared == 0:
        return 0.0
    unfoldings = [np.moveaxis(unit, mode, 0).reshape(d, -1) for mode, d in enumerate(unit.shape)]
    certified = min(_certified_largest_eigenvalue(m @ m.T) + _gamma(m.shape[1]) * squared for m in unfoldings)
    if relaxation == "partial_transpose" and unit.size > 1:
        families = [_PartialTranspose(np.moveaxis(unit, mode, 0)) for mode in modes]
        family = min(families, key=lambda f: f.largest_eigenvalue(1.0))
        search = minimize_scalar(
            family.largest_eigenvalue, bounds=(0.0, 1.5), method="bounded", options={"xatol": 0.05}
        )
        at = _certified_largest_eigenvalue(family.matrix(float(search.x)))
        # (1 - t) and t multiply the errors of forming G and G', and each entry of the mixture is rounded three times
        certified = min(certified, at + 4 * (_gamma(family.summed) + 3 * UNIT_ROUNDOFF) * squared)
    return float(np.ldexp(sqrt(certified) * (1 + 4 * UNIT_ROUNDOFF), scale))


class _PartialTranspose:
    """The matrices `(1 - t) G + t G'` of one mode."""

    def __init__(self, tensor: Float[np.ndarray, "k i j"]) -> None:
        self.summed, i, j = tensor.shape
        flat = tensor.reshape(self.summed, i * j)
        self.gram = flat.T @ flat
        self.transposed = self.gram.reshape(i, j, i, j).transpose(0, 3, 2, 1).reshape(i * j, i * j)

    def matrix(self, t: float) -> Float[np.ndarray, "n n"]:
        return (1 - t) * self.gram + t * self.transposed

    def largest_eigenvalue(self, t: float) -> float:
        return _largest_eigenvalue(self.matrix(t))


def _largest_eigenvalue(matrix: Float[np.ndarray, "n n"]) -> float:
    """Largest eigenvalue, to three digits for large matrices; not certified."""
    if len(matrix) <= _EXACT_EIGENVALUES:
        return float(np.linalg.eigvalsh(matrix)[-1])
    start = np.random.default_rng(0).standard_normal(len(matrix))  # the same in every run
    return float(eigsh(matrix, k=1, which="LA", tol=1e-3, v0=start, return_eigenvectors=False)[0])


def _certified_largest_eigenvalue(matrix: Float[np.ndarray, "n n"]) -> float:
    """Upper bound on the largest eigenvalue of a symmetric matrix, proven by Cholesky; the matrix must not be zero."""
    n = len(matrix)
    matrix = (matrix + matrix.T) / 2  # symmetric to the last bit, as Cholesky takes it to be
    size = float(np.abs(matrix).max())
    candidate = _largest_eigenvalue(matrix)
    slack = (1e-12 if n <= _EXACT_EIGENVALUES else 1e-4) * max(candidate, size)
    while True:
        bound = candidate + slack
        shifted = -matrix
        shifted.flat[:: n + 1] += bound
        try:
            cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            slack *= 10
            continue
        gamma = _gamma(n + 1)
        trace = n * abs(bound) + float(np.abs(np.diagonal(matrix)).sum())
        # the diagonal of `shifted` was rounded, entry by entry; so was the mean of the two triangles
        return bound + gamma / (1 - gamma) * trace + UNIT_ROUNDOFF * (abs(bound) + (n + 1) * size)


@dataclass(frozen=True, eq=False)
class Witness:
    """A rotation and unit vectors with a large equivariance error: `sup eps >= value`.

    Attributes:
        value: `eps(rotation, x, y)`.
        rotation: Matrix of shape (3, 3), improper perhaps if the irreps have parity.
        x: Unit vector of d1 components.
        y: Unit vector of d2 components.
    """

    value: float
    rotation: Float[np.ndarray, "3 3"]
    x: Float[np.ndarray, " d1"]
    y: Float[np.ndarray, " d2"]


def supremum_search(
    product: Product, seed: int = 0, starts: int = 4, sweeps: int = 20, coupling: CouplingLike | None = None
) -> Witness:
    """Lower bound on `sup eps` by alternating maximisation.

    `eps = max_z <z, N(x, y)> - <D z, N(Dx, Dy)>` over unit z. For fixed R it is the injective norm of the trilinear
    form `E_R = N - D^-1 N (D (x) D)`, climbed one vector at a time (each step in closed form, so the value never
    falls). For fixed x, y, z the second term is a smooth function of R, climbed by gradient steps along the generators
    with backtracking. Starts: the best x, y, z found for `|N|` alone, which the factor-of-two statement says are worth
    at least half the supremum, and the best of 200 Haar rotations for each; if the irreps have parity, of these and
    their products with inversion.

    Args:
        product: Mhat, as `as_tensor` takes it.
        seed: Seed of the starts.
        starts: Number of starts that are climbed.
        sweeps: Rounds over (x, y, z) and R.
        coupling: Irreps of the modes, see `as_tensor`.

    Raises:
        TypeError: The entries are not real numbers, or a count is not an integer.
        ValueError: The product is none that `as_tensor` takes, or a count is below 1.
    """
    for name, count in (("starts", starts), ("sweeps", sweeps)):
        if check_degree(count, name) < 1:
            raise ValueError(f"{name} is {count}; it must be at least 1")
    array, coupling = as_tensor(product, coupling)
    plain = product if isinstance(product, CPFactors) else array
    N = non_equivariant_part(array, coupling)
    N = np.ldexp(N, -power_of_two(N).item())
    rng = np.random.default_rng(seed)
    X = [representation_generators(irreps) for irreps in coupling.modes]
    d3, d1, d2 = N.shape
    best = Witness(0.0, np.eye(3), np.eye(d1)[0], np.eye(d2)[0])
    if not np.any(N):
        return best

    points = climb(N, *(_unit(rng.standard_normal((4 * starts, d))) for d in (d3, d1, d2)), sweeps=30)
    order = np.argsort(-np.einsum("kij,sk,si,sj->s", N, *points, optimize=True))[:starts]
    candidates = haar_rotations(200, rng)
    if coupling.parity:
        candidates = np.concatenate([candidates, -candidates])
    actions = _actions(coupling, candidates)
    for s in order:
        z, x, y = (p[s] for p in points)
        D3, D1, D2 = actions
        at = int(np.argmin(np.einsum("nk,nk->n", D3 @ z, _contract(N, D1 @ x, D2 @ y))))
        rotation, D = candidates[at], [action[at] for action in actions]
        for _ in range(sweeps):
            turned = N
            for matrix in D:
                turned = np.tensordot(turned, matrix, (0, 0))
            z, x, y = (p[0] for p in climb(N - turned, z[None], x[None], y[None], sweeps=3))
            rotation, D, moved = _turn(N, X, coupling, rotation, D, [z, x, y])
            if not moved:
                break
        value = float(equivariance_error(plain, rotation, x, y, coupling))
        if value > best.value:
            best = Witness(value, rotation, x, y)
    return best


def _unit(v: Float[np.ndarray, "s d"]) -> Float[np.ndarray, "s d"]:
    sizes = np.linalg.norm(v, axis=1, keepdims=True)
    return np.divide(v, sizes, out=np.eye(1, v.shape[1]).repeat(len(v), axis=0), where=sizes > 0)


def climb(
    tensor: Float[np.ndarray, "k i j"],
    z: Float[np.ndarray, "s k"],
    x: Float[np.ndarray, "s i"],
    y: Float[np.ndarray, "s j"],
    sweeps: int,
) -> tuple[Float[np.ndarray, "s k"], Float[np.ndarray, "s i"], Float[np.ndarray, "s j"]]:
    """Rounds of replacing one of z, x, y by the unit vector that maximises `<z, T(x, y)>`."""
    for _ in range(sweeps):
        z = _unit(_contract(tensor, x, y))
        x = _unit(_contract(tensor.transpose(1, 0, 2), z, y))
        y = _unit(_contract(tensor.transpose(2, 0, 1), z, x))
    return z, x, y


def _turn(
    N: Float[np.ndarray, "d3 d1 d2"],
    X: list[np.ndarray],
    coupling: Coupling,
    rotation: Float[np.ndarray, "3 3"],
    D: list[np.ndarray],
    vectors: list[np.ndarray],
) -> tuple[Float[np.ndarray, "3 3"], list[np.ndarray], bool]:
    """One gradient step of R down `<Dz, N(Dx, Dy)>`; also whether it got anywhere.

    Turning on by `exp(t a.X)` changes Dz by `t a.X Dz` to first order, and likewise Dx and Dy.
    """
    z, x, y = (matrix @ vector for matrix, vector in zip(D, vectors, strict=True))
    value = float(z @ _contract(N, x, y))
    slopes = np.array(
        [
            (g3 @ z) @ _contract(N, x, y) + z @ _contract(N, g1 @ x, y) + z @ _contract(N, x, g2 @ y)
            for g3, g1, g2 in zip(*X, strict=True)
        ]
    )
    size = float(np.linalg.norm(slopes))
    angle = 0.5
    while size > 0 and angle > 1e-6:
        step = Rotation.from_rotvec(-angle * slopes / size).as_matrix()
        T = _actions(coupling, step)
        if float((T[0] @ z) @ _contract(N, T[1] @ x, T[2] @ y)) < value - 1e-4 * angle * size:
            return step @ rotation, [t @ matrix for t, matrix in zip(T, D, strict=True)], True
        angle /= 2
    return rotation, D, False
