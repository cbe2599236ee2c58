"""The compiled loops of the product on CPU: matrices of every edge applied to features, and sparse tensors."""

from __future__ import annotations

from ctypes import CDLL
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn import kernels
from tdn_theory.nn.kernels.compiler import C_TYPES, call, library


@cache
def _library(name: str, dtype: torch.dtype) -> CDLL:
    return library("".join(files(kernels).joinpath(part).read_text() for part in ("vector.h", name)), dtype)


def scaled_matrices(
    G: Float[Tensor, "e d3 d1"], x: Float[Tensor, "e d1 u"], w: Float[Tensor, "#e 1 u"]
) -> Float[Tensor, "e d3 u"]:
    """`z_ku = w_u sum_i G_ki x_iu` for every edge, each number of x and z touched once in memory."""
    (edges, d3, d1), c = G.shape, x.shape[2]
    G, x, w = _rows_contiguous(G), x.contiguous(), w.contiguous()
    z = x.new_empty(edges, d3, c)
    sizes = (d3, d1, c, G.stride(0), G.stride(1), c if w.shape[0] > 1 else 0)
    call(_library("scaled_matrices.c", x.dtype).forward, edges, sizes, (G, x, w, z))
    return z


def scaled_matrices_backward(
    G: Float[Tensor, "e d3 d1"], x: Float[Tensor, "e d1 u"], w: Float[Tensor, "#e 1 u"], g: Float[Tensor, "e d3 u"]
) -> tuple[Float[Tensor, "e d1 u"], Float[Tensor, "e 1 u"]]:
    """Gradients of `scaled_matrices` for x and, edge by edge, w, given that for z."""
    (edges, d3, d1), c = G.shape, x.shape[2]
    G, x, w, g = _rows_contiguous(G), x.contiguous(), w.contiguous(), g.contiguous()
    dx, dw = torch.empty_like(x), x.new_empty(edges, 1, c)
    sizes = (d3, d1, c, G.stride(0), G.stride(1), c if w.shape[0] > 1 else 0)
    call(_library("scaled_matrices.c", x.dtype).backward, edges, sizes, (G, g, w, x, dx, dw))
    return dx, dw


def _rows_contiguous(G: Tensor) -> Tensor:
    """Matrices may be parts of larger ones, as long as each row lies in one piece."""
    return G if G.stride(2) == 1 else G.contiguous()


class SparseTensor:
    """The nonzeros of `M[k, i, j]`, listed by k, then i, then j.

    Attributes:
        shape: (d3, d1, d2).
    """

    def __init__(self, M: Float[np.ndarray, "d3 d1 d2"]) -> None:
        self.shape = M.shape
        rows, pairs, first, second = [0], [0], [], []
        for matrix in M:
            for i, row in enumerate(matrix):
                if row.any():
                    first.append(i)
                    second.extend(np.flatnonzero(row))
                    pairs.append(len(second))
            rows.append(len(first))
        self._lists = tuple(torch.tensor(np.array(part, dtype=np.int32)) for part in (rows, pairs, first, second))
        values = M[M != 0]
        self._values = {dtype: torch.tensor(values, dtype=dtype) for dtype in C_TYPES}

    def product(self, x: Float[Tensor, "e d1 u"], y: Float[Tensor, "e d2 u"]) -> Float[Tensor, "e d3 u"]:
        """`z_ku = M_kij x_iu y_ju`."""
        (edges, _, c), (d3, d1, d2) = x.shape, self.shape
        x, y = x.contiguous(), y.contiguous()
        z = x.new_empty(edges, d3, c)
        tensors = (*self._lists, self._values[x.dtype], x, y, z)
        call(_library("sparse.c", x.dtype).product, edges, (d1, d2, d3, c), tensors)
        return z
