"""Energies of relaxed catalysts, learnt by TDN's products and other networks, and tested on what is new (TAB2, TAB3).

All are trained by the same loop with the shipped configuration `surfaces`: the paper's task, loss, cutoff, optimiser
and schedule (AdamW with decay, a cosine after two epochs of warm-up), and a small network. Only the network and the
learning rate are others' own, and nobody computes forces. Weights are averaged, and tested as they are at the end: no
set chooses any, so the one in distribution may tell the course of the training. Every seed is another split, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from tdn_theory.data.catalyst_splits import adsorbate, composition, split_catalysts
from tdn_theory.data.packed import Packed, pack
from tdn_theory.experiments.catalyst_sources import checksum, present, relaxed_energies
from tdn_theory.experiments.comparisons.other_networks import NETWORKS, elsewhere, installed, interpreter
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

HELD_OUT: Mapping[str, tuple[float, float]] = {"surfaces": (0.2, 0.2), "DFT": (0.2, 0.2), "oxides": (0.0, 0.2)}
"""Fractions of the adsorbates and of the compositions that are new in a test, by source; of oxides as in OC22."""

TOTAL = ("oxides",)
"""Sources of total energies, of which an energy per element is subtracted; of others, adsorption energies, the mean."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        epochs: Epochs of each network.
        seeds: Seeds, each of another split, other weights and other batches.
        network: Changes of the network of the configuration.
        sources: What is trained on, as far as it is there.
        structures: Systems of each part of the split, at most; None: all.
    """

    epochs: int
    seeds: int
    network: dict[str, Any]
    sources: tuple[str, ...]
    structures: int | None = None


def sizes(*sources: str) -> dict[Preset, Size]:
    """Sizes for sources, of which the first one is shipped."""
    return {
        Preset.SMALLEST: Size(1, 1, TINY, sources[:1], structures=12),
        Preset.QUICK: Size(5, 1, {}, sources[:1]),
        Preset.HOURS: Size(200, 3, {}, sources),
    }


def compare(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train and test every network that is at hand on every source that is there.

    Args:
        size: Size of the run.
        seed: First seed of split, weights and batches.
        jobs: Where finished jobs are kept.
    """
    absent = [name for name in NETWORKS if interpreter(name) is None]
    sources = present(size.sources)
    plan = [
        {
            "model": model,
            "source": source,
            "seed": seed + number,
            "epochs": size.epochs,
            "network": size.network,
            "structures": size.structures,
            "device": jobs.device,
            "data": checksum(source),
        }
        for source in sources
        for number in range(size.seeds)
        for model in [*TDN, *NETWORKS]
        if model not in absent
    ]
    runs = jobs.map(learn, plan, "energies of relaxed catalysts")
    configs = {source: configuration(source, size.network, size.epochs, seed, "cpu") for source in sources}
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
    epochs: int,
    network: dict[str, Any],
    structures: int | None,
    device: str,
    data: str,
) -> dict[str, Any]:
    """Train one network and test it; in the environment of its package, if this one lacks it.

    Args:
        model: Name in `task.TDN` or `other_networks.NETWORKS`.
        source: In `HELD_OUT`.
        seed: Seed of split, weights and batches.
        epochs: Epochs.
        network: Changes of the network of the configuration.
        structures: Systems of each part of the split, at most.
        device: `cpu`, `cuda` or `cuda:1`.
        data: Checksum of the files of the source.

    Raises:
        ImportError: The package of the network is installed nowhere.
        RuntimeError: Training in the other environment failed; the message is what it said.
        ArithmeticError: A loss is not finite.
    """
    if model in NETWORKS and not installed(model):
        given = {"model": model, "source": source, "seed": seed, "epochs": epochs, "network": network}
        return elsewhere(learn, model, {**given, "structures": structures, "device": device, "data": data})
    with single_thread():
        config = configuration(source, network, epochs, seed, device)
        sets = parts(source, structures, seed)
        elements = sorted(set().union(*(own.elements for own in sets.values())))
        task = Task(config, splits=Splits(sets["train"], sets["id"], sets["id"]), elements=elements)
        trained, average = (_build(task, model, seed).to(device) for _ in range(2))
        validation: list[float] = []
        seconds = seconds_of(lambda: validation.extend(train_epochs(task, model, trained, average)), device)
        average.eval()
        tests = {part: Graphs(own, task.cutoff, torch.float32) for part, own in sets.items() if part != "train"}
        found = {part: as_json(catalyst_metrics(average, own, config.batch_size)) for part, own in tests.items()}
    return {
        "model": model,
        "source": source,
        "seed": seed,
        "split": "group",
        "seconds": seconds,
        "validation": validation,
        "parameters": sum(p.numel() for p in trained.parameters()),
        "structures": {part: len(own) for part, own in sets.items()},
        "test": {part: {key: errors[key] for key in ("system_energy_mae", "EwT")} for part, errors in found.items()},
        "constants": {part: _constants(task, own) for part, own in sets.items() if part != "train"},
    }


def _build(task: Task, name: str, seed: int) -> torch.nn.Module:
    """The network, in the units of the data."""
    config = task.potential(lmax=1, **TDN.get(name, {}))
    if name in TDN:
        model = Potential(config, seed, factors(name)).to(torch.float32)
    else:
        model = NETWORKS[name](config, task.neighbors, seed, torch.float32)
    model.set_reference(*task.reference)
    return model


def _constants(task: Task, structures: Packed) -> float:
    """Mean absolute error of the energy of a system without any network, eV."""
    shifts, _, offset = task.reference
    errors = baseline_errors(torch.tensor(shifts).numpy(), task.elements, structures, offset)
    return float(abs(errors * structures.column("atoms")).mean())
