"""The forms of `planner.FORMS`: how a product in normal form is computed, one class each.

A form takes features x (e, d1, u), y (e, d2, v) and weights of every edge, or one set for all, (1 or e, [paths], ...).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import accumulate, pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.bilinear import DenseTensor, SparseTensor, apply_matrices, bilinear, factored
from tdn_theory.nn.precision import Constants
from tdn_theory.nn.spec import ProductSpec
from tdn_theory.so3.irreps import irreps_dim, slot_slices


class ProductForm(Constants, ABC):
    """One way to compute a product.

    Args:
        spec: The product, in normal form.
        **masters: Constants that it takes.
    """

    def __init__(self, spec: ProductSpec, **masters: np.ndarray) -> None:
        super().__init__(**masters)
        self.mode = spec.mode
        # no array of numpy: in a compiled graph, it would be compared at every call
        self.shapes = [tensor.shape for tensor in spec.tensors]
        self.paths = [tuple(path) for path in spec.coupling.paths] if spec.per_path else []
        self.x_sizes, self.y_sizes, self.z_sizes = (
            [irrep.dim for irrep in irreps] for irreps in (spec.coupling.x, spec.coupling.y, spec.coupling.z)
        )
        self.x_ends = [0, *accumulate(self.x_sizes)]
        self.z_slots = slot_slices(spec.coupling.z)
        self.channels_of_z = spec.sizes[2]

    def components(self, slots: slice) -> slice:
        """Components of some irreps of z, which lie behind each other."""
        wanted = self.z_slots[slots]
        return slice(wanted[0].start, wanted[-1].stop)

    @property
    def dtype(self) -> torch.dtype | None:
        """Dtype of the constants, if there are any."""
        for name in self._masters:
            return getattr(self, name).dtype
        return None

    @abstractmethod
    def contract(self, x: Tensor, y: Tensor, w: Tensor | None, fused: bool) -> Float[Tensor, "e d3 w"]:
        """The product.

        Args:
            x: Features.
            y: Features.
            w: Weights; None for 1.
            fused: Run one kernel, where there is one.
        """

    def by_path(
        self,
        x: Float[Tensor, "e i u"],
        w: Tensor | None,
        product: Callable[[int, Tensor, Tensor | None], Tensor],
        slots: slice = slice(None),
    ) -> Float[Tensor, "e k w"]:
        """The sum of the products of all paths, from the first irreps of x to the irreps of z that are wanted.

        Tensors are taken apart once, not path by path: the gradient of a slice is a whole tensor, mostly zero.
        """
        given = self.x_ends.index(x.shape[1])
        parts = x.split(self.x_sizes[:given], 1)
        weights = [None] * len(self.paths) if w is None else w.unbind(1)
        wanted = range(len(self.z_sizes))[slots]
        terms: list[list[Tensor]] = [[] for _ in self.z_sizes]
        for number, (start, _, end) in enumerate(self.paths):
            if end in wanted and start < given:
                terms[end].append(product(number, parts[start], weights[number]))
        sums = [
            _sum(terms[n]) if terms[n] else x.new_zeros(x.shape[0], self.z_sizes[n], self.channels_of_z) for n in wanted
        ]
        return torch.cat(sums, 1)


class YFirst(ProductForm):
    """M meets y first: one matrix `M_kij y_jv` for every edge and channel of y, applied to x (modes uvu and uvw)."""

    to_matrices: Tensor

    def __init__(self, spec: ProductSpec) -> None:
        super().__init__(spec, to_matrices=_y_to_matrices(spec))

    def matrices(self, y: Float[Tensor, "e d2 v"]) -> Float[Tensor, "e v all"]:
        """`M_kij y_jv` of every edge, those of all paths behind each other."""
        # one matrix product of all rows: with an axis of edges in front, torch makes one for every edge
        rows = torch.mm(y.mT.reshape(-1, y.shape[1]).to(self.to_matrices.dtype), self.to_matrices)
        return rows.view(y.shape[0], y.shape[2], rows.shape[1])

    def contract(self, x: Tensor, y: Tensor, w: Tensor | None, fused: bool) -> Float[Tensor, "e d3 w"]:
        """See `ProductForm`."""
        return self.multiply(self.matrices(y), x, w, fused)

    def multiply(
        self,
        matrices: Float[Tensor, "e v all"],
        x: Float[Tensor, "e i u"],
        w: Tensor | None,
        fused: bool,
        slots: slice | None = None,
    ) -> Float[Tensor, "e k w"]:
        """The product from the matrices of y.

        Args:
            matrices: What `matrices` made of y.
            x: Features of all irreps of x, or, if y has one channel, of the first few if the others are zero.
            w: Weights.
            fused: Run one kernel, where there is one.
            slots: The irreps of z that are wanted, if y has one channel; None for all.
        """
        v = matrices.shape[1]
        if not self.paths:
            d3, d1, _ = self.shapes[0]
            G = matrices.reshape(-1, v * d3, d1) if slots is None else self.of_part(matrices, slots, x.shape[1])
            return self._apply_matrices(G, x, w, v, fused)
        split = matrices.split([d3 * d1 for d3, d1, _ in self.shapes], -1)

        def product(number: int, x: Tensor, w: Tensor | None) -> Tensor:
            d3, d1, _ = self.shapes[number]
            return self._apply_matrices(split[number].reshape(-1, v * d3, d1), x, w, v, fused)

        return self.by_path(x, w, product, slice(None) if slots is None else slots)

    def of_part(self, matrices: Float[Tensor, "e 1 all"], slots: slice, inputs: int) -> Float[Tensor, "e k i"]:
        """The matrix of each edge, from the first components of x to some irreps of z; paths share weights."""
        d3, d1, _ = self.shapes[0]
        return matrices.reshape(-1, d3, d1)[:, self.components(slots), :inputs]

    def _apply_matrices(self, G: Tensor, x: Tensor, w: Tensor | None, v: int, fused: bool) -> Tensor:
        """The product by matrices (e, v d3, d1)."""
        if v == 1:
            scale = w.mT if self.mode == "uvu" and w is not None else None
            z = apply_matrices(G, x, scale, fused)  # (e, d3, u)
            return z if self.mode == "uvu" else _mix(z, _given(w).flatten(1, 2))
        z = torch.bmm(G, x).unflatten(1, (v, -1))  # (e, v, d3, u)
        if self.mode == "uvu":
            return z.sum(1) if w is None else (z * w.mT.unsqueeze(2)).sum(1)
        return _mix(z.permute(0, 2, 3, 1).flatten(2), _given(w).flatten(1, 2))  # uvw: (e, d3, u v)


class Pairwise(ProductForm):
    """A form in which each channel of x meets one of y."""

    @abstractmethod
    def pairwise(
        self, number: int, x: Float[Tensor, "e i #u"], y: Float[Tensor, "e j #u"], fused: bool
    ) -> Float[Tensor, "e k u"]:
        """`z_ku = M_kij x_iu y_ju`, with a tensor of the product; one channel stands for all."""

    def contract(self, x: Tensor, y: Tensor, w: Tensor | None, fused: bool) -> Float[Tensor, "e d3 w"]:
        """See `ProductForm`."""
        if not self.paths:
            return self._weighted(0, x, y, w, fused)
        parts = y.split(self.y_sizes, 1)
        return self.by_path(
            x, w, lambda number, x, w: self._weighted(number, x, parts[self.paths[number][1]], w, fused)
        )

    def _weighted(self, number: int, x: Tensor, y: Tensor, w: Tensor | None, fused: bool) -> Tensor:
        if self.mode == "uvu" and y.shape[2] > 1:  # the weights go to y, which then has the channels of x
            y = y.sum(-1, keepdim=True) if w is None else torch.matmul(y, w.mT)
            w = None
        z = self.pairwise(number, x, y, fused)
        if w is None:
            return z
        if self.mode == "uuw":
            return _mix(z, w)
        return z * (w.squeeze(-1) if self.mode == "uvu" else w).unsqueeze(1)


class Dense(Pairwise):
    """One matrix product of M with all `x_i y_j`."""

    def __init__(self, spec: ProductSpec) -> None:
        super().__init__(spec, **{f"M{number}": tensor for number, tensor in enumerate(spec.tensors)})

    def pairwise(self, number: int, x: Tensor, y: Tensor, fused: bool) -> Tensor:
        """See `Pairwise`."""
        return bilinear(DenseTensor(getattr(self, f"M{number}")), x, y, fused)


class Sparse(Pairwise):
    """One term for every nonzero of M."""

    def __init__(self, spec: ProductSpec) -> None:
        super().__init__(spec)
        self.tensors = [SparseTensor(tensor) for tensor in spec.tensors]

    def pairwise(self, number: int, x: Tensor, y: Tensor, fused: bool) -> Tensor:
        """See `Pairwise`."""
        return bilinear(self.tensors[number], x, y, fused)


class Factored(Pairwise):
    """`A ((B^T x) * (C^T y))`."""

    A: Tensor
    B: Tensor
    C: Tensor

    def __init__(self, spec: ProductSpec) -> None:
        super().__init__(spec, **{name: getattr(spec.factors, name) for name in "ABC"})

    def pairwise(self, number: int, x: Tensor, y: Tensor, fused: bool) -> Tensor:
        """See `Pairwise`."""
        return factored(self.A, self.B, self.C, x, y, fused)

    def contract(self, x: Tensor, y: Tensor, w: Tensor | None, fused: bool) -> Float[Tensor, "e d3 w"]:
        """See `ProductForm`."""
        if self.mode != "uvw":
            return super().contract(x, y, w, fused)
        pairs = torch.matmul(self.B.T, x).unsqueeze(-1) * torch.matmul(self.C.T, y).unsqueeze(-2)
        return torch.matmul(self.A, _mix(pairs.flatten(2), _given(w).flatten(1, 2)))


CLASSES: dict[str, type[YFirst | Dense | Sparse | Factored]] = {
    "y_first": YFirst,
    "dense": Dense,
    "sparse": Sparse,
    "factored": Factored,
}
"""The class of each form."""


def _y_to_matrices(spec: ProductSpec) -> Float[np.ndarray, "d2 all"]:
    """The matrix that takes y to `M_kij y_j` of one tensor, or of those of all paths, flattened as (k, i)."""
    columns = [tensor.transpose(2, 0, 1).reshape(tensor.shape[2], -1) for tensor in spec.tensors]
    if not spec.per_path:
        return columns[0]
    slots = slot_slices(spec.coupling.y)
    ends = np.cumsum([0, *(column.shape[1] for column in columns)])
    result = np.zeros((irreps_dim(spec.coupling.y), ends[-1]))
    for path, column, (start, end) in zip(spec.coupling.paths, columns, pairwise(ends), strict=True):
        result[slots[path.y], start:end] = column
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
