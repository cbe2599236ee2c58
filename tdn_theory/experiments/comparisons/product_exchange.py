"""Networks with their own products and with others in their place, trained for equally many epochs (TAB5, TAB9).

TDN as in `ablation`; NequIP and MACE from their own packages, each in its environment (`peers`), their products
replaced by `convert`. With weights per path the products are those of before, with shared weights the networks are new
ones. Linear layers stay: a converted network still makes weights for all paths, and adds them up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from tdn_theory.data.graph import batch_indices
from tdn_theory.experiments.comparisons import other_networks
from tdn_theory.experiments.comparisons.common_task import Task, set_parameters
from tdn_theory.experiments.measuring import seconds_of, single_thread
from tdn_theory.experiments.networks.variants import Variant
from tdn_theory.experiments.potentials.setup import configuration, present, settings
from tdn_theory.jobs import Jobs
from tdn_theory.nn.convert import convert
from tdn_theory.nn.product import Method
from tdn_theory.preset import Preset
from tdn_theory.training.average import follow
from tdn_theory.training.batches import Graphs
from tdn_theory.training.evaluation import as_json, evaluate, rotation_errors
from tdn_theory.training.optimizer import set_learning_rate
from tdn_theory.training.parallel import Processes
from tdn_theory.training.reference import baseline
from tdn_theory.training.schedule import learning_rate_factor


class NaturalNequIP(other_networks.NequIP):
    """With the irreps 0e, 1o, 2e, whose paths are all even: of these CP factors are known."""

    parity = False


PEERS: dict[str, type[other_networks.Peer]] = {"NequIP": NaturalNequIP, "MACE": other_networks.MACE}
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

SIZE: dict[str, Any] = {"lmax": 2, "channels": 64, "layers": 4, "heads": 8, "forces": "direct"}
"""The paper's, TAB5. Forces of NequIP and MACE are derivatives, as in their packages; MACE has two layers."""
QUICK_CHANNELS = 16
EPOCHS = {Preset.QUICK: 3, Preset.FULL: 100}
SEEDS = {Preset.QUICK: 1, Preset.FULL: 3}
SYSTEMS = {Preset.QUICK: ("relaxations",), Preset.FULL: ("relaxations", "ethanol")}
PAPER: dict[str, dict[str, dict[str, float]]] = {
    "TDN": {
        "e3nn paths": {"minutes_per_epoch": 19.0, "energy": 12.74, "forces": 92.74},
        "CP": {"minutes_per_epoch": 4.2, "energy": 12.95, "forces": 96.53},
    },
    "NequIP": {
        "e3nn paths": {"minutes_per_epoch": 7.5, "energy": 11.22, "forces": 90.09},
        "CP": {"minutes_per_epoch": 2.0, "energy": 11.15, "forces": 92.49},
    },
}
"""TAB5, on PubChemQCR-S: errors in meV/atom and meV/Angstrom."""


