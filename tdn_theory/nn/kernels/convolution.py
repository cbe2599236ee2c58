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

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tdn_theory.nn.kernels import compiler, loops

X, Z, W, D1, D3, C, FIRST, LAST = range(8)
"""Columns of the table of paths: where the path begins in a row of x, of z and of w, components of x and z, channels,
and its nonzeros, from the first to before the last."""


_CONSTANTS = "Tensor table, Tensor entries, Tensor values"
_AT_NODES = f"Tensor a, Tensor y, Tensor w, {_CONSTANTS}, Tensor a_slots, Tensor z_slots, Tensor read, Tensor add"
_AT_EDGES = f"Tensor x, Tensor y, Tensor w, Tensor g, {_CONSTANTS}, Tensor x_slots, Tensor z_slots, Tensor source"


@torch.library.custom_op(
    "tdn_theory::sum_at_nodes",
    mutates_args=(),
    schema=f"({_AT_NODES}, SymInt count, SymInt width, bool transposed) -> Tensor",
)
def _sum_at_nodes(a, y, w, table, entries, values, a_slots, z_slots, read, add, count, width, transposed):
    _check_rows(read, a.shape[0])
    _check_rows(add, count)
    a, y, w, add, read = _turned(a, a_slots), _in_rows(y), _in_rows(w), add.contiguous(), read.contiguous()
    if not _compiled(a):
        z = a.new_zeros(count, width)
        x_column, z_column, d1, d3 = (Z, X, D3, D1) if transposed else (X, Z, D1, D3)
        for path, G in _matrices(y, table, entries, values):
            G = G.mT if transposed else G
            features = _slot(a, path, x_column, d1).index_select(0, read) * _weights(w, path)
            _slot(z, path, z_column, d3).index_add_(0, add, torch.bmm(G, features))
        return _turned(z, z_slots[:, [0, 2, 1]])
    order, begin = torch.empty_like(add), add.new_empty(count + 1)
    compiler.call(loops._library().sort, 1, (len(add), count), (add, order, begin))
    z = a.new_zeros(count, width) if len(z_slots) else a.new_empty(count, width)  # there may be numbers in no slot
    sizes = (
        *(len(table), y.shape[1], a.shape[1], y.stride(0), _step(w), width, transposed),
        *(_largest(table), len(z_slots)),
    )
    tensors = table, entries, values.to(a.dtype), z_slots, read, order, begin, a, y, w, z
    compiler.call(_loop("nodes", a, table), count, sizes, tensors)
    return z


@torch.library.custom_op(
    "tdn_theory::sum_at_edges",
    mutates_args=(),
    schema=f"({_AT_EDGES}, Tensor target, bool wants_y, bool wants_w) -> (Tensor, Tensor)",
)
def _sum_at_edges(x, y, w, g, table, entries, values, x_slots, z_slots, source, target, wants_y, wants_w):
    _check_rows(source, x.shape[0])
    _check_rows(target, g.shape[0])
    x, y, w, g = _turned(x, x_slots), _in_rows(y), _in_rows(w), _turned(g, z_slots)
    source, target = source.contiguous(), target.contiguous()
    edges = len(source)
    if not _compiled(x):
        dy = y.new_zeros(y.shape if wants_y else (0,))
        dw = y.new_zeros((edges, w.shape[1]) if wants_w else (0,))
        for (path, G), tensor in zip(
            _matrices(y, table, entries, values), _tensors(table, entries, values.to(y.dtype), y.shape[1]), strict=True
        ):
            left = _slot(x, path, X, D1).index_select(0, source)
            right = _slot(g, path, Z, D3).index_select(0, target)
            if wants_w:
                part = dw[:, path[W] : path[W] + path[C]]
                part += (torch.bmm(G, left) * right).sum(1)
            if wants_y:
                dy += torch.bmm(right * _weights(w, path), left.mT).flatten(1) @ tensor
    else:
        dy = y.new_empty(y.shape if wants_y else (0,))
        dw = y.new_empty((edges, w.shape[1]) if wants_w else (0,))
        sizes = (
            *(len(table), y.shape[1], x.shape[1], y.stride(0), _step(w), g.shape[1], w.shape[1]),
            *(_largest(table), wants_y, wants_w),
        )
        tensors = table, entries, values.to(x.dtype), source, target, x, y, w, g, dy, dw
        compiler.call(_loop("edges", x, table), edges, sizes, tensors)
    if wants_w and len(w) != edges:
        dw = dw.sum(0, keepdim=True)
    return dy, dw


