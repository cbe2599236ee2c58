"""Networks with their own products and with others in their place, trained for equally many epochs (TAB5, TAB9).

TDN as in `networks.variants`; NequIP and MACE from their own packages, each in its environment (`other_networks`),
their products replaced by `convert`. With weights per path the products are those of before, with shared weights the
networks are new ones. Linear layers stay: a converted network still makes weights for all paths, and adds them up. The
shipped relaxations are split by molecule, so what is tested on was not trained on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from tdn_theory.data.graph import batch_indices
from tdn_theory.experiments.comparisons import other_networks
from tdn_theory.experiments.comparisons.other_networks import default_dtype, elsewhere, installed, interpreter
from tdn_theory.experiments.comparisons.task import Task, set_parameters, train_epochs
from tdn_theory.experiments.measuring import seconds_of, single_thread
from tdn_theory.experiments.networks.variants import Variant
from tdn_theory.experiments.potentials.fitting import TINY, configuration, present
from tdn_theory.jobs import Jobs
from tdn_theory.nn.conversion import convert
from tdn_theory.nn.spec import Method
from tdn_theory.paper import EXCHANGED
from tdn_theory.preset import Preset
from tdn_theory.training.batches import Graphs
from tdn_theory.training.evaluation import as_json, evaluate, rotation_errors
from tdn_theory.training.parallel import Processes
from tdn_theory.training.reference import baseline


class NaturalNequIP(other_networks.NequIP):
    """With the irreps 0e, 1o, 2e, whose paths are all even: of these CP factors are known."""

    parity = False


OTHERS: dict[str, type[other_networks.OtherNetwork]] = {"NequIP": NaturalNequIP, "MACE": other_networks.MACE}
TDN: dict[str, Variant] = {
    "e3nn paths": Variant("TDN", "e3nn paths", shared=False, pruned=False),
    "fused paths": Variant("TDN", "fused paths", shared=False),
    "CP": Variant("TDN", "CP released", pruned=False),
    "cubature": Variant("TDN", "cubature"),
    "exact": Variant(),
}
"""The paper's TDN without CP and PS, the same with every path fused, the paper's TDN; with two exact products."""
CONVERTED: dict[str, Method | None] = {"e3nn paths": None, "fused paths": "exact", "CP": "cp", "cubature": "cubature"}
"""What `convert` makes of a NequIP or MACE; the first is left as it is."""
PRODUCTS: dict[str, list[str]] = {"TDN": list(TDN), "NequIP": list(CONVERTED), "MACE": list(CONVERTED)}

NETWORK: dict[str, Any] = {"lmax": 2, "channels": 64, "layers": 4, "heads": 8, "forces": "direct"}
"""The paper's, TAB5. Forces of NequIP and MACE are derivatives, as in their packages; MACE has two layers."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        timed: The network that is timed.
        rounds: Steps of it that are timed.
        trained: The network that is trained.
        epochs: Epochs.
        seeds: Seeds, each of another split, other weights and other batches.
        systems: What is trained on.
        structures: Structures of each part of the split, at most; None: all.
    """

    timed: dict[str, Any]
    rounds: int
    trained: dict[str, Any]
    epochs: int
    seeds: int
    systems: tuple[str, ...]
    structures: int | None = None


_TINY = {**NETWORK, "lmax": 1, **TINY}

SIZES = {
    Preset.SMALLEST: Size(_TINY, 1, _TINY, 1, 1, ("relaxations",), structures=48),
    Preset.QUICK: Size(NETWORK, 3, {**NETWORK, "channels": 16}, 3, 1, ("relaxations",)),
    Preset.HOURS: Size(NETWORK, 5, {**NETWORK, "channels": 32}, 60, 3, ("relaxations",)),
    Preset.FULL: Size(NETWORK, 15, NETWORK, 100, 3, ("relaxations", "ethanol")),
}
"""Of TAB5 and TAB9, which share jobs."""


def compare(choice: Mapping[str, Sequence[str]], size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Pace and accuracy of the networks of `choice`, as far as their packages and data are there.

    Jobs run one after the other, whatever the number of workers.

    Args:
        choice: Products of each network that are trained; all that it has are timed.
        size: Size of the run.
        seed: First seed of split, weights and batches.
        jobs: Where finished jobs are kept.
    """
    networks = [name for name in choice if name not in OTHERS or interpreter(name) is not None]
    systems, device = present(size.systems), jobs.device
    timed = [
        {
            "network": network,
            "products": PRODUCTS[network],
            "model": size.timed,
            "rounds": size.rounds,
            "structures": size.structures,
            "seed": seed,
            "device": device,
        }
        for network in networks
    ]
    learned = [
        {
            "network": network,
            "product": product,
            "system": system,
            "model": size.trained,
            "epochs": size.epochs,
            "structures": size.structures,
            "seed": seed + number,
            "device": device,
        }
        for system in systems
        for number in range(size.seeds)
        for network in networks
        for product in choice[network]
    ]
    alone = replace(jobs, workers=1, dask=None)  # timings beside each other would disturb each other
    return {
        "paper": dict(EXCHANGED),
        "absent": [name for name in (*choice, *size.systems) if name not in (*networks, *systems)],
        "pace": alone.map(pace, timed, "time per epoch"),
        "learned": alone.map(learn, learned, "accuracy after equal training"),
    }


