"""The convolution, gather + product with weights + sum at nodes, as two operators that are each other's derivatives.

    z[n, k, u] = sum_(e: target(e) = n) sum_p w[e, p, u] C_p[k, i, j] x[source(e), i, u] y[e, j]

is dS/dg of the form

    S(x, y, w, g) = sum_e sum_p sum_u w[e, p, u] C_p[k, i, j] g[target(e), k, u] x[source(e), i, u] y[e, j],

which is linear in each argument. `sum_at_nodes` is dS/dg, and dS/dx with the ends of the edges exchanged and the
coupling transposed; `sum_at_edges` is dS/dy and dS/dw. A derivative of any of the four is the same form with one
argument exchanged, so derivatives of any order are made of these two operators, and no tensor of the size (edges,
components, channels) is ever written.

A batch of graphs is one graph, so under vmap the edges of all samples become those of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import forward_ad

from tdn_theory.nn.kernels import gpu, loops
from tdn_theory.nn.kernels.rows import Rows

X, Z, W, D1, D3, C, FIRST, LAST = range(8)
"""Columns of the table of paths: where the path begins in a row of x, of z and of w, components of x and z, channels,
and its nonzeros, from the first to before the last."""

Ends = Sequence[tuple[Tensor, int]]
"""Rows that edges name, and how many rows there are."""


def _at_nodes(a, y, w, table, entries, values, a_slots, z_slots, read, add, count, width, transposed):
    ends = (read, a.shape[0]), (add, count)
    if _in_loops(a):
        a, y, w, read, add = a.contiguous(), _in_rows(y), _in_rows(w), read.contiguous(), add.contiguous()
        z = a.new_empty(count, width)
        sizes = (len(add), count, len(a_slots), len(table), y.shape[1], *a.shape, y.stride(0), _step(w), width)
        tensors = table, entries, values.double(), a_slots, z_slots, read, add, a, y, w, z
        _loop("sum_at_nodes", ends, (*sizes, transposed, len(z_slots)), tensors)
        return z
    _check_rows(ends)
    a, z = _turned(a, a_slots), a.new_zeros(count, width)
    x_column, z_column, d1, d3 = (Z, X, D3, D1) if transposed else (X, Z, D1, D3)
    rows = Rows(add, count) if gpu.runs_on(a) else None
    with torch.autocast(a.device.type, enabled=False):
        for path, G in _matrices(y, table, entries, values):
            features, sums = _slot(a, path, x_column, d1), _slot(z, path, z_column, d3)
            _add(sums, G.mT if transposed else G, _weights(w, path), features, read, add, rows)
    return _turned(z, z_slots[:, [0, 2, 1]])


def _at_edges(x, y, w, g, table, entries, values, x_slots, z_slots, source, target, wants_y, wants_w):
    ends = (source, x.shape[0]), (target, g.shape[0])
    edges = len(source)
    dy = y.new_empty(y.shape if wants_y else (0,))
    dw = w.new_empty((edges, w.shape[1]) if wants_w else (0,))
    if _in_loops(x):
        x, y, w, g = x.contiguous(), _in_rows(y), _in_rows(w), g.contiguous()
        sizes = (edges, len(x_slots), len(z_slots), len(table), y.shape[1], *x.shape, y.stride(0), _step(w), *g.shape)
        constants = table, entries, values.double(), x_slots, z_slots
        tensors = *constants, source.contiguous(), target.contiguous(), x, y, w, g, dy, dw
        _loop("sum_at_edges", ends, (*sizes, w.shape[1], wants_y, wants_w), tensors)
    else:
        _check_rows(ends)
        x, g, dy, dw = _turned(x, x_slots), _turned(g, z_slots), dy.zero_(), dw.zero_()
        tensors = _tensors(table, entries, values.to(y.dtype), y.shape[1])
        rows = Rows(target, len(g)) if gpu.runs_on(x) else None
        with torch.autocast(x.device.type, enabled=False):
            for (path, G), tensor in zip(_matrices(y, table, entries, values), tensors, strict=True):
                left, right = _slot(x, path, X, D1), _slot(g, path, Z, D3)
                if wants_w:
                    part = _weights(dw, path)
                    part += _of_weights(G, left, right, source, target, rows)
                if wants_y:
                    dG = _of_matrices(_weights(w, path), left, right, source, target, rows)
                    dy += dG.flatten(1) @ tensor
    if wants_w and len(w) != edges:
        dw = dw.sum(0, keepdim=True)
    return dy, dw


# --- the compiled loops


def _in_loops(features: Tensor) -> bool:
    return features.is_cpu and features.dtype in loops.C_TYPES and loops.usable()


def _loop(name: str, ends: Ends, sizes: tuple[int, ...], tensors: tuple[Tensor, ...]) -> None:
    """The loop for the widest vectors that the channels of all paths fill. It checks rows while it reads them."""
    least = min(tensors[0].numpy()[:, C].tolist())
    try:
        loops.call(loops.function(name, tensors[-1].dtype, least), sizes, tensors)
    except IndexError:
        _check_rows(ends)
        raise


def _in_rows(values: Tensor) -> Tensor:
    return values if values.stride(-1) == 1 or values.shape[-1] == 1 else values.contiguous()


def _step(w: Tensor) -> int:
    return w.stride(0) if len(w) > 1 else 0


# --- plain torch


def _check_rows(ends: Ends) -> None:
    for index, count in ends:
        if index.shape[0]:
            least, most = (int(bound) for bound in index.aminmax())
            if least < 0 or most >= count:
                raise IndexError(f"edges name rows {least} to {most}; there are {count} rows, counted from 0")


def _turned(features: Tensor, slots: Tensor) -> Tensor:
    """Features whose slots lie component by component."""
    if not len(slots):
        return features
    turned = torch.zeros_like(features)
    for first, components, channels in slots.tolist():
        part = slice(first, first + components * channels)
        turned[:, part] = features[:, part].unflatten(1, (channels, components)).mT.flatten(1)
    return turned


def _slot(features: Tensor, path: list[int], first: int, components: int) -> Tensor:
    """The slot of a path in rows of features, shape (rows, components, channels)."""
    size = path[components] * path[C]
    return features[:, path[first] : path[first] + size].unflatten(1, (path[components], path[C]))


def _weights(w: Tensor, path: list[int]) -> Tensor:
    return w[:, path[W] : path[W] + path[C]]


def _tensors(table: Tensor, entries: Tensor, values: Tensor, d2: int) -> list[Tensor]:
    """`C_p[k, i, j]` of every path, shape (d3 d1, d2)."""
    tensors = []
    for path in table.tolist():
        k, i, j = entries[path[FIRST] : path[LAST]].long().unbind(1)
        tensor = values.new_zeros(path[D3] * path[D1], d2)
        tensors.append(tensor.index_put((k * path[D1] + i, j), values[path[FIRST] : path[LAST]], accumulate=True))
    return tensors


def _matrices(y: Tensor, table: Tensor, entries: Tensor, values: Tensor) -> Iterator[tuple[list[int], Tensor]]:
    """Every path with its matrices `G[e, k, i] = C_p[k, i, j] y[e, j]`."""
    for path, tensor in zip(table.tolist(), _tensors(table, entries, values.to(y.dtype), y.shape[1]), strict=True):
        yield path, (y @ tensor.T).unflatten(1, (path[D3], path[D1]))


# --- what a path takes: in plain torch, or with the rows that edges are added to by the message step's kernels


def _add(sums: Tensor, G: Tensor, w: Tensor, features: Tensor, read: Tensor, add: Tensor, rows: Rows | None) -> None:
    """Add `w[e] G[e] features[read(e)]` to row `add(e)` of `sums`."""
    if rows is None:
        sums.index_add_(0, add, torch.bmm(G, features.index_select(0, read) * w.unsqueeze(1)))
        return
    from tdn_theory.nn.kernels.message import contract

    sums += contract(G, w.expand(len(G), -1), features, read, None, None, *rows.sorted())[0]


def _of_weights(G: Tensor, x: Tensor, g: Tensor, source: Tensor, target: Tensor, rows: Rows | None) -> Tensor:
    """`sum_k g[target(e), k] (G[e] x[source(e)])[k]` of each edge and channel."""
    if rows is None:
        return (torch.bmm(G, x.index_select(0, source)) * g.index_select(0, target)).sum(1)
    from tdn_theory.nn.kernels.message import contract

    ones = g.new_ones(1, g.shape[2]).expand(len(G), -1)
    return cast(Tensor, contract(G, ones, x, source, None, None, *rows.sorted(), (g, None, None))[1])


def _of_matrices(w: Tensor, x: Tensor, g: Tensor, source: Tensor, target: Tensor, rows: Rows | None) -> Tensor:
    """`sum_u w[e, u] g[target(e), k, u] x[source(e), i, u]` of each edge."""
    if rows is None:
        return torch.bmm(g.index_select(0, target) * w.unsqueeze(1), x.index_select(0, source).mT)
    from tdn_theory.nn.kernels.message import outer

    return outer(x.new_empty(len(source), g.shape[1], x.shape[1]), w.expand(len(source), -1), g, target, x, source)


# --- the operators


_CONSTANTS = "Tensor table, Tensor entries, Tensor values"
AT_NODES, AT_EDGES = "tdn_theory::sum_at_nodes", "tdn_theory::sum_at_edges"
for _name, _schema, _function in (
    (
        AT_NODES,
        f"(Tensor a, Tensor y, Tensor w, {_CONSTANTS}, Tensor a_slots, Tensor z_slots, Tensor read, Tensor add, "
        "SymInt count, SymInt width, bool transposed) -> Tensor",
        _at_nodes,
    ),
    (
        AT_EDGES,
        f"(Tensor x, Tensor y, Tensor w, Tensor g, {_CONSTANTS}, Tensor x_slots, Tensor z_slots, Tensor source, "
        "Tensor target, bool wants_y, bool wants_w) -> (Tensor, Tensor)",
        _at_edges,
    ),
):
    # `custom_op` also checks at every call what is so by construction, in the time that a small graph takes
    torch.library.define(_name, _schema, tags=torch.Tag.pt2_compliant_tag)
    torch.library.impl(_name, "CompositeExplicitAutograd", _function)


@torch.library.register_fake(AT_NODES)
def _(a, y, w, table, entries, values, a_slots, z_slots, read, add, count, width, transposed):
    return a.new_empty(count, width)


@torch.library.register_fake(AT_EDGES)
def _(x, y, w, g, table, entries, values, x_slots, z_slots, source, target, wants_y, wants_w):
    return y.new_empty(y.shape if wants_y else (0,)), w.new_empty(w.shape if wants_w else (0,))


# --- derivatives


class _AtNodes(torch.autograd.Function):
    """The operator as functorch wants it."""

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        return torch.ops.tdn_theory.sum_at_nodes(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:10])
        ctx.save_for_forward(*inputs[:10])
        ctx.rest = inputs[10:]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, g: Any) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        a, y, w, *tables, a_slots, z_slots, read, add = ctx.saved_tensors
        needs_a, needs_y, needs_w = ctx.needs_input_grad[:3]
        transposed = ctx.rest[-1]
        da = dy = dw = None
        if g is not None and needs_a:
            da = sum_at_nodes(g, y, w, tables, (z_slots, a_slots), (add, read), a.shape, not transposed)
        if g is not None and (needs_y or needs_w):
            if transposed:
                a, g, a_slots, z_slots, read, add = g, a, z_slots, a_slots, add, read
            dy, dw = sum_at_edges(a, y, w, g, tables, (a_slots, z_slots), (read, add), (needs_y, needs_w))
        return da, dy if needs_y else None, dw if needs_w else None, *[None] * 10

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        a, y, w, *tables, a_slots, z_slots, read, add = ctx.saved_tensors
        *shape, transposed = ctx.rest
        t_a, t_y, t_w = tangents[:3]
        more = tables, (a_slots, z_slots), (read, add), shape, transposed
        return _total(
            [sum_at_nodes(*some, *more) for some in ((t_a, y, w), (a, t_y, w), (a, y, t_w)) if None not in some]
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        a, y, w, *tables, a_slots, z_slots, read, add, count, width, transposed = inputs
        size = info.batch_size
        a, y, w = (_batched(*one, size) for one in zip((a, y, w), in_dims[:3], strict=True))
        read, add = (_batched(*one, size) for one in zip((read, add), in_dims[8:10], strict=True))
        a_flat, y_flat, w_flat = (part.flatten(0, 1) for part in (a, y, w.expand(size, read.shape[1], -1)))
        ends = _of_one_graph(read, a.shape[1]), _of_one_graph(add, count)
        z = sum_at_nodes(a_flat, y_flat, w_flat, tables, (a_slots, z_slots), ends, (size * count, width), transposed)
        return z.unflatten(0, (size, count)), 0


class _AtEdges(torch.autograd.Function):
    """The operator as functorch wants it. What is differentiated is `S(x, h_y, w, g) + S(x, y, h_w, g)`."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor]:
        return torch.ops.tdn_theory.sum_at_edges(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs[:11])
        ctx.save_for_forward(*inputs[:11])
        ctx.wanted = inputs[11:]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Tensor | None, ...]:
        x, y, w, g, *tables, x_slots, z_slots, source, target = ctx.saved_tensors
        h_y, h_w = (h if wanted else None for h, wanted in zip(cotangents, ctx.wanted, strict=True))
        needs_x, needs_y, needs_w, needs_g = ctx.needs_input_grad[:4]
        slots, ends = (x_slots, z_slots), (source, target)
        slots_back, ends_back = (z_slots, x_slots), (target, source)
        pairs: list[tuple[Any, Any]] = [pair for pair in ((h_y, w), (y, h_w)) if None not in pair]
        dx = dy = dw = dg = None
        if needs_x:
            dx = _total([sum_at_nodes(g, *pair, tables, slots_back, ends_back, x.shape, True) for pair in pairs])
        if needs_g:
            dg = _total([sum_at_nodes(x, *pair, tables, slots, ends, g.shape, False) for pair in pairs])
        if needs_y and h_w is not None:
            dy, _ = sum_at_edges(x, y, h_w, g, tables, slots, ends, (True, False))
        if needs_w and h_y is not None:
            _, dw = sum_at_edges(x, h_y, w, g, tables, slots, ends, (False, True))
        return dx, dy, dw, dg, *[None] * 9

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y, w, g, *tables, x_slots, z_slots, source, target = ctx.saved_tensors
        wants_y, wants_w = ctx.wanted
        t_x, t_y, t_w, t_g = tangents[:4]
        terms: list[tuple[tuple[Any, Any, Any, Any], bool, bool]] = [
            ((t_x, y, w, g), wants_y, wants_w),
            ((x, t_y, w, g), False, wants_w),
            ((x, y, t_w, g), wants_y, False),
            ((x, y, w, t_g), wants_y, wants_w),
        ]
        slots, ends = (x_slots, z_slots), (source, target)
        found = [
            (sum_at_edges(*some, tables, slots, ends, (for_y, for_w)), for_y, for_w)
            for some, for_y, for_w in terms
            if None not in some and (for_y or for_w)
        ]
        dy = _total([pair[0] for pair, for_y, _ in found if for_y])
        dw = _total([pair[1] for pair, _, for_w in found if for_w])
        nothing = y.new_zeros(0)
        return dy if wants_y else nothing, dw if wants_w else nothing

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y, w, g, *tables, x_slots, z_slots, source, target, wants_y, wants_w = inputs
        size = info.batch_size
        x, y, w, g = (_batched(*one, size) for one in zip((x, y, w, g), in_dims[:4], strict=True))
        source, target = (_batched(*one, size) for one in zip((source, target), in_dims[9:11], strict=True))
        edges = source.shape[1]
        every = w.expand(size, edges, -1)
        x_flat, y_flat, w_flat, g_flat = (part.flatten(0, 1) for part in (x, y, every, g))
        ends = _of_one_graph(source, x.shape[1]), _of_one_graph(target, g.shape[1])
        found = sum_at_edges(x_flat, y_flat, w_flat, g_flat, tables, (x_slots, z_slots), ends, (wants_y, wants_w))
        dy, dw = (
            part.unflatten(0, (size, edges)) if wanted else part.expand(size, 0)
            for part, wanted in zip(found, (wants_y, wants_w), strict=True)
        )
        if wants_w and w.shape[1] != edges:
            dw = dw.sum(1, keepdim=True)
        return (dy, dw), (0, 0)


