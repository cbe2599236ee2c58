"""The record has what the figure needs; times on the machine of the tests mean nothing."""

import json

import matplotlib.pyplot
import torch

from tdn_theory import checkout
from tdn_theory.experiments.products import product_gpu
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_record_and_figure(tmp_path, monkeypatch):
    """Uncompiled: that a compiler runs is nothing that this package does."""
    monkeypatch.setattr(torch, "compile", lambda function: function)
    record = json.loads(json.dumps(product_gpu.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path))))
    shapes = record["values"]["units"]
    assert [shape["task"] for shape in shapes] == ["uvu", "message", "uuu"]
    for shape in shapes:
        assert shape["copy_bandwidth"] > 0
        assert set(shape["matrix_rates"]) == {"float32", "tf32", "bfloat16"}
        assert not set(shape["methods"]) & set(shape["absent"])
        for entry in shape["methods"].values():
            assert entry["forward"]["quartile1"] <= entry["forward"]["median"] <= entry["forward"]["quartile3"]
            assert entry["forward"]["rounds"] == 1
            assert entry["forward_backward"]["bytes_per_second"] > 0
    uvu = shapes[0]
    assert {"kernel", "plain", "cp, released order", "e3nn", "e3nn, fully connected"} <= set(uvu["methods"])
    assert "openequivariance" in uvu["absent"]
    drawn = [shape | {"channels": 128, "edges": 100_000} for shape in shapes]
    figure = checkout.load("figures", "product_gpu").plot({"values": {**record["values"], "units": drawn}})
    assert len(figure.axes) == 3
    assert all(axis.lines for axis in figure.axes)
    matplotlib.pyplot.close(figure)


def test_all_methods_compute_the_same(monkeypatch):
    """Those whose layout and weights are ours."""
    monkeypatch.setattr(torch, "compile", lambda function: function)
    torch.manual_seed(0)
    for task in ("uvu", "message", "uuu"):
        methods, _ = product_gpu.TASKS[task](1, 3, 40, torch.float32)
        with product_gpu._default_precision():
            results = {
                name: function(*arguments)
                for name, (function, arguments, _) in methods.items()
                if name in ("kernel", "plain", "kernel of the product only") or name.startswith("exact")
                if "compiled" not in name
            }
        first = next(iter(results.values()))
        for result in results.values():
            torch.testing.assert_close(result, first, rtol=1e-2, atol=1e-2 * float(first.abs().max()))
