"""What this processor does per second, measured once and kept: the rates of the planner's cost model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, fields
from functools import cache
from math import inf, isfinite
from threading import Thread

import numpy as np
import torch

from tdn_theory.files import read_json, sha256, write_json
from tdn_theory.nn.kernels import compiler, loops
from tdn_theory.nn.planner import Rates
from tdn_theory.provenance import cpu

ROUNDS = 60
"""Rounds in which all rates are measured in turn, and of which the fastest counts: others may be disturbed for long."""


def rates(with_loops: bool) -> Rates:
    """The rates of this processor with torch's threads: kept for this machine, or else measured in a tenth of a second.

    They are kept in the user's cache folder under the names of the processor, torch's version and vector code, number
    of threads, compiler and loops; where that cannot be, they are measured once in every process.

    Args:
        with_loops: Measure the compiled loops, too; without, they count as slow as plain torch.
    """
    return _rates(with_loops, torch.get_num_threads())


@cache
def _rates(with_loops: bool, threads: int) -> Rates:
    source = loops.source() if with_loops else ""
    code = torch.__version__, torch.backends.cpu.get_cpu_capability()
    key = "\n".join([cpu(), compiler.processor(), *code, str(threads), os.environ.get("CC", ""), source])
    name = f"rates-{sha256(key.encode())[:32]}.json"
    with suppress(OSError, ValueError):
        return _checked(read_json(compiler.cache_folder() / name))
    measured: list[Rates] = []
    # in a thread of its own, no mode of torch is on that makes tensors without data, or in half precision
    thread = Thread(target=lambda: measured.append(_measure(with_loops, threads)))
    thread.start()
    thread.join()
    with suppress(OSError):
        write_json(compiler.cache_folder() / name, asdict(measured[0]))
    return measured[0]


def _checked(kept: dict[str, object]) -> Rates:
    names = [field.name for field in fields(Rates)]
    if sorted(kept) != sorted(names):
        raise ValueError(f"{sorted(kept)} are not the names of rates")
    for value in kept.values():
        if not isinstance(value, int | float) or not isfinite(value) or value <= 0:
            raise ValueError(f"{value} is no rate")
    return Rates(**kept)  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def _measure(with_loops: bool, threads: int) -> Rates:
    """Rates at 256 edges, 64 channels and degrees up to 3: sizes in the middle of those of networks."""
    torch.set_num_threads(threads)
    e, d, c = 256, 16, 64

    def ones(*shape: int) -> torch.Tensor:
        return torch.ones(shape, dtype=torch.float32, device="cpu")

    G, x, w, y, to_matrices = ones(e, d, d), ones(e, d, c), ones(e, 1, c), ones(e, d), ones(d, d * d)
    source, target = ones(1 << 19), ones(1 << 19)
    some = np.indices((9, 9, 9)).sum(0) % 5 == 0  # about as sparse as the tensor of L = 2
    sparse, z = loops.SparseTensor(some.astype(float)), ones(e, 9, c)
    calls: dict[str, tuple[float, Callable[[], object]]] = {
        "matrix": (2 * e * d**3, lambda: torch.mm(y, to_matrices)),
        "batched": (2 * e * d * d * c, lambda: torch.bmm(G, x).mul_(w)),
        "vector": (2 * e * d * c, lambda: (x * x).add_(x)),
        "bandwidth": (2 * source.nbytes, lambda: target.copy_(source)),
    }
    if with_loops:
        calls["loop"] = (2 * e * d * d * c, lambda: loops.scaled_matrices(G, x, w))
        calls["terms"] = (2 * e * c * int(some.sum()), lambda: sparse.product(z, z))
    fastest = dict.fromkeys(calls, inf)
    for _ in range(ROUNDS):
        for name, (_, call) in calls.items():
            start = time.perf_counter()
            call()
            fastest[name] = min(fastest[name], max(time.perf_counter() - start, 1e-9))
    found = {name: work / fastest[name] for name, (work, _) in calls.items()}
    return Rates(**{"loop": found["batched"], "terms": found["vector"], **found}, vector_length=16)
