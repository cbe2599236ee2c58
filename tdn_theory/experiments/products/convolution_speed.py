"""The convolution of nodes and edges, weights for every path: ours against e3nn's product, gathered and summed.

A convolution reads features at the sources of edges, multiplies them with harmonics and with weights of every edge and
path, and sums at the targets. e3nn does this in three steps, eagerly or compiled with `torch.compile` (forward and
backward; it compiles no second derivatives). All of a job's calls take turns, as in F3c, and medians are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tdn_theory.experiments import measuring
from tdn_theory.experiments.measuring import summary, take_turns
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

if TYPE_CHECKING:
    from torch import Tensor

NEIGHBOURS = 20


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        lmaxes: Maximal degrees L.
        dtypes: `float32`, `float64`.
        threads: Numbers of threads.
        nodes: Number of nodes.
        channels: Channels.
        compiled: Whether compiled e3nn takes part.
        budget: Seconds after which no further round begins, beyond the third, for each shape and direction.
    """

    lmaxes: tuple[int, ...]
    dtypes: tuple[str, ...]
    threads: tuple[int, ...]
    nodes: int
    channels: int
    compiled: bool
    budget: float


SIZES = {
    Preset.SMALLEST: Size((1,), ("float32",), (1,), nodes=3, channels=4, compiled=False, budget=0.0),
    Preset.QUICK: Size((1, 2, 3), ("float32", "float64"), (1, 2), nodes=100, channels=128, compiled=True, budget=2.0),
    Preset.FULL: Size((1, 2, 3), ("float32", "float64"), (1, 2), nodes=500, channels=128, compiled=True, budget=10.0),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Times of ours and of e3nn.

    Args:
        size: Size of the run.
        seed: Seed of the inputs; times hardly depend on it.
        jobs: Where finished parts are kept. They run one after the other in this process.
    """
    plan = [
        {
            "lmax": lmax,
            "dtype": dtype,
            "threads": threads,
            "nodes": size.nodes,
            "channels": size.channels,
            "compiled": size.compiled,
            "seed": seed,
            "budget": size.budget,
        }
        for lmax in size.lmaxes
        for dtype in size.dtypes
        for threads in size.threads
    ]
    alone = replace(jobs, workers=1, dask=None)  # timings beside each other would disturb each other
    return {"jobs": alone.map(measure, plan, "convolutions against e3nn")}


def measure(
    lmax: int, dtype: str, threads: int, nodes: int, channels: int, compiled: bool, seed: int, budget: float
) -> dict[str, Any]:
    """Time one shape: forward, with the gradients of all inputs, and with those of these once more.

    Args:
        lmax: Maximal degree L of features and harmonics, natural parity, all paths.
        dtype: `float32` or `float64`.
        threads: Threads of torch.
        nodes: Nodes, each with `NEIGHBOURS` edges.
        channels: Channels.
        compiled: Whether compiled e3nn takes part.
        seed: Seed of the inputs.
        budget: Seconds after which no further round begins, beyond the third, for each direction.
    """
    import torch

    from tdn_theory.experiments.comparisons.other_networks import default_dtype
    from tdn_theory.nn.e3nn_convolution import E3nnConvolution

    real = getattr(torch, dtype)
    with measuring.threads(threads) as kept, default_dtype(real):  # e3nn rounds its constants to it
        torch.manual_seed(seed)
        product = _product(lmax, channels)
        ours = E3nnConvolution(product)
        edges = nodes * NEIGHBOURS
        widths = (nodes, product.irreps_in1.dim), (edges, product.irreps_in2.dim), (edges, product.weight_numel)
        inputs = [torch.randn(width, dtype=real, requires_grad=True) for width in widths]
        target = torch.arange(edges) // NEIGHBOURS
        source = torch.randint(0, nodes, (edges,))
        width = product.irreps_out.dim  # irreps themselves are not to be met by torch.compile

        def steps(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
            return x.new_zeros(nodes, width).index_add(0, target, product(x[source], y, w))

        contenders: dict[str, Callable[..., Tensor]] = {
            "ours": lambda x, y, w: ours.convolve(x, y, w, source, target),
            "e3nn": steps,
        }
        if compiled:
            torch._dynamo.reset()
            contenders["e3nn compiled"] = torch.compile(steps)
        with torch.no_grad():
            exact, *others = (contender(*inputs) for contender in contenders.values())
        times = {}
        for direction, derivatives in (("forward", 0), ("backward", 1), ("double_backward", 2)):
            calls = {
                name: partial(_call, contender, inputs, derivatives)
                for name, contender in contenders.items()
                if derivatives < 2 or name != "e3nn compiled"
            }
            times[direction] = {name: summary(some) for name, some in take_turns(calls, budget).items()}
    return {
        "L": lmax,
        "dtype": dtype,
        "threads": threads,
        "nodes": nodes,
        "edges": edges,
        "channels": channels,
        "paths": len(product.instructions),
        "kept_memory": kept,
        "difference": max(float((other - exact).abs().max() / exact.abs().max()) for other in others),
        **times,
    }


def _product(lmax: int, channels: int) -> Any:
    """e3nn's product of natural parities, all paths to degrees up to L, each with a slot of its own, as in NequIP."""
    from e3nn import o3

    x = o3.Irreps([(channels, (l, (-1) ** l)) for l in range(lmax + 1)])
    y = o3.Irreps.spherical_harmonics(lmax)
    out, instructions = [], []
    for i, (_, left) in enumerate(x):
        for j, (_, right) in enumerate(y):
            for irrep in left * right:
                if irrep.l <= lmax:
                    instructions.append((i, j, len(out), "uvu", True))
                    out.append((channels, irrep))
    return o3.TensorProduct(x, y, o3.Irreps(out), instructions, shared_weights=False, internal_weights=False)


def _call(contender: Callable[..., Tensor], inputs: list[Tensor], derivatives: int) -> Any:
    import torch

    if derivatives == 0:
        with torch.no_grad():
            return contender(*inputs)
    z = contender(*inputs)
    first = torch.autograd.grad(z.square().sum(), inputs, create_graph=derivatives == 2)
    if derivatives == 1:
        return first
    total = torch.stack([part.square().sum() for part in first]).sum()
    return torch.autograd.grad(total, inputs)


STUDY = Study("convolution_speed", "Convolutions with weights for every path, against e3nn's", Cost.TIMED, SIZES, run)
