"""Training: it learns, it stops and goes on bit for bit, it says what is wrong, several processes agree with one."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tdn_theory.nn.potential import Potential
from tdn_theory.testing.assertions import assert_close
from tdn_theory.training import loop
from tdn_theory.training import reference as module
from tdn_theory.training.batches import Graphs
from tdn_theory.training.config import TrainConfig
from tdn_theory.training.evaluation import evaluate
from tdn_theory.training.loop import BEST, CHECKPOINT, MODEL, RESULT, DivergedError, train
from tdn_theory.training.sources import Splits
from tests.assertions import refuses
from tests.training.conftest import SPLITS


def weights(folder: str | Path) -> dict[str, torch.Tensor]:
    """Everything in the checkpoint: weights, averages, moments, sums, random state."""
    return load_file(Path(folder) / CHECKPOINT)


def assert_same(got: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], where: str) -> None:
    assert got.keys() == wanted.keys()
    different = [name for name in wanted if not torch.equal(got[name], wanted[name])]
    assert not different, f"{where}: {different} differ"


def test_it_learns_and_writes_what_it_promises(configure):
    config = configure(epochs=25, optimizer={"learning_rate": 0.02}, schedule={"kind": "cosine"}, average=0.9)
    result = train(config)
    folder = Path(config.out)
    rows = json.loads((folder / "metrics.json").read_text())["epochs"]
    assert [row["epoch"] for row in rows] == list(range(1, 26))
    assert rows[-1]["training_loss"] < rows[0]["training_loss"] / 3
    with (folder / "metrics.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [float(row["validation_loss"]) for row in table] == [row["validation_loss"] for row in rows]
    assert json.loads((folder / RESULT).read_text()) == json.loads(json.dumps(result))
    assert result["complete"]
    assert result["best_epoch"] == 1 + int(np.argmin([row["validation_loss"] for row in rows]))
    model = Potential.load(folder / MODEL)
    test = Graphs(SPLITS.test, model.config.cutoff, torch.float32)
    again = evaluate(model, test, 3).metrics
    assert_close(
        again["forces_mae"].value, result["test"]["forces_mae"]["value"], 1e-3, "forces_mae of the saved model"
    )
    assert result["constant_per_element"]["value"] > result["test"]["energy_mae"]["value"]
    assert not list(folder.glob(".*"))  # no temporary files


def test_the_same_run_gives_the_same_weights_and_leaves_global_randomness_alone(configure, tmp_path):
    before = torch.get_rng_state()
    for name in ("one", "two"):
        train(configure(out=str(tmp_path / name)))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(weights(tmp_path / "two"), weights(tmp_path / "one"), "the second run")
    train(configure(out=str(tmp_path / "three"), seed=1))
    one, three = weights(tmp_path / "one"), weights(tmp_path / "three")
    assert any(not torch.equal(one[name], three[name]) for name in one)


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.parametrize("step", [0, 1, 3, 4, 8])
def test_it_goes_on_bit_for_bit_from_any_step(configure, tmp_path, monkeypatch, step):
    """Three steps an epoch, a checkpoint after each; stopped before step number `step`, in its middle."""
    train(configure(out=str(tmp_path / "whole")))
    config = configure(checkpoint_seconds=0.0)
    original, done = loop._Run._step, []

    def until(run, batch, graph):
        if len(done) == step:
            run.model(graph)["energy"].sum().backward()
            raise Killed
        done.append(step)
        original(run, batch, graph)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_step", until)
        with pytest.raises(Killed):
            train(config)
    result = train(config)
    assert_same(weights(config.out), weights(tmp_path / "whole"), f"resumed before step {step}")
    assert result["epochs"] == 3
    rows = json.loads((Path(config.out) / "metrics.json").read_text())["epochs"]
    assert [row["epoch"] for row in rows] == [1, 2, 3]


def test_killed_while_saving(configure, tmp_path, monkeypatch):
    """Between the files of the end of an epoch, and in the middle of writing one."""
    train(configure(out=str(tmp_path / "whole")))
    for name in (BEST, CHECKPOINT, "metrics.csv", "metrics.json"):
        for instant in ("before", "after"):
            config = configure(out=str(tmp_path / f"{name} {instant}"))
            replaced, calls = os.replace, []

            def interrupted(source, target, name=name, instant=instant, replaced=replaced, calls=calls):
                calls.append(target)
                mine = Path(target).name == name
                if mine and instant == "before":
                    raise Killed
                replaced(source, target)
                if mine:
                    raise Killed

            with monkeypatch.context() as patch:
                patch.setattr(os, "replace", interrupted)
                with pytest.raises(Killed):
                    train(config)
            assert calls
            train(config)
            assert_same(weights(config.out), weights(tmp_path / "whole"), f"killed {instant} {name} was written")


def test_a_finished_run_is_only_evaluated_again(configure):
    config = configure()
    first = train(config)
    before = (Path(config.out) / CHECKPOINT).read_bytes()
    again = train(config)
    assert (Path(config.out) / CHECKPOINT).read_bytes() == before
    assert again["test"] == first["test"]


def test_another_run_in_the_folder_is_refused(configure):
    config = configure()
    train(config)
    for change, fragment in (({"seed": 1}, "seed"), ({"loss": {"energy": {"weight": 2.0}}}, "loss.energy.weight")):
        with refuses(ValueError, "another run", fragment, "--out", CHECKPOINT):
            train(configure(**change))
    other = Splits(SPLITS.train[:-1], SPLITS.validation, SPLITS.test)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "load", lambda config, say: other)
        with refuses(ValueError, "training set"):
            train(config)
    train(replace(config, time_limit=5.0, checkpoint_seconds=1.0))


def test_a_damaged_checkpoint_is_refused(configure):
    config = configure()
    path = Path(config.out) / CHECKPOINT
    path.parent.mkdir()
    path.write_bytes(b"nonsense")
    with refuses(ValueError, str(path), "not a checkpoint", "delete"):
        train(config)


def test_the_time_limit_stops_it_and_it_goes_on(configure, tmp_path, monkeypatch):
    train(configure(out=str(tmp_path / "whole")))
    config = configure()
    with monkeypatch.context() as patch:
        clock = iter(range(0, 100_000, 1))
        patch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
        stopped = train(replace(config, time_limit=0.3))
    assert not stopped["complete"]
    assert stopped["epochs"] < 3
    assert {"validation", "test"} <= stopped.keys()
    Potential.load(Path(config.out) / MODEL)
    assert train(config)["complete"]
    assert_same(weights(config.out), weights(tmp_path / "whole"), "after the time limit")


@pytest.mark.parametrize("place", ["label", "gradient"])
def test_numbers_that_are_not_finite_stop_it(configure, monkeypatch, place):
    config = configure(checkpoint_seconds=0.0)
    original, calls = Potential.forward, []

    def broken(self, graph):
        output = original(self, graph)
        calls.append(graph)
        if len(calls) == 3 and place == "label":
            output["energy"] = output["energy"] * torch.nan
        elif len(calls) == 3:
            output["forces"].register_hook(lambda gradient: gradient * torch.inf)
        return output

    with monkeypatch.context() as patch:
        patch.setattr(Potential, "forward", broken)
        with refuses(DivergedError, "epoch 1, step 3", "not finite", "train ", "learning_rate", CHECKPOINT):
            train(config)
    assert all(bool(value.isfinite().all()) for value in weights(config.out).values() if value.is_floating_point())
    assert train(config)["complete"]


def test_without_a_checkpoint_none_is_called_sound(configure, monkeypatch):
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(torch.nan))
    with pytest.raises(DivergedError, match="epoch 1, step 1") as raised:
        train(configure())
    assert "checkpoint" not in str(raised.value)


def test_another_roundoff_of_the_constants_is_the_same_run(configure, monkeypatch):
    """Least squares on another machine differ in the last digits; those of other data differ in the first."""
    config = configure(time_limit=1e-9)
    assert not train(config)["complete"]
    original = module.energy_per_element
    for factor, same in ((1 + 1e-13, True), (1 + 1e-6, False)):
        monkeypatch.setattr(module, "energy_per_element", lambda *given, f=factor: f * original(*given))
        with nullcontext() if same else refuses(ValueError, "constants of the training set"):
            train(config)


def test_averaged_weights_are_the_ones_evaluated(configure):
    config = configure(average=0.5)
    train(config)
    tensors = weights(config.out)
    best = load_file(Path(config.out) / BEST)
    names = [name for name in best if f"model.{name}" in tensors]
    assert names
    rows = json.loads((Path(config.out) / "metrics.json").read_text())["epochs"]
    assert int(np.argmin([row["validation_loss"] for row in rows])) == 2  # so the last is the best
    assert all(torch.equal(best[name], tensors[f"average.{name}"]) for name in names)
    assert any(not torch.equal(best[name], tensors[f"model.{name}"]) for name in names)


def test_the_average_is_its_definition(configure, monkeypatch):
    """`a <- d a + (1 - d) w` with `d = min(average, (1 + t)/(10 + t))` after step t, from the initial weights on."""
    config = configure(average=0.3, epochs=2)
    seen = []
    original = loop._Run._step

    def step(run, batch, graph):
        if not seen:
            seen.append({name: p.detach().clone() for name, p in run.model.named_parameters()})
        original(run, batch, graph)
        seen.append({name: p.detach().clone() for name, p in run.model.named_parameters()})

    monkeypatch.setattr(loop._Run, "_step", step)
    train(config)
    tensors = weights(config.out)
    for name, average in seen[0].items():
        for t, after in enumerate(seen[1:]):
            decay = min(0.3, (1 + t) / (10 + t))
            average = decay * average + (1 - decay) * after[name]
        assert_close(tensors[f"average.{name}"], average, 1e-5, f"average of {name}")


def test_matrices_decay_and_nothing_else_does(configure):
    decaying = [p.ndim for group in _optimizer_groups(configure(optimizer={"weight_decay": 0.1}), 0.1) for p in group]
    assert decaying
    assert min(decaying) == 2


def _optimizer_groups(config: TrainConfig, weight_decay: float) -> list[list[torch.nn.Parameter]]:
    run = loop._Run(config, loop.Processes(), loop.Console(quiet=True))
    return [group["params"] for group in run.state.optimizer.param_groups if group["weight_decay"] == weight_decay]


@pytest.mark.parametrize("forces", ["direct", "conservative"])
def test_double_precision(configure, forces):
    model = {"channels": 4, "layers": 1, "heads": 2, "basis_size": 4, "cutoff": 4.0, "forces": forces}
    config = configure(precision="float64", model=model, epochs=8, optimizer={"learning_rate": 0.02})
    train(config)
    rows = json.loads((Path(config.out) / "metrics.json").read_text())["epochs"]
    assert rows[-1]["training_loss"] < rows[0]["training_loss"] / 1.5
    assert {v.dtype for name, v in weights(config.out).items() if name.startswith("model.")} == {torch.float64}


def test_dipoles(configure):
    model = {"channels": 4, "layers": 1, "heads": 2, "basis_size": 4, "cutoff": 4.0, "outputs": ["dipole"]}
    loss = {"dipole": {"weight": 1.0, "form": "norm"}}
    result = train(configure(model=model, loss=loss))
    assert result["test"]["dipole_mae"]["unit"] == "e Angstrom"


def test_settings_that_do_not_fit_are_refused(configure):
    with refuses(ValueError, "not dipole", "[loss.dipole]"):
        train(configure(loss={"dipole": {"weight": 1.0}}))
    with refuses(ValueError, "'channel' at [model]", "did you mean 'channels'?"):
        train(configure(model={"channel": 4}))
    with refuses(ValueError, "bfloat16 on cpu", "float32"):
        train(configure(precision="bfloat16"))
    with refuses(ValueError, "tpu", "cpu, cuda"):
        train(configure(device="tpu"))
    if not torch.cuda.is_available():
        with refuses(ValueError, "no GPU", "--device cpu"):
            train(configure(device="cuda"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "load", lambda config, say: Splits(SPLITS.train, [], SPLITS.test))
        with refuses(ValueError, "nothing to validate with"):
            train(configure())


def test_tensorboard(configure):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = configure(tensorboard=True)
    train(config)
    events = EventAccumulator(str(Path(config.out) / "tensorboard"))
    events.Reload()
    rows = json.loads((Path(config.out) / "metrics.json").read_text())["epochs"]
    logged = [event.value for event in events.Scalars("validation/loss")]
    assert_close(logged, [row["validation_loss"] for row in rows], 1e-5, "validation losses in TensorBoard")


def test_workers_change_nothing(configure, tmp_path):
    for workers in (0, 1):
        train(configure(out=str(tmp_path / str(workers)), workers=workers, epochs=1))
    assert_same(weights(tmp_path / "1"), weights(tmp_path / "0"), "one worker")


SCRIPT = """
import sys
import torch
from tests.training.conftest import SPLITS
from tdn_theory.training import loop
from tdn_theory.training import reference as module
from tdn_theory.training.config import TrainConfig
import json

