"""Throughput of the whole network, computing only what is read, against the released order of operations.

Both are the paper's network (TAB4, TAB7: 256 channels, six layers, eight heads, direct forces) with exact products,
equal weights and equal results, on batches of 8 molecules of 30 atoms with 17 neighbours on average. They take turns in
one process on one thread; what is compared is the median of the processor time, to which other processes add nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tdn_theory.experiments.F3c import keep_memory
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from tdn_theory.data.graph import Graph

CUTOFF = 4.5
"""Angstrom."""

NETWORK = {"channels": 256, "layers": 6, "heads": 8, "basis_size": 256, "cutoff": CUTOFF, "forces": "direct"}
"""The paper's."""


def run(preset: Preset, seed: int, units: Units) -> dict[str, Any]:
    """Times of inference and of a training step, L = 1, 2, 3.

    Quick: 3 rounds. Full: 15.

    Args:
        preset: See above.
        seed: Seed of molecules and weights; times hardly depend on it.
        units: Where finished units are kept. They run one after the other in this process, whatever its number of
            workers.
    """
    rounds = 15 if preset is Preset.FULL else 3
    parameters = [
        {"lmax": lmax, "molecules": 8, "atoms": 30, "neighbors": 17, "network": NETWORK, "rounds": rounds, "seed": seed}
        for lmax in (1, 2, 3)
    ]
    alone = replace(units, workers=1, dask=None)  # timings beside each other would disturb each other
    return {"units": alone.map(measure, parameters, "throughput of the network")}


def measure(
    lmax: int, molecules: int, atoms: int, neighbors: int, network: dict[str, Any], rounds: int, seed: int
) -> dict[str, Any]:
    """Time both orders on one batch, taking turns.

    Args:
        lmax: Maximal degree L.
        molecules: Molecules in the batch.
        atoms: Atoms of each.
        neighbors: Neighbours of an atom within the cutoff, on average.
        network: Further settings of `PotentialConfig`.
        rounds: How often each is timed, after a first call that is not.
        seed: Seed of molecules and weights.
    """
    import torch

    from tdn_theory.nn import Potential, PotentialConfig

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        kept = keep_memory()
        config = PotentialConfig(elements=tuple(range(1, 82)), lmax=lmax, **network)
        models = {
            "pruned": Potential(config, seed),
            "released order": Potential(replace(config, pruned=False), seed),
        }
        graph = random_batch(molecules, atoms, neighbors, config.cutoff, seed)
        times = {
            task: _take_turns(
                {name: lambda model=model, call=call: call(model, graph) for name, model in models.items()}, rounds
            )
            for task, call in (("inference", infer), ("training", train_step))
        }
    finally:
        torch.set_num_threads(threads)
    result: dict[str, Any] = {}
    for task, found in times.items():
        seconds = {name: float(np.median(values)) for name, values in found.items()}
        result[task] = {
            "seconds": found,
            "samples_per_second": {name: molecules / value for name, value in seconds.items()},
            "speedup": seconds["released order"] / seconds["pruned"],
        }
    return {
        "L": lmax,
        "molecules": molecules,
        "nodes": graph.numbers.shape[0],
        "edges": graph.source.shape[0],
        "network": network,
        "parameters": sum(parameter.numel() for parameter in models["pruned"].parameters()),
        "threads": 1,
        "kept_memory": kept,
        **result,
    }


def random_batch(molecules: int, atoms: int, neighbors: int, cutoff: float, seed: int) -> Graph:
    """Atoms evenly distributed in cubes, of the density at which an atom has `neighbors` others within the cutoff."""
    from tdn_theory.data.graph import build_graph, collate
    from tdn_theory.data.structure import Structure

    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(molecules):
        places = rng.uniform(size=(atoms, 3))
        distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
        ordered = np.sort(distances[~np.eye(atoms, dtype=bool)])  # each pair twice
        between = ordered[atoms * neighbors - 1 : atoms * neighbors + 1].mean()
        graphs.append(build_graph(Structure(rng.choice([1, 6, 7, 8], atoms), places * cutoff / between), cutoff))
    return collate(graphs)


def infer(model: Module, graph: Graph) -> dict[str, Tensor]:
    """Energies and forces, without the means to differentiate them."""
    import torch

    with torch.no_grad():
        return model(graph)


def train_step(model: Module, graph: Graph) -> None:
    """Forward and backward of the paper's loss with targets zero."""
    model.zero_grad()
    found = model(graph)
    (found["energy"].abs().mean() + found["forces"].square().mean().sqrt()).backward()


def _take_turns(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if number:
                times[name].append(time.process_time() - start)
    return times
