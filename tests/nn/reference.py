"""The products straight from their definition: path by path, in float64, with the tests' own Clebsch-Gordan."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.so3.irreps import slot_slices
from tests import reference

SUBSCRIPTS = {
    "uvu": "kij,eiu,ejv,euv->eku",
    "uvv": "kij,eiu,ejv,euv->ekv",
    "uvw": "kij,eiu,ejv,euvw->ekw",
    "uuu": "kij,eiu,eju,eu->eku",
    "uuw": "kij,eiu,eju,euw->ekw",
}

clebsch_gordan = lru_cache(maxsize=None)(reference.clebsch_gordan)


def path_tensors(tensor: CouplingTensor) -> list[np.ndarray]:
    """The tensor (d3, d1, d2) of every path, zero outside of its block."""
    coupling = tensor.coupling
    d1, d2, d3 = coupling.dims
    x, y, z = (slot_slices(irreps) for irreps in (coupling.x, coupling.y, coupling.z))
    tensors = []
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        result = np.zeros((d3, d1, d2))
        l1, l2, l3 = coupling.x[path.x].l, coupling.y[path.y].l, coupling.z[path.z].l
        norm = np.sqrt(2 * l3 + 1) if tensor.normalization == "component" else 1.0
        result[z[path.z], x[path.x], y[path.y]] = weight * norm * clebsch_gordan(l1, l2, l3)
        tensors.append(result)
    return tensors


def product(tensors: list[np.ndarray], mode: str, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`sum_p w_p C_p (x (x) y)` for x (e, d1, u), y (e, d2, v) and weights (e or 1, p, ...)."""
    weights = np.broadcast_to(weights, (len(x), *weights.shape[1:]))
    pairs = zip(tensors, np.moveaxis(weights, 1, 0), strict=True)
    return sum(np.einsum(SUBSCRIPTS[mode], tensor, x, y, w, optimize=True) for tensor, w in pairs)
