"""The message step as one Triton kernel: gather, product with the edges' matrices, weight, sum over edges.

    z_nku = sum_(e: t(e) = n) w_eu sum_i G_eki x_(s(e))iu

Here G is the coupling tensor after it has met the harmonics, `G_eki = M_kij y_ej` ("y first"). The features x lie on
nodes or edges, and so does z; a second table x' may be added to x as it is read. All derivatives are contractions of
one quadrilinear form,

    S(G, w, x, g) = sum_e sum_kiu G_eki w_eu x_(s(e))iu g_(t(e))ku,    z = dS/dg, dx = dS/dx, dw = dS/dw, dG = dS/dG,

so derivatives of derivatives are again contractions with one argument exchanged, and any order of them exists.

No atomics, so results are reproducible bit by bit: edges are sorted by the row that they are added to (`Rows`), one
program makes each row, and it adds the edges up in their order. Nothing of the size (edges, components, channels) is
written, unless x or z has it.

Why matrices of edges: with them, a channel costs d^2 multiply-adds per edge, against the nonzeros of M (three to four
times as many) or 2Rd of a CP form; they are the same for all channels and all layers; and the kernel is the same few
lines for every L, every tensor M (CP factors, too) and both directions. What they cost is d/c of the features' memory
(c channels), written once by one matrix product, which is 3, 7 and 12 % at L = 1, 2, 3 and c = 128.

Roofline, per edge and float32: 8 d c bytes and 2 d^2 c flops, that is d/4 flops per byte: 1, 2.2, 4, 6.2, 9, 12 for
L = 1..6. An H100 has 20 flops per byte without matrix units, so the kernel is bound by memory, and has to

- load each feature once, coalesced: one warp reads 128 channels of one component in one instruction of 16 bytes a lane;
- keep enough loads in flight: all components of an edge are independent loads, d/2 KB per warp;
- spend few instructions per byte. One program is one row and one block of channels, all of its components in registers.
  The d x d matrix is broadcast: `tl.dot` in steps of 16 components, which with `ieee` is a register-tiled loop of
  float32 multiply-adds and with `tf32` runs on matrix units. Fewer than 16 components, L <= 2, would be padded to 16:
  they are written out as updates of rank one, and the compiler drops the padding. (With all d^2 terms written out,
  L = 5 takes minutes to compile, and its registers do not suffice.)
"""

from __future__ import annotations

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.kernels.gpu import dot_precision, padded, rows
from tdn_theory.nn.kernels.rows import Rows

BLOCK = 128
"""Channels of one program: 32 lanes with 16 bytes of float32 each."""
STEP = 16
"""Components that one `tl.dot` sums over: the least that Triton has."""


def couple(
    G: Float[Tensor, "e k i"],
    w: Float[Tensor, "#e u"] | None,
    x: Float[Tensor, "m i u"],
    x_rows: Rows | None = None,
    other: Float[Tensor, "l i u"] | None = None,
    other_rows: Rows | None = None,
    z_rows: Rows | None = None,
) -> Float[Tensor, "n k u"]:
    """`z_nku = sum_(e: t(e) = n) w_eu sum_i G_eki (x + x')_eiu`, differentiable any number of times.

    Args:
        G: Matrix of each edge, float32 or float64: sums are made in this precision.
        w: Weights of edges and channels, or of channels; None for 1.
        x: Features, of any floating-point type up to that of G, in which z is returned.
        x_rows: Rows of x that edges read; None if x has one for each edge.
        other: Features that are added to x.
        other_rows: Rows of them.
        z_rows: Rows of z that edges add to; None if z has one for each edge.
    """
    weights = x.new_ones(x.shape[2]) if w is None else w
    differentiable = torch.is_grad_enabled()  # only then the edges have to be sorted by the rows that they read
    ends = [*_end(x_rows, differentiable), *_end(other_rows, differentiable), *_end(z_rows, True)]
    return _couple(G, weights.expand(G.shape[0], x.shape[2]), x, other, *ends)


