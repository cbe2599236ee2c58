"""Frozen weights stay, all others learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tdn_theory.training import loop
from tests.assertions import refuses


@pytest.mark.parametrize("names", [["blocks.0", "elements.weight"], ["energy"]])
def test_frozen_weights_stay_and_others_learn(configure, tmp_path, names):
    config = configure(
        epochs=1, frozen=names, optimizer={"learning_rate": 0.01, "weight_decay": 0.5}, precision="float64"
    )
    loop.train(config)
    run = loop._Run(configure(precision="float64"), loop.Processes(), loop.Console(quiet=True))
    found = load_file(Path(config.out) / loop.CHECKPOINT)
    for name, before in run.model.named_parameters():
        frozen = any(name == own or name.startswith(f"{own}.") for own in names)
        for kind in ("model", "average"):
            same = torch.equal(found[f"{kind}.{name}"], before.detach())
            assert same == frozen, f"{kind}.{name}"
        assert (f"exp_avg.{name}" in found) != frozen


def test_a_run_with_frozen_weights_goes_on_bit_for_bit(configure, tmp_path):
    changes = {"frozen": ["surroundings"], "schedule": {"kind": "constant"}}
    for name, epochs in (("parts", 1), ("parts", 2), ("whole", 2)):
        loop.train(configure(out=str(tmp_path / name), epochs=epochs, **changes))
    parts, whole = (load_file(tmp_path / name / loop.CHECKPOINT) for name in ("parts", "whole"))
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    with refuses(ValueError, "of another run", "frozen is []"):
        loop.train(configure(out=str(tmp_path / "whole"), epochs=2, schedule={"kind": "constant"}))


def test_matrices_alone_can_be_trained(configure):
    run = loop._Run(configure(), loop.Processes(), loop.Console(quiet=True))
    others = [name for name, parameter in run.model.named_parameters() if parameter.ndim <= 1]
    assert loop.train(configure(frozen=others, epochs=1))["complete"]


def test_errors_teach(configure):
    with refuses(ValueError, "frozen has 'block.0'", "did you mean 'blocks.0'?", "surroundings"):
        loop.train(configure(frozen=["block.0"]))
    run = loop._Run(configure(), loop.Processes(), loop.Console(quiet=True))
    with refuses(ValueError, "nothing is left to train", "fewer"):
        loop.train(configure(frozen=[name for name, _ in run.model.named_children()]))
