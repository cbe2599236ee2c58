"""The benchmark of the products on a GPU: time, bandwidth and rate, beside what the device reaches in the same run.

All methods of a job take turns, each call between two CUDA events; medians are compared. The copy of a large tensor
and large matrix products are timed in the same turns. Bandwidths count each input and each output once, whatever a
method really moves. What does not fit into memory, or is not installed, is left out, and the record says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.measuring import summary
from tdn_theory.experiments.products.contenders import (
    adopted_factors,
    cuequivariance,
    e3nn,
    flat,
    instructions,
    released_order,
)
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim
from tdn_theory.study import Cost, Study

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TARGETS = {1: 10, 2: 25, 3: 60, 4: 100, 5: 150, 6: 200}
"""Speed-ups over e3nn's fully connected product that are aimed at, by L."""

WARM_UP = 3
NEIGHBORS = 16
"""Edges of a node, in message steps."""
COPIED = 1 << 28
"""Numbers copied, and the square of this is about the size of the matrices multiplied, to know what the device can."""
LARGEST = 4e9
"""Bytes of the features of a job; e3nn needs ten times as much."""

PACKAGES = ("torch", "triton", "e3nn", "cuequivariance-torch", "cuequivariance-ops-torch-cu12", "openequivariance")
"""Packages whose versions the record names."""

Call = Callable[[], Any]
Method = tuple[Callable[..., "Tensor"], list["Tensor"], list[int]]
"""A function, its arguments, and which of them have gradients."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        degrees: Values of L.
        shapes: (channels, edges).
        dtypes: Types of the features.
        rounds: How often each call is timed.
    """

    degrees: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    dtypes: tuple[str, ...]
    rounds: int