torch.set_num_threads(1)
loop.load = lambda config, say: SPLITS
result = loop.train(TrainConfig.from_dict(json.loads(sys.argv[1])))
"""


def launch(config: TrainConfig, *prefix: str) -> subprocess.Popen:
    script = Path(config.out).parent / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *prefix, str(script), json.dumps(config.to_dict())]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_two_processes_are_one_with_the_same_batch(configure, tmp_path):
    """Sums of gradients are those of the whole batch; what differs is the order of summation."""
    changes = {"precision": "float64", "epochs": 2}
    whole = train(configure(out=str(tmp_path / "one"), **changes))
    config = configure(out=str(tmp_path / "two"), **changes)
    process = launch(config, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    output = process.communicate()[0]
    assert process.returncode == 0, output
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        if value.is_floating_point():
            assert_close(two[name], value, 1e-9 * max(1.0, float(value.abs().max())), f"{name} of two processes")
    shared = json.loads((tmp_path / "two" / RESULT).read_text())
    for name, metric in whole["test"].items():
        assert_close(shared["test"][name]["value"], metric["value"], 1e-6, f"{name} of two processes")
    with refuses(ValueError, "multiple of the 2 processes"):
        loop._Run(configure(batch_size=3), loop.Processes(0, 2), loop.Console(quiet=True))


def test_fine_tuning_begins_with_a_saved_potential(configure, tmp_path):
    first = configure(out=str(tmp_path / "first"))
    loop.train(first)
    saved = Potential.load(tmp_path / "first" / loop.MODEL)
    tuned = {"out": str(tmp_path / "second"), "init": str(tmp_path / "first" / loop.MODEL), "model": {}}
    tuned |= {"epochs": 1, "optimizer": {"learning_rate": 1e-12}, "average": 0.0}
    loop.train(configure(**tuned))
    found = Potential.load(tmp_path / "second" / loop.MODEL)
    assert found.shifts.tolist() == saved.shifts.tolist()
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, saved.state_dict()[name], rtol=0, atol=1e-9)
    with refuses(ValueError, "model.channels is 5", "has 4", "leave it out"):
        loop.train(configure(**{**tuned, "out": str(tmp_path / "third"), "model": {"channels": 5}}))
