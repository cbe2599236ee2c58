"""Times, memory and errors are summarised as their names say; times themselves belong to the machine."""

from __future__ import annotations

import math
import mmap
import sys
import time

import numpy as np
import pytest
import torch

from tdn_theory.experiments import measuring
from tdn_theory.testing.assertions import assert_close


def test_calls_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once each before the clock starts; then every round calls all of them, however long they take."""
    monkeypatch.setattr(measuring, "LONG", math.inf)
    called: list[str] = []
    times = measuring.take_turns({name: lambda name=name: called.append(name) for name in "ab"}, budget=0.0)
    rounds = 3
    assert called == ["a", "b", *rounds * [*4 * "a", *4 * "b"]]
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3 * rounds, "b": 3 * rounds}


def test_long_calls_are_timed_once_per_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "LONG", -1.0)
    monkeypatch.setattr(measuring, "MAX_ROUNDS", 5)
    called: list[str] = []
    times = measuring.take_turns({"a": lambda: called.append("a")}, budget=math.inf)
    assert len(called) == 1 + 5
    assert len(times["a"]) == 5


def test_summary() -> None:
    found = measuring.summary([5.0, 1.0, 2.0, 3.0, 4.0])
    assert found == {"median": 3.0, "quartile1": 2.0, "quartile3": 4.0, "fastest": 1.0, "rounds": 5}


def test_seconds_of_a_call() -> None:
    """Processor time: sleeping takes none."""
    assert 0 <= measuring.seconds_of(lambda: time.sleep(0.2), "cpu") < 0.1


def test_one_thread_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "keep_memory", lambda: False)  # the test session keeps its own settings
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with measuring.single_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_peak_memory_is_what_a_call_needs() -> None:
    """32 MiB that are written and freed again, fresh from the system, whatever the allocator has kept from before."""
    bytes_written = 1 << 25

    def write() -> None:
        with mmap.mmap(-1, bytes_written) as memory:
            np.frombuffer(memory, np.uint8)[:] = 1

    peak = measuring.peak_memory(write, "cpu")
    assert peak is not None
    assert 0.9 * bytes_written < peak < 2 * bytes_written
    assert measuring.resident("VmHWM") >= measuring.resident("VmRSS") > 0


def test_mean_and_error() -> None:
    assert measuring.mean_and_error([1.0, 2.0, 3.0]) == {
        "mean": 2.0,
        "standard_error": pytest.approx(1 / np.sqrt(3)),
        "seeds": 3,
    }
    assert measuring.mean_and_error([4.0])["standard_error"] is None


def test_laws_of_growth() -> None:
    depths = range(1, 9)
    power = measuring.growth(depths, [0.3 * t**0.7 for t in depths])
    assert_close(power["power"], 0.7, 1e-12, "power of t^0.7")
    assert power["power_residual"] < 1e-12 < power["factor_residual"]
    rate = measuring.growth(depths, [0.3 * 1.5**t for t in depths])
    assert_close(rate["factor"], 1.5, 1e-12, "factor of 1.5^t")
    assert rate["factor_residual"] < 1e-12 < rate["power_residual"]
