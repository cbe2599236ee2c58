"""Which contraction order a product uses, and why: a cost model over shapes, mode and device. No torch.

The time of a form is modelled as `flops / rate + bytes / bandwidth` per edge, matrix products running at the matrix
rate, element by element work at the vector rate, and every intermediate being written and read once. Only ratios
matter, so two sets of rates, one for CPU cores and one for GPUs, are enough: the forms differ by factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["y_first", "dense", "sparse", "factored"]
MAX_TERMS = 5000
"""Most nonzeros that torch operations are written out for; beyond, the sparse form runs as the dense one."""

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
    """What a device does per second: `matrix` and `vector` flop/s, `bandwidth` bytes/s."""

    matrix: float
    vector: float
    bandwidth: float


RATES = {
    # one core with AVX-512, float32: small matrix products, unrolled multiply-adds, intermediates in shared caches
    "cpu": Rates(6e10, 2e10, 1e10),
    # an H100 without tensor cores for float32
    "cuda": Rates(4e13, 2e13, 2.5e12),
}


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
        fused: Forms that have one run as one kernel, see `FUSED`.
    """

    mode: str
    blocks: tuple[tuple[int, int, int, int], ...]
    u: int
    v: int
    w: int
    rank: int | None
    fused: bool


@dataclass(frozen=True)
class Cost:
    """Work of one form per edge: multiply-adds count two flops, bytes are those moved in float32."""

    form: Form
    matrix_flops: float
    vector_flops: float
    bytes: float

    @property
    def flops(self) -> float:
        """All floating-point operations per edge."""
        return self.matrix_flops + self.vector_flops

    def seconds(self, rates: Rates) -> float:
        """Modelled time per edge."""
        return self.matrix_flops / rates.matrix + self.vector_flops / rates.vector + self.bytes / rates.bandwidth


@dataclass(frozen=True)
class Plan:
    """A choice among the forms that exist for a product.

    Attributes:
        form: The form used.
        fused: Whether forms that have one run as one kernel, see `FUSED`.
        device: Device type planned for.
        costs: Modelled cost of every form that exists for the product, cheapest first.
        forced: Whether the caller chose the form.
    """

    form: Form
    fused: bool
    device: str
    costs: tuple[Cost, ...]
    forced: bool

    @property
    def flops(self) -> float:
        """Floating-point operations of the form used, per edge, forward."""
        return next(cost.flops for cost in self.costs if cost.form == self.form)

    def explain(self) -> str:
        """What is used, and what the alternatives would cost."""
        rates = _rates(self.device)
        chosen = next(cost for cost in self.costs if cost.form == self.form).seconds(rates)
        kernel = {"cpu": "one loop compiled by the C compiler", "cuda": "one Triton kernel"}[_kind(self.device)]
        fused = self.fused and self.form in FUSED[_kind(self.device)]
        backend = kernel if fused else "plain torch operations"
        lines = [f"{self.form} ({FORMS[self.form]}), run as {backend} on {self.device}"]
        lines.append("chosen by the caller" if self.forced else "least modelled time per edge:")
        for cost in self.costs:
            times = cost.seconds(rates) / chosen
            lines.append(f"  {cost.form:8s} {times:6.2f} x   {cost.flops:12,.0f} flops {cost.bytes:12,.0f} bytes")
        return "\n".join(lines)


def _kind(device: str) -> str:
    return "cpu" if device == "cpu" else "cuda"


def _rates(device: str) -> Rates:
    return RATES[_kind(device)]


def costs(shapes: Shapes, device: str) -> list[Cost]:
    """Modelled costs, on a device type, of the forms that exist for these shapes."""
    forms: list[Form] = ["y_first"] if shapes.mode in ("uvu", "uvw") else []
    if shapes.rank is not None:
        forms.append("factored")
    elif shapes.mode != "uvw":
        forms.extend(("dense", "sparse"))
    return [_cost(form, shapes, shapes.fused and form in FUSED[_kind(device)]) for form in forms]


def _cost(form: Form, shapes: Shapes, fused: bool) -> Cost:
    """Multiply-adds, and values read and written, of all blocks; what is kept between steps counts twice."""
    u, v, w = shapes.u, shapes.v, shapes.w
    matrix = vector = values = 0.0
    for d1, d2, d3, nonzeros in shapes.blocks:
        values += d1 * u + d2 * v + d3 * w
        mixing = {"uvu": 0, "uvw": u * v * w, "uuu": 0, "uuw": u * w}[shapes.mode]  # of new channels, per component
        if shapes.mode == "uvu" and v > 1 and form != "y_first":
            matrix += d2 * u * v  # the weights applied to y
        if form == "factored":
            R = shapes.rank or 0
            channels_of_y = v if v == 1 or shapes.mode == "uvw" else u
            pairs = u * v if shapes.mode == "uvw" else u
            matrix += R * (d1 * u + d2 * channels_of_y + d3 * w) + (R if shapes.mode == "uvw" else d3) * mixing
            vector += R * pairs
            values += 0 if fused and channels_of_y == u else 2 * R * (u + channels_of_y + pairs)
            continue
        matrix += d3 * mixing
        if form == "y_first":
            matrix += v * d1 * d3 * (d2 + u)
            vector += v * d3 * u
            values += 2 * v * d1 * d3 + (2 * v * d3 * u if v > 1 or shapes.mode == "uvw" else 0)
        elif form == "dense" or (nonzeros > MAX_TERMS and not fused):  # too many terms to write out
            matrix += d1 * d2 * d3 * u
            vector += d1 * d2 * u
            values += 2 * d1 * d2 * u
        else:  # sparse: one fused multiply-add per term if compiled, else a product and a sum through memory
            vector += (1 if fused else 2) * nonzeros * u
            values += 0 if fused else 5 * nonzeros * u
    return Cost(form, 2 * matrix, 2 * vector, 4 * values)


def plan(shapes: Shapes, device: str, form: Form | None = None) -> Plan:
    """The form of least modelled time, or the one asked for.

    Raises:
        ValueError: The form asked for does not exist for these shapes.
    """
    rates = _rates(device)
    ranked = sorted(costs(shapes, device), key=lambda cost: cost.seconds(rates))
    if form is not None and form not in [cost.form for cost in ranked]:
        possible = sorted(cost.form for cost in ranked)
        raise ValueError(
            f"form {form!r} does not exist for mode {shapes.mode!r} with this method; possible: {possible}"
        )
    return Plan(form or ranked[0].form, shapes.fused, device, tuple(ranked), form is not None)
