"""The benchmark's record has what the figure needs; its numbers are not tested, they belong to the machine."""

import json
from functools import cache

import pytest

from tdn_theory import checkout
from tdn_theory.experiments import F3c, product_speed
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset


@pytest.fixture
def small(monkeypatch):
    """One round of small shapes."""
    monkeypatch.setattr(F3c, "MAX_ROUNDS", 1)
    monkeypatch.setattr(product_speed, "keep_memory", lambda: False)  # the test session keeps its own settings
    measure = product_speed.measure
    once = cache(lambda kind, dtype: measure(kind, 1, 4, 8, dtype, 0, 0.0))

    def shrunk(kind, lmax, channels, edges, dtype, seed, budget):
        return once(kind, dtype) | {"L": lmax, "channels": channels, "edges": edges}

    shrunk.__module__, shrunk.__name__ = measure.__module__, measure.__name__
    monkeypatch.setattr(product_speed, "measure", shrunk)


@pytest.mark.usefixtures("small")
def test_record_and_figure(tmp_path):
    values = json.loads(json.dumps(product_speed.run(Preset.QUICK, 0, Units(tmp_path, workers=2))))
    assert {unit["kind"] for unit in values["units"]} == set(product_speed.CHANNELS_OF_Y) | {"uuu"}
    for unit in values["units"]:
        for direction in ("forward", "forward_backward"):
            assert {"default", "copy", "dense", "sparse"} <= set(unit[direction])
            assert all(0 < some["fastest"] <= some["median"] for some in unit[direction].values())
    figure = checkout.load("figures", "product_speed").plot({"values": values})
    assert len(figure.axes) == 3
    assert all(axis.lines for axis in figure.axes)