def _total(terms: list[Tensor]) -> Tensor | None:
    return sum(terms[1:], terms[0]) if terms else None


def _batched(value: Tensor, where: int | None, size: int) -> Tensor:
    return value.expand(size, *value.shape) if where is None else value.movedim(where, 0)


def _of_one_graph(index: Tensor, count: int) -> Tensor:
    return (index + count * torch.arange(len(index), device=index.device).unsqueeze(1)).flatten()


for _name, _function in ((AT_NODES, _AtNodes), (AT_EDGES, _AtEdges)):
    torch.library.register_autograd(_name, _function.backward, setup_context=_function.setup_context)
    torch.library.register_vmap(_name, _function.vmap)
    # torch looks for the parameters at every call, and finds them here sooner
    _function.forward.__signature__ = signature(_function.forward)  # pyright: ignore[reportFunctionMemberAccess]


def _alone() -> bool:
    """Whether the operator will do, without its directional derivatives: while it is compiled, and for values only."""
    return torch.compiler.is_compiling() or not (torch.is_grad_enabled() or forward_ad._current_level >= 0)


Tables = Sequence[Tensor]
"""The paths: their table, int64, (paths, 8), see `X` and the other columns; `k, i, j` of the nonzeros, path by path,
with j counted in the whole row of y, int32, (n, 3); and the nonzeros, float64, (n)."""


