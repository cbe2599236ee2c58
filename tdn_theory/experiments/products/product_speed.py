"""The product layer as it runs by default on this processor, against plain torch and against copying its operands.

What plain torch takes is the fastest of all contraction orders with `fused=False`. The copy moves as many bytes as the
product reads and writes at least: inputs and outputs once each, and with backward once more all inputs, the gradient of
the output, and those of x and the weights. All calls of a job take turns on one thread, as in F3c, and medians are
compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from tdn_theory.experiments.measuring import single_thread, summary, take_turns
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim
from tdn_theory.study import Cost, Study

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["uvu", "uvu, 8 channels of y", "uvu, per path", "uuu"]
CHANNELS_OF_Y = {"uvu": 1, "uvu, 8 channels of y": 8, "uvu, per path": 1}

TERM_BY_TERM_LMAX, ONE_MATRIX_LMAX = 1, 4
"""Largest L up to which plain torch is also tried term by term, and as one matrix product: both take seconds beyond."""


Shape = tuple[Kind, int, int, int, str]
"""Kind, L, channels of x, edges and dtype."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        shapes: What is timed.
        budget: Seconds after which no further round begins, beyond the third, for each shape and direction.
    """

    shapes: tuple[Shape, ...]
    budget: float


_LARGEST: dict[Kind, int] = {"uvu": 6, "uvu, 8 channels of y": 3, "uvu, per path": 3, "uuu": 4}
_GRID: tuple[Shape, ...] = tuple(
    (kind, lmax, channels, edges, "float32")
    for kind, top in _LARGEST.items()
    for lmax in range(1, top + 1)
    for channels in (1, 8, 16, 64, 128)
    for edges in (1, 32, 1024)
)
_DOUBLE: tuple[Shape, ...] = tuple(("uvu", lmax, 128, 1024, "float64") for lmax in range(1, 7))
_MANY: tuple[Shape, ...] = tuple(("uvu", lmax, 128, 10_000, "float32") for lmax in range(1, 7))
_FULL_DOUBLE: tuple[Shape, ...] = tuple(
    (kind, lmax, channels, edges, "float64") for kind, lmax, channels, edges, _ in (*_GRID, *_MANY)
)
SIZES = {
    Preset.SMALLEST: Size((("uvu", 1, 4, 8, "float32"), ("uuu", 1, 4, 8, "float64")), budget=0.0),
    Preset.QUICK: Size((*_GRID, *_MANY[:2], *_DOUBLE), budget=0.5),
    Preset.FULL: Size((*_GRID, *_MANY, *_FULL_DOUBLE), budget=0.5),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Times of the default and of all plain forms.

    Args:
        size: Size of the run.
        seed: Seed of the inputs; times hardly depend on it.
        jobs: Where finished parts are kept. They run one after the other in this process.
    """
    plan = [
        {"kind": kind, "lmax": lmax, "channels": c, "edges": e, "dtype": dtype, "seed": seed, "budget": size.budget}
        for kind, lmax, c, e, dtype in size.shapes
    ]
    alone = replace(jobs, workers=1, dask=None)  # timings beside each other would disturb each other
    return {"units": alone.map(measure, plan, "products against plain torch")}


def measure(kind: Kind, lmax: int, channels: int, edges: int, dtype: str, seed: int, budget: float) -> dict[str, Any]:
    """Time one shape.

    Args:
        kind: Mode, channels of y, and whether paths have weights of their own; every edge has its weights.
        lmax: Maximal degree L.
        channels: Channels of x.
        edges: Number of edges.
        dtype: `float32` or `float64`.
        seed: Seed of the inputs.
        budget: Seconds after which no further round begins, beyond the third, for each direction.
    """
    import torch

    from tdn_theory.nn import TensorProduct

    with single_thread() as kept:
        torch.manual_seed(seed)
        options: dict[str, Any] = {"weights": "external", "mode": "uuu" if kind == "uuu" else "uvu"}
        options["method"] = "per_path" if kind == "uvu, per path" else "exact"
        sizes = (channels,) if kind == "uuu" else (channels, CHANNELS_OF_Y[kind])
        real, d = getattr(torch, dtype), dim(lmax)
        products = {"default": TensorProduct(lmax, sizes, **options).to(real)}
        for cost in products["default"].plan().costs:
            limit = {"sparse": TERM_BY_TERM_LMAX, "dense": ONE_MATRIX_LMAX}.get(cost.form, lmax)
            if lmax <= limit:
                products[cost.form] = TensorProduct(lmax, sizes, **options, form=cost.form, fused=False).to(real)
        shapes = (edges, d, channels), (edges, d, sizes[-1]), (edges, *products["default"].weight_shape)
        inputs = [torch.randn(shape, dtype=real) for shape in shapes]
        numbers = sum(map(prod, shapes)) + prod(shapes[0])
        again = numbers + prod(shapes[0]) + prod(shapes[2])
        times = {}
        for direction, moved, calls in (
            ("forward", numbers, {name: _forward(product, inputs) for name, product in products.items()}),
            (
                "forward_backward",
                numbers + again,
                {name: _forward_backward(product, inputs) for name, product in products.items()},
            ),
        ):
            source, target = torch.randn(max(moved // 2, 1), dtype=real), torch.empty(max(moved // 2, 1), dtype=real)
            calls["copy"] = partial(target.copy_, source)
            times[direction] = {name: summary(some) for name, some in take_turns(calls, budget).items()}
    chosen = products["default"].plan()
    return {
        "kind": kind,
        "L": lmax,
        "channels": channels,
        "edges": edges,
        "dtype": dtype,
        "threads": 1,
        "kept_memory": kept,
        "form": chosen.form,
        "fused": chosen.fused,
        **times,
    }


def _forward(product: Callable[..., Tensor], inputs: list[Tensor]) -> Callable[[], Any]:
    import torch

    def call() -> None:
        with torch.no_grad():
            product(*inputs)

    return call


def _forward_backward(product: Callable[..., Tensor], inputs: list[Tensor]) -> Callable[[], Any]:
    import torch

    x, y, w = (value.clone() for value in inputs)
    x.requires_grad_()
    w.requires_grad_()
    gradient = torch.ones_like(x)

    def call() -> None:
        torch.autograd.grad(product(x, y, w), (x, w), gradient)

    return call


STUDY = Study(
    "product_speed",
    "The default product against the fastest plain torch, over all shapes, and against copying its operands",
    Cost.TIMED,
    SIZES,
    run,
)
