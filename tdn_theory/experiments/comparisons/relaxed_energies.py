"""Energies of relaxed catalysts, learnt by TDN's products and other networks, and tested on what is new (TAB2, TAB3).

All are trained by the same loop with the shipped configuration `surfaces`: the paper's task, loss, cutoff, optimiser
and schedule (AdamW with decay, a cosine after two epochs of warm-up), and a small network. Only the network and the
learning rate are others' own, and nobody computes forces. All sources get as many steps, so small ones more epochs.
Weights are averaged, and tested as they are at the end: no set chooses any, so the one in distribution may tell the
course of the training. Every seed is another split, too.

Beside them stands what a network knows that was trained on far more (`pretrained_features`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from tdn_theory.data.catalyst_splits import adsorbate, composition, split_catalysts
from tdn_theory.data.graph import batch_indices
from tdn_theory.data.packed import Packed, pack
from tdn_theory.experiments.catalyst_sources import checksum, present, relaxed_energies
from tdn_theory.experiments.comparisons.other_networks import NETWORKS, elsewhere, installed, interpreter
from tdn_theory.experiments.comparisons.pretrained_features import PRETRAINED, Known, fit_features
from tdn_theory.experiments.comparisons.pretrained_features import installed as pretrained_installed
from tdn_theory.experiments.comparisons.task import TDN, Task, factors, train_epochs
from tdn_theory.experiments.measuring import mean_and_error, seconds_of, single_thread
from tdn_theory.experiments.potentials.fitting import TINY, spread
from tdn_theory.jobs import Jobs
from tdn_theory.nn.potential import Potential
from tdn_theory.preset import Preset
from tdn_theory.training.batches import Graphs
from tdn_theory.training.catalyst_metrics import catalyst_metrics
from tdn_theory.training.config import ReferenceConfig, TrainConfig, shipped
from tdn_theory.training.evaluation import as_json
from tdn_theory.training.reference import baseline_errors
from tdn_theory.training.sources import Splits

TOTAL = ("oxides", "made oxides")
"""Sources of total energies, of which an energy per element is subtracted; of others, adsorption energies, the mean."""

HELD_OUT: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("surfaces", "DFT"), (0.2, 0.2)),
    **dict.fromkeys(TOTAL, (0.0, 0.2)),
}
"""Fractions of the adsorbates and of the compositions that are new in a test, by source; of oxides as in OC22."""

PEERS = ("Equiformer", "SchNet", "NequIP")
"""The networks that are compared with; MACE, which stands for the same as NequIP, takes as long as all TDN's."""

CURVE = 100
"""Values of a learning curve that are kept, at most."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        steps: Steps of each network, rounded to epochs.
        seeds: Seeds, each of another split, other weights and other batches.
        network: Changes of the network of the configuration.
        sources: What is trained on, as far as it is there.
        structures: Systems of each part of the split, at most; None: all.
    """

    steps: int
    seeds: int
    network: dict[str, Any]
    sources: tuple[str, ...]
    structures: int | None = None


def sizes(shipped: str, hours: tuple[str, ...]) -> dict[Preset, Size]:
    """Sizes: a shipped source for a first look, and those that are trained on for hours."""
    return {
        Preset.SMALLEST: Size(2, 1, TINY, (shipped,), structures=12),
        Preset.QUICK: Size(170, 1, {}, (shipped,)),
        Preset.HOURS: Size(4000, 3, {}, hours),
    }