def _end(rows: Rows | None, summed: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    if rows is None:
        return None, None, None
    order, start = rows.sorted() if summed else (None, None)
    return rows.index, order, start


# --- kernels


@triton.jit
@no_type_check
def _couple_kernel(
    out,
    dw,
    G,
    w,
    f,
    f2,
    r,
    r2,
    f_index,
    f2_index,
    r2_index,
    order,
    start,
    G_e,
    G_a,
    G_b,
    w_e,
    f_n,
    f_b,
    f2_n,
    f2_b,
    r_n,
    r_a,
    r2_n,
    r2_a,
    channels,
    A: tl.constexpr,
    B: tl.constexpr,
    A_PAD: tl.constexpr,
    BLOCK: tl.constexpr,
    STEP: tl.constexpr,
    REAL: tl.constexpr,
    PRECISION: tl.constexpr,
    F_INDEX: tl.constexpr,
    F2: tl.constexpr,
    F2_INDEX: tl.constexpr,
    SUM: tl.constexpr,
    ORDER: tl.constexpr,
    DW: tl.constexpr,
    R2: tl.constexpr,
    R2_INDEX: tl.constexpr,
):
    """`out_na = sum_(e in n) w_e h_ea`, `h_ea = G_eab (f + f2)_eb`, and if DW also `dw_e = h_ea (r_n + r2_e)_a`."""
    n = tl.program_id(0).to(tl.int64)  # whatever is multiplied by the number of a row or an edge has 64 bits
    u = (tl.program_id(1) * BLOCK + tl.arange(0, BLOCK))[None, :]
    a = tl.arange(0, A_PAD)[:, None]
    inside = u < channels
    tile = (a < A) & inside
    total = tl.zeros([A_PAD, BLOCK], REAL)
    first, last = n, n + 1
    if SUM:
        first, last = tl.load(start + n), tl.load(start + n + 1)
    for place in range(first, last):
        e = tl.cast(place, tl.int64)
        if ORDER:
            e = tl.load(order + place)
        f_row = e
        if F_INDEX:
            f_row = tl.load(f_index + e)
        f2_row = e
        if F2_INDEX:
            f2_row = tl.load(f2_index + e)
        scale = tl.load(w + e * w_e + u, mask=inside, other=0).to(REAL)
        h = tl.zeros([A_PAD, BLOCK], REAL)
        if B < STEP:
            for b in tl.static_range(B):
                value = tl.load(f + f_row * f_n + b * f_b + u, mask=inside, other=0).to(REAL)
                if F2:
                    value += tl.load(f2 + f2_row * f2_n + b * f2_b + u, mask=inside, other=0).to(REAL)
                h += tl.load(G + e * G_e + a * G_a + b * G_b, mask=a < A, other=0).to(REAL) * value
        else:
            for begin in range(0, B, STEP):
                b = begin + tl.arange(0, STEP)
                used = (b < B)[:, None] & inside
                value = tl.load(f + f_row * f_n + b[:, None] * f_b + u, mask=used, other=0).to(REAL)
                if F2:
                    value += tl.load(f2 + f2_row * f2_n + b[:, None] * f2_b + u, mask=used, other=0).to(REAL)
                matrix = tl.load(G + e * G_e + a * G_a + b[None, :] * G_b, mask=(a < A) & (b < B)[None, :], other=0).to(
                    REAL
                )
                h = tl.dot(matrix, value, h, input_precision=PRECISION, out_dtype=REAL)
        if DW:
            feature = tl.load(r + n * r_n + a * r_a + u, mask=tile, other=0).to(REAL)
            if R2:
                r2_row = e
                if R2_INDEX:
                    r2_row = tl.load(r2_index + e)
                feature += tl.load(r2 + r2_row * r2_n + a * r2_a + u, mask=tile, other=0).to(REAL)
            tl.store(dw + e * channels + u, tl.sum(feature * h, 0, keep_dims=True), mask=inside)
        total += h * scale
    tl.store(out + n * A * channels + a * channels + u, total, mask=tile)


@triton.jit
@no_type_check
def _matrices_kernel(
    out,
    w,
    g,
    x,
    x2,
    g_index,
    x_index,
    x2_index,
    w_e,
    g_n,
    g_a,
    x_n,
    x_b,
    x2_n,
    x2_b,
    channels,
    A: tl.constexpr,
    B: tl.constexpr,
    A_PAD: tl.constexpr,
    B_PAD: tl.constexpr,
    BLOCK: tl.constexpr,
    REAL: tl.constexpr,
    PRECISION: tl.constexpr,
    G_INDEX: tl.constexpr,
    X_INDEX: tl.constexpr,
    X2: tl.constexpr,
    X2_INDEX: tl.constexpr,
):
    """`out_eab = sum_u w_eu g_eau (x + x2)_ebu`."""
    e = tl.program_id(0).to(tl.int64)
    a = tl.arange(0, A_PAD)[:, None]
    b = tl.arange(0, B_PAD)[:, None]
    g_row = e
    if G_INDEX:
        g_row = tl.load(g_index + e)
    x_row = e
    if X_INDEX:
        x_row = tl.load(x_index + e)
    x2_row = e
    if X2_INDEX:
        x2_row = tl.load(x2_index + e)
    total = tl.zeros([A_PAD, B_PAD], REAL)
    for begin in range(0, channels, BLOCK):
        u = (begin + tl.arange(0, BLOCK))[None, :]
        inside = u < channels
        scale = tl.load(w + e * w_e + u, mask=inside, other=0).to(REAL)
        left = tl.load(g + g_row * g_n + a * g_a + u, mask=(a < A) & inside, other=0).to(REAL) * scale
        used = (b < B) & inside
        right = tl.load(x + x_row * x_n + b * x_b + u, mask=used, other=0).to(REAL)
        if X2:
            right += tl.load(x2 + x2_row * x2_n + b * x2_b + u, mask=used, other=0).to(REAL)
        total = tl.dot(left, tl.trans(right), total, input_precision=PRECISION, out_dtype=REAL)
    columns = tl.arange(0, B_PAD)[None, :]
    tl.store(out + e * A * B + a * B + columns, total, mask=(a < A) & (columns < B))


# --- launches

_REAL = {torch.float32: tl.float32, torch.float64: tl.float64}


def _precision(dtype: torch.dtype) -> str:
    """Matrices of edges in bfloat16 would spoil the equivariance, so tf32 is the least."""
    return "ieee" if dot_precision(dtype) == "ieee" else "tf32"


def contract(
    G: Tensor,
    w: Tensor,
    f: Tensor,
    f_index: Tensor | None,
    f2: Tensor | None,
    f2_index: Tensor | None,
    order: Tensor | None,
    start: Tensor | None,
    weigh: tuple[Tensor, Tensor | None, Tensor | None] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """`sum_(e in n) w_e h_ea` with `h_ea = G_eab (f + f2)_eb`, on a GPU.

    Args:
        G: Matrices of edges (e, a, b).
        w: Weights (e, u).
        f: Features (m, b, u).
        f_index: Row of f of each edge; None if f has one for each.
        f2: Features that are added to f.
        f2_index: Rows of them.
        order: Edges in the order of their rows n; None if they are in it.
        start: Where each row n begins; None if every edge is a row of its own.
        weigh: r, r2 and rows of r2, to find `dw_e = h_ea (r_n + r2_e)_a` in the same pass.

    Returns:
        The sums (n, a, u), and dw (e, u) if asked for.
    """
    edges, A, B = G.shape
    count = edges if start is None else start.shape[0] - 1
    channels = f.shape[2]
    f, f2 = rows(f), None if f2 is None else rows(f2)
    G, w = rows(G, unit=False), rows(w)
    r, r2, r2_index = weigh or (f, None, None)
    r, r2 = rows(r), None if r2 is None else rows(r2)
    out = f.new_empty(count, A, channels)
    dw = None if weigh is None else w.new_empty(edges, channels)
    if out.numel() == 0:
        return out, dw
    double = G.dtype == torch.float64
    block = padded(min(channels, BLOCK // 2 if double else BLOCK), 32)
    A_PAD = padded(A, 4 if B < STEP else STEP)
    # sums of a thread: 64 leave room for what is loaded meanwhile, also for the gradients of weights; not with two sums
    sums = A_PAD * block // 32 * (2 if double else 1) * (2 if start is not None and weigh is not None else 1)
    with torch.cuda.device_of(out):
        _couple_kernel[(count, triton.cdiv(channels, block))](  # pyright: ignore[reportIndexIssue]
            out, dw if dw is not None else out, G, w, f, f2 if f2 is not None else f, r, r2 if r2 is not None else r,
            *(index if index is not None else out for index in (f_index, f2_index, r2_index, order, start)),
            *G.stride(), w.stride(0), *f.stride()[:2], *(f2 if f2 is not None else f).stride()[:2],
            *r.stride()[:2], *(r2 if r2 is not None else r).stride()[:2], channels,
            A=A, B=B, A_PAD=A_PAD, BLOCK=block, STEP=STEP, REAL=_REAL[G.dtype], PRECISION=_precision(G.dtype),
            F_INDEX=f_index is not None, F2=f2 is not None, F2_INDEX=f2_index is not None,
            SUM=start is not None, ORDER=order is not None,
            DW=dw is not None, R2=r2 is not None, R2_INDEX=r2_index is not None,
            num_warps=min(8, max(1, sums // 64)), num_stages=1, enable_fp_fusion=True,
        )  # fmt: skip
    return out, dw


def outer(
    G: Tensor,
    w: Tensor,
    g: Tensor,
    g_index: Tensor | None,
    x: Tensor,
    x_index: Tensor | None,
    x2: Tensor | None = None,
    x2_index: Tensor | None = None,
) -> Tensor:
    """`sum_u w_eu g_eau (x + x2)_ebu`, the gradients of the matrices (e, a, b), on a GPU; rows as in `contract`."""
    edges, A, B = G.shape
    out = G.new_empty(edges, A, B)
    if out.numel() == 0:
        return out
    g, x, x2 = rows(g), rows(x), None if x2 is None else rows(x2)
    w = rows(w)
    A_PAD, B_PAD = padded(A, STEP), padded(B, STEP)
    with torch.cuda.device_of(out):
        _matrices_kernel[(edges,)](  # pyright: ignore[reportIndexIssue]
            out, w, g, x, x2 if x2 is not None else x,
            *(index if index is not None else out for index in (g_index, x_index, x2_index)),
            w.stride(0), *g.stride()[:2], *x.stride()[:2], *(x2 if x2 is not None else x).stride()[:2], g.shape[2],
            A=A, B=B, A_PAD=A_PAD, B_PAD=B_PAD, BLOCK=32, REAL=_REAL[G.dtype], PRECISION=_precision(G.dtype),
            G_INDEX=g_index is not None, X_INDEX=x_index is not None, X2=x2 is not None, X2_INDEX=x2_index is not None,
            num_warps=max(1, A_PAD * B_PAD // 1024), num_stages=1, enable_fp_fusion=True,
        )  # fmt: skip
    return out


# --- operators of torch

_ENDS = "".join(f", Tensor? {end}_{part}" for end in ("x", "other", "z") for part in ("index", "order", "start"))


@torch.library.custom_op(
    "tdn_theory::couple", mutates_args=(), schema=f"(Tensor G, Tensor w, Tensor x, Tensor? other{_ENDS}) -> Tensor"
)
def _couple(
    G, w, x, other, x_index, x_order, x_start, other_index, other_order, other_start, z_index, z_order, z_start
):
    return contract(G, w, x, x_index, other, other_index, z_order, z_start)[0]


@_couple.register_fake
def _(G, w, x, other, x_index, x_order, x_start, other_index, other_order, other_start, z_index, z_order, z_start):
    return x.new_empty(G.shape[0] if z_start is None else z_start.shape[0] - 1, G.shape[1], x.shape[2])


@torch.library.custom_op(
    "tdn_theory::couple_backward",
    mutates_args=(),
    schema=f"(Tensor g, Tensor G, Tensor w, Tensor x, Tensor? other{_ENDS}, bool[] wanted) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
)
def _couple_backward(
    g,
    G,
    w,
    x,
    other,
    x_index,
    x_order,
    x_start,
    other_index,
    other_order,
    other_start,
    z_index,
    z_order,
    z_start,
    wanted,
):
    """Gradients of G, w, x and other, empty where not wanted."""
    dG, dw, dx, dother = g.new_empty(0), g.new_empty(0), g.new_empty(0), g.new_empty(0)
    if wanted[0]:
        dG = outer(G, w, g, z_index, x, x_index, other, other_index)
    if wanted[1] or wanted[2]:  # one pass over the features makes both
        weigh = (x, other, other_index) if wanted[1] else None
        dx, found = contract(G.mT, w, g, z_index, None, None, x_order, x_start, weigh)
        dw = dw if found is None else found
    if wanted[3]:
        dother = contract(G.mT, w, g, z_index, None, None, other_order, other_start)[0]
    return dG, dw, dx, dother


@_couple_backward.register_fake
def _(
    g,
    G,
    w,
    x,
    other,
    x_index,
    x_order,
    x_start,
    other_index,
    other_order,
    other_start,
    z_index,
    z_order,
    z_start,
    wanted,
):
    def like(tensor: Tensor, dtype: torch.dtype, needed: bool) -> Tensor:
        return tensor.new_empty(tensor.shape if needed else (0,), dtype=dtype)

    needs_G, needs_w, needs_x, needs_other = wanted
    return (
        like(G, G.dtype if needs_G else g.dtype, needs_G),
        like(w, w.dtype if needs_w else g.dtype, needs_w),
        like(x, g.dtype, needs_x or needs_w),
        like(g if other is None else other, g.dtype, needs_other),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    wanted = list(ctx.needs_input_grad[:4])
    found = _couple_backward(g, *ctx.saved_tensors, wanted)
    return *(gradient if need else None for gradient, need in zip(found, wanted, strict=True)), *[None] * 9


def _setup_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:-1])


def _second_gradients(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
    """The derivative of `S(G, w, x, g)` along the cotangents h of its gradients, differentiated once more.

    It is the sum of `S(h_G, w, x, g)`, `S(G, h_w, x, g)` and `S(G, w, h_x, g)`: for each, z is its gradient for g, and
    the gradients of what was not exchanged are those of the backward operator.
    """
    g, G, w, x, other, *ends = ctx.saved_tensors
    h_G, h_w, h_x, h_other = cotangents
    needs_g, *needs = ctx.needs_input_grad[:5]
    terms = []
    if h_G is not None:
        terms.append(((h_G, w, x, other), ends, (False, True, True, True)))
    if h_w is not None:
        terms.append(((G, h_w, x, other), ends, (True, False, True, True)))
    if h_x is not None:
        terms.append(((G, w, h_x, h_other), ends, (True, True, False, False)))
    elif h_other is not None:
        terms.append(((G, w, h_other, None), [*ends[3:6], *[None] * 3, *ends[6:]], (True, True, False, False)))
    totals: list[Tensor | None] = [None] * 5

    def add(place: int, value: Tensor) -> None:
        before = totals[place]
        totals[place] = value if before is None else before + value

    for arguments, where, kept in terms:
        if needs_g:
            add(0, _couple(*arguments, *where))
        wanted = [need and keep for need, keep in zip(needs, kept, strict=True)]
        if any(wanted):
            found = _couple_backward(g, *arguments, *where, wanted)
            for place, (need, gradient) in enumerate(zip(wanted, found, strict=True), start=1):
                if need:
                    add(place, gradient)
    return *totals, *[None] * 10


_couple.register_autograd(_gradients, setup_context=_setup)
_couple_backward.register_autograd(_second_gradients, setup_context=_setup_backward)
