"""How a bilinear map of features is evaluated in torch: batched matrices, one large matrix product, or sparse loops.

All are differentiable any number of times. A product is trilinear in its tensor's modes, so its derivatives are
products of the same kind with the modes exchanged:

    z_k = M_kij x_i y_j,      dx_i = M_kij g_k y_j,      dy_j = M_kij g_k x_i.

`torch.compile` and `torch.export` see plain torch operations; the autograd functions below, which save memory and
passes over it, are used outside of them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.kernels import gpu, loops
from tdn_theory.nn.planner import MAX_TERMS

CHUNK_BYTES = {"cpu": 1 << 19, "cuda": 1 << 28}
"""Size of the outer products that `DenseTensor` holds at a time: well inside a CPU's second-level cache; large enough
to keep all of a GPU busy."""


# --- one matrix per edge


class _ScaledMatrices(torch.autograd.Function):
    """`z_ku = w_u sum_i G_ki x_iu`; with `h = G^T g`: `dx = w h`, `dw = sum_i h x`, `dG = (g w) x^T`."""

    @staticmethod
    def forward(G: Tensor, x: Tensor, w: Tensor, fused: bool) -> Tensor:
        return loops.scaled_matrices(G, x, w) if fused else torch.bmm(G, x).mul_(w)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, bool], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:3])
        ctx.fused = inputs[3]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        G, x, w = ctx.saved_tensors
        needs_G, needs_x, needs_w, _ = ctx.needs_input_grad
        again = torch.is_grad_enabled()  # a derivative of this one will be taken, so nothing may happen in place
        dG = dx = dw = None
        if ctx.fused and not again:
            if needs_x or needs_w:
                dx, dw = loops.scaled_matrices_backward(G, x, w, g)
        else:
            h = torch.bmm(G.mT, g) if needs_x or needs_w else None
            if needs_w and h is not None:
                dw = (h * x).sum(1, keepdim=True)
            if needs_x and h is not None:
                dx = h * w if again else h.mul_(w)
        if dw is not None and w.shape[0] == 1:
            dw = dw.sum(0, keepdim=True)
        if needs_G:
            dG = torch.bmm(g * w, x.mT)
        return dG, dx, dw, None


def apply_matrices(
    G: Float[Tensor, "e d3 d1"], x: Float[Tensor, "e d1 u"], w: Float[Tensor, "#e 1 u"] | None, fused: bool
) -> Float[Tensor, "e d3 u"]:
    """`z_ku = w_u sum_i G_ki x_iu` for every edge: the product once M has met y.

    Args:
        G: Matrices `G_ki = M_kij y_j`.
        x: Features.
        w: Weights of edges and channels, or None for 1.
        fused: Run one kernel, a compiled loop on CPU or a Triton kernel on a GPU, instead of a batched matrix product
            and a scaling.
    """
    if fused and gpu.runs_on(x):
        from tdn_theory.nn.kernels.message import couple

        return couple(G, None if w is None else w.squeeze(1), x)
    if w is None:
        return torch.bmm(G, x)
    fused = fused and x.is_cpu
    if torch.compiler.is_compiling():
        return (G.unsqueeze(-1) * x.unsqueeze(1)).sum(2) * w if fused else torch.bmm(G, x) * w
    if not torch.is_grad_enabled():  # autograd's bookkeeping takes longer than a small product
        return loops.scaled_matrices(G, x, w) if fused else torch.bmm(G, x).mul_(w)
    return _ScaledMatrices.apply(G, x, w, fused)  # pyright: ignore[reportReturnType]


# --- both inputs with channels


class DenseTensor:
    """`z_ku = M_kij x_iu y_ju` as one matrix product of M with all `x_i y_j`, in chunks of edges.

    Attributes:
        M: The tensor, shape (d3, d1, d2).
    """

    def __init__(self, M: Float[Tensor, "d3 d1 d2"]) -> None:
        self.M = M

    def permuted(self, *modes: int) -> DenseTensor:
        """The tensor with its modes exchanged."""
        return DenseTensor(self.M.permute(modes))

    def traced(self, x: Tensor, y: Tensor) -> Tensor:
        """The product in plain torch operations."""
        pairs = x.unsqueeze(2) * y.unsqueeze(1)
        return torch.matmul(self.M.flatten(1), pairs.flatten(1, 2))

    def __call__(self, x: Float[Tensor, "e d1 u"], y: Float[Tensor, "e d2 u"], fused: bool) -> Float[Tensor, "e d3 u"]:
        """The product, without a graph; there is no kernel of ours."""
        per_edge = x.shape[1] * y.shape[1] * x.shape[2] * x.element_size()
        count = max(1, CHUNK_BYTES["cpu" if x.is_cpu else "cuda"] // max(per_edge, 1))
        M = self.M.flatten(1)
        z = x.new_empty(x.shape[0], M.shape[0], x.shape[2])
        for start in range(0, x.shape[0], count):
            part = slice(start, start + count)
            pairs = x[part].unsqueeze(2) * y[part].unsqueeze(1)
            torch.matmul(M, pairs.flatten(1, 2), out=z[part])
        return z


class SparseTensor:
    """`z_ku = M_kij x_iu y_ju` over the nonzeros of M.

    Attributes:
        M: The tensor, shape (d3, d1, d2), float64.
    """

    def __init__(self, M: Float[np.ndarray, "d3 d1 d2"]) -> None:
        self.M = M
        # for every k the i with their j and M[k, i, j], zeros left out; unless there are too many to write out
        self._terms = _terms(M) if np.count_nonzero(M) <= MAX_TERMS else None
        self._permuted: dict[tuple[int, ...], SparseTensor] = {}

    def permuted(self, *modes: int) -> SparseTensor:
        """The tensor with its modes exchanged, made once."""
        if modes not in self._permuted:
            self._permuted[modes] = SparseTensor(self.M.transpose(modes))
        return self._permuted[modes]

    def traced(self, x: Tensor, y: Tensor) -> Tensor:
        """The product in plain torch operations: term by term, or above `MAX_TERMS` as one matrix product."""
        if self._terms is None:
            return DenseTensor(torch.tensor(self.M, dtype=x.dtype, device=x.device)).traced(x, y)
        z = []
        for row in self._terms:
            total = torch.zeros_like(x[:, 0])
            for i, inner in row:
                total = total + x[:, i] * sum(value * y[:, j] for j, value in inner)
            z.append(total)
        return torch.stack(z, 1)

    def __call__(self, x: Float[Tensor, "e d1 u"], y: Float[Tensor, "e d2 u"], fused: bool) -> Float[Tensor, "e d3 u"]:
        """The product, without a graph: in one compiled loop on CPU, if that is asked for."""
        return self._loop.product(x, y) if fused and x.is_cpu else self.traced(x, y)

    @cached_property
    def _loop(self) -> loops.SparseTensor:
        return loops.SparseTensor(self.M)


def _terms(M: np.ndarray) -> list[list[tuple[int, list[tuple[int, float]]]]]:
    return [
        [(i, [(int(j), float(row[j])) for j in np.flatnonzero(row)]) for i, row in enumerate(matrix) if row.any()]
        for matrix in M
    ]


class _Bilinear(torch.autograd.Function):
    """A product; its derivatives are products with the modes of the tensor exchanged, so any order of them exists."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, M: DenseTensor | SparseTensor, fused: bool) -> Tensor:
        return M(x, y, fused)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Any, bool], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.M, ctx.fused = inputs[2:]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y = ctx.saved_tensors
        needs_x, needs_y, *_ = ctx.needs_input_grad
        dx = _Bilinear.apply(g, y, ctx.M.permuted(1, 0, 2), ctx.fused) if needs_x else None
        dy = _Bilinear.apply(g, x, ctx.M.permuted(2, 0, 1), ctx.fused) if needs_y else None
        return dx, dy, None, None


