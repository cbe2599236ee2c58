"""F3c and the benchmark of the product layers: time, memory, and how close to the machine's limits.

All methods of a job take turns in one process on one thread. Copy bandwidth and matrix rate are measured in the same
turns. Freed memory is kept where the record says `kept_memory`: see `tdn_theory.experiments.measuring`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.measuring import peak_memory, single_thread, summary, take_turns
from tdn_theory.experiments.products.contenders import adopted_factors, cuequivariance, e3nn, flat, released_order
from tdn_theory.jobs import Jobs
from tdn_theory.paper import SPEEDUPS
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim
from tdn_theory.study import Cost, Study

if TYPE_CHECKING:
    from torch import Tensor

DENSE_LMAX = 4
"""Largest L whose `uuu` product is timed without a compiled loop, as one matrix product with O(L^6) multiply-adds."""

Call = Callable[[], Any]
Calls = dict[str, tuple[Call, Call, float | None]]
"""Forward, forward with backward, and flops per edge of a forward call where they are known, of every method."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        shapes: (mode, L, channels, edges); modes as in `measure`.
        budget: Seconds after which no further round begins, beyond the third, for each shape and direction.
    """

    shapes: tuple[tuple[str, int, int, int], ...]
    budget: float


_SHAPES = (
    *(("uvu", lmax, 128, 1024) for lmax in range(1, 7)),
    *(("uuu", lmax, 128, 1024) for lmax in range(1, 9)),
)
SIZES = {
    Preset.SMALLEST: Size((("uvu", 1, 4, 8), ("uuu", 1, 4, 8)), budget=0.0),
    Preset.QUICK: Size((*_SHAPES, *(("uvu", lmax, 128, 256) for lmax in (1, 2))), budget=10.0),
    Preset.FULL: Size(
        (
            *_SHAPES,
            *(("uvu", lmax, 128, 256) for lmax in range(1, 7)),
            *(("uvu", lmax, channels, 1024) for lmax in range(1, 5) for channels in (32, 64, 256)),
            *(("uvu", lmax, 128, edges) for lmax in (1, 2, 3) for edges in (1, 16, 10_000)),
            ("uvu", 1, 128, 100_000),  # from L = 2 on, e3nn's product would need more than 24 GB
        ),
        budget=60.0,
    ),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Times of all methods.

    Args:
        size: Size of the run.
        seed: Seed of the inputs; times hardly depend on it.
        jobs: Where finished parts are kept. They run one after the other in this process, whatever its number of
            workers.
    """
    plan = [
        {"mode": mode, "lmax": lmax, "channels": c, "edges": e, "seed": seed, "budget": size.budget}
        for mode, lmax, c, e in size.shapes
    ]
    alone = replace(jobs, workers=1, dask=None)  # timings beside each other would disturb each other
    return {"paper_speedups": dict(SPEEDUPS), "units": alone.map(measure, plan, "F3c: products timed")}


def measure(mode: str, lmax: int, channels: int, edges: int, seed: int, budget: float) -> dict[str, Any]:
    """Time all methods on one shape, taking turns.

    Args:
        mode: `uvu` with one channel of y, gradients of x and weights; or `uuu`, gradients of x, y and weights.
        lmax: Maximal degree L.
        channels: Number of channels.
        edges: Number of edges.
        seed: Seed of the inputs.
        budget: Seconds after which no further round begins, beyond the third, for each direction.
    """
    import torch

    with single_thread() as kept:
        torch.manual_seed(seed)
        calls = _uvu(lmax, channels, edges) if mode == "uvu" else _uuu(lmax, channels, edges)
        d = dim(lmax)
        moved = 4 * edges * channels * (2 * d + 1 if mode == "uvu" else 3 * d)  # x, (y,) z and weights, float32
        size = max(edges * d * channels, 1024)
        source, target = torch.randn(size), torch.empty(size)
        square = torch.randn(1024, 1024)
        forward: dict[str, Call] = {name: call for name, (call, _, _) in calls.items()}
        forward |= {"copy": lambda: target.copy_(source), "matrix product": lambda: square @ square}
        forward_times = {name: summary(times) for name, times in take_turns(forward, budget).items()}
        backward_times = take_turns({name: call for name, (_, call, _) in calls.items()}, budget)
        bandwidth = 8 * size / forward_times["copy"]["median"]
        rate = 2 * 1024**3 / forward_times["matrix product"]["median"]
        methods = {}
        for name, (_, call, flops) in calls.items():
            seconds = forward_times[name]["median"]
            methods[name] = {
                "forward": forward_times[name],
                "forward_backward": summary(backward_times[name]),
                "peak_bytes": peak_memory(call, "cpu"),
                "bytes_per_second": moved / seconds,
                "flops_per_second": None if flops is None else flops * edges / seconds,
                "times_roofline": seconds * bandwidth / moved,
            }
    return {
        "mode": mode,
        "L": lmax,
        "R": quadratic(lmax),
        "channels": channels,
        "edges": edges,
        "threads": 1,
        "kept_memory": kept,
        "copy_bandwidth": bandwidth,
        "matrix_rate": rate,
        "methods": methods,
        "absent": [name for name in ("e3nn", "cuequivariance_torch", "opt_einsum") if find_spec(name) is None],
    }


