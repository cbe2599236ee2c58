"""The record has what the figure needs; times on the machine of the tests mean nothing."""

import json

import pytest
import torch
from typer.testing import CliRunner

from tdn_theory import checkout
from tdn_theory.cli.app import app
from tdn_theory.experiments.products import product_gpu
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


@pytest.fixture
def small(monkeypatch):
    """One round of small shapes, for L = 1, uncompiled."""
    monkeypatch.setattr(product_gpu, "ROUNDS", 1)
    monkeypatch.setattr(product_gpu, "WARM_UP", 1)
    monkeypatch.setattr(torch, "compile", lambda function: function)
    measure = product_gpu.measure
    found = {}

    def shrunk(task, lmax, channels, edges, dtype, seed, device):
        if task not in found:
            found[task] = measure(task, 1, 4, 8, dtype, seed, device)
        return found[task] | {"L": lmax, "channels": channels, "edges": edges}

    shrunk.__module__, shrunk.__name__ = measure.__module__, measure.__name__
    monkeypatch.setattr(product_gpu, "measure", shrunk)


@pytest.mark.usefixtures("small")
def test_record_and_figure(tmp_path):
    values = json.loads(json.dumps(product_gpu.run(Preset.QUICK, 0, Jobs(tmp_path))))
    assert {unit["task"] for unit in values["units"]} == {"uvu", "message", "uuu"}
    for unit in values["units"]:
        assert unit["copy_bandwidth"] > 0
        assert set(unit["matrix_rates"]) == {"float32", "tf32", "bfloat16"}
        assert not set(unit["methods"]) & set(unit["absent"])
        for entry in unit["methods"].values():
            assert entry["forward"]["quartile1"] <= entry["forward"]["median"] <= entry["forward"]["quartile3"]
            assert entry["forward_backward"]["bytes_per_second"] > 0
    uvu = values["units"][0]
    assert {"kernel", "plain", "cp, released order", "e3nn", "e3nn, fully connected"} <= set(uvu["methods"])
    assert "openequivariance" in uvu["absent"]
    figure = checkout.load("figures", "product_gpu").plot({"values": values})
    assert len(figure.axes) == 3
    assert all(axis.lines for axis in figure.axes)


def test_without_a_gpu_the_command_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for command in (["gpu"], ["product", "--device", "cuda"]):
        result = CliRunner().invoke(app, ["bench", *command, "--out", str(tmp_path)])
        assert result.exit_code == 2
        assert "finds no GPU" in result.output


def test_the_command_stops_in_time(tmp_path):
    result = CliRunner().invoke(app, ["bench", "product", "--minutes", "0", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "the same command goes on" in " ".join(result.output.split())


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
