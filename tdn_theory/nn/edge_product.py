"""The product of features with harmonics of edges, as networks use it: gather, multiply, weight, sum at nodes.

    z_n = sum_(e: t(e) = n) w_e M ((x_s(e) + x'_t(e)) (x) y_e)

All layers have the same harmonics y, so what depends on them alone is made once, by `prepare`; every layer then calls
`couple`. A network takes any `EdgeProduct`; subclasses differ in the order of operations, not in the result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.forms import YFirst
from tdn_theory.nn.kernels.rows import Rows
from tdn_theory.nn.plans import Plans
from tdn_theory.nn.precision import without_autocast
from tdn_theory.nn.spec import ProductSpec
from tdn_theory.nn.spec_module import SpecModule


class EdgeProduct(SpecModule, ABC):
    """A product in mode `uvu`, with one channel of harmonics and weights of every edge.

    Args:
        spec: What the product is.

    Raises:
        ValueError: It is of another kind.
    """

    def __init__(self, spec: ProductSpec) -> None:
        super().__init__(spec)
        if spec.mode != "uvu" or spec.channels[1] != 1 or spec.weights != "external":
            raise ValueError(f"the product is {spec}; networks take mode 'uvu', channels (c, 1) and external weights")

    def prepare(self, y: Float[Tensor, "e d2"]) -> Tensor:
        """What all layers share of the harmonics y: here y itself."""
        return y

    @abstractmethod
    def multiply(
        self, prepared: Tensor, x: Float[Tensor, "e i u"], weights: Float[Tensor, "e *w"], slots: slice
    ) -> Float[Tensor, "e k u"]:
        """The weighted product of features of edges; arguments as of `couple`."""

    def matrices(self, prepared: Tensor, x: Float[Tensor, "m i u"], slots: slice) -> Float[Tensor, "e k i"] | None:
        """The matrix of every edge, where all of `couple` is to be one kernel; here nowhere."""
        return None

    def couple(
        self,
        prepared: Tensor,
        x: Float[Tensor, "m i u"],
        weights: Float[Tensor, "e *w"],
        slots: slice = slice(None),
        *,
        rows: Rows | None = None,
        other: Float[Tensor, "l i u"] | None = None,
        other_rows: Rows | None = None,
        into: Rows | None = None,
    ) -> Float[Tensor, "n k u"]:
        """The product with features gathered from nodes, or summed at nodes.

        Args:
            prepared: What `prepare` made of the harmonics.
            x: Features of all irreps of x, or of the first few if the others are zero.
            weights: Weights of every edge, (e, *weight_shape).
            slots: The irreps of z that are wanted.
            rows: Row of x of every edge; None if x has one for each edge.
            other: Features that are added to those of x.
            other_rows: Row of them of every edge.
            into: Row of the result that every edge adds to; None for a result for each edge.
        """
        G = self.matrices(prepared, x, slots)
        if G is not None:
            from tdn_theory.nn.kernels.message import couple

            return couple(G, weights.squeeze(-1), x, rows, other, other_rows, into)
        if rows is not None:
            x = x.index_select(0, rows.index)
        if other is not None:
            x = x + (other if other_rows is None else other.index_select(0, other_rows.index))
        z = self.multiply(prepared, x, weights, slots)
        return z if into is None else z.new_zeros(into.count, *z.shape[1:]).index_add(0, into.index, z)

    def forward(
        self, x: Float[Tensor, "e d1 u"], y: Float[Tensor, "e d2 1"], weights: Float[Tensor, "e *w"]
    ) -> Float[Tensor, "e d3 u"]:
        """The product edge by edge, that of a `TensorProduct`."""
        return self.couple(self.prepare(y.squeeze(-1)), x, weights)


class YFirstProduct(EdgeProduct):
    """M meets the harmonics first: what is prepared is a matrix `M_kij y_j` of every edge, or of every path of it.

    On a GPU `couple` is one kernel, if paths share weights: results are reproducible bit by bit, and no feature of the
    size of the edges is written that is not returned; see `kernels.message`.

    Args:
        spec: What the product is.
        fused: As of `TensorProduct`.
    """

    def __init__(self, spec: ProductSpec, fused: bool | None = None) -> None:
        super().__init__(spec)
        self.form = YFirst(spec)
        self._plans = Plans(spec, "y_first", fused)

    @without_autocast
    def prepare(self, y: Float[Tensor, "e d2"]) -> Float[Tensor, "e 1 all"]:
        """The matrices."""
        return self.form.matrices(y.unsqueeze(-1))

    @without_autocast
    def multiply(
        self,
        prepared: Float[Tensor, "e 1 all"],
        x: Float[Tensor, "e i u"],
        weights: Float[Tensor, "e *w"],
        slots: slice,
    ) -> Float[Tensor, "e k u"]:
        """See `EdgeProduct`; half precision, e.g. from autocast, is computed in that of the matrices."""
        dtype = prepared.dtype
        fused = self._plans.of(x).fused
        return self.form.multiply(prepared, x.to(dtype), weights.to(dtype), fused, slots).to(x.dtype)

    def matrices(
        self, prepared: Float[Tensor, "e 1 all"], x: Float[Tensor, "m i u"], slots: slice
    ) -> Float[Tensor, "e k i"] | None:
        """See `EdgeProduct`: where there are Triton kernels."""
        return self.form.of_part(prepared, slots, x.shape[1]) if self._plans.one_kernel(x) else None