def trained(preset: Preset, seed: int, jobs: Jobs, choice: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Pace and accuracy of the networks of `choice`, as far as their packages and data are there.

    Pace is that of the paper's size. Accuracy, quick: 16 channels, the shipped relaxations, 3 epochs. Full: the paper's
    size, ethanol of rMD17 too, 100 epochs, three seeds.

    Args:
        preset: See above.
        seed: First seed of weights and batches.
        units: Where finished units are kept. They run one after the other, whatever its number of workers.
        choice: Products of each network that are trained; all that it has are timed.
    """
    networks = [network for network in choice if network not in PEERS or other_networks.interpreter(network) is not None]
    systems = present(SYSTEMS[preset])
    size = SIZE if preset is Preset.FULL else {**SIZE, "channels": QUICK_CHANNELS}
    epochs, device = EPOCHS[preset], jobs.device
    timed = [
        {
            "network": network,
            "products": PRODUCTS[network],
            "table": settings("relaxations", SIZE, seed, device, epochs=epochs),
            "rounds": 3 if preset is Preset.QUICK else 15,
            "seed": seed,
        }
        for network in networks
    ]
    learned = [
        {
            "network": network,
            "product": product,
            "system": system,
            "table": settings(system, size, seed + number, device, epochs=epochs),
            "seed": seed + number,
        }
        for system in systems
        for number in range(SEEDS[preset])
        for network in networks
        for product in choice[network]
    ]
    alone = replace(units, workers=1, dask=None)  # timings beside each other would disturb each other
    return {
        "paper": PAPER,
        "absent": [name for name in (*choice, *SYSTEMS[preset]) if name not in (*networks, *systems)],
        "pace": alone.map(pace, timed, "time per epoch"),
        "learned": alone.map(learn, learned, "accuracy after equal training"),
    }


def pace(network: str, products: list[str], table: dict[str, Any], rounds: int, seed: int) -> dict[str, Any]:
    """Time training steps of a network with each product, taking turns on the same batches.

    Args:
        network: `TDN`, `NequIP` or `MACE`.
        products: Names in `PRODUCTS`.
        table: `TrainConfig`, as JSON; its `model` are the settings of `PotentialConfig`.
        rounds: How often each is timed, after two steps that are not.
        seed: Seed of the weights.

    Raises:
        ImportError: The package of the network is installed nowhere.
        RuntimeError: The environment of its package reports an error; the message is what it said.
        FileNotFoundError: The files of the data are not there.
    """
    if network in PEERS and not other_networks.installed(network):
        unit = {"network": network, "products": products, "table": table, "rounds": rounds, "seed": seed}
        return other_networks.elsewhere(pace, network, unit)
    with single_thread():
        config = configuration(table)
        task = Task(config)
        batches = task.train.batches(batch_indices(len(task.train), config.batch_size, seed)[: rounds + 2])
        models = {name: _build(task, network, name, seed, torch.float32) for name in products}
        optimizers = {name: task.optimizer(model, network) for name, model in models.items()}
        times: dict[str, list[float]] = {name: [] for name in products}
        for number, graph in enumerate(batches):
            for name, model in models.items():
                step = partial(task.step, model, optimizers[name], graph.to(config.device))
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
        "parameters": {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()},
    }


def relative_times(timed: Mapping[str, Any]) -> dict[str, list[float]]:
    """Time of a step over that with the network's own product in the same round, of each product, least first.

    Args:
        timed: What `pace` found.
    """
    own = timed["seconds_per_step"]["e3nn paths"]
    return {
        product: sorted(t / o for t, o in zip(times, own, strict=True))
        for product, times in timed["seconds_per_step"].items()
    }


def learn(network: str, product: str, system: str, table: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train a network with one product for all epochs of the configuration, and test it.

    The weights tested are averaged as the configuration says, at the end of training.

    Args:
        network: `TDN`, `NequIP` or `MACE`.
        product: Name in `PRODUCTS`.
        system: What the data are called.
        table: `TrainConfig`, as JSON; its `model` are the settings of `PotentialConfig`.
        seed: Seed of weights and batches.

    Raises:
        ImportError: The package of the network is installed nowhere.
        RuntimeError: The environment of its package reports an error; the message is what it said.
        FileNotFoundError: The files of the data are not there.
        ArithmeticError: The loss is not finite.
    """
    if network in PEERS and not other_networks.installed(network):
        unit = {"network": network, "product": product, "system": system, "table": table, "seed": seed}
        return other_networks.elsewhere(learn, network, unit)
    with single_thread():
        config = configuration(table)
        task = Task(config)
        model, average = (_build(task, network, product, seed, torch.float32) for _ in range(2))
        optimizer = task.optimizer(model, network)
        rate = task.learning_rate(network)
        steps = 0
        for epoch in range(config.epochs):
            batches = batch_indices(len(task.train), config.batch_size, seed, epoch)
            for number, graph in enumerate(task.train.batches(batches)):
                along = epoch + number / len(batches)
                factor = learning_rate_factor(config.schedule, along, config.epochs, [])
                set_learning_rate(optimizer, rate * factor)
                loss = float(task.step(model, optimizer, graph.to(config.device)))
                if not math.isfinite(loss):
                    raise ArithmeticError(f"the loss of {network} with {product} is {loss} in epoch {epoch + 1}")
                follow(average, model, config.average, steps)
                steps += 1
        average.eval()
        test = Graphs(task.splits.test, task.cutoff, torch.float32)
        found = evaluate(average, test, config.batch_size, processes=Processes(device=torch.device(config.device)))
        double = _build(task, network, product, seed, torch.float64).eval()
        set_parameters(double, average.parameters())
        exact = Graphs(task.splits.test, task.cutoff, torch.float64)
        turned = rotation_errors(double, exact, config.batch_size, rotations=2, seed=seed)
    return {
        "network": network,
        "product": product,
        "system": system,
        "seed": seed,
        "epochs": config.epochs,
        "parameters": sum(p.numel() for p in model.parameters()),
        "structures": {name: len(getattr(task.splits, name)) for name in ("train", "validation", "test")},
        "test": as_json(found.metrics),
        "constant_per_element": baseline(task.reference[0], task.elements, task.splits.test).to_dict(),
        "rotation": as_json(turned),
    }


def _build(task: Task, network: str, product: str, seed: int, dtype: torch.dtype) -> torch.nn.Module:
    """The network with its product, in the units of the data."""
    config = task.potential()
    if network == "TDN":
        settings = {**task.config.model, "elements": task.elements}
        settings.pop("lmax")
        with other_networks.default_dtype(dtype):
            model: Any = TDN[product].build(config.lmax, settings, seed)
    else:
        model = PEERS[network](config, task.neighbors, seed, dtype)
        method = CONVERTED[product]
        if method is not None:
            with other_networks.default_dtype(dtype):
                convert(model.network, method)
    model.set_reference(*task.reference)
    return model.to(task.config.device)
