"""How times, memory and errors are measured and summarised, alike in all experiments.

Methods that are compared take turns in one process on one thread, so that a disturbance meets all of them; medians are
compared. Memory that a method gives back to the system is faulted in anew at its next call, which costs as much as
writing it several times; with glibc's defaults that is so for large outputs. `keep_memory` switches it off for the
process (mallopt), for all methods alike, and records say so.
"""

from __future__ import annotations

import ctypes
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

MAX_ROUNDS = 15
"""Rounds of `take_turns`, where time allows."""

LONG = 0.05
"""Seconds; shorter calls are timed three times per turn, after one that is not."""

SMALLEST = 1e-300
"""Stands for zero in logarithms."""


# Times


def take_turns(calls: Mapping[str, Callable[[], Any]], budget: float) -> dict[str, list[float]]:
    """Seconds of calls that take turns, after one call each that is not timed.

    Args:
        calls: What is timed.
        budget: Seconds after which no further round begins, beyond the third.
    """
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    for number in range(MAX_ROUNDS):
        if number >= 3 and time.perf_counter() - began > budget:
            break
        for name, call in calls.items():
            for repeat in range(4):  # the first one finds the caches full of the method before
                start = time.perf_counter()
                call()
                elapsed = time.perf_counter() - start
                if repeat:
                    times[name].append(elapsed)
                if elapsed > LONG:
                    times[name].append(elapsed)
                    break
    return times


def summary(times: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and least of times, and how many there are (`rounds`)."""
    low, middle, high = np.quantile(times, [0.25, 0.5, 0.75])
    quartiles = {"quartile1": float(low), "quartile3": float(high)}
    return {"median": float(middle), **quartiles, "fastest": min(times), "rounds": len(times)}


def seconds_of(call: Callable[[], Any], device: str) -> float:
    """Processor time of a call, to which other processes add nothing; on a GPU, time until it has finished."""
    import torch

    if device == "cpu":
        start = time.process_time()
        call()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    call()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


@contextmanager
def threads(count: int) -> Iterator[bool]:
    """So many threads, and freed memory kept, which is a fifth faster; gives whether it is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        kept = keep_memory()
        with threadpool_limits(count):  # numpy's, which torch does not set
            yield kept
    finally:
        torch.set_num_threads(before)


single_thread = partial(threads, 1)
"""One thread, so that sums have one order."""


# Memory


def keep_memory() -> bool:
    """Let glibc keep freed memory, so that large outputs are not faulted in at every call; for the whole process.

    Returns:
        Whether that was possible: on Linux with glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    m_trim_threshold, m_mmap_threshold = -1, -3
    return bool(libc.mallopt(m_mmap_threshold, 1 << 30) and libc.mallopt(m_trim_threshold, (1 << 31) - 1))


def peak_memory(call: Callable[[], Any], device: str) -> int | None:
    """Bytes that a call needs beyond what is there before it.

    On a processor the growth of the resident memory, from a trimmed heap; None where Linux does not tell.
    """
    if device != "cpu":
        import torch

        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # starts the high-water mark anew
        before = resident("VmRSS")
        call()
        return max(0, resident("VmHWM") - before)
    except (OSError, AttributeError):
        return None


def resident(key: str) -> int:
    """Bytes of this process in memory: at present (`VmRSS`), or at most so far (`VmHWM`).

    Raises:
        OSError: The system is not Linux.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


# Errors


def mean_and_error(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean over seeds, its standard error (None for a single one), and how many there are."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "standard_error": error, "seeds": len(values)}


def growth(depths: Sequence[float], errors: Sequence[float]) -> dict[str, float]:
    """Least squares of `e = a t^p` and of `e = a g^t` in logarithms: p, g, and the standard deviations left."""
    t, e = np.array(depths, float), np.log(np.maximum(errors, SMALLEST))
    lines = {"power": np.log(t), "factor": t}
    fits = {name: np.polyfit(places, e, 1) for name, places in lines.items()}
    left = {f"{name}_residual": float(np.std(e - np.polyval(fits[name], lines[name]))) for name in fits}
    return {"power": float(fits["power"][0]), "factor": float(np.exp(fits["factor"][0])), **left}
