"""How a bilinear map of features is evaluated in torch: batched matrices, one large matrix product, or generated code.

Every form is differentiable any number of times. A product is trilinear in its tensor's modes, so its derivatives are
products of the same kind with the modes exchanged:

    z_k = M_kij x_i y_j,      dx_i = M_kij g_k y_j,      dy_j = M_kij g_k x_i.

`torch.compile` and `torch.export` see plain torch operations; the autograd functions below, which save memory and
passes over it, are used outside of them.

Generated code is compiled by `torch.compile` when it is first run: once for the first number of edges, once more for
any other number, and not again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.planner import MAX_TERMS

CHUNK_BYTES = 1 << 19
"""Size of the outer products that `DenseForm` holds at a time, well inside a second-level cache."""


def _compile(lines: list[str], name: str) -> Callable[..., Any]:
    """The function `name` defined by the lines."""
    namespace: dict[str, Any] = {"torch": torch}
    exec(compile("\n".join(lines), f"<generated {name}>", "exec"), namespace)
    return namespace[name]


# --- one matrix per edge


@lru_cache(maxsize=256)
def _fused_matrices(
    d3: int, d1: int, channels: int
) -> tuple[Callable[..., Tensor], Callable[..., tuple[Tensor, Tensor]]]:
    """The loops of `apply_matrices` and its derivative, inner sums written out, each compiled at its first call.

    Every number of channels has its own, so that only the number of edges is left to vary at run time.
    """
    forward = " + ".join(f"G[:, :, {i}, None] * x[:, {i}, None]" for i in range(d1))
    backward = " + ".join(f"G[:, {k}, :, None] * g[:, {k}, None]" for k in range(d3))
    z = _compile(["def z(G, x, w):", f"    return ({forward}) * w"], "z")
    dz = _compile(
        ["def dz(G, x, w, g):", f"    h = {backward}", "    return h * w, (h * x).sum(1, keepdim=True)"], "dz"
    )
    return torch.compile(z, fullgraph=True), torch.compile(dz, fullgraph=True)


class _ScaledMatrices(torch.autograd.Function):
    """`z_ku = w_u sum_i G_ki x_iu`; with `h = G^T g`: `dx = w h`, `dw = sum_i h x`, `dG = (g w) x^T`."""

    @staticmethod
    def forward(G: Tensor, x: Tensor, w: Tensor, fused: bool) -> Tensor:
        return _fused_matrices(*G.shape[1:], x.shape[2])[0](G, x, w) if fused else torch.bmm(G, x).mul_(w)

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
                dx, dw = _fused_matrices(*G.shape[1:], x.shape[2])[1](G, x, w, g)
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
        fused: Run one generated loop instead of a batched matrix product and a scaling.
    """
    if w is None:
        return torch.bmm(G, x)
    if torch.compiler.is_compiling():
        return (G.unsqueeze(-1) * x.unsqueeze(1)).sum(2) * w if fused else torch.bmm(G, x) * w
    return _ScaledMatrices.apply(G, x, w, fused)  # pyright: ignore[reportReturnType]


# --- both inputs with channels