# --- what both share


def _check_rows(index: Tensor, count: int) -> None:
    if len(index):
        least, most = (int(bound) for bound in index.aminmax())
        if least < 0 or most >= count:
            raise IndexError(f"edges name rows {least} to {most}; there are {count} rows, counted from 0")


def _compiled(features: Tensor) -> bool:
    return features.is_cpu and features.dtype in loops.C_TYPES and loops.usable()


def _loop(name: str, features: Tensor, table: Tensor) -> Any:
    """The loop for the widest vectors that the channels of all paths fill."""
    return loops._function(loops._library(), name, features.dtype, int(table[:, C].min()))


def _largest(table: Tensor) -> int:
    return int((table[:, D1] * table[:, D3]).max())


def _in_rows(values: Tensor) -> Tensor:
    return values if values.stride(-1) == 1 or values.shape[-1] == 1 else values.contiguous()


def _step(w: Tensor) -> int:
    return w.stride(0) if len(w) > 1 else 0


def _turned(features: Tensor, slots: Tensor) -> Tensor:
    """Features whose slots lie component by component."""
    features = features.contiguous()
    if not len(slots):
        return features
    turned = torch.zeros_like(features)
    if _compiled(features):
        function = loops._function(loops._library(), "turn", features.dtype, 1)
        compiler.call(function, len(features), (len(slots), features.shape[1]), (slots, features, turned))
        return turned
    for first, components, channels in slots.tolist():
        part = slice(first, first + components * channels)
        turned[:, part] = features[:, part].unflatten(1, (channels, components)).mT.flatten(1)
    return turned


def _slot(features: Tensor, path: list[int], first: int, components: int) -> Tensor:
    """The slot of a path in rows of features, shape (rows, components, channels)."""
    size = path[components] * path[C]
    return features[:, path[first] : path[first] + size].unflatten(1, (path[components], path[C]))


def _weights(w: Tensor, path: list[int]) -> Tensor:
    return w[:, path[W] : path[W] + path[C]].unsqueeze(1)


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


# --- derivatives


@_sum_at_nodes.register_fake
def _(a, y, w, table, entries, values, a_slots, z_slots, read, add, count, width, transposed):
    return a.new_empty(count, width)


@_sum_at_edges.register_fake
def _(x, y, w, g, table, entries, values, x_slots, z_slots, source, target, wants_y, wants_w):
    return y.new_empty(y.shape if wants_y else (0,)), w.new_empty(w.shape if wants_w else (0,))