def sum_at_nodes(
    a: Float[Tensor, "m a"],
    y: Float[Tensor, "e d2"],
    w: Float[Tensor, "#e w"],
    tables: Tables,
    slots: tuple[Int[Tensor, "s 3"], Int[Tensor, "t 3"]],
    ends: tuple[Int[Tensor, " e"], Int[Tensor, " e"]],
    shape: Sequence[Any],
    transposed: bool,
) -> Float[Tensor, "k z"]:
    """`z[n] = sum_(e: add(e) = n) sum_p w[e, p] C_p a[read(e)] y[e]`.

    Args:
        a: Features that are read: x, or g if transposed.
        y: Harmonics of the edges.
        w: Weights of the edges, or one row for all.
        tables: The paths.
        slots: First number, components and channels of the slots of a that lie in e3nn's order, channel by channel;
            then those of the result.
        ends: Row of a that every edge reads, and row of the result that it is added to.
        shape: Shape of the result, integers or, while it is traced, symbols.
        transposed: Whether a stands for z in the table, and the result for x.

    Raises:
        IndexError: An edge names a row that does not exist.
    """
    operator = torch.ops.tdn_theory.sum_at_nodes if _alone() else _AtNodes.apply
    return operator(a, y, w, *tables, *slots, *ends, *shape, transposed)  # pyright: ignore[reportReturnType]


def sum_at_edges(
    x: Float[Tensor, "m x"],
    y: Float[Tensor, "e d2"],
    w: Float[Tensor, "#e w"],
    g: Float[Tensor, "k z"],
    tables: Tables,
    slots: tuple[Int[Tensor, "s 3"], Int[Tensor, "t 3"]],
    ends: tuple[Int[Tensor, " e"], Int[Tensor, " e"]],
    wanted: tuple[bool, bool],
) -> tuple[Tensor, Tensor]:
    """dS/dy and dS/dw, of the shapes of y and w.

    Args:
        x: Features at sources.
        y: Harmonics of the edges.
        w: Weights of the edges, or one row for all.
        g: Features at targets.
        tables: The paths.
        slots: Slots of x and of g that lie in e3nn's order, as in `sum_at_nodes`.
        ends: Row of x and row of g of every edge.
        wanted: Whether dS/dy is wanted, and dS/dw; what is not has no entry.

    Raises:
        IndexError: An edge names a row that does not exist.
    """
    operator = torch.ops.tdn_theory.sum_at_edges if _alone() else _AtEdges.apply
    return operator(x, y, w, g, *tables, *slots, *ends, *wanted)  # pyright: ignore[reportReturnType]