class DenseForm:
    """`z_ku = M_kij x_iu y_ju` as one matrix product of M with all `x_i y_j`, in chunks of edges that stay in cache.

    Attributes:
        M: The tensor, shape (d3, d1, d2).
    """

    def __init__(self, M: Float[Tensor, "d3 d1 d2"]) -> None:
        self.M = M

    def permuted(self, *modes: int) -> DenseForm:
        """The form with the tensor's modes exchanged."""
        return DenseForm(self.M.permute(modes))

    def traced(self, x: Tensor, y: Tensor) -> Tensor:
        """The product in plain torch operations."""
        pairs = x.unsqueeze(2) * y.unsqueeze(1)
        return torch.matmul(self.M.flatten(1), pairs.flatten(1, 2))

    def __call__(self, x: Float[Tensor, "e d1 u"], y: Float[Tensor, "e d2 u"]) -> Float[Tensor, "e d3 u"]:
        """The product, without a graph."""
        per_edge = x.shape[1] * y.shape[1] * x.shape[2] * x.element_size()
        count = max(1, CHUNK_BYTES // max(per_edge, 1))
        M = self.M.flatten(1)
        z = x.new_empty(x.shape[0], M.shape[0], x.shape[2])
        for start in range(0, x.shape[0], count):
            part = slice(start, start + count)
            pairs = x[part].unsqueeze(2) * y[part].unsqueeze(1)
            torch.matmul(M, pairs.flatten(1, 2), out=z[part])
        return z


class SparseForm:
    """`z_ku = M_kij x_iu y_ju` as generated code with one term per nonzero, for a compiler to turn into one loop.

    Attributes:
        M: The tensor, shape (d3, d1, d2), float64.
        fused: Compile the code when it is first run; otherwise it runs term by term.
    """

    def __init__(self, M: Float[np.ndarray, "d3 d1 d2"], fused: bool) -> None:
        self.M = M
        self.fused = fused
        self.traced = generate(M)
        self._run = torch.compile(self.traced, fullgraph=True) if fused else self.traced
        self._permuted: dict[tuple[int, ...], SparseForm] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as what it was made from: generated functions have no module to be found in."""
        return SparseForm, (self.M, self.fused)

    def permuted(self, *modes: int) -> SparseForm:
        """The form with the tensor's modes exchanged, made once."""
        if modes not in self._permuted:
            self._permuted[modes] = SparseForm(self.M.transpose(modes), self.fused)
        return self._permuted[modes]

    def __call__(self, x: Float[Tensor, "e d1 u"], y: Float[Tensor, "e d2 u"]) -> Float[Tensor, "e d3 u"]:
        """The product, without a graph."""
        return self._run(x, y)


def generate(M: Float[np.ndarray, "d3 d1 d2"]) -> Callable[[Tensor, Tensor], Tensor]:
    """A Python function with one term `M_kij x_i y_j` per nonzero of M, terms of the same x_i factored.

    Raises:
        ValueError: M has more nonzeros than `MAX_TERMS`.
    """
    count = np.count_nonzero(M)
    if count > MAX_TERMS:
        raise ValueError(
            f"the tensor has {count} nonzeros; code is generated for at most {MAX_TERMS}: use form 'dense'"
        )
    lines = ["def product(x, y):"]
    rows = []
    for k, matrix in enumerate(M):
        terms = []
        for i, row in enumerate(matrix):
            inner = [f"{float(row[j])!r} * y[:, {j}]" for j in np.flatnonzero(row)]
            if inner:
                terms.append(f"x[:, {i}] * ({' + '.join(inner)})")
        lines.append(f"    z{k} = {' + '.join(terms) if terms else 'torch.zeros_like(x[:, 0])'}")
        rows.append(f"z{k}")
    lines.append(f"    return torch.stack([{', '.join(rows)}], 1)")
    return _compile(lines, "product")


class _Bilinear(torch.autograd.Function):
    """The product of a form; its derivatives are products of the permuted forms, so any order of them exists."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, form: DenseForm | SparseForm) -> Tensor:
        return form(x, y)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Any], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.form = inputs[2]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y = ctx.saved_tensors
        needs_x, needs_y, _ = ctx.needs_input_grad
        dx = _Bilinear.apply(g, y, ctx.form.permuted(1, 0, 2)) if needs_x else None
        dy = _Bilinear.apply(g, x, ctx.form.permuted(2, 0, 1)) if needs_y else None
        return dx, dy, None


def bilinear(
    form: DenseForm | SparseForm, x: Float[Tensor, "e d1 #u"], y: Float[Tensor, "e d2 #u"]
) -> Float[Tensor, "e d3 u"]:
    """`z_ku = M_kij x_iu y_ju`; one of x and y may have a single channel, which stands for all of them."""
    channels = max(x.shape[2], y.shape[2])
    x, y = x.expand(-1, -1, channels), y.expand(-1, -1, channels)
    if torch.compiler.is_compiling():
        return form.traced(x, y)
    return _Bilinear.apply(x, y, form)  # pyright: ignore[reportReturnType]


def factored(
    A: Float[Tensor, "d3 R"],
    B: Float[Tensor, "d1 R"],
    C: Float[Tensor, "d2 R"],
    x: Float[Tensor, "e d1 #u"],
    y: Float[Tensor, "e d2 #u"],
) -> Float[Tensor, "e d3 u"]:
    """`z = A ((B^T x) * (C^T y))` (E3); one of x and y may have a single channel, which stands for all of them."""
    return torch.matmul(A, torch.matmul(B.T, x) * torch.matmul(C.T, y))
