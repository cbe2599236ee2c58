"""Tucker form and tensor train beside CP: the other low-rank formats of a coupling tensor, and the least they can miss.

A Tucker form of core ranks (r3, r1, r2) lies, in each mode n, in a subspace of r_n dimensions; a tensor train with mode
m in the middle and ranks (r, s) to its sides has unfoldings of rank r and s in the two other modes, and nothing else
restricts it: it is a Tucker form with the middle mode whole. So for both, by Eckart and Young in every unfolding and
by the truncated higher-order SVD (De Lathauwer, De Moor and Vandewalle, SIAM J. Matrix Anal. Appl. 21 (2000) 1253,
property 10; Oseledets, SIAM J. Sci. Comput. 33 (2011) 2295, theorem 2.2),

    max_n t_n  <=  min ||M - Mhat||^2  <=  sum_n t_n,      t_n = sum_{k > r_n} sigma_k^(n)^2,

where sigma are the singular values of the unfoldings, known in closed form (`CouplingTensor.singular_values`). With one
mode truncated the two sides are equal, and the truncated SVD attains them. CP has no such closed form from below:
`bounds.residual_lower_bound` is zero from R = d on.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import CouplingTensor
from tdn_theory.so3.irreps import check_degree
from tdn_theory.theory.bounds import Core, scaled_tails


@dataclass(frozen=True)
class Bracket:
    """Between what the relative error `||M - Mhat|| / ||M||` of the best approximation lies.

    Attributes:
        low: No approximation in the format has less.
        high: The truncated higher-order SVD has no more.
    """

    low: float
    high: float


def tucker_bracket(tensor: CouplingTensor, core: Core) -> Bracket:
    """The error of the best Tucker approximation of these core ranks, from the spectrum alone.

    A tensor train with one mode in the middle is that with this mode's rank equal to its dimension.

    Raises:
        TypeError: A rank is not an integer.
        ValueError: A rank is not in 1..d of its mode, or the tensor is zero.

    >>> tucker_bracket(CouplingTensor(1), (4, 4, 3))  # one mode truncated, by one of three equal singular values
    Bracket(low=0.447..., high=0.447...)
    """
    tails = _shares(tensor)
    for rank, of_mode in zip(core, tails, strict=True):
        if not 1 <= check_degree(rank, "core rank") < len(of_mode):
            raise ValueError(f"core rank is {rank}; it must be in 1..d = 1..{len(of_mode) - 1}")
    found = [float(of_mode[rank]) for rank, of_mode in zip(core, tails, strict=True)]
    return Bracket(sqrt(max(found)), sqrt(min(1.0, sum(found))))


def _shares(tensor: CouplingTensor) -> list[np.ndarray]:
    """Of each mode, the share of ||M||^2 beyond the first r singular values, r = 0..d."""
    if tensor.norm == 0:
        raise ValueError(f"{tensor} is zero: every approximation is exact, and a relative error has no meaning")
    return [tails / tails[0] for tails in scaled_tails(tensor)]


def tucker_numbers(dims: tuple[int, int, int], core: Core) -> int:
    """Numbers of a Tucker form: the core and a basis for each mode that is truncated."""
    bases = sum(d * r for d, r in zip(dims, core, strict=True) if r < d)
    return core[0] * core[1] * core[2] + bases


def fewest_numbers(tensor: CouplingTensor, error: float, middle: int | None = None) -> tuple[int, Core]:
    """The fewest numbers that a Tucker form, or a train, of relative error `error` could do with, and its core ranks.

    All core ranks are tried; those whose `tucker_bracket` is above the error from below cannot have it. So fewer
    numbers are impossible, and these may or may not do.

    Args:
        tensor: M.
        error: The relative error allowed.
        middle: The middle mode (k, i, j = 0, 1, 2) of a tensor train; None: a Tucker form.
    """
    shape, tails = tensor.coupling.shape, _shares(tensor)
    least = [int(np.argmax(of_mode <= error**2 * (1 + 1e-12))) for of_mode in tails]
    if middle is not None:
        least[middle] = shape[middle]
    # more of a rank is never fewer numbers, but where the mode becomes whole and needs no basis
    first, second, third = ({max(rank, 1), d} for rank, d in zip(least, shape, strict=True))
    return min((tucker_numbers(shape, core), core) for core in product(first, second, third))


def fit_tucker(tensor: CouplingTensor, core: Core) -> Float[np.ndarray, "d3 d1 d2"]:
    """A Tucker approximation of M by higher-order orthogonal iteration (tensorly), as a tensor.

    A local optimum, begun at the truncated higher-order SVD.
    """
    from tensorly.decomposition import tucker

    found = tucker(tensor.array, rank=list(core), n_iter_max=500, tol=1e-12)
    return np.asarray(found.to_tensor())