def _pair(product: Callable[..., Tensor], inputs: list[Tensor], wanted: list[int]) -> tuple[Call, Call, float | None]:
    """Forward without a graph, forward with gradients of the `wanted` inputs, and flops per edge of our products."""
    import torch

    from tdn_theory.nn import TensorProduct

    flops = product.plan().flops if isinstance(product, TensorProduct) else None
    plain = [value.detach() for value in inputs]
    leaves = [value.detach().clone().requires_grad_(place in wanted) for place, value in enumerate(inputs)]
    gradient = torch.randn_like(product(*plain))

    def forward() -> None:
        with torch.no_grad():
            product(*plain)

    def forward_backward() -> None:
        torch.autograd.grad(product(*leaves), [leaves[place] for place in wanted], gradient)

    return forward, forward_backward, flops


def _uvu(lmax: int, c: int, e: int) -> Calls:
    import torch

    from tdn_theory.nn import TensorProduct
    from tdn_theory.nn.kernels import compiler

    d = dim(lmax)
    x, y, w = torch.randn(e, d, c), torch.randn(e, d, 1), torch.randn(e, c, 1)
    products: dict[str, Any] = {
        "exact": TensorProduct(lmax, c, weights="external", fused=False),
        "cp": TensorProduct(lmax, c, weights="external", method=adopted_factors(lmax), form="factored"),
    }
    if compiler.available():
        products["exact, fused"] = TensorProduct(lmax, c, weights="external", fused=True)
    calls = {name: _pair(product, [x, y, w], [0, 2]) for name, product in products.items()}
    calls["cp, released order"] = _pair(released_order(lmax, torch.float32), [x, y, w], [0, 2])
    per_path = TensorProduct(lmax, c, weights="external", method="per_path")
    calls["per path"] = _pair(per_path, [x, y, torch.randn(e, *per_path.weight_shape)], [0, 2])
    inputs = flat(lmax, c, e, e, torch.float32)
    if find_spec("e3nn") is not None:
        calls["e3nn"] = _pair(e3nn(lmax, c), inputs, [0, 2])
    if find_spec("cuequivariance_torch") is not None:
        calls["cuequivariance"] = _pair(cuequivariance(lmax, c, inputs[0]), inputs, [0, 2])
    return calls


def _uuu(lmax: int, c: int, e: int) -> Calls:
    import torch

    from tdn_theory.nn import TensorProduct
    from tdn_theory.nn.kernels import compiler

    d = dim(lmax)
    inputs = [torch.randn(e, d, c), torch.randn(e, d, c), torch.randn(c)]
    options: dict[str, Any] = {"mode": "uuu", "weights": "external"}
    products = {"cp": TensorProduct(lmax, c, **options, method=adopted_factors(lmax))}
    if lmax <= DENSE_LMAX:
        products["exact"] = TensorProduct(lmax, c, **options, fused=False)
    if compiler.available():
        products["exact, fused"] = TensorProduct(lmax, c, **options, form="sparse", fused=True)
    return {name: _pair(product, inputs, [0, 1, 2]) for name, product in products.items()}


STUDY = Study(
    "F3c",
    "Speed-up over e3nn against L, beside the paper's claim; times with channels on both sides (E3, T6)",
    Cost.TIMED,
    SIZES,
    run,
)
