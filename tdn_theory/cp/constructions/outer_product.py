"""The outer-product decomposition of Theorem 3.2 (T2): exact with R = d1 d2 terms, for any tensor."""

from __future__ import annotations

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors


def outer_product(tensor: CouplingTensor) -> CPFactors:
    """`M = sum_ij M[:, i, j] (x) e_i (x) e_j`: one term for each pair of input components (T2, appendix B.2).

    No arithmetic is done, so the factors reproduce M to the last bit.

    Args:
        tensor: Any coupling tensor.

    Returns:
        Factors of rank d1 d2.

    >>> outer_product(CouplingTensor(1))
    CPFactors(R=16, d=4)
    """
    d1, d2, d3 = tensor.dims
    return CPFactors(tensor.array.reshape(d3, d1 * d2), np.repeat(np.eye(d1), d2, axis=1), np.tile(np.eye(d2), d1))
