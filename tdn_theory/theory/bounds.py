"""Theorem 3.1 (T1), what it is worth, and bounds that are sharper.

Everything rests on one chain, for every tensor Mhat, every rotation and all |x|, |y| <= C; M is any equivariant tensor,
`N = Mhat - P Mhat`, |.| the injective and ||.|| the Frobenius norm:

    eps  <=  2 C^2 |N|  <=  2 C^2 ||N||  <=  2 C^2 ||M - Mhat||.

The first step is fact 3 of `equivariance.py`; the second holds for every tensor; the third because P is an orthogonal
projection and P M = M, so ||M - Mhat||^2 = ||N||^2 + ||M - P Mhat||^2. T1 takes only the last one, and bounds ||M -
Mhat|| for a best Mhat by the residual of a Tucker truncation. Core (r1, r2, r3) means: project mode n on its r_n
leading left singular vectors. The truncated higher-order SVD has

    ||M - Mhat||^2  <=  sum_n sum_{k > r_n} sigma_k^(n)^2

(De Lathauwer, De Moor and Vandewalle, SIAM J. Matrix Anal. Appl. 21 (2000) 1253, property 10) and CP rank at most the
least product of two of the three r_n: an r1 x r2 x r3 core is r1 r2 fibres, each of which times two singular vectors is
one rank-one term. T1 uses r^3 terms, one per entry of the core, where r^2 do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solvers.solver import check_rank
from tdn_theory.scale import length, power_of_two, square
from tdn_theory.so3.irreps import check_degree
from tdn_theory.theory.equivariance import non_equivariant_part, supremum_bound
from tdn_theory.theory.products import Product, as_tensor

Core = tuple[int, int, int]
"""Ranks of a Tucker truncation in the modes k, i, j."""


def integer_root(n: int, degree: int) -> int:
    """`floor(n^(1/degree))`, exactly: floats give `64 ** (1/3) = 3.9999999999999996`.

    Raises:
        TypeError: An argument is not an integer.
        ValueError: `n` is negative, or `degree` is not positive.

    >>> integer_root(64, 3), integer_root(63, 3)
    (4, 3)
    """
    n, degree = check_degree(n, "n"), check_degree(degree, "degree of the root")
    if degree == 0:
        raise ValueError("degree of the root is 0; it must be at least 1: pass 2 or 3")
    low, high = 0, 1 << (n.bit_length() // degree + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= n else (low, middle)
    return low


def tail(tensor: CouplingTensor, core: Core) -> float:
    """`sum_n sum_{k > r_n} sigma_k^(n)^2`, from the closed-form spectrum (`CouplingTensor.singular_values`).

    Raises:
        TypeError: A core rank is not an integer.
        ValueError: A core rank is negative, or the sum is out of the range of float64.
    """
    return square(_tail_length(tensor, core), "the tail")


def _tail_length(tensor: CouplingTensor, core: Core) -> float:
    ranks = [check_degree(rank, "core rank") for rank in core]
    return length(np.concatenate([tensor.singular_values(mode)[ranks[mode] :] for mode in (0, 1, 2)]))


def theorem_core(tensor: CouplingTensor, rank: int) -> Core:
    """The core of T1: `R_T = floor(R^(1/3))` in every mode, at most its dimension."""
    check_rank(rank)
    return _equal_core(tensor, integer_root(rank, 3))


def square_root_core(tensor: CouplingTensor, rank: int) -> Core:
    """`floor(sqrt R)` in every mode, at most its dimension: an r x r x r core has CP rank at most r^2."""
    check_rank(rank)
    return _equal_core(tensor, integer_root(rank, 2))


def _equal_core(tensor: CouplingTensor, size: int) -> Core:
    k, i, j = tensor.coupling.shape
    return min(size, k), min(size, i), min(size, j)


def best_core(tensor: CouplingTensor, rank: int) -> Core:
    """Among the cores of CP rank at most R by the fibre argument, the one of least tail.

    Two modes have `r_m r_n <= R`. The third is free: it never needs more than its dimension, which leaves it no tail.
    So one of the three modes is kept whole, and the others share R; all choices of r_m are tried for each of three
    pairs.
    """
    check_rank(rank)
    shape, tails = tensor.coupling.shape, scaled_tails(tensor)
    cores: list[Core] = []
    for whole in range(3):
        m, n = (mode for mode in range(3) if mode != whole)
        for first in range(1, min(shape[m], rank) + 1):
            core = [0, 0, 0]
            core[whole], core[m], core[n] = shape[whole], first, min(shape[n], rank // first)
            cores.append((core[0], core[1], core[2]))
    return min(cores, key=lambda core: sum(tails[mode][size] for mode, size in enumerate(core)))


def scaled_tails(tensor: CouplingTensor) -> list[Float[np.ndarray, " n"]]:
    """`t_n[r] = sum_{k > r} sigma_k^(n)^2` of each mode, r = 0..d, times a power of four that keeps squares in range.

    So `t_n[r] / t_n[0]` is the share of ||M||^2 beyond the first r singular values.
    """
    spectra = [tensor.singular_values(mode) for mode in (0, 1, 2)]
    unit = power_of_two(np.concatenate(spectra)).item()
    squares = [np.ldexp(values, -unit) ** 2 for values in spectra]
    return [np.append(np.cumsum(values[::-1])[::-1], 0.0) for values in squares]


def theorem_bound(tensor: CouplingTensor, rank: int, radius: float = 1.0) -> float:
    """T1 as stated: `eps <= 2 C^2 sqrt(sum_n sum_{k > R_T} sigma_k^(n)^2)`, `R_T = floor(R^(1/3))`, Mhat of rank R.

    It holds for a best rank-R approximation in Frobenius norm.
    Where no best approximation exists the bound holds for every Mhat that is at least as close to M as the truncation.

    Args:
        tensor: M.
        rank: Number of CP terms R.
        radius: C, the largest length of x and y.

    Raises:
        TypeError: `rank` is not an integer.
        ValueError: `rank` is below 1, or `radius` is negative or not finite.
    """
    return core_bound(tensor, theorem_core(tensor, rank), radius)


def square_root_bound(tensor: CouplingTensor, rank: int, radius: float = 1.0) -> float:
    """T1 with `R_T = floor(sqrt R)`: never larger, and valid for the same Mhat (module docstring)."""
    return core_bound(tensor, square_root_core(tensor, rank), radius)


def best_core_bound(tensor: CouplingTensor, rank: int, radius: float = 1.0) -> float:
    """T1 with the best core of CP rank at most R: the most that truncation arguments of this kind can give."""
    return core_bound(tensor, best_core(tensor, rank), radius)


def core_bound(tensor: CouplingTensor, core: Core, radius: float = 1.0) -> float:
    """`2 C^2 sqrt(tail)` for a given core.

    Raises:
        TypeError: A core rank is not an integer.
        ValueError: A core rank is negative, or `radius` is negative or not finite.
    """
    return 2 * _square(radius) * _tail_length(tensor, core)


def trivial_bound(tensor: CouplingTensor, radius: float = 1.0) -> float:
    """`2 C^2 ||M||_F`: what every best approximation satisfies without any theorem.

    The zero tensor has rank 0, so a best rank-R approximation has ||M - Mhat|| <= ||M||. (The zero map itself has no
    equivariance error at all; the bounds are about not knowing more than ||M - Mhat||.) A bound of this form that is
    not below this says nothing.
    """
    return 2 * _square(radius) * tensor.norm


def _square(radius: float) -> float:
    if not 0 <= radius < float("inf"):
        raise ValueError(f"radius is {radius}; it must be finite and >= 0: the largest length C of x and y")
    return square(radius, "C^2")


def residual_lower_bound(tensor: CouplingTensor, rank: int) -> float:
    """`||M - Mhat||_F >= max_n sqrt(sum_{k > R} sigma_k^(n)^2)` for every Mhat of CP rank (or border rank) at most R.

    Each unfolding of Mhat has matrix rank at most R; then Eckart and Young, Psychometrika 1 (1936) 211. Zero from R =
    max(d1, d2, d3) on.

    Raises:
        TypeError: `rank` is not an integer.
        ValueError: `rank` is below 1.
    """
    check_rank(rank)
    return max(length(tensor.singular_values(mode)[rank:]) for mode in (0, 1, 2))


def truncation(tensor: CouplingTensor, core: Core) -> CPFactors:
    """The truncated higher-order SVD of M as CP factors, with the fewest terms the fibre argument gives.

    With U_n the leading left singular vectors and S = M projected on them, modes m, n of least `r_m r_n` and the
    remaining mode o: `Mhat = sum_{a, b} (U_m)_a (x) (U_n)_b (x) (sum_c S_abc (U_o)_c)`.

    Args:
        tensor: M.
        core: Ranks in the modes k, i, j, each from 1 to the dimension of the mode.

    Returns:
        Factors with the least product of two core ranks as R, or fewer.

    Raises:
        TypeError: A core rank is not an integer.
        ValueError: A core rank is not in 1..d.
    """
    M = tensor.array
    for rank, d in zip(core, M.shape, strict=True):
        if not 1 <= check_degree(rank, "core rank") <= d:
            raise ValueError(f"core rank is {rank}; it must be in 1..d = 1..{d}")
    bases = [
        np.linalg.svd(np.moveaxis(M, mode, 0).reshape(M.shape[mode], -1), full_matrices=False)[0][:, :rank]
        for mode, rank in enumerate(core)
    ]
    sizes = [basis.shape[1] for basis in bases]  # an unfolding with more rows than columns has fewer singular vectors
    last = int(np.argmax(sizes))
    m, n = (mode for mode in range(3) if mode != last)
    S = np.einsum("kij,ka,ib,jc->abc", M, *bases, optimize=True)
    fibres = np.moveaxis(S, last, 2).reshape(-1, sizes[last])
    factors = [np.empty(0)] * 3
    factors[m] = np.repeat(bases[m], sizes[n], axis=1)
    factors[n] = np.tile(bases[n], (1, sizes[m]))
    factors[last] = bases[last] @ fibres.T
    return CPFactors(*factors)


@dataclass(frozen=True)
class Chain:
    """The bounds of one decomposition on `sup eps` over unit x, y, sharpest first; none needs Mhat to be optimal.

    Attributes:
        certified: `2 |N|`, by a certified relaxation (`equivariance.supremum_bound`).
        non_equivariant: `2 ||N||_F`.
        residual: `2 ||M - Mhat||_F`.
        trivial: `2 ||M||_F`.
    """

    certified: float
    non_equivariant: float
    residual: float
    trivial: float


def chain(product: Product, tensor: CouplingTensor) -> Chain:
    """All bounds for a given decomposition.

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: The shapes differ, or an entry is not finite.
    """
    array, _ = as_tensor(product, tensor.coupling)
    return Chain(
        supremum_bound(product, coupling=tensor.coupling).value,
        2 * length(non_equivariant_part(array, tensor.coupling)),
        2 * length(array - tensor.array),
        2 * tensor.norm,
    )