_DEGREES = (1, 2, 3, 4, 5, 6)
SIZES = {
    Preset.SMALLEST: Size((1,), ((4, 8),), ("float32",), rounds=1),
    Preset.QUICK: Size(_DEGREES, ((128, 100_000),), ("float32",), rounds=20),
    Preset.FULL: Size(
        _DEGREES,
        ((128, 100_000), (64, 100_000), (256, 100_000), (128, 1_000), (128, 10_000), (128, 1_000_000)),
        ("float32", "bfloat16"),
        rounds=20,
    ),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Times of all methods.

    Args:
        size: Size of the run.
        seed: Seed of the inputs; times hardly depend on it.
        jobs: Where finished parts are kept, and the device. They run one after the other.
    """
    common = {"rounds": size.rounds, "seed": seed, "device": jobs.device}
    plan = [
        {"task": task, "lmax": lmax, "channels": c, "edges": e, "dtype": dtype, **common}
        for c, e in size.shapes
        for dtype in size.dtypes
        for task in TASKS
        for lmax in size.degrees
        if 4 * dim(lmax) * c * e <= LARGEST
    ]
    alone = replace(jobs, workers=1, dask=None)  # timings beside each other would disturb each other
    return {"targets": TARGETS, "units": alone.map(measure, plan, "products timed on a GPU")}


def measure(
    task: str, lmax: int, channels: int, edges: int, dtype: str, rounds: int, seed: int, device: str
) -> dict[str, Any]:
    """Time all methods on one shape, taking turns.

    Args:
        task: `uvu`: features with harmonics, gradients of x and weights. `message`: likewise, the features gathered
            from nodes, the results summed at nodes. `uuu`: features with features, gradients of both.
        lmax: Maximal degree L.
        channels: Number of channels.
        edges: Number of edges.
        dtype: Type of the features.
        rounds: How often each call is timed, after calls that are not.
        seed: Seed of the inputs.
        device: `cuda` or `cuda:1`; on `cpu`, without meaning, for the tests.
    """
    import torch

    torch.manual_seed(seed)
    torch._dynamo.reset()  # after some shapes, it would not compile any more
    kind = getattr(torch, dtype)
    with torch.device(device):
        methods, absent = TASKS[task](lmax, channels, edges, kind)
        calls: dict[str, tuple[str, Call]] = {}
        gradients: dict[tuple[int, ...], Tensor] = {}
        for name, method in methods.items():
            try:
                calls |= {f"{name}: {what}": (name, call) for what, call in _calls(*method, gradients).items()}
            except (torch.OutOfMemoryError, NotImplementedError, RuntimeError, ValueError) as error:
                absent[name] = f"{type(error).__name__}: {str(error)[:200]}"
        peaks = _peaks(device)
        times = _take_turns({name: call for name, (_, call) in calls.items()} | peaks[0], rounds, device, absent)
    moved = _moved(task, lmax, channels, edges, kind)
    found: dict[str, dict[str, Any]] = {}
    for label, (name, _) in calls.items():
        if label in times:
            what = label.removeprefix(f"{name}: ")
            seconds = times[label]["median"]
            found.setdefault(name, {})[what] = times[label] | {"bytes_per_second": moved[what] / seconds}
    flops = _flops(task, lmax, channels, edges)
    for name, entry in found.items():
        if name in flops and "forward" in entry:
            entry["forward"]["flops_per_second"] = flops[name] / entry["forward"]["median"]
    return {
        "task": task,
        "L": lmax,
        "R": quadratic(lmax),
        "channels": channels,
        "edges": edges,
        "dtype": dtype,
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "versions": _versions(),
        "copy_bandwidth": peaks[1] / times["copy"]["median"],
        "matrix_rates": {name: peaks[2] / times[name]["median"] for name in peaks[0] if name != "copy"},
        "bytes": moved,
        "methods": found,
        "absent": absent,
    }


# --- methods


def _uvu(lmax: int, c: int, e: int, dtype: torch.dtype) -> tuple[dict[str, Method], dict[str, str]]:
    """Methods on features of edges, and those that are absent with the reason."""
    import torch

    from tdn_theory.nn import TensorProduct

    d = dim(lmax)
    x, y, w = (torch.randn(e, *shape, dtype=dtype) for shape in ((d, c), (d, 1), (c, 1)))
    kernel, plain = (
        _on(x, TensorProduct(lmax, c, weights="external", form="y_first", fused=fused)) for fused in (True, False)
    )
    wanted = [0, 2]
    methods: dict[str, Method] = {
        "kernel": (kernel, [x, y, w], wanted),
        "plain": (plain, [x, y, w], wanted),
        "plain, compiled": (torch.compile(plain), [x, y, w], wanted),
        "cp": (
            _on(x, TensorProduct(lmax, c, weights="external", method=adopted_factors(lmax), form="factored")),
            [x, y, w],
            wanted,
        ),
    }
    released = released_order(lmax, dtype)
    methods["cp, released order"] = (released, [x, y, w], wanted)
    methods["cp, released order, compiled"] = (torch.compile(released), [x, y, w], wanted)
    absent: dict[str, str] = {}
    inputs = flat(lmax, c, e, e, dtype)
    for name, make in (("e3nn", _e3nn), ("cuequivariance", _cuequivariance), ("openequivariance", _openequivariance)):
        try:
            methods |= make(lmax, c, inputs)
        except (ImportError, NotImplementedError, RuntimeError, ValueError) as error:
            absent[name] = f"{type(error).__name__}: {str(error)[:200]}"
    return methods, absent


def _message(lmax: int, c: int, e: int, dtype: torch.dtype) -> tuple[dict[str, Method], dict[str, str]]:
    """Methods on features of nodes."""
    import torch

    from tdn_theory.nn import ProductSpec, TensorProduct, YFirstProduct
    from tdn_theory.nn.kernels.rows import Rows

    d, n = dim(lmax), max(1, e // NEIGHBORS)
    x, y, w = (torch.randn(*shape, dtype=dtype) for shape in ((n, d, c), (e, d, 1), (e, c, 1)))
    source, target = torch.randint(0, n, (e,)), torch.randint(0, n, (e,)).sort()[0]
    sources, targets = Rows(source, n), Rows(target, n, ascending=True)
    kernel, plain = (
        _on(x, TensorProduct(lmax, c, weights="external", form="y_first", fused=fused)) for fused in (True, False)
    )

    whole = _on(x, YFirstProduct(ProductSpec(lmax, c, weights="external"), fused=True))

    def fused(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        return whole.couple(whole.prepare(y.squeeze(-1).float()), x, w, rows=sources, into=targets)

    def unfused(product: TensorProduct) -> Callable[..., Tensor]:
        def step(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
            z = product(x.index_select(0, source), y, w)
            return z.new_zeros(n, *z.shape[1:]).index_add(0, target, z)

        return step

    arguments = [x, y, w]
    methods: dict[str, Method] = {
        "kernel": (fused, arguments, [0, 2]),
        "kernel of the product only": (unfused(kernel), arguments, [0, 2]),
        "plain": (unfused(plain), arguments, [0, 2]),
        "plain, compiled": (torch.compile(unfused(plain)), arguments, [0, 2]),
    }
    absent: dict[str, str] = {}
    try:
        methods |= _openequivariance_message(lmax, c, e, dtype, n, source, target)
    except (ImportError, NotImplementedError, RuntimeError, ValueError) as error:
        absent["openequivariance"] = f"{type(error).__name__}: {str(error)[:200]}"
    return methods, absent


def _uuu(lmax: int, c: int, e: int, dtype: torch.dtype) -> tuple[dict[str, Method], dict[str, str]]:
    """Methods with channels on both sides: whether CP pays on matrix units."""
    import torch

    from tdn_theory.nn import TensorProduct
    from tdn_theory.nn.kernels import gpu

    d = dim(lmax)
    x, y = (torch.randn(e, d, c, dtype=dtype) for _ in range(2))
    methods: dict[str, Method] = {}
    products: dict[str, TensorProduct] = {}
    options: dict[str, Any] = {"mode": "uuu", "weights": "none"}
    if gpu.runs_on(x):
        products["cp kernel"] = TensorProduct(lmax, c, **options, method=adopted_factors(lmax), fused=True)
    products["cp"] = TensorProduct(lmax, c, **options, method=adopted_factors(lmax), fused=False)
    products["exact, one matrix product"] = TensorProduct(lmax, c, **options, form="dense", fused=False)
    products["exact, term by term, compiled"] = TensorProduct(lmax, c, **options, form="sparse", fused=False)
    for name, product in products.items():
        _on(x, product)
        for setting in ("highest", "high", "medium"):
            function = torch.compile(product) if name.endswith("compiled") else product
            methods[f"{name}, {setting}"] = (_with_precision(function, setting), [x, y], [0, 1])
            if name.endswith("compiled"):
                break  # has no matrix products
    absent = {} if gpu.runs_on(x) else {"cp kernel": "needs a GPU and Triton"}
    if lmax > DENSE_LMAX:
        methods = {name: method for name, method in methods.items() if not name.startswith("exact, term")}
        absent["exact, term by term, compiled"] = f"compiling takes minutes beyond L = {DENSE_LMAX}"
    return methods, absent


TASKS = {"uvu": _uvu, "message": _message, "uuu": _uuu}
DENSE_LMAX = 2
"""Largest L whose terms are written out for the compiler."""


def _on(x: Tensor, product: Any) -> Any:
    return product.to(x.device)


def _with_precision(function: Callable[..., Tensor], setting: str) -> Callable[..., Tensor]:
    import torch

    def call(*arguments: Tensor) -> Tensor:
        torch.set_float32_matmul_precision(setting)
        return function(*arguments)

    return call


def _e3nn(lmax: int, c: int, inputs: list[Tensor]) -> dict[str, Method]:
    from e3nn import o3

    features, harmonics = ([(count, (l, 1)) for l in range(lmax + 1)] for count in (c, 1))
    connected = o3.FullyConnectedTensorProduct(features, harmonics, features)
    x = inputs[0]
    return {
        "e3nn": (_on(x, e3nn(lmax, c)).to(x.dtype), inputs, [0, 2]),
        "e3nn, fully connected": (_on(x, connected).to(x.dtype), inputs[:2], [0]),
    }


def _cuequivariance(lmax: int, c: int, inputs: list[Tensor]) -> dict[str, Method]:
    return {"cuequivariance": (cuequivariance(lmax, c, inputs[0]), inputs, [0, 2])}


def _openequivariance_problem(lmax: int, c: int) -> Any:
    import openequivariance as oeq  # pyright: ignore[reportMissingImports]

    features, harmonics = (oeq.Irreps("+".join(f"{n}x{l}e" for l in range(lmax + 1))) for n in (c, 1))
    return oeq.TPProblem(
        features, harmonics, features, instructions(lmax), shared_weights=False, internal_weights=False
    )


def _openequivariance(lmax: int, c: int, inputs: list[Tensor]) -> dict[str, Method]:
    import openequivariance as oeq  # pyright: ignore[reportMissingImports]
    import torch

    if inputs[0].dtype != torch.float32:
        raise NotImplementedError("only timed in float32")
    product = oeq.TensorProduct(_openequivariance_problem(lmax, c), torch_op=True)
    return {"openequivariance": (product, inputs, [0, 2])}


def _openequivariance_message(
    lmax: int, c: int, e: int, dtype: torch.dtype, n: int, source: Tensor, target: Tensor
) -> dict[str, Method]:
    import openequivariance as oeq  # pyright: ignore[reportMissingImports]
    import torch

    if dtype != torch.float32:
        raise NotImplementedError("only timed in float32")
    step = oeq.TensorProductConv(_openequivariance_problem(lmax, c), torch_op=True, deterministic=True)
    order = source.argsort(stable=True)
    function = lambda x, y, w: step.forward(x, y, w, target, source, order)  # noqa: E731 - no name of its own
    return {"openequivariance": (function, flat(lmax, c, n, e, dtype), [0, 2])}


# --- times


def _calls(
    function: Callable[..., Tensor],
    arguments: list[Tensor],
    wanted: list[int],
    gradients: dict[tuple[int, ...], Tensor],
) -> dict[str, Call]:
    """Forward without a graph, and forward with gradients of the `wanted` arguments; equal shapes share `gradients`."""
    import torch

    leaves = [value.detach().requires_grad_(place in wanted) for place, value in enumerate(arguments)]

    def forward() -> Tensor:
        with torch.no_grad():
            return function(*arguments)

    z = forward()
    gradient = gradients.setdefault(tuple(z.shape), torch.randn_like(z, memory_format=torch.contiguous_format))
    del z

    def forward_backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(function(*leaves), [leaves[place] for place in wanted], gradient)

    return {"forward": forward, "forward_backward": forward_backward}


def _peaks(device: str) -> tuple[dict[str, Call], int, int]:
    """Calls that reach what the device can, the bytes of the copy, and the flops of each matrix product."""
    import torch

    size = COPIED if device.startswith("cuda") else 1 << 16
    source, target = torch.ones(size), torch.empty(size)
    side = round(size**0.5) // 2
    square = torch.randn(side, side)
    half = square.bfloat16()
    multiply = {name: _with_precision(torch.matmul, name) for name in ("highest", "high")}
    calls: dict[str, Call] = {"copy": lambda: target.copy_(source)}
    calls |= {"float32": lambda: multiply["highest"](square, square), "tf32": lambda: multiply["high"](square, square)}
    calls |= {"bfloat16": lambda: half @ half}
    return calls, 8 * size, 2 * side**3


def _take_turns(
    calls: dict[str, Call], rounds: int, device: str, absent: dict[str, str]
) -> dict[str, dict[str, float]]:
    """Seconds of each call, summarised."""
    import torch

    times: dict[str, list[float]] = {}
    with _default_precision():
        for name, call in calls.items():
            try:
                for _ in range(WARM_UP):
                    call()
                times[name] = []
            except (torch.OutOfMemoryError, NotImplementedError, RuntimeError) as error:
                absent[name] = f"{type(error).__name__}: {str(error)[:200]}"
        for _ in range(rounds):
            for name, found in times.items():
                torch.set_float32_matmul_precision("highest")
                found.append(_seconds(calls[name], device))
    return {name: summary(found) for name, found in times.items()}


@contextmanager
def _default_precision() -> Iterator[None]:
    """Leave the precision of matrix products as it was."""
    import torch

    before = torch.get_float32_matmul_precision()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _seconds(call: Call, device: str) -> float:
    """From the first kernel's beginning to the last one's end; the result is freed first."""
    import time

    import torch

    if not device.startswith("cuda"):
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _moved(task: str, lmax: int, c: int, e: int, dtype: torch.dtype) -> dict[str, float]:
    """Bytes of all inputs and outputs, each once per pass."""
    d = dim(lmax)
    if task == "uuu":
        x = y = z = e * d * c
        w = 0
    else:
        rows = e if task == "uvu" else max(1, e // NEIGHBORS)
        x = z = rows * d * c
        y, w = e * d, e * c
    forward = x + y + w + z
    backward = x + y + w + z + (x + y if task == "uuu" else x + w)
    return {"forward": dtype.itemsize * forward, "forward_backward": dtype.itemsize * (forward + backward)}


def _flops(task: str, lmax: int, c: int, e: int) -> dict[str, float]:
    """Useful floating-point operations of a forward call of those methods that have many."""
    d, R = dim(lmax), quadratic(lmax)
    if task != "uuu":
        return dict.fromkeys(("kernel", "plain"), 2.0 * e * d * d * (c + d))
    counts = {
        "cp kernel": 6.0 * R * d * c * e,
        "cp": 6.0 * R * d * c * e,
        "exact, one matrix product": 2.0 * d**3 * c * e,
    }
    return {f"{name}, {setting}": value for name, value in counts.items() for setting in ("highest", "high", "medium")}


STUDY = Study(
    "product_gpu",
    "Products on a GPU: speed-ups over e3nn, bandwidth, fused message steps, and CP on matrix units, against L",
    Cost.TIMED,
    SIZES,
    run,
    any_device=True,
)
