"""The record has what is asked for; its numbers are not tested, they belong to the machine."""

import json

import pytest

from tdn_theory.experiments import model_throughput
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset


@pytest.fixture
def small(monkeypatch):
    """Molecules and networks that take milliseconds; the test session keeps its own settings of memory."""
    measure = model_throughput.measure
    network = {"channels": 4, "layers": 1, "heads": 2, "basis_size": 4, "cutoff": 4.5, "forces": "direct"}

    def shrunk(lmax, seed, **_):
        return measure(lmax, 2, 6, 3, network, 1, seed)

    shrunk.__module__, shrunk.__name__ = measure.__module__, measure.__name__
    monkeypatch.setattr(model_throughput, "measure", shrunk)
    monkeypatch.setattr(model_throughput, "keep_memory", lambda: False)


@pytest.mark.usefixtures("small")
def test_record(tmp_path):
    values = json.loads(json.dumps(model_throughput.run(Preset.QUICK, 0, Units(tmp_path, workers=2))))
    assert [unit["L"] for unit in values["units"]] == [1, 2, 3]
    for unit in values["units"]:
        assert unit["nodes"] == 12
        for task in ("inference", "training"):
            assert unit[task]["speedup"] > 0
            assert unit[task]["samples_per_second"].keys() == {"pruned", "released order"}


def test_batches_have_the_neighbours_asked_for():
    graph = model_throughput.random_batch(3, 10, 4, 4.5, 0)
    assert graph.numbers.shape[0] == 30
    assert graph.source.shape[0] == 120