class _AtNodes(torch.autograd.Function):
    """The operator as functorch wants it."""

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        return _sum_at_nodes(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:10])
        ctx.save_for_forward(*inputs[:10])
        ctx.rest = inputs[10:]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        a, y, w, table, entries, values, a_slots, z_slots, read, add = ctx.saved_tensors
        needs_a, needs_y, needs_w = ctx.needs_input_grad[:3]
        transposed = ctx.rest[-1]
        da = dy = dw = None
        if g is not None and needs_a:
            ends = z_slots, a_slots, add, read
            da = sum_at_nodes(g, y, w, table, entries, values, *ends, *a.shape, not transposed)
        if g is not None and (needs_y or needs_w):
            x, z, ends = (g, a, (z_slots, a_slots, add, read)) if transposed else (a, g, (a_slots, z_slots, read, add))
            dy, dw = sum_at_edges(x, y, w, z, table, entries, values, *ends, needs_y, needs_w)
        return da, dy if needs_y else None, dw if needs_w else None, *[None] * 10

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _total(
            [sum_at_nodes(*exchanged, *ctx.rest) for exchanged in _exchanged(ctx.saved_tensors, tangents[:3])]
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (a, y, w), constants, (read, add), (count, width, transposed) = (
            inputs[:3],
            inputs[3:8],
            inputs[8:10],
            inputs[10:],
        )
        size = info.batch_size
        a, y, w = (_batched(*one, size) for one in zip((a, y, w), in_dims[:3], strict=True))
        read, add = (_batched(*one, size) for one in zip((read, add), in_dims[8:10], strict=True))
        rows = (part.flatten(0, 1) for part in (a, y, w.expand(size, read.shape[1], -1)))
        ends = _of_one_graph(read, a.shape[1]), _of_one_graph(add, count)
        z = sum_at_nodes(*rows, *constants, *ends, size * count, width, transposed)
        return z.unflatten(0, (size, count)), 0


class _AtEdges(torch.autograd.Function):
    """The operator as functorch wants it. What is differentiated is `S(x, h_y, w, g) + S(x, y, h_w, g)`."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor]:
        return _sum_at_edges(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs[:11])
        ctx.save_for_forward(*inputs[:11])
        ctx.wanted = inputs[11:]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        x, y, w, g, table, entries, values, x_slots, z_slots, source, target = ctx.saved_tensors
        h_y, h_w = (h if wanted else None for h, wanted in zip(cotangents, ctx.wanted, strict=True))
        needs_x, needs_y, needs_w, needs_g = ctx.needs_input_grad[:4]
        constants = table, entries, values
        ends, back = (x_slots, z_slots, source, target), (z_slots, x_slots, target, source)
        pairs = [pair for pair in ((h_y, w), (y, h_w)) if None not in pair]
        dx = dy = dw = dg = None
        if needs_x:
            dx = _total([sum_at_nodes(g, *pair, *constants, *back, *x.shape, True) for pair in pairs])
        if needs_g:
            dg = _total([sum_at_nodes(x, *pair, *constants, *ends, *g.shape, False) for pair in pairs])
        if needs_y and h_w is not None:
            dy, _ = sum_at_edges(x, y, h_w, g, *constants, *ends, True, False)
        if needs_w and h_y is not None:
            _, dw = sum_at_edges(x, h_y, w, g, *constants, *ends, False, True)
        return dx, dy, dw, dg, *[None] * 9

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y, w, g, *constants = ctx.saved_tensors
        wants_y, wants_w = ctx.wanted
        t_x, t_y, t_w, t_g = tangents[:4]
        terms = [
            ((t_x, y, w, g), wants_y, wants_w),
            ((x, t_y, w, g), False, wants_w),
            ((x, y, t_w, g), wants_y, False),
            ((x, y, w, t_g), wants_y, wants_w),
        ]
        found = [
            (sum_at_edges(*some, *constants, for_y, for_w), for_y, for_w)
            for some, for_y, for_w in terms
            if None not in some and (for_y or for_w)
        ]
        dy = _total([pair[0] for pair, for_y, _ in found if for_y])
        dw = _total([pair[1] for pair, _, for_w in found if for_w])
        nothing = y.new_zeros(0)
        return dy if wants_y else nothing, dw if wants_w else nothing

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x, y, w, g), constants, (source, target), (wants_y, wants_w) = (
            inputs[:4],
            inputs[4:9],
            inputs[9:11],
            inputs[11:],
        )
        size = info.batch_size
        x, y, w, g = (_batched(*one, size) for one in zip((x, y, w, g), in_dims[:4], strict=True))
        source, target = (_batched(*one, size) for one in zip((source, target), in_dims[9:11], strict=True))
        edges = source.shape[1]
        rows = (part.flatten(0, 1) for part in (x, y, w.expand(size, edges, -1), g))
        ends = _of_one_graph(source, x.shape[1]), _of_one_graph(target, g.shape[1])
        found = sum_at_edges(*rows, *constants, *ends, wants_y, wants_w)
        dy, dw = (
            part.unflatten(0, (size, edges)) if wanted else part.expand(size, 0)
            for part, wanted in zip(found, (wants_y, wants_w), strict=True)
        )
        if wants_w and w.shape[1] != edges:
            dw = dw.sum(1, keepdim=True)
        return (dy, dw), (0, 0)


def _total(terms: list[Tensor]) -> Tensor | None:
    return sum(terms[1:], terms[0]) if terms else None


def _exchanged(saved: tuple[Tensor, ...], tangents: tuple[Tensor | None, ...]) -> list[tuple[Tensor, ...]]:
    """The saved tensors, one after the other exchanged for its tangent, if it has one."""
    return [
        (*saved[:place], tangent, *saved[place + 1 :]) for place, tangent in enumerate(tangents) if tangent is not None
    ]


def _batched(value: Tensor, where: int | None, size: int) -> Tensor:
    return value.expand(size, *value.shape) if where is None else value.movedim(where, 0)


def _of_one_graph(index: Tensor, count: int) -> Tensor:
    return (index + count * torch.arange(len(index), device=index.device).unsqueeze(1)).flatten()


for _operator, _function in ((_sum_at_nodes, _AtNodes), (_sum_at_edges, _AtEdges)):
    _operator.register_autograd(_function.backward, setup_context=_function.setup_context)
    _operator.register_vmap(_function.vmap)


def sum_at_nodes(*inputs: Any) -> Tensor:
    """`z[n] = sum_(e: add(e) = n) sum_p w[e, p] C_p a[read(e)] y[e]`.

    Args:
        a: Features that are read, x, or g if transposed: rows of numbers.
        y: Harmonics of the edges, shape (e, d2).
        w: Weights of the edges, shape (e, weights), or one row for all.
        table: The paths, int64, see `X` and the other columns.
        entries: `k, i, j` of the nonzeros, path by path, j counted in the whole row of y; int32.
        values: The nonzeros, float64.
        a_slots: First number, components and channels of the slots of a that lie in e3nn's order, channel by channel.
        z_slots: The same of the result.
        read: Row of a of every edge.
        add: Row of the result of every edge.
        count: Number of rows of the result.
        width: Length of its rows.
        transposed: Whether a stands for z in the table, and the result for x.

    Returns:
        Shape (count, width).

    Raises:
        IndexError: An edge names a row that does not exist.
    """
    if torch.compiler.is_compiling():
        return _sum_at_nodes(*inputs)
    return _AtNodes.apply(*inputs)  # pyright: ignore[reportReturnType]


def sum_at_edges(*inputs: Any) -> tuple[Tensor, Tensor]:
    """dS/dy and dS/dw.

    Args:
        x: Features at sources.
        y: Harmonics of the edges, shape (e, d2).
        w: Weights of the edges, shape (e, weights), or one row for all.
        g: Features at targets.
        table: As in `sum_at_nodes`.
        entries: As there.
        values: As there.
        x_slots: Slots of x that lie in e3nn's order.
        z_slots: Slots of g that lie in e3nn's order.
        source: Row of x of every edge.
        target: Row of g of every edge.
        wants_y: Whether dS/dy is wanted.
        wants_w: Whether dS/dw is wanted.

    Returns:
        dS/dy and dS/dw, of the shapes of y and w; what is not wanted has no entry.

    Raises:
        IndexError: An edge names a row that does not exist.
    """
    if torch.compiler.is_compiling():
        return _sum_at_edges(*inputs)
    return _AtEdges.apply(*inputs)  # pyright: ignore[reportReturnType]
