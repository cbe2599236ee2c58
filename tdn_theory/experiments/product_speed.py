"""The product layer as it runs by default on this processor, against plain torch and against copying its operands.

What plain torch takes is the fastest of all contraction orders with `fused=False`. The copy moves as many bytes as the
product reads and writes at least: inputs and outputs once each, and with backward once more all inputs, the gradient of
the output, and those of x and the weights. All calls of a unit take turns on one thread, as in F3c, and medians are
compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from tdn_theory.experiments.F3c import _summary, _take_turns, keep_memory
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["uvu", "uvu, 8 channels of y", "uvu, per path", "uuu"]
CHANNELS_OF_Y = {"uvu": 1, "uvu, 8 channels of y": 8, "uvu, per path": 1}

TERM_BY_TERM_LMAX, ONE_MATRIX_LMAX = 1, 4
"""Largest L up to which plain torch is also tried term by term, and as one matrix product: both take seconds beyond."""


def run(preset: Preset, seed: int, units: Units) -> dict[str, Any]:
    """Times of the default and of all plain forms.

    Quick: float32, L = 1..6 (`uvu`) and 1..4, 1 to 128 channels, 1 to 1024 edges, 10^4 for 128 channels and L <= 2.
        Full: float64 too, and 10^4 edges up to L = 6.

    Args:
        preset: See above.
        seed: Seed of the inputs; times hardly depend on it.
        units: Where finished units are kept. They run one after the other in this process.
    """
    full = preset is Preset.FULL
    largest = {"uvu": 6, "uvu, 8 channels of y": 3, "uvu, per path": 3, "uuu": 4}
    plan = [
        (kind, lmax, channels, edges, "float32")
        for kind, top in largest.items()
        for lmax in range(1, top + 1)
        for channels in (1, 8, 16, 64, 128)
        for edges in (1, 32, 1024)
    ]
    plan += [("uvu", lmax, 128, 10_000, "float32") for lmax in range(1, 7 if full else 3)]
    plan += [("uvu", lmax, 128, 1024, "float64") for lmax in range(1, 7)]
    if full:
        plan += [(*shape[:4], "float64") for shape in plan if shape[4] == "float32" and shape[:4] != ("uvu", 128, 1024)]
    parameters = [
        {"kind": kind, "lmax": lmax, "channels": c, "edges": e, "dtype": dtype, "seed": seed, "budget": 0.5}
        for kind, lmax, c, e, dtype in plan
    ]
    alone = replace(units, workers=1, dask=None)  # timings beside each other would disturb each other
    return {"units": alone.map(measure, parameters, "products against plain torch")}


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

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        kept = keep_memory()
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
            calls["copy"] = partial(_copy, target, source)
            times[direction] = {name: _summary(some) for name, some in _take_turns(calls, budget).items()}
    finally:
        torch.set_num_threads(threads)
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


def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source)


def _forward(product: Callable[..., Tensor], inputs: list[Tensor]) -> Callable[[], None]:
    import torch

    def call() -> None:
        with torch.no_grad():
            product(*inputs)

    return call


def _forward_backward(product: Callable[..., Tensor], inputs: list[Tensor]) -> Callable[[], None]:
    import torch

    x, y, w = (value.clone() for value in inputs)
    x.requires_grad_()
    w.requires_grad_()
    gradient = torch.ones_like(x)

    def call() -> None:
        torch.autograd.grad(product(x, y, w), (x, w), gradient)

    return call