def bilinear(
    M: DenseTensor | SparseTensor, x: Float[Tensor, "e d1 #u"], y: Float[Tensor, "e d2 #u"], fused: bool
) -> Float[Tensor, "e d3 u"]:
    """`z_ku = M_kij x_iu y_ju`; one of x and y may have a single channel, which stands for all of them."""
    channels = max(x.shape[2], y.shape[2])
    x, y = x.expand(-1, -1, channels), y.expand(-1, -1, channels)
    if torch.compiler.is_compiling():
        return M.traced(x, y)
    if not torch.is_grad_enabled():
        return M(x, y, fused)
    return _Bilinear.apply(x, y, M, fused)  # pyright: ignore[reportReturnType]


def factored(
    A: Float[Tensor, "d3 R"],
    B: Float[Tensor, "d1 R"],
    C: Float[Tensor, "d2 R"],
    x: Float[Tensor, "e d1 #u"],
    y: Float[Tensor, "e d2 #u"],
    fused: bool = False,
) -> Float[Tensor, "e d3 u"]:
    """`z = A ((B^T x) * (C^T y))` (E3); one of x and y may have a single channel, which stands for all of them.

    Args:
        A: Factor of z.
        B: Factor of x.
        C: Factor of y.
        x: Features.
        y: Features.
        fused: Run one Triton kernel on a GPU, which takes the factors as constants, if x and y have equal channels.
    """
    if fused and gpu.runs_on(x) and x.shape[2] == y.shape[2]:
        from tdn_theory.nn.kernels.cp import cp_product

        return cp_product(A, B, C, x, y)
    return torch.matmul(A, torch.matmul(B.T, x) * torch.matmul(C.T, y))
