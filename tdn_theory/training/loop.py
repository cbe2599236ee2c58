"""The training loop: it can be killed at any moment and goes on as if nothing had happened."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from tdn_theory.data.elements import check_elements
from tdn_theory.data.graph import Graph, batch_indices
from tdn_theory.files import sha256, write_json
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.provenance import provenance
from tdn_theory.training.average import follow
from tdn_theory.training.batches import Graphs
from tdn_theory.training.checkpoint import State
from tdn_theory.training.config import TrainConfig, check_keys
from tdn_theory.training.data_checks import check_known_elements, check_labels, check_places, describe
from tdn_theory.training.evaluation import Evaluation, as_json, autocast, dtype_of, evaluate
from tdn_theory.training.folder import Interruption, locked
from tdn_theory.training.frozen import freeze
from tdn_theory.training.log import Log
from tdn_theory.training.loss import Loss
from tdn_theory.training.metrics import UNITS
from tdn_theory.training.optimizer import optimizer, set_learning_rate
from tdn_theory.training.parallel import Processes, processes
from tdn_theory.training.reference import baseline, reference
from tdn_theory.training.schedule import learning_rate_factor, stalls
from tdn_theory.training.sources import Splits, load

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
MODEL = "model.safetensors"
RESULT = "result.json"


class DivergedError(ArithmeticError):
    """Training met a number that is not finite."""


def train(config: TrainConfig, console: Console | None = None, splits: Splits | None = None) -> dict[str, Any]:
    """Train a potential as `config` says, or go on where an earlier call with the same configuration stopped.

    The folder `config.out` gets `checkpoint.safetensors` (to go on from), `best.safetensors` (the potential of least
    validation loss so far), `metrics.csv`, `metrics.json` and `curves.png` (the course by epochs), and when training
    ends, or its time is up, `model.safetensors` and `result.json`. Every file is whole at any moment. On a CPU the
    weights are the same, bit for bit, however often training was killed: batches are a function of seed and epoch, the
    learning rate one of the step, and a checkpoint holds everything else.

    Args:
        config: The run.
        console: Where to report progress; by default nowhere.
        splits: The structures, where the caller has them; by default what `config.data` says.

    Returns:
        The content of `result.json`: metrics of the validation and test sets, the energy errors of constants per
        element, the configuration and the provenance.

    Raises:
        ValueError: The configuration does not fit the data, the model, the device or the checkpoint in its folder.
        DivergedError: A loss or a gradient is not finite; the message names the batch and what to try.
        BlockingIOError: Another run is in the folder.
        KeyboardInterrupt: Ctrl-C; SystemExit: SIGTERM. The step is finished and a checkpoint written before.
    """
    with processes(config.device) as group, torch.random.fork_rng(_graphics_cards(group.device)):
        torch.manual_seed(config.seed)
        return _Run(config, group, console or Console(quiet=True), splits).run()


def _graphics_cards(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


class _Run:
    """One call of `train`."""

    def __init__(self, config: TrainConfig, group: Processes, console: Console, splits: Splits | None = None):
        self.began = self.counted = time.monotonic()
        self.config, self.group = config, group
        self.console = console if group.first else Console(quiet=True)
        self.folder = Path(config.out)
        self.log: Log | None = None
        self.first_epoch = 0
        if config.batch_size % group.count:
            raise ValueError(f"batch_size is {config.batch_size}; it must be a multiple of the {group.count} processes")
        self.splits = load(config.data, self._tell) if splits is None else splits
        if not self.splits.validation:
            raise ValueError(
                "there is nothing to validate with; give data.validation_files or a larger data.validation"
            )
        self.loss = Loss(config.loss)
        check_labels(self.splits, self.loss.terms)
        check_places(self.splits)
        dtype = dtype_of(config.precision)
        self.model = self._initial_model().to(group.device, dtype)
        freeze(self.model, config.frozen)
        self.weights = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        forces = self.model.config.forces
        if config.precision == "bfloat16" and (group.device.type == "cpu" or forces == "conservative"):
            raise ValueError(
                f"precision bfloat16 on {group.device.type} with forces {forces!r}: it needs a GPU, where it is "
                "faster, and forces that are no derivatives ('direct'); use float32"
            )
        cutoff = self.model.config.cutoff
        check_known_elements(self.splits, self.model.config.elements)
        self.train_graphs = Graphs(self.splits.train, cutoff, dtype)
        self.validation_graphs = Graphs(self.splits.validation, cutoff, dtype)
        self.test_graphs = Graphs(self.splits.test, cutoff, dtype)
        self.steps = len(self._batches(0))  # per epoch
        self.state = State(
            self.model,
            copy.deepcopy(self.model) if config.average else None,
            optimizer(self.model, config.optimizer),
            torch.zeros(2, len(self.loss.terms), dtype=torch.float64, device=group.device),
        )

    def _initial_model(self) -> Potential:
        """The model with its initial weights, and the constants that come from the training data."""
        settings = dict(self.config.model)
        check_keys(settings, [field.name for field in fields(PotentialConfig)], "[model]")
        if self.config.init:
            return self._loaded(settings)
        elements = settings.pop("elements", None)
        if elements is None:
            elements = list(self.splits.train.elements)
        config = PotentialConfig.from_dict({**settings, "elements": elements})
        sets, forces = self.splits, "forces" in self.loss.terms
        found = reference(self.config.reference, sets.train, config.elements, sets.atom_energies, forces)
        model = Potential(config, seed=self.config.seed)
        model.set_reference(found.shifts, found.scale, found.offset)
        return model

    def _loaded(self, settings: dict[str, Any]) -> Potential:
        """The saved potential that training begins with."""
        model = Potential.load(Path(self.config.init))
        own = model.config.to_dict()
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
        for name, value in given.items():
            if own[name] != value:
                raise ValueError(f"model.{name} is {value!r}, but {self.config.init} has {own[name]!r}; leave it out")
        check_elements(
            self.splits.train.elements, model.config.elements, f"{self.config.init}, which training begins with,"
        )
        return model

    @cached_property
    def what(self) -> dict[str, Any]:
        """What a checkpoint must agree with: settings, the model, the content of the sets, constants from the data.

        The constants without their last digits, in which the least squares of another machine may differ. Nothing of
        it changes during a run, and the hashes read all of the sets, so it is made once.
        """
        settings = {name: value for name, value in self.config.what().items() if not name.startswith("model.")}
        if self.config.init:
            settings["init"] = sha256(Path(self.config.init).read_bytes())
        settings |= {f"model.{name}": value for name, value in self.model.config.to_dict().items()}
        contents = {"training set": self.splits.train.fingerprint, "validation set": self.splits.validation.fingerprint}
        model = self.model
        constants = [*model.shifts.tolist(), float(model.scale), float(model.offset)]
        constants = [float(f"{value:.9g}") for value in constants]
        return {**settings, **contents, "constants of the training set": constants}

    @property
    def evaluated(self) -> Potential:
        """The model with averaged weights, if they are averaged."""
        return self.state.average or self.model

    def _tell(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """This process's shares of the batches: a function of seed and epoch."""
        share = self.config.batch_size // self.group.count
        return batch_indices(len(self.train_graphs), share, self.config.seed, epoch, self.group.rank, self.group.count)

    def run(self) -> dict[str, Any]:
        """Train to the end or until time is up, and evaluate; no second run is in the folder meanwhile."""
        with locked(self.folder) if self.group.first else nullcontext(), Interruption() as self.interruption:
            return self._run()

    def _run(self) -> dict[str, Any]:
        if not self.console.quiet:
            told = describe(self.splits, self.config.data, self.model.config.elements, self.model.config.cutoff)
            self.console.print(told, highlight=False, markup=False)
        checkpoint = self.folder / CHECKPOINT
        if checkpoint.exists():
            self.state.restore(checkpoint, self.what)
            self.console.print(
                f"going on after {self.state.epoch} epochs and {self.state.step} steps, from {checkpoint}",
                highlight=False,
                markup=False,
            )
        self.first_epoch = self.state.epoch
        if self.group.first:
            self.log = Log(self.folder, list(self.loss.terms), self.config.tensorboard, written=self.state.epoch)
            self.log.write(self.state.history)  # a kill may have come between the checkpoint and its row
        in_time = True
        try:
            while in_time and self.state.epoch < self.config.epochs and not self._stalled():
                in_time = self._epoch()
        finally:
            if self.log is not None:
                self.log.close()
        return self._finish(in_time)

    def _stalled(self) -> bool:
        """Whether the validation loss has stopped falling, which ends the run."""
        patience, losses = self.config.stop_patience, [row["validation_loss"] for row in self.state.history]
        stalled = patience > 0 and stalls(losses, patience - 1) > 0
        if stalled:
            self.console.print(f"stopped: no new least validation loss in {patience} epochs", highlight=False)
        return stalled

    def _epoch(self) -> bool:
        """Train to the end of the epoch, validate and save; False if time is up before."""
        state, config, group = self.state, self.config, self.group
        first_step = state.step
        batches = self._batches(state.epoch)[first_step:]
        began = saved = time.monotonic()
        with self._progress(f"epoch {state.epoch + 1}/{config.epochs}", self.steps, first_step) as advance:
            for batch, graph in zip(batches, self.train_graphs.batches(batches, config.workers), strict=True):
                self._step(batch, graph.to(group.device))
                advance(1)
                if config.time_limit and group.any(self._minutes() > config.time_limit):
                    self._save()
                    return False
                if group.any(self.interruption.asked):
                    self._leave()
                if time.monotonic() - saved > config.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
        rate = (state.step - first_step) * config.batch_size / (time.monotonic() - began)
        loss, terms = self.loss.value(state.sums)
        evaluation = self._evaluate(self.evaluated, self.validation_graphs, "validating")
        row = {
            "epoch": state.epoch + 1,
            "seconds": state.seconds + time.monotonic() - self.counted,
            "learning_rate": config.optimizer.learning_rate * self._learning_rate_factor(),
            "structures_per_second": rate,
            "training_loss": float(loss),
            **{f"training_{label}": float(term) for label, term in zip(self.loss.terms, terms, strict=True)},
            "validation_loss": evaluation.loss,
            **{f"validation_{name}": metric.value for name, metric in evaluation.metrics.items()},
        }
        state.history.append(row)
        state.epoch, state.step = state.epoch + 1, 0
        state.sums.zero_()
        if self.group.first and self._best() == state.epoch:
            self.evaluated.save(self.folder / BEST)
        self._save()
        self._report(row)
        return True

    def _leave(self) -> NoReturn:
        self._save()
        where = f"after {self.state.epoch} epochs and {self.state.step} steps"
        self.console.print(f"stopped and saved {where}; the same command goes on", highlight=False)
        self.interruption.leave()

    def _step(self, batch: np.ndarray, graph: Graph) -> None:
        config, state = self.config, self.state
        set_learning_rate(state.optimizer, config.optimizer.learning_rate * self._learning_rate_factor())
        state.optimizer.zero_grad()
        with autocast(config.precision, self.group.device):
            output = self.model(graph)
        sums = self.group.sum_with_own_derivative(self.loss.sums(output, graph))
        loss, terms = self.loss.value(sums)
        loss.backward()
        self.group.sum_gradients(self.weights)
        limit = config.optimizer.clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.weights, limit)
        if not math.isfinite(float(loss.detach() + norm)):
            raise DivergedError(self._diagnosis(batch, terms, norm))
        state.optimizer.step()
        if state.average is not None:
            done = state.epoch * self.steps + state.step
            follow(state.average, self.model, config.average, done)
        state.step += 1
        state.sums += sums.detach()

    def _learning_rate_factor(self) -> float:
        """Of the coming step."""
        epoch = self.state.epoch + self.state.step / self.steps
        losses = [row["validation_loss"] for row in self.state.history]
        return learning_rate_factor(self.config.schedule, epoch, self.config.epochs, losses)

    def _diagnosis(self, batch: np.ndarray, terms: Tensor, norm: Tensor) -> str:
        values = ", ".join(f"{label} {float(term):.3g}" for label, term in zip(self.loss.terms, terms, strict=True))
        groups = sorted({self.splits.train[number].group for number in batch})
        checkpoint = self.folder / CHECKPOINT
        sound = f". The weights of the last checkpoint, {checkpoint}, are sound" if checkpoint.exists() else ""
        return (
            f"epoch {self.state.epoch + 1}, step {self.state.step + 1}: loss ({values}) or gradient (norm "
            f"{float(norm):.3g}) is not finite. The batch is structures {batch.tolist()} of the training set, of the "
            f"groups {groups}. Look for coinciding atoms or absurd labels among them; else lower "
            "optimizer.learning_rate or optimizer.clip, lengthen schedule.warmup, or leave precision "
            f"bfloat16{sound}"
        )

    def _evaluate(self, model: Potential, graphs: Graphs, title: str) -> Evaluation:
        model.eval()
        with self._progress(title, len(graphs), 0) as advance:

            def progress(count: int) -> None:
                advance(count)
                if self.group.count == 1 and self.interruption.asked:  # several have different numbers of batches
                    self._leave()

            options = {"loss": self.loss, "precision": self.config.precision, "progress": progress}
            found = evaluate(model, graphs, self.config.batch_size, processes=self.group, **options)
        self.model.train()
        if not math.isfinite(found.loss):
            raise DivergedError(
                f"{title}: the loss is {found.loss}; lower optimizer.learning_rate, and look at the labels"
            )
        return found

    def _minutes(self) -> float:
        return (time.monotonic() - self.began) / 60

    def _save(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self.counted
        self.counted = now
        if self.log is not None:
            self.state.save(self.folder / CHECKPOINT, self.what)
            self.log.write(self.state.history)

    def _best(self) -> int:
        """The epoch of least validation loss, from 1; 0 before there is one."""
        losses = [row["validation_loss"] for row in self.state.history]
        return int(np.argmin(losses)) + 1 if losses else 0

    def _report(self, row: dict[str, Any]) -> None:
        names = [f"{label}_{'rmse' if term.form == 'rmse' else 'mae'}" for label, term in self.loss.terms.items()]
        errors = ", ".join(
            f"{name} {row[f'validation_{name}']:.4g} {UNITS[label][0]}"
            for label, name in zip(self.loss.terms, names, strict=True)
            if f"validation_{name}" in row
        )
        epoch, epochs, limit = self.state.epoch, self.config.epochs, self.config.time_limit
        per_epoch = self._minutes() / (epoch - self.first_epoch)
        self.console.print(
            f"epoch {epoch}: loss {row['training_loss']:.4g}, validation {row['validation_loss']:.4g} ({errors}), "
            f"{row['structures_per_second']:.1f} structures/s, {(epochs - epoch) * per_epoch:.1f} min left",
            highlight=False,
        )
        if limit and epoch == self.first_epoch + 1 and self.first_epoch + limit / per_epoch < epochs:
            self.console.print(
                f"the time limit will come after about {self.first_epoch + int(limit / per_epoch)} of {epochs} epochs, "
                "before the learning rate has fallen: a run of so many epochs would end with a better potential",
                style="yellow",
                highlight=False,
            )

    @contextmanager
    def _progress(self, title: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=total, completed=done)
            yield lambda count: progress.advance(task, count)

    def _finish(self, complete: bool) -> dict[str, Any]:
        """Choose the potential of least validation loss, evaluate and save it."""
        best = self._best()
        self.group.wait()  # for the first process, which writes the best potential
        candidates: list[tuple[Potential, Evaluation]] = []
        if not complete:
            candidates.append((self.evaluated, self._evaluate(self.evaluated, self.validation_graphs, "validating")))
        if best:
            model = Potential.load(self.folder / BEST).to(self.group.device, dtype_of(self.config.precision))
            candidates.append((model, self._evaluate(model, self.validation_graphs, "validating")))
        model, validation = min(candidates, key=lambda candidate: candidate[1].loss)
        result = {
            "complete": complete,
            "epochs": self.state.epoch,
            "best_epoch": best if best and model is not self.evaluated else None,
            "seconds": self.state.seconds,
            "structures": {name: len(getattr(self.splits, name)) for name in ("train", "validation", "test")},
            "parameters": sum(p.numel() for p in model.parameters()),
            "validation": as_json(validation.metrics),
        }
        if self.group.first:
            model.save(self.folder / MODEL)  # before the test, which may fail
        if self.splits.test:
            test = self._evaluate(model, self.test_graphs, "testing")
            constants = (model.shifts.tolist(), model.config.elements)
            constant = baseline(*constants, self.splits.test, float(model.offset))
            result |= {"test": as_json(test.metrics), "constant_per_element": constant.to_dict()}
        result |= {"config": self.config.to_dict(), "provenance": provenance(self.config.seed, str(self.group.device))}
        if self.group.first:
            write_json(self.folder / RESULT, result)
        return result