def compare(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train and test every network that is at hand on every source that is there.

    Args:
        size: Size of the run.
        seed: First seed of split, weights and batches.
        jobs: Where finished jobs are kept.
    """
    absent = [name for name in PEERS if interpreter(name) is None]
    if not pretrained_installed():
        absent.append(PRETRAINED)
    sources = present(size.sources)
    plan = [
        {
            "model": model,
            "source": source,
            "seed": seed + number,
            "steps": size.steps,
            "network": size.network,
            "structures": size.structures,
            "device": jobs.device,
            "data": checksum(source),
        }
        for source in sources
        for number in range(size.seeds)
        for model in [*TDN, *PEERS, PRETRAINED]
        if model not in absent
    ]
    runs = jobs.map(learn, plan, "energies of relaxed catalysts")
    epochs = {run["source"]: run["epochs"] for run in runs}
    configs = {source: configuration(source, size.network, epochs[source], seed, "cpu") for source in sources}
    return {
        "config": {source: config.to_dict() for source, config in configs.items()},
        "absent": [*absent, *(source for source in size.sources if source not in sources)],
        "networks": runs,
        "summary": summarize(runs),
    }


def summarize(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Errors of each network on each source: by part of the split, and the mean over the parts.

    Standard errors are those over seeds, of a single seed those over systems.
    """
    rows = []
    for source, model in dict.fromkeys((run["source"], run["model"]) for run in runs):
        own = [run for run in runs if (run["source"], run["model"]) == (source, model)]
        tested = list(own[0]["test"])
        columns = {**{part: [part] for part in tested}, "mean": tested}
        row: dict[str, Any] = {"source": source, "model": model}
        for name, key in (("mae", "system_energy_mae"), ("EwT", "EwT")):
            row[name] = {}
            for column, chosen in columns.items():
                found = mean_and_error([fmean(run["test"][part][key]["value"] for part in chosen) for run in own])
                if len(own) == 1:
                    errors = [own[0]["test"][part][key]["standard_error"] or 0.0 for part in chosen]
                    found["standard_error"] = math.hypot(*errors) / len(errors)
                row[name][column] = found
        row["constants"] = fmean(fmean(run["constants"].values()) for run in own)
        rows.append(row)
    return rows


def configuration(source: str, network: Mapping[str, Any], epochs: int, seed: int, device: str) -> TrainConfig:
    """The shipped configuration `surfaces` for a source, with changes of its network."""
    config = TrainConfig.read(shipped(Path("surfaces")))
    kind = "elements" if source in TOTAL else "mean"
    return replace(
        config,
        model={**config.model, **network},
        reference=ReferenceConfig(kind),
        epochs=epochs,
        seed=seed,
        device=device,
    )


def parts(source: str, structures: int | None, seed: int) -> dict[str, Packed]:
    """Systems of a source by part of the split: `train`, `id`, and those out of distribution.

    Args:
        source: In `HELD_OUT`.
        structures: At most so many in each; None: all.
        seed: Of the split.
    """
    found = relaxed_energies(source)
    names = [adsorbate(s) for s in found], [composition(s) for s in found]
    split = split_catalysts(*names, held_out=HELD_OUT[source], seed=seed, new_elements=source not in TOTAL)
    chosen = {
        part: numbers if structures is None else spread(numbers.tolist(), structures) for part, numbers in split.items()
    }
    return {part: pack([found[k] for k in numbers]) for part, numbers in chosen.items()}


def learn(
    model: str,
    source: str,
    seed: int,
    steps: int,
    network: dict[str, Any],
    structures: int | None,
    device: str,
    data: str,
) -> dict[str, Any]:
    """Train one network and test it; in the environment of its package, if this one lacks it.

    Args:
        model: Name in `task.TDN` or `PEERS`, or `PRETRAINED`.
        source: In `HELD_OUT`.
        seed: Seed of split, weights and batches.
        steps: Steps, rounded to epochs.
        network: Changes of the network of the configuration.
        structures: Systems of each part of the split, at most.
        device: `cpu`, `cuda` or `cuda:1`.
        data: Checksum of the files of the source.

    Raises:
        ImportError: The package of the network is installed nowhere.
        RuntimeError: Training in the other environment failed; the message is what it said.
        ArithmeticError: A loss is not finite.
    """
    if model in PEERS and not installed(model):
        given = {"model": model, "source": source, "seed": seed, "steps": steps, "network": network}
        return elsewhere(learn, model, {**given, "structures": structures, "device": device, "data": data})
    with single_thread():
        sets = parts(source, structures, seed)
        tested = {part: own for part, own in sets.items() if part != "train"}
        config = configuration(source, network, 1, seed, device)
        epochs = max(1, round(steps / len(batch_indices(len(sets["train"]), config.batch_size))))
        config = replace(config, epochs=epochs)
        elements = sorted(set().union(*(own.elements for own in sets.values())))
        task = Task(config, splits=Splits(sets["train"], sets["id"], sets["id"]), elements=elements)
        left = {part: _without_constants(task, own) for part, own in sets.items()}
        if model == PRETRAINED:
            found = _fit_features({part: (own, left[part]) for part, own in sets.items()})
        else:
            found = _train(task, model, tested)
    return {
        "model": model,
        "source": source,
        "seed": seed,
        "epochs": epochs,
        "split": "group",
        "structures": {part: len(own) for part, own in sets.items()},
        "constants": {part: float(np.abs(left[part]).mean()) for part in tested},
        **found,
    }


def _train(task: Task, name: str, tested: Mapping[str, Packed]) -> dict[str, Any]:
    config = task.config
    trained, average = (_build(task, name, config.seed).to(config.device) for _ in range(2))
    validation: list[float] = []
    seconds = seconds_of(lambda: validation.extend(train_epochs(task, name, trained, average)), config.device)
    average.eval()
    tests = {part: Graphs(own, task.cutoff, torch.float32) for part, own in tested.items()}
    found = {part: as_json(catalyst_metrics(average, own, config.batch_size)) for part, own in tests.items()}
    return {
        "seconds": seconds,
        "validation": validation[:: -math.ceil(len(validation) / CURVE)][::-1],
        "parameters": sum(p.numel() for p in trained.parameters()),
        "test": {part: {key: errors[key] for key in ("system_energy_mae", "EwT")} for part, errors in found.items()},
    }


def _fit_features(known: dict[str, Known]) -> dict[str, Any]:
    train, found = known.pop("train"), {}
    seconds = seconds_of(lambda: found.update(fit_features(train, known)), "cpu")
    return {"seconds": seconds, "validation": [], **found}


def _build(task: Task, name: str, seed: int) -> torch.nn.Module:
    """The network, in the units of the data."""
    config = task.potential(lmax=1, **TDN.get(name, {}))
    if name in TDN:
        model = Potential(config, seed, factors(name)).to(torch.float32)
    else:
        model = NETWORKS[name](config, task.neighbors, seed, torch.float32)
    model.set_reference(*task.reference)
    return model


def _without_constants(task: Task, structures: Packed) -> np.ndarray:
    """What is left of the energy of each system without any network, eV."""
    shifts, _, offset = task.reference
    errors = baseline_errors(np.array(shifts), task.elements, structures, offset)
    return -errors * structures.column("atoms")
