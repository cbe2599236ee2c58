"""The benchmark's record has what the figure needs; its numbers are not tested, they belong to the machine."""

import json
from functools import cache

import pytest

from tdn_theory import checkout
from tdn_theory.experiments.products import F3c
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


@pytest.fixture
def small(monkeypatch):
    """One round of small shapes."""
    monkeypatch.setattr(F3c, "MAX_ROUNDS", 1)
    monkeypatch.setattr(F3c, "keep_memory", lambda: False)  # the test session keeps its own settings
    measure = F3c.measure
    once = cache(lambda mode: measure(mode, 1, 4, 8, 0, 0.0))

    def shrunk(mode, lmax, channels, edges, seed, budget):
        return once(mode) | {"L": lmax, "channels": channels, "edges": edges}

    shrunk.__module__, shrunk.__name__ = measure.__module__, measure.__name__
    monkeypatch.setattr(F3c, "measure", shrunk)


@pytest.mark.usefixtures("small")
def test_record_and_figure(tmp_path):
    values = json.loads(json.dumps(F3c.run(Preset.QUICK, 0, Jobs(tmp_path, workers=2))))
    assert {unit["mode"] for unit in values["units"]} == {"uvu", "uuu"}
    for unit in values["units"]:
        assert {"exact", "cp"} <= set(unit["methods"])
        assert unit["copy_bandwidth"] > 0
        assert unit["matrix_rate"] > 0
        for entry in unit["methods"].values():
            assert entry["forward"]["fastest"] <= entry["forward"]["median"] <= entry["forward"]["quartile3"]
            assert entry["forward_backward"]["rounds"] >= 1
    assert "cp, released order" in values["units"][0]["methods"]
    figure = checkout.load("figures", "F3c").plot({"values": values})
    assert len(figure.axes) == 3
    assert all(axis.lines for axis in figure.axes)
