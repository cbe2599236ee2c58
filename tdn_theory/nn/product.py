"""Tensor products of features with channels: every method behind one signature (E1 to E4).

A feature is a tensor of shape (..., d, channels): components first, channels last, so that every contraction over
components is a matrix product with contiguous rows. `from_e3nn` and `to_e3nn` convert from and to e3nn's flattened
layout.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor, error_relative_to_output
from tdn_theory.cp.constructions.cubature import gaunt, lebedev
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.known import least_exact
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.store import Store
from tdn_theory.nn.forms import DenseForm, SparseForm, apply_matrices, bilinear, factored
from tdn_theory.nn.kernels import gpu, loops
from tdn_theory.nn.kernels.rows import Rows
from tdn_theory.nn.parts import rows, whole
from tdn_theory.nn.planner import H100, Form, Plan, Shapes, few_edges, plan
from tdn_theory.nn.precision import without_autocast
from tdn_theory.nn.rates import rates
from tdn_theory.so3.irreps import Irreps, irreps_dim, parse_irreps, slot_slices

Mode = Literal["uvu", "uvw", "uuu", "uuw", "uvv"]
MODES: tuple[Mode, ...] = ("uvu", "uvw", "uuu", "uuw", "uvv")
Method = Literal["exact", "per_path", "cp", "cubature"]
METHODS: tuple[Method, ...] = ("exact", "per_path", "cp", "cubature")
WeightSource = Literal["internal", "external", "none"]
WEIGHTS: tuple[WeightSource, ...] = ("internal", "external", "none")


class TensorProduct(torch.nn.Module):
    """Product `z = w M (x (x) y)` of features with channels.

    With the coupling tensor M (components k, i, j) and weights w the modes are

        uvu   z[k, u] = sum_v    w[u, v]    M[k, i, j] x[i, u] y[j, v]
        uvv   z[k, v] = sum_u    w[u, v]    M[k, i, j] x[i, u] y[j, v]
        uvw   z[k, w] = sum_(uv) w[u, v, w] M[k, i, j] x[i, u] y[j, v]
        uuu   z[k, u] =          w[u]       M[k, i, j] x[i, u] y[j, u]
        uuw   z[k, w] = sum_u    w[u, w]    M[k, i, j] x[i, u] y[j, u]

    summed over i and j. With method `per_path` there is one such w for each path p, and `M` becomes `C_p` inside a sum
    over p; the other methods share one w among all paths (E4).

    Shapes: x (..., d1, u), y (..., d2, v), z (..., d3, w), with equal leading axes (edges), the channels of each being
    those of the mode. Weights have the axes of w in the table, after one axis of paths (in the order of
    `coupling.paths`) if the method is `per_path`; external ones may have the leading axes of x in front, for weights of
    every edge.

    Dtypes: float32, float64, and bfloat16 or float16, which are computed in float32 and rounded once at the end, also
    under autocast. (On a GPU, matrix units compute as `torch.set_float32_matmul_precision` says, by default in
    float32.) The coupling tensor and the factors never have less than float32, and are made anew from float64 when the
    module moves to double.

    Attributes:
        tensor: The coupling tensor of the paths in use.
        coupling: Its irreps and paths.
        channels: Channels in the order of the mode's letters.
        mode: The mode.
        method: The method.
        factors: The CP factors of the coupling, if the method has any.
        weight: The internal weights, if there are any.

    Args:
        coupling: A maximal degree (`2`), irreps (`"0e+1o+2e"`, or `"0e+1o x 0e+1o+2e -> 0e+1o"`), a `Coupling`, or a
            `CouplingTensor`, of which the paths of nonzero weight are used.
        channels: One number for every distinct letter of the mode, in order; a plain number means (c,) for `uuu`, and
            one channel of harmonics, (c, 1), for `uvu`.
        mode: See above.
        method: `exact`: the coupling tensor itself. `per_path`: the same with weights for every path. `cp`: CP factors;
            for the paper's features the shipped ones of rank 7 L^2 (E5), for other irreps the least exact ones known,
            with path weights of their own (`cp.known.least_exact`). `cubature`: the Gaunt tensor, exactly equivariant
            with path weights of its own, even paths only. Or the `CPFactors` to use: those of the coupling, or of
            `parts.whole(tensor)`, whose rows are cut.
        weights: `internal`: a parameter, drawn from the normal distribution with variance 1 / (channels summed over).
            `external`: given to `forward`. `none`: all ones (not for modes that make new channels).
        form: Contraction order; None lets the planner choose, see `explain()`.
        fused: Run the product as one kernel. On CPU these are loops of y-first and sparse products, compiled by a C
            compiler for the first product and kept for later runs; under `torch.compile` and in second derivatives,
            plain torch operations run. On a GPU they are Triton kernels of y-first products with one channel of y, and
            of CP products. None does so where there is a C compiler that works and the loop is faster, by rates
            measured once for the machine and not for very few edges, or where there is Triton.

    Raises:
        TypeError: `coupling` is none of these.
        ValueError: An option is unknown, or options do not fit together.
        LookupError: `cp` is asked for, and no factors are known; the message says how to fit them.

    >>> product = TensorProduct(1, 8)
    >>> product
    TensorProduct(0+1 x 0+1 -> 0+1, 5 paths, uvu 8x1, exact, internal weights (8, 1))
    >>> product(torch.ones(10, 4, 8), torch.ones(10, 4, 1)).shape
    torch.Size([10, 4, 8])
    """

    weight: torch.nn.Parameter | None
    _y_to_matrices: Tensor
    _A: Tensor
    _B: Tensor
    _C: Tensor

    def __init__(
        self,
        coupling: CouplingLike | CouplingTensor,
        channels: int | tuple[int, ...],
        *,
        mode: Mode = "uvu",
        method: Method | CPFactors = "exact",
        weights: WeightSource = "internal",
        form: Form | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__()
        for name, value, allowed in (("mode", mode, MODES), ("weights", weights, WEIGHTS)):
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be one of {allowed}")
        if not isinstance(method, CPFactors) and method not in METHODS:
            raise ValueError(f"method is {method!r}; it must be one of {METHODS}, or CPFactors")
        self.tensor = (coupling if isinstance(coupling, CouplingTensor) else CouplingTensor(coupling)).alive
        self.coupling: Coupling = self.tensor.coupling
        self._dims = self.coupling.dims
        self.mode: Mode = mode
        self.channels = _check_channels(mode, channels)
        self.method: Method = "cp" if isinstance(method, CPFactors) else method
        self.factors = _factors(self.tensor, method)
        self.weight_shape = ((len(self.coupling.paths),) if self.method == "per_path" else ()) + self.channels
        self.weight_source: WeightSource = weights
        if weights == "none" and mode in ("uvw", "uuw"):
            raise ValueError(f"mode {mode!r} makes new channels, so it needs weights; choose 'internal' or 'external'")

        sizes = dict(zip(_letters(mode), self.channels, strict=True))
        self._u, self._v, self._w = (sizes[letter] for letter in mode)
        # uvv is uvu with the inputs exchanged, and uvw prefers the side with one channel as y
        self._swapped = mode == "uvv" or (mode == "uvw" and self._u == 1 < self._v)
        self._plain_mode = "uvu" if mode == "uvv" else mode
        inner = self.tensor.swapped if self._swapped else self.tensor
        self._inner = inner.coupling
        self._arrays = [inner.block(p) for p in inner.paths] if self.method == "per_path" else [inner.array]
        self._slots = slot_slices(self._inner.z)
        masters: dict[str, np.ndarray] = {}
        if self.factors is not None:
            x, y = self.factors.B, self.factors.C
            x, y = (y, x) if self._swapped else (x, y)
            masters = {"_A": self.factors.A, "_B": x, "_C": y}
            self._arrays = [np.einsum("kr,ir,jr->kij", *masters.values(), optimize=True)]
        self._shapes = [array.shape for array in self._arrays]  # an array in a compiled graph is compared at every call
        self._y_channels = self._u if self._swapped else self._v
        with_loops = loops.usable() if fused is None else fused and loops.failure() is None
        shapes = Shapes(
            mode=self._plain_mode,
            blocks=tuple((a.shape[1], a.shape[2], a.shape[0], int(np.count_nonzero(a))) for a in self._arrays),
            u=self._v if self._swapped else self._u,
            v=self._y_channels,
            w=self._w,
            rank=None if self.factors is None else self.factors.rank,
            fused=None if fused is None and with_loops else bool(fused),
        )
        on_gpu = replace(shapes, fused=gpu.installed() if fused is None else fused)
        self._plans = {"cpu": plan(shapes, "cpu", rates(with_loops), form), "cuda": plan(on_gpu, "cuda", H100, form)}
        self._few_edges = 0
        if fused is None and form in (None, "y_first") and self._plain_mode == "uvu" and self._plans["cpu"].fused:
            self._few_edges = few_edges(shapes)
            self._plans["few"] = plan(replace(shapes, fused=False), "cpu", rates(with_loops), "y_first")
        forms = {chosen.form for chosen in self._plans.values()}
        if "factored" not in forms:
            masters = {}
        if "y_first" in forms:
            masters["_y_to_matrices"] = _y_to_matrices(self._inner, self._arrays)
        if "dense" in forms:
            masters |= {f"_dense{number}": array for number, array in enumerate(self._arrays)}
        on_cpu = self._plans["cpu"].fused
        self._sparse = [SparseForm(array, on_cpu) for array in self._arrays] if "sparse" in forms else []
        self._masters = masters
        dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
        for name, master in self._masters.items():
            self.register_buffer(name, torch.tensor(master, dtype=dtype), persistent=False)
        self.weight = torch.nn.Parameter(torch.empty(self.weight_shape)) if weights == "internal" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the internal weights: normal, with variance 1 / (number of channels summed over)."""
        if self.weight is not None:
            summed = prod(
                size for letter, size in zip(_letters(self.mode), self.channels, strict=True) if letter != self.mode[2]
            )
            torch.nn.init.normal_(self.weight, std=summed**-0.5)

    @property
    def tensors(self) -> list[np.ndarray]:
        """The tensors `M[k, i, j]` that are contracted, float64: one, or that of every path for method `per_path`.

        For CP methods this is the tensor of the factors, `Mhat`.
        """
        return [array.transpose(0, 2, 1) if self._swapped else array for array in self._arrays]

    @property
    def array(self) -> Float[np.ndarray, "d3 d1 d2"]:
        """The tensor `M[k, i, j]` of the whole product with all weights one: that of the factors for CP methods."""
        return self.tensor.array if self.factors is None else self.tensors[0]

    @property
    def equivariance_error(self) -> float:
        """Equivariance error of the tensor, `coupling.error_relative_to_output`, zero for exact methods (E6).

        The group is that of rotations, and inversion if the irreps have parity. P projects on all that the irreps of x,
        y and z allow, whether or not it is among the paths in use. The weights do not matter.

        Raises:
            ValueError: The factors are zero.
        """
        if self.factors is None:
            return 0.0
        return error_relative_to_output(self.array, CouplingTensor(self.coupling.complete).project(self.array).array)

    def explain(self, device: str = "cpu") -> str:
        """The product, the contraction order used on a device type (`cpu` or `cuda`), and why."""
        return f"{self}\n{self._plans[device].explain()}"

    def plan(self, device: str = "cpu") -> Plan:
        """The planner's choice for a device type (`cpu` or `cuda`)."""
        return self._plans[device]

    def extra_repr(self) -> str:
        """Irreps, paths, mode, channels, method and weights."""
        paths = len(self.coupling.paths)
        method = self.method if self.factors is None else f"{self.method} R={self.factors.rank}"
        weights = f"{self.weight_source} weights {self.weight_shape}" if self.weight_source != "none" else "no weights"
        sizes = "x".join(map(str, self.channels))
        return f"{self.coupling}, {paths} path{'s' if paths != 1 else ''}, {self.mode} {sizes}, {method}, {weights}"

    @without_autocast
    def forward(
        self,
        x: Shaped[Tensor, "*e d1 u"],
        y: Shaped[Tensor, "*e d2 v"],
        weights: Shaped[Tensor, "..."] | None = None,
    ) -> Shaped[Tensor, "*e d3 w"]:
        """The product of x and y, see the class.

        Args:
            x: Features of shape (..., d1, u).
            y: Features of shape (..., d2, v), with the leading axes of x.
            weights: External weights, of shape `weight_shape` or (..., *weight_shape).

        Returns:
            Features of shape (..., d3, w), in the dtype of x.

        Raises:
            ValueError: A shape is wrong, or weights are given or missing against what the constructor said.
            TypeError: x and y differ in dtype, or are wider than the module.
        """
        d1, d2, d3 = self._dims
        edges = x.shape[:-2]
        for name, value, wanted in (("x", x, (d1, self._u)), ("y", y, (d2, self._v))):
            if value.shape[-2:] != wanted or value.shape[:-2] != edges:
                raise ValueError(
                    f"{name} has shape {tuple(value.shape)}; it must be (..., {wanted[0]}, {wanted[1]}): components, "
                    f"then channels, behind the leading axes {tuple(edges)} of x"
                )
        w = self._checked_weights(weights, edges)
        dtype = self._compute_dtype(x, y)
        flat = len(edges) == 1 and x.dtype == dtype  # nothing to do, which takes time too
        x_flat = x if flat else x.reshape(-1, d1, self._u).to(x.dtype if self._one_kernel(x) else dtype)
        y_flat = y if flat else y.reshape(-1, d2, self._v).to(dtype)
        if w is not None:
            w = w.reshape(-1, *self.weight_shape).to(dtype)
            if self._swapped:
                w = w.transpose(-2, -1) if self.mode == "uvv" else w.transpose(-3, -2)
        if self._swapped:
            x_flat, y_flat = y_flat, x_flat
        z = self._contract(x_flat, y_flat, w)
        return z if flat else z.reshape(*edges, d3, self._w).to(x.dtype)

    @without_autocast
    def matrices(self, y: Float[Tensor, "e d2 v"]) -> Float[Tensor, "e v all"]:
        """`M_kij y_jv` of every edge, all paths behind each other: made once, then used by `multiply` for several x.

        Raises:
            ValueError: The product is not contracted with y first.
        """
        if self._plan_for(y).form != "y_first":
            raise ValueError(f"{self} is not contracted with y first; make it with form='y_first'")
        # one matrix product of all rows: with an axis of edges in front, torch makes one for every edge
        rows = torch.mm(y.mT.reshape(-1, y.shape[1]).to(self._y_to_matrices.dtype), self._y_to_matrices)
        return rows.view(y.shape[0], y.shape[2], rows.shape[1])

    @without_autocast
    def multiply(
        self,
        matrices: Float[Tensor, "e v all"],
        x: Float[Tensor, "e i u"],
        weights: Float[Tensor, "e *w"],
        slots: slice = slice(None),
    ) -> Float[Tensor, "e k u"]:
        """The product in mode `uvu` with one channel of y, from the matrices of y.

        Args:
            matrices: What `matrices` made of y.
            x: Features of all irreps of x, or of the first few if the others are zero.
            weights: Weights of every edge, (e, *weight_shape).
            slots: The irreps of z that are wanted.

        Returns:
            Features of these irreps.
        """
        if x.dtype != matrices.dtype or weights.dtype != matrices.dtype:  # half precision, e.g. from autocast
            single = self.multiply(matrices, x.to(matrices.dtype), weights.to(matrices.dtype), slots)
            return single.to(x.dtype)
        wanted = range(len(self._slots))[slots]
        fused = self._plan_for(x).fused
        scale = weights.mT  # (e, [paths], 1, u)
        if self.method != "per_path":
            G = matrices.unflatten(-1, self._shapes[0][:2]).squeeze(1)
            return apply_matrices(G[:, self._components(slots), : x.shape[1]], x, scale, fused)
        # taken apart once, as in _contract
        split = matrices.squeeze(1).split([d3 * d1 for d3, d1, _ in self._shapes], -1)
        path_scales = scale.unbind(1)
        given = [part for part in slot_slices(self._inner.x) if part.stop <= x.shape[1]]
        x_slots = x.split([part.stop - part.start for part in given], 1)
        terms: list[list[Tensor]] = [[] for _ in self._slots]
        for number, path in enumerate(self._inner.paths):
            if path.z in wanted and path.x < len(x_slots):
                G = split[number].unflatten(-1, self._shapes[number][:2])
                terms[path.z].append(apply_matrices(G, x_slots[path.x], path_scales[number], fused))
        sizes = [part.stop - part.start for part in self._slots]
        return torch.cat(
            [_sum(terms[n]) if terms[n] else x.new_zeros(x.shape[0], sizes[n], x.shape[2]) for n in wanted], 1
        )

    def message(
        self,
        matrices: Float[Tensor, "e v all"],
        x: Float[Tensor, "m i u"],
        weights: Float[Tensor, "e *w"],
        slots: slice = slice(None),
        *,
        rows: Rows | None = None,
        other: Float[Tensor, "l i u"] | None = None,
        other_rows: Rows | None = None,
        into: Rows | None = None,
    ) -> Float[Tensor, "n k u"]:
        """`multiply` with features gathered from nodes, or summed at nodes: on a GPU as one kernel.

        There, results are reproducible bit by bit, and no feature of the size of the edges is written that is not
        returned; see `kernels.message`.

        Args:
            matrices: What `matrices` made of y.
            x: Features.
            weights: Weights of every edge.
            slots: The irreps of z that are wanted.
            rows: Row of x of every edge; None if x has one for each edge.
            other: Features that are added to those of x.
            other_rows: Row of them of every edge.
            into: Row of the result that every edge adds to; None for a result for each edge.
        """
        # a subclass that multiplies in another order keeps it
        if self._one_kernel(x) and type(self).multiply is TensorProduct.multiply:
            from tdn_theory.nn.kernels.message import couple

            G = matrices.unflatten(-1, self._shapes[0][:2]).squeeze(1)[:, self._components(slots), : x.shape[1]]
            return couple(G, weights.squeeze(-1), x, rows, other, other_rows, into)
        if rows is not None:
            x = x.index_select(0, rows.index)
        if other is not None:
            x = x + (other if other_rows is None else other.index_select(0, other_rows.index))
        z = self.multiply(matrices, x, weights, slots)
        return z if into is None else z.new_zeros(into.count, *z.shape[1:]).index_add(0, into.index, z)

    def _components(self, slots: slice) -> slice:
        wanted = self._slots[slots]
        return slice(wanted[0].start, wanted[-1].stop)

    def _one_kernel(self, x: Tensor) -> bool:
        """Whether the whole product is one Triton kernel, which also reads half precision."""
        chosen = self._plans["cuda"]
        plain = self._plain_mode == "uvu" and self._y_channels == 1 and self.method != "per_path"
        return plain and chosen.form == "y_first" and chosen.fused and gpu.runs_on(x)

    def _plan_for(self, tensor: Tensor) -> Plan:
        if not tensor.is_cpu:
            return self._plans["cuda"]
        few = not torch.compiler.is_compiling() and tensor.shape[0] < self._few_edges
        return self._plans["few" if few else "cpu"]

    def _checked_weights(self, weights: Tensor | None, edges: torch.Size) -> Tensor | None:
        if self.weight_source != "external":
            if weights is not None:
                raise ValueError(
                    f"weights are given, but this product has weights={self.weight_source!r}; make it with 'external'"
                )
            return self.weight
        shape = self.weight_shape
        if weights is None or tuple(weights.shape) not in (shape, (*edges, *shape)):
            given = "missing" if weights is None else f"of shape {tuple(weights.shape)}"
            raise ValueError(f"weights are {given}; they must have shape {shape} or {(*edges, *shape)}")
        return weights

    def _compute_dtype(self, x: Tensor, y: Tensor) -> torch.dtype:
        if x.dtype != y.dtype or not x.dtype.is_floating_point:
            raise TypeError(f"x and y have dtypes {x.dtype} and {y.dtype}; they must be equal, and floating point")
        constant = next(iter(self._masters), None)
        own = torch.promote_types(x.dtype, torch.float32) if constant is None else getattr(self, constant).dtype
        if torch.promote_types(x.dtype, own) != own:
            raise TypeError(
                f"x has dtype {x.dtype}, wider than the module's {own}; move the module first: module.to({x.dtype})"
            )
        return own

    def _contract(self, x: Tensor, y: Tensor, w: Tensor | None) -> Tensor:
        """The product of x (e, d1, u), y (e, d2, v), w (1 or e, [paths], ...) in mode uvu, uvw, uuu or uuw."""
        chosen = self._plan_for(x)
        matrices = None
        if chosen.form == "y_first":
            matrices = self.matrices(y)
        if self.method != "per_path":
            return self._product(chosen, 0, x, y, matrices, w)
        # taken apart once, not path by path: the gradient of a slice is a whole tensor, mostly zero
        sizes = [d3 * d1 for d3, d1, _ in self._shapes]
        split = [None] * len(sizes) if matrices is None else matrices.split(sizes, -1)
        path_weights = [None] * len(sizes) if w is None else w.unbind(1)
        x_slots, y_slots = (
            x.split([irrep.dim for irrep in self._inner.x], 1),
            y.split([i.dim for i in self._inner.y], 1),
        )
        terms: list[list[Tensor]] = [[] for _ in self._slots]
        for number, path in enumerate(self._inner.paths):
            block = self._product(chosen, number, x_slots[path.x], y_slots[path.y], split[number], path_weights[number])
            terms[path.z].append(block)
        parts = zip(terms, self._slots, strict=True)
        return torch.cat(
            [_sum(some) if some else x.new_zeros(x.shape[0], part.stop - part.start, self._w) for some, part in parts],
            1,
        )

    def _product(
        self, chosen: Plan, number: int, x: Tensor, y: Tensor, matrices: Tensor | None, w: Tensor | None
    ) -> Tensor:
        """One tensor's product; `matrices` are its `M_kij y_jv`, of shape (e, v, d3 d1), if the form wants them."""
        d3, d1, _ = self._shapes[number]
        v = y.shape[2]
        if matrices is not None:
            G = matrices.reshape(-1, v * d3, d1)
            if v == 1:
                scale = w.mT if self._plain_mode == "uvu" and w is not None else None
                z = apply_matrices(G, x, scale, chosen.fused)  # (e, d3, u)
            else:
                z = torch.bmm(G, x).unflatten(1, (v, d3))  # (e, v, d3, u)
            if self._plain_mode == "uvu":
                if v == 1:
                    return z
                return z.sum(1) if w is None else (z * w.mT.unsqueeze(2)).sum(1)
            z = z if v == 1 else z.permute(0, 2, 3, 1).flatten(2)  # uvw: (e, d3, u v)
            return _mix(z, _given(w).flatten(1, 2))
        if self._plain_mode == "uvw":  # factored, the channels of x and y multiplied out
            pairs = torch.matmul(self._B.T, x).unsqueeze(-1) * torch.matmul(self._C.T, y).unsqueeze(-2)
            return torch.matmul(self._A, _mix(pairs.flatten(2), _given(w).flatten(1, 2)))
        if self._plain_mode == "uvu" and v > 1:  # the weights go to y, which then has the channels of x
            y = y.sum(-1, keepdim=True) if w is None else torch.matmul(y, w.mT)
            w = None
        if chosen.form == "factored":
            z = factored(self._A, self._B, self._C, x, y, chosen.fused)
        elif chosen.form == "dense":
            z = bilinear(DenseForm(getattr(self, f"_dense{number}")), x, y)
        else:
            z = bilinear(self._sparse[number], x, y)
        if w is None:
            return z
        if self._plain_mode == "uuw":
            return _mix(z, w)
        return z * (w.squeeze(-1) if self._plain_mode == "uvu" else w).unsqueeze(1)

    def _apply(self, fn, recurse: bool = True):
        """Move the module; the constants follow, from float64, in at least float32."""
        before = {name: getattr(self, name).dtype for name in self._masters}
        super()._apply(fn, recurse)
        for name, master in self._masters.items():
            moved = getattr(self, name)
            if moved.dtype != before[name]:
                dtype = torch.promote_types(moved.dtype, torch.float32)
                setattr(self, name, torch.tensor(master, dtype=dtype, device=moved.device))
        return self

    def get_extra_state(self) -> Tensor:
        """Four numbers that tell the product's tensor from others, so that weights do not go into another product."""
        values = []
        for shift in range(4):
            total = 0.0
            for array in self.tensors:
                k, i, j = (np.cos(np.arange(size) * (1.0 + shift) + mode) for mode, size in enumerate(array.shape))
                total = 0.7 * total + np.einsum("kij,k,i,j->", array, k, i, j, optimize=True)
            values.append(float(total))
        return torch.tensor(values, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Compare with the saved product.

        Raises:
            ValueError: The saved weights belong to another tensor, e.g. to other CP factors.
        """
        if not torch.allclose(state.double().cpu(), self.get_extra_state(), rtol=1e-6, atol=1e-9):
            raise ValueError(
                f"the saved weights belong to a product with another tensor than {self}; make it with the same factors"
            )


def from_e3nn(features: Shaped[Tensor, "*e flat"], irreps: str | Irreps) -> Shaped[Tensor, "*e d c"]:
    """From e3nn's flattened layout of `c x l1 + c x l2 + ...` (channel by channel) to components first, channels last.

    Args:
        features: Shape (..., c d).
        irreps: Irreps of one channel, `"0e+1o"` for e3nn's `"8x0e+8x1o"`; all have the same number c of channels.

    Returns:
        Shape (..., d, c).

    Raises:
        ValueError: The last axis is not a multiple of d.
    """
    irreps = parse_irreps(irreps) if isinstance(irreps, str) else irreps
    d = irreps_dim(irreps)
    channels, rest = divmod(features.shape[-1], d)
    if rest:
        raise ValueError(
            f"the last axis has length {features.shape[-1]}; it must be a multiple of d = {d}: all irreps equally often"
        )
    parts = features.split([channels * irrep.dim for irrep in irreps], -1)
    return torch.cat(
        [part.unflatten(-1, (channels, irrep.dim)).mT for part, irrep in zip(parts, irreps, strict=True)], -2
    )


def to_e3nn(features: Shaped[Tensor, "*e d c"], irreps: str | Irreps) -> Shaped[Tensor, "*e flat"]:
    """The inverse of `from_e3nn`.

    Raises:
        ValueError: The axis of components does not have the length d of `irreps`.
    """
    irreps = parse_irreps(irreps) if isinstance(irreps, str) else irreps
    if features.shape[-2] != irreps_dim(irreps):
        raise ValueError(
            f"features have shape {tuple(features.shape)}; the axis before the last must have length d = "
            f"{irreps_dim(irreps)}"
        )
    parts = features.split([irrep.dim for irrep in irreps], -2)
    return torch.cat([part.mT.flatten(-2) for part in parts], -1)


def _letters(mode: Mode) -> str:
    return "".join(dict.fromkeys(mode))


def _check_channels(mode: Mode, channels: int | tuple[int, ...]) -> tuple[int, ...]:
    letters = _letters(mode)
    if isinstance(channels, int):
        if mode not in ("uuu", "uvu"):
            raise ValueError(
                f"channels are {channels}; mode {mode!r} needs one number for each of {', '.join(letters)}"
            )
        channels = (channels,) if mode == "uuu" else (channels, 1)
    if len(channels) != len(letters) or any(size < 1 for size in channels):
        raise ValueError(
            f"channels are {channels}; mode {mode!r} needs one positive number for each of {', '.join(letters)}"
        )
    return tuple(channels)


def _factors(tensor: CouplingTensor, method: Method | CPFactors) -> CPFactors | None:
    if method in ("exact", "per_path"):
        return None
    if isinstance(method, CPFactors):
        if method.dims == tensor.dims:
            return method
        parent = whole(tensor)
        if method.dims != parent.dims:
            raise ValueError(
                f"{method} does not fit; {tensor} needs factors of its own irreps, with (d1, d2, d3) = {tensor.dims}, "
                f"or of {parent}, with d = {parent.d}"
            )
        return _cut(method, tensor.coupling)
    if method == "cubature":
        parent = whole(tensor)
        if not any(path.even for path in tensor.paths):
            raise ValueError(f"{tensor} has odd paths only, of which the cubature product has none: it would be zero")
        return _cut(_cubature(parent), tensor.coupling)
    if tensor.coupling.cube:
        return Store().best(whole(tensor), quadratic(tensor.lmax)).factors
    return least_exact(tensor, Store())


def _cut(factors: CPFactors, coupling: Coupling) -> CPFactors:
    z, x, y = map(rows, coupling.modes)
    return CPFactors(factors.A[z], factors.B[x], factors.C[y])


def _cubature(parent: CouplingTensor) -> CPFactors:
    """The Gaunt tensor by the first positive Lebedev rule of degree >= 3L, with the norm of all even unit paths."""
    degree = max(3, 3 * parent.lmax)
    while True:
        try:
            rule = lebedev(degree)
        except ValueError:
            if degree > 131:  # the largest there is
                raise
            degree += 1
            continue
        if rule.seed_weights.min() > 0:
            break
        degree += 1
    factors = gaunt(parent.lmax, rule)
    scale = CouplingTensor.even(parent.lmax, parent.normalization).norm / np.linalg.norm(factors.array)
    return CPFactors(factors.A * scale, factors.B, factors.C)


def _y_to_matrices(coupling: Coupling, arrays: list[np.ndarray]) -> Float[np.ndarray, "d2 all"]:
    """The matrix that takes y to `M_kij y_j` of one tensor, or of those of all paths, flattened as (k, i)."""
    columns = [array.transpose(2, 0, 1).reshape(array.shape[2], -1) for array in arrays]
    if len(columns[0]) == irreps_dim(coupling.y) and len(columns) == 1:
        return columns[0]
    slots = slot_slices(coupling.y)
    result = np.zeros((irreps_dim(coupling.y), sum(column.shape[1] for column in columns)))
    start = 0
    for path, column in zip(coupling.paths, columns, strict=True):
        result[slots[path.y], start : start + column.shape[1]] = column
        start += column.shape[1]
    return result


def _given(w: Tensor | None) -> Tensor:
    if w is None:
        raise ValueError("this mode needs weights")
    return w


def _mix(z: Float[Tensor, "e k c"], w: Float[Tensor, "#e c new"]) -> Float[Tensor, "e k new"]:
    """Mix channels; weights without an axis of edges make one matrix product of all."""
    return torch.matmul(z, w[0] if w.shape[0] == 1 else w)


def _sum(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