def pace(
    network: str,
    products: list[str],
    model: dict[str, Any],
    rounds: int,
    structures: int | None,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Time training steps of a network with each product, taking turns on the same batches.

    Args:
        network: `TDN`, `NequIP` or `MACE`.
        products: Names in `PRODUCTS`.
        model: Settings of `PotentialConfig`.
        rounds: How often each is timed, after two steps that are not.
        structures: Structures of each part of the split, at most.
        seed: Seed of split, weights and batches.
        device: `cpu`, `cuda` or `cuda:1`.

    Raises:
        ImportError: The package of the network is installed nowhere.
        RuntimeError: The environment of its package reports an error; the message is what it said.
    """
    if network in OTHERS and not installed(network):
        given = {"network": network, "products": products, "model": model, "rounds": rounds}
        return elsewhere(pace, network, {**given, "structures": structures, "seed": seed, "device": device})
    with single_thread():
        config = configuration("relaxations", model, seed, device)
        task = Task(config, structures)
        batches = task.train.batches(batch_indices(len(task.train), config.batch_size, seed)[: rounds + 2])
        built = {name: _build(task, network, name, seed, torch.float32) for name in products}
        optimizers = {name: task.optimizer(own, network) for name, own in built.items()}
        times: dict[str, list[float]] = {name: [] for name in products}
        for number, graph in enumerate(batches):
            for name, own in built.items():
                step = partial(task.step, own, optimizers[name], graph.to(config.device))
                seconds = seconds_of(step, config.device)
                if number >= 2:
                    times[name].append(seconds)
    steps = math.ceil(len(task.train) / config.batch_size)
    return {
        "network": network,
        "steps_per_epoch": steps,
        "structures": len(task.train),
        "seconds_per_step": times,
        "minutes_per_epoch": {name: float(np.median(found)) * steps / 60 for name, found in times.items()},
        "parameters": {name: sum(p.numel() for p in own.parameters()) for name, own in built.items()},
    }


def learn(
    network: str,
    product: str,
    system: str,
    model: dict[str, Any],
    epochs: int,
    structures: int | None,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Train a network with one product for some epochs, and test it.

    The weights tested are averaged as the configuration says, at the end of training.

    Args:
        network: `TDN`, `NequIP` or `MACE`.
        product: Name in `PRODUCTS`.
        system: What is trained on.
        model: Settings of `PotentialConfig`.
        epochs: Epochs.
        structures: Structures of each part of the split, at most.
        seed: Seed of split, weights and batches.
        device: `cpu`, `cuda` or `cuda:1`.

    Raises:
        ImportError: The package of the network is installed nowhere.
        RuntimeError: The environment of its package reports an error; the message is what it said.
        FileNotFoundError: The files of the data are not there.
        ArithmeticError: The loss is not finite.
    """
    if network in OTHERS and not installed(network):
        given = {"network": network, "product": product, "system": system, "model": model, "epochs": epochs}
        return elsewhere(learn, network, {**given, "structures": structures, "seed": seed, "device": device})
    with single_thread():
        config = configuration(system, model, seed, device, epochs=epochs)
        task = Task(config, structures)
        trained, average = (_build(task, network, product, seed, torch.float32) for _ in range(2))
        validation = train_epochs(task, network, trained, average)
        test = Graphs(task.splits.test, task.cutoff, torch.float32)
        found = evaluate(average, test, config.batch_size, processes=Processes(device=torch.device(device)))
        double = _build(task, network, product, seed, torch.float64).eval()
        set_parameters(double, average.parameters())
        exact = Graphs(task.splits.test, task.cutoff, torch.float64)
        turned = rotation_errors(double, exact, config.batch_size, rotations=2, seed=seed)
    return {
        "network": network,
        "product": product,
        "system": system,
        "seed": seed,
        "epochs": epochs,
        "split": config.data.split,
        "validation": validation,
        "parameters": sum(p.numel() for p in trained.parameters()),
        "structures": task.sizes,
        "test": as_json(found.metrics),
        "constant_per_element": baseline(task.reference[0], task.elements, task.splits.test).to_dict(),
        "rotation": as_json(turned),
    }


def _build(task: Task, network: str, product: str, seed: int, dtype: torch.dtype) -> torch.nn.Module:
    """The network with its product, in the units of the data."""
    config = task.potential()
    if network == "TDN":
        with default_dtype(dtype):
            model: Any = TDN[product].build(config, seed)
    else:
        model = OTHERS[network](config, task.neighbors, seed, dtype)
        method = CONVERTED[product]
        if method is not None:
            with default_dtype(dtype):
                convert(model.network, method)
    model.set_reference(*task.reference)
    return model.to(task.config.device)
