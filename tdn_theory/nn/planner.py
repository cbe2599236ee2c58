"""Which contraction order a product uses, and why: a cost model over shapes, mode and device. No torch.

The time of a form is modelled as the sum of `flops / rate` over the kinds of work in it, and `bytes / bandwidth`, every
intermediate being written and read once. Only ratios matter. The rates of a processor are measured, see `rates.py`; for
GPUs one set is enough, as the forms differ by factors there.

Forms differ by roundoff. To run the same one on every machine, give the product `form` and `fused`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tdn_theory.nn.spec import ProductSpec

Form = Literal["y_first", "dense", "sparse", "factored"]
MAX_TERMS = 5000
"""Most nonzeros that torch operations are written out for; beyond, the sparse form runs as the dense one."""

FEW_CHANNELS, FEW_PRODUCTS = 1 << 9, 1 << 18
"""Channels of all edges, and multiplications with matrices of edges, below both of which edges are few."""

FORMS: dict[Form, str] = {
    "y_first": "the tensor with y gives one d3 x d1 matrix per edge (and channel of y), batched matrix products with x",
    "dense": "one matrix product of the tensor with all products x_i y_j",
    "sparse": "one term per nonzero of the tensor",
    "factored": "the CP form A ((B^T x) * (C^T y))",
}
FUSED: dict[str, tuple[Form, ...]] = {"cpu": ("y_first", "sparse"), "cuda": ("y_first", "factored")}
"""Forms that run as one kernel of ours: a C loop on CPU, a Triton kernel on a GPU."""


@dataclass(frozen=True)
class Rates:
    """What a device does per second, in float32: flops of each kind of work, and bytes of intermediates.

    Attributes:
        matrix: Flops of one matrix product of all edges.
        batched: Of a matrix product for every edge, in plain torch.
        vector: Of element by element work in plain torch.
        loop: Of the fused y-first product.
        terms: Of the fused sparse product.
        bandwidth: Bytes read or written.
        vector_length: Channels up to which all numbers of them take the same time.
    """

    matrix: float
    batched: float
    vector: float
    loop: float
    terms: float
    bandwidth: float
    vector_length: int


H100 = Rates(4e13, 4e13, 2e13, 4e13, 2e13, 2.5e12, 1)
"""The rates used for every GPU: those of an H100 without tensor cores for float32."""


@dataclass(frozen=True)
class Shapes:
    """What the cost of a product depends on.

    Attributes:
        mode: `uvu`, `uvw`, `uuu` or `uuw` (`uvv` is `uvu` with x and y exchanged).
        blocks: (d1, d2, d3, nonzeros) of each tensor that is contracted: one if paths share weights, else one per path.
        u: Channels of x.
        v: Channels of y.
        w: Channels of z.
        rank: Rank of the CP factors; None if there are none.
        fused: Whether forms run as one kernel that have one, see `FUSED`; None for where that is faster.
    """

    mode: str
    blocks: tuple[tuple[int, int, int, int], ...]
    u: int
    v: int
    w: int
    rank: int | None
    fused: bool | None

    @classmethod
    def of(cls, spec: ProductSpec, fused: bool | None) -> Shapes:
        """Those of a product in normal form."""
        blocks = [(d1, d2, d3, int(np.count_nonzero(M))) for M in spec.tensors for d3, d1, d2 in [M.shape]]
        rank = None if spec.factors is None else spec.factors.rank
        return cls(spec.mode, tuple(blocks), *spec.sizes, rank, fused)


@dataclass(frozen=True)
class Cost:
    """Work of one form per edge: multiply-adds count two flops, bytes are those moved in float32.

    Attributes:
        form: The form.
        fused: Whether it runs as one kernel.
        work: Flops of each kind, named as in `Rates`.
        bytes: Bytes of inputs, outputs and intermediates.
        channels: Channels of x.
    """

    form: Form
    fused: bool
    work: dict[str, float]
    bytes: float
    channels: int

    @property
    def flops(self) -> float:
        """All floating-point operations per edge."""
        return sum(self.work.values())

    def seconds(self, rates: Rates) -> float:
        """Modelled time per edge."""
        unfilled = max(1.0, rates.vector_length / self.channels)
        flops = {kind: flops * (1 if kind == "matrix" else unfilled) for kind, flops in self.work.items()}
        return sum(flops[kind] / getattr(rates, kind) for kind in flops) + self.bytes / rates.bandwidth


@dataclass(frozen=True)
class Plan:
    """A choice among the forms that exist for a product.

    Attributes:
        form: The form used.
        fused: Whether it runs as one kernel.
        device: Device type planned for.
        costs: Modelled cost of every form that exists for the product, cheapest first.
        rates: The rates of the device.
        forced: Whether the caller chose the form.
    """

    form: Form
    fused: bool
    device: str
    costs: tuple[Cost, ...]
    rates: Rates
    forced: bool

    @property
    def _cost(self) -> Cost:
        return next(cost for cost in self.costs if cost.form == self.form)

    @property
    def flops(self) -> float:
        """Floating-point operations of the form used, per edge, forward."""
        return self._cost.flops

    def explain(self) -> str:
        """What is used, and what the alternatives would cost."""
        chosen = self._cost.seconds(self.rates)
        kernel = {"cpu": "one loop compiled by the C compiler", "cuda": "one Triton kernel"}[_kind(self.device)]
        backend = kernel if self.fused else "plain torch operations"
        lines = [f"{self.form} ({FORMS[self.form]}), run as {backend} on {self.device}"]
        lines.append("chosen by the caller" if self.forced else "least modelled time per edge:")
        for cost in self.costs:
            times = cost.seconds(self.rates) / chosen
            lines.append(f"  {cost.form:8s} {times:6.2f} x   {cost.flops:12,.0f} flops {cost.bytes:12,.0f} bytes")
        return "\n".join(lines)


def _kind(device: str) -> str:
    return "cpu" if device == "cpu" else "cuda"


def costs(shapes: Shapes, device: str, rates: Rates) -> list[Cost]:
    """Modelled costs, on a device type, of the forms that exist for these shapes, each run as it takes least time."""
    forms: list[Form] = ["y_first"] if shapes.mode in ("uvu", "uvw") else []
    if shapes.rank is not None:
        forms.append("factored")
    elif shapes.mode != "uvw":
        forms.extend(("dense", "sparse"))
    found = []
    for form in forms:
        fused, plain = _cost(form, shapes, _has_kernel(form, shapes, _kind(device))), _cost(form, shapes, False)
        faster = min(fused, plain, key=lambda cost: cost.seconds(rates))
        found.append(faster if shapes.fused is None else fused if shapes.fused else plain)
    return found


def _has_kernel(form: Form, shapes: Shapes, kind: str) -> bool:
    """A loop of y-first products is for one channel of y and no new channels."""
    return form in FUSED[kind] and (kind != "cpu" or form != "y_first" or (shapes.mode == "uvu" and shapes.v == 1))


def _cost(form: Form, shapes: Shapes, fused: bool) -> Cost:
    """Multiply-adds, and values read and written, of all blocks; what is kept between steps counts twice."""
    u, v, w = shapes.u, shapes.v, shapes.w
    work = dict.fromkeys(("matrix", "batched", "vector", "loop", "terms"), 0.0)
    values = 0.0
    for d1, d2, d3, nonzeros in shapes.blocks:
        values += d1 * u + d2 * v + d3 * w
        mixing = {"uvu": 0, "uvw": u * v * w, "uuu": 0, "uuw": u * w}[shapes.mode]  # of new channels, per component
        if shapes.mode == "uvu" and form != "y_first":  # y gets the channels of x, with the weights if it has several
            work["batched" if v > 1 else "vector"] += d2 * u * v
            values += 2 * d2 * u
        if form != "y_first" and (shapes.mode == "uuu" or (shapes.mode == "uvu" and v == 1)):
            work["vector"] += d3 * u  # the weights applied to z
            values += 2 * d3 * u
        if form == "factored":
            R = shapes.rank or 0
            channels_of_y = v if v == 1 or shapes.mode == "uvw" else u
            pairs = u * v if shapes.mode == "uvw" else u
            work["batched"] += R * (d1 * u + d2 * channels_of_y + d3 * w)
            work["matrix"] += (R if shapes.mode == "uvw" else d3) * mixing
            work["vector"] += R * pairs
            values += 0 if fused and channels_of_y == u else 2 * R * (u + channels_of_y + pairs)
            continue
        work["matrix"] += d3 * mixing
        if form == "y_first":
            work["matrix"] += v * d1 * d3 * d2
            work["loop" if fused else "batched"] += v * d1 * d3 * u
            work["vector"] += v * d3 * u
            values += 2 * v * d1 * d3 + (2 * v * d3 * u if v > 1 or shapes.mode == "uvw" else 0)
        elif form == "dense" or (nonzeros > MAX_TERMS and not fused):  # too many terms to write out
            work["batched"] += d1 * d2 * d3 * u
            work["vector"] += d1 * d2 * u
            values += 2 * d1 * d2 * u
        elif fused:
            work["terms"] += nonzeros * u
        else:  # a product and a sum of every term, through memory
            work["vector"] += 2 * nonzeros * u
            values += 5 * nonzeros * u
    return Cost(form, fused, {kind: 2 * count for kind, count in work.items() if count}, 4 * values, u)


def few_edges(shapes: Shapes) -> int:
    """Edges below which a compiled loop takes longer to start, by some microseconds, than it saves."""
    largest = max(d1 * d3 for d1, _, d3, _ in shapes.blocks)
    return min(FEW_CHANNELS, FEW_PRODUCTS // largest) // shapes.u


def plan(shapes: Shapes, device: str, rates: Rates, form: Form | None = None) -> Plan:
    """The form of least modelled time, or the one asked for.

    Raises:
        ValueError: The form asked for does not exist for these shapes.
    """
    ranked = sorted(costs(shapes, device, rates), key=lambda cost: cost.seconds(rates))
    if form is not None and form not in [cost.form for cost in ranked]:
        possible = sorted(cost.form for cost in ranked)
        raise ValueError(
            f"form {form!r} does not exist for mode {shapes.mode!r} with this method; possible: {possible}"
        )
    used = next(cost for cost in ranked if form in (None, cost.form))
    return Plan(used.form, used.fused, device, tuple(ranked), rates, form is not None)
