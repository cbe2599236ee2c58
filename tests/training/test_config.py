"""Configurations: what they read, what they refuse, what they call the same run."""

from __future__ import annotations

import json
import math

import pytest

from tdn_theory.training.config import RUN_OPTIONS, LossConfig, ScheduleConfig, Term, TrainConfig
from tests.assertions import refuses

TOML = """
epochs = 7
out = "somewhere"

[data]
source = "extxyz"
files = ["a.xyz"]
energy_key = "Energy"

[model]
channels = 32
elements = [1, 6]

[loss.forces]
weight = 2
form = "mae"

[optimizer]
betas = [0.9, 0.95]
"""


def test_read(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(TOML)
    config = TrainConfig.read(path)
    assert (config.epochs, config.out, config.data.files, config.data.energy_key) == (
        7,
        "somewhere",
        ("a.xyz",),
        "Energy",
    )
    assert config.model == {"channels": 32, "elements": [1, 6]}
    assert config.loss.forces == Term(2.0, "mae")
    assert config.loss.energy == LossConfig().energy
    assert config.optimizer.betas == (0.9, 0.95)
    assert TrainConfig.read(path, epochs=9, out="elsewhere").epochs == 9
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_defaults_are_the_papers():
    config = TrainConfig.from_dict({"data": {"source": "relaxations"}})
    assert config.loss.terms == {"energy": Term(1.0, "mae"), "forces": Term(1.0, "rmse")}
    assert (config.optimizer.learning_rate, config.optimizer.weight_decay) == (5e-4, 0.0)
    assert (config.schedule.kind, config.schedule.patience, config.batch_size) == ("plateau", 2, 64)


def test_run_options_do_not_make_another_run():
    data = {"source": "relaxations"}
    one = TrainConfig.from_dict({"data": data})
    others = {
        "out": "x",
        "device": "cuda",
        "time_limit": 3.0,
        "checkpoint_seconds": 1.0,
        "workers": 1,
        "tensorboard": True,
    }
    assert set(others) == set(RUN_OPTIONS)
    assert TrainConfig.from_dict({"data": data, **others}).what() == one.what()
    assert TrainConfig.from_dict({"data": data, "seed": 1}).what() != one.what()
    assert TrainConfig.from_dict({"data": data, "loss": {"energy": {"form": "mse"}}}).what() != one.what()


@pytest.mark.parametrize(
    ("table", "error", "fragments"),
    [
        ({"epoch": 3}, ValueError, ("'epoch'", "did you mean 'epochs'?")),
        ({"optimizer": {"lr": 1e-3}}, ValueError, ("'lr'", "[optimizer]", "learning_rate")),
        ({"loss": {"force": {}}}, ValueError, ("'force'", "[loss]", "'forces'")),
        ({"loss": {"forces": {"form": "l2"}}}, ValueError, ("loss.forces.form", "'l2'", "'rmse'")),
        ({"loss": {"forces": 2.0}}, TypeError, ("loss.forces is 2.0", "table")),
        ({"loss": {"energy": {"weight": 0}, "forces": {"weight": 0}}}, ValueError, ("every term", "weight")),
        ({"loss": {"energy": {"weight": -1}}}, ValueError, ("-1", ">= 0")),
        ({"epochs": 1.5}, TypeError, ("epochs is 1.5", "int")),
        ({"epochs": True}, TypeError, ("epochs is True", "int")),
        ({"epochs": 0}, ValueError, ("epochs is 0", "at least 1")),
        ({"average": 1.0}, ValueError, ("average is 1.0", "[0, 1)")),
        ({"seed": -1}, ValueError, ("seed", ">= 0")),
        ({"precision": "float16"}, ValueError, ("'float16'", "'bfloat16'")),
        ({"optimizer": {"betas": [0.9]}}, ValueError, ("optimizer.betas", "2")),
        ({"optimizer": {"betas": [0.9, 1.0]}}, ValueError, ("betas", "[0, 1)")),
        ({"optimizer": {"learning_rate": 0}}, ValueError, ("learning_rate is 0",)),
        ({"schedule": {"factor": 2.0}}, ValueError, ("factor is 2.0", "[0, 1]")),
        ({"schedule": {"warmup": -1}}, ValueError, ("warmup is -1",)),
        ({"schedule": {"warmup": math.nan}}, ValueError, ("warmup is nan",)),
        ({"time_limit": math.nan}, ValueError, ("time_limit is nan", ">= 0")),
        ({"data": {}}, ValueError, ("[data] lacks source",)),
        ({"data": {"source": "relaxations", "files": "a.xyz"}}, TypeError, ("data.files is 'a.xyz'", "list")),
    ],
)
def test_errors_teach(table, error, fragments):
    with refuses(error, *fragments):
        TrainConfig.from_dict({"data": {"source": "relaxations"}, **table})


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("epochs = ")
    with refuses(ValueError, str(path), "TOML"):
        TrainConfig.read(path)
    path.write_text("epoch = 3\n[data]\nsource = 'relaxations'")
    with refuses(ValueError, str(path), "'epochs'"):
        TrainConfig.read(path)
    with pytest.raises(FileNotFoundError):
        TrainConfig.read(tmp_path / "none.toml")


def test_schedules_are_checked_alone():
    with refuses(ValueError, "patience -1"):
        ScheduleConfig(patience=-1)
