"""How the error of an approximate product grows through the layers of a network, what bounds it, how far it reaches.

Let `h_t(x)` be the features after block t of a structure x (t = 0: the embedding), and E_t the length, over all atoms,
components and channels, of `D(R) h_t(x) - h_t(R x)`. With `F` block t on the edges of x and `F'` on those of R x,

    D h_t(x) - h_t(R x) = [D F(h) - F'(D h)] + [F'(D h) - F'(h')],     h = h_(t-1)(x), h' = h_(t-1)(R x).

The first bracket is the error that block t makes by itself, of length delta_t. The second is what it makes of the error
that comes in, at most Lambda_t E_(t-1) if Lambda_t is a Lipschitz constant of F' between D h and h'. So

    E_t <= delta_t + Lambda_t E_(t-1),

and the energy e is off by at most Lambda_e E_T. Lambda is measured: the larger of the spectral norms of the Jacobian at
both ends, by power iteration. It is no certificate, but an estimate of what bounds from single layers can say.

Long range: two water molecules are joined by a chain of carbon atoms that see their neighbours only, so that they feel
each other through as many layers as there are edges between them. Their interaction is the double difference of the
energy when either is turned on its place. The error of rotation is made at every atom, however far they are apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log10
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.cp.schedules import quadratic
from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.rotation import turn, turn_features, turn_label
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.measuring import SMALLEST, growth, mean_and_error, single_thread
from tdn_theory.experiments.potentials.fitting import NETWORK, TINY, configuration, fit
from tdn_theory.jobs import Jobs
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.preset import Preset
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.study import Cost, Study

FORCES = "direct"
"""As in the paper (TAB1); conservative forces are the derivatives of the same energy."""

MOLECULES = ("OC=O", "CC=O", "CCO", "C1CO1", "NC(=O)O", "c1ccoc1")
"""Shipped molecules that are turned, in their last geometries."""

TRAINED_LMAX = 2

QUANTITIES = ("features", "energy", "direct", "conservative")
"""What errors are given of: features after the last block, energies per atom, forces read directly and derived."""

SPACING = 3.375
"""Distance of neighbours along the chain, Angstrom: the next but one is out of reach."""

WATER = np.array([[0.0, 0.0, 0.0], [0.757, 0.586, 0.0], [-0.757, 0.586, 0.0]])
"""Angstrom."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        ranks: Ranks of CP products in untrained networks, per L; 7 L^2 is the last one.
        trained_ranks: Ranks in trained networks, at L = 2.
        depth: Blocks of the trained networks, and of the deepest untrained ones.
        seeds: Seeds, each of weights, batches and rotations.
        steps: Steps of training, rounded to epochs.
        rotations: Rotations of each molecule.
        iterations: Power iterations.
        hops: Largest number of edges between the two water molecules.
        chains: Chains of each length.
        network: Changes of the network.
        structures: Structures of each part of the split, at most; None: all.
    """

    ranks: dict[int, tuple[int, ...]]
    trained_ranks: tuple[int, ...]
    depth: int
    seeds: int
    steps: int
    rotations: int
    iterations: int
    hops: int
    chains: int
    network: dict[str, Any]
    structures: int | None = None


RANKS = {1: (6, 7), 2: (10, 20, 28), 3: (42, 63)}

SIZES = {
    Preset.SMALLEST: Size({1: (7,), 2: (28,)}, (28,), 2, 1, 1, 1, 1, 2, 1, TINY, structures=24),
    Preset.QUICK: Size(RANKS, (10, 28), 8, 3, 78, rotations=4, iterations=8, hops=8, chains=4, network={}),
    Preset.HOURS: Size(RANKS, (10, 28), 8, 3, 4000, rotations=8, iterations=20, hops=8, chains=8, network={}),
    Preset.FULL: Size(  # meant for a GPU
        RANKS, (10, 28), 8, 3, 20_000, rotations=16, iterations=40, hops=8, chains=16, network={"channels": 64}
    ),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Errors against depth, rank and L in untrained networks; through layers, before and after training; far away."""
    seeds = range(seed, seed + size.seeds)
    plan = [
        {
            "model": {**size.network, "lmax": lmax, "method": method, "rank": rank},
            "depth": size.depth,
            "rotations": size.rotations,
            "seed": s,
            "device": jobs.device,
        }
        for lmax, ranks in size.ranks.items()
        for method, rank in products(ranks)
        for s in seeds
    ]
    untrained = jobs.map(against_depth, plan, "untrained networks")
    plan = [
        {
            "model": {**size.network, "lmax": TRAINED_LMAX, "layers": size.depth, "method": method, "rank": rank},
            "seed": s,
            "device": jobs.device,
            "steps": size.steps,
            "structures": size.structures,
            "rotations": size.rotations,
            "iterations": size.iterations,
            "hops": size.hops,
            "chains": size.chains,
        }
        for method, rank in products(size.trained_ranks)
        for s in seeds
    ]
    trained = jobs.map(through_layers, plan, "trained networks")
    return {
        "depth": size.depth,
        "channels": {**NETWORK, **size.network}["channels"],
        "steps": size.steps,
        "paper_rank": {str(lmax): quadratic(lmax) for lmax in size.ranks},
        "untrained": summarize_depths(untrained),
        "layers": summarize_layers(trained),
        "trainings": [job["training"] for job in trained],
    }


def products(ranks: Sequence[int]) -> list[tuple[str, int | None]]:
    """CP products of the ranks, and the exact one: method and rank."""
    return [*(("cp", rank) for rank in ranks), ("exact", None)]


# Errors of the whole network


@dataclass(frozen=True)
class Block:
    """What one block got and gave."""

    module: torch.nn.Module
    arguments: tuple[Any, ...]
    output: Float[Tensor, "n d c"]

    def __call__(self, features: Float[Tensor, "n d c"]) -> Float[Tensor, "n d c"]:
        """The block of other features, on the same edges."""
        return self.module(features, *self.arguments[1:])


@dataclass(frozen=True)
class Observation:
    """A network's results for one batch, and how it got there.

    Attributes:
        blocks: What each block got and gave.
        energy: Energies per atom (g,).
        direct: Forces read from degree 1 (n, 3).
        conservative: Minus the gradient of the energy (n, 3).
    """

    blocks: list[Block]
    energy: Float[Tensor, " g"]
    direct: Float[Tensor, "n 3"]
    conservative: Float[Tensor, "n 3"]


def observe(model: Potential, graph: Graph) -> Observation:
    """Run a network with direct forces, keeping what happens on the way."""
    blocks: list[Block] = []
    hooks = [
        block.register_forward_hook(
            lambda module, given, output: blocks.append(Block(module, (given[0].detach(), *given[1:]), output.detach()))
        )
        for block in model.blocks
    ]
    positions = graph.positions.detach().requires_grad_()
    found = model(replace(graph, positions=positions))
    (gradient,) = torch.autograd.grad(found["energy"].sum(), positions)
    for hook in hooks:
        hook.remove()
    energies = found["energy"].detach() / torch.bincount(graph.batch, minlength=graph.count)
    return Observation(blocks, energies, found["forces"].detach(), -gradient)


def molecules(dtype: torch.dtype = torch.float64) -> Graph:
    """The batch of molecules that are turned."""
    last = {structure.group: structure for structure in relaxations()}
    return collate([build_graph(last[name], NETWORK["cutoff"], dtype) for name in MOLECULES])


def rotation_errors(model: Potential, graph: Graph, rotations: int, seed: int) -> dict[str, float]:
    """Root mean square of `f(R x) - R f(x)` over that of f(x), over structures and rotations, for each of `QUANTITIES`.

    The energy per atom has no natural zero: its error is relative to its standard deviation over the structures.
    """
    straight = observe(model, graph)
    energies = straight.energy - straight.energy.mean()
    pieces: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    for turns in _turns(graph, rotations, seed):
        turned = observe(model, turn(graph, turns))
        features = straight.blocks[-1].output
        wanted = {
            "features": (turned.blocks[-1].output, turn_features(features, turns, graph), features),
            "energy": (turned.energy, straight.energy, energies),
            "direct": (turned.direct, turn_label("forces", straight.direct, turns, graph), straight.direct),
            "conservative": (
                turned.conservative,
                turn_label("forces", straight.conservative, turns, graph),
                straight.conservative,
            ),
        }
        for name, (got, should_be, size) in wanted.items():
            pieces[name].append(float((got - should_be).square().sum() / size.square().sum()))
    return {name: float(np.mean(values)) ** 0.5 for name, values in pieces.items()}


def _turns(graph: Graph, rotations: int, seed: int) -> list[Float[Tensor, "g 3 3"]]:
    """Haar rotations, another one of each structure at a time."""
    rng = np.random.default_rng(seed)
    return [torch.tensor(haar_rotations(graph.count, rng), device=graph.positions.device) for _ in range(rotations)]


def against_depth(model: dict[str, Any], depth: int, rotations: int, seed: int, device: str) -> dict[str, Any]:
    """Rotation errors of untrained networks of 1 to `depth` blocks, of which the shallower begin the deeper ones.

    Args:
        model: Settings of the potential.
        depth: Most blocks.
        rotations: Rotations of each molecule.
        seed: Of weights and rotations.
        device: `cpu`, `cuda` or `cuda:1`.
    """
    graph = molecules().to(device)
    settings = {**NETWORK, **model, "forces": FORCES, "elements": sorted(set(graph.numbers.tolist()))}
    rows = []
    with single_thread():
        for layers in range(1, depth + 1):
            network = Potential(PotentialConfig.from_dict({**settings, "layers": layers}), seed).double().eval()
            rows.append({"depth": layers, **rotation_errors(network.to(device), graph, rotations, seed)})
    return {"L": model["lmax"], "method": model["method"], "rank": model["rank"], "seed": seed, "rows": rows}


# Layer by layer


def through_layers(
    model: dict[str, Any],
    seed: int,
    device: str,
    steps: int,
    structures: int | None,
    rotations: int,
    iterations: int,
    hops: int,
    chains: int,
) -> dict[str, Any]:
    """Errors, bounds and reach of one network before and after training.

    Args:
        model: Settings of the potential.
        seed: Of split, weights, batches, rotations and chains.
        device: `cpu`, `cuda` or `cuda:1`.
        steps: Steps of training.
        structures: Structures of each part of the split, at most.
        rotations: Rotations of each molecule.
        iterations: Power iterations.
        hops: Largest number of edges between the water molecules.
        chains: Chains of each length.
    """
    with single_thread():
        trained = fit(
            configuration("relaxations", {**model, "forces": FORCES}, seed, device, average=0.9), steps, structures
        )
        after = trained.potential
        after.shifts.zero_()  # energies of elements, which no rotation changes, but whose digits hide the rest
        before = Potential(after.config, seed).double().eval().to(device)
        graph = molecules().to(device)
        result = {}
        for name, network in (("before", before), ("after", after)):
            result[name] = {
                "errors": rotation_errors(network, graph, rotations, seed),
                "layers": layer_errors(network, graph, iterations, seed),
                "long_range": long_range(network, hops, chains, rotations, seed),
            }
    own = {"method": model["method"], "rank": model["rank"]}
    return {**own, "training": {**own, **trained.row()}, **result}


def layer_errors(model: Potential, graph: Graph, iterations: int, seed: int) -> dict[str, Any]:
    """The quantities of the bound, means over structures of one rotation each; lengths are relative to `|h_t(x)|`.

    Returns:
        `rows`, one for t = 0, 1, ...: `error` E_t, `own` delta_t, `gain`, the length of the second bracket over
        E_(t-1), `lipschitz` Lambda_t and the `bound`; and `energy`: error, bound and `lipschitz` Lambda_e, per atom.
    """
    (turns,) = _turns(graph, 1, seed)
    turned_graph = turn(graph, turns)
    straight, turned = observe(model, graph), observe(model, turned_graph)

    def lengths(values: Tensor) -> Float[Tensor, " g"]:
        """Over atoms, components and channels of each structure."""
        squares = values.square().flatten(1).sum(1)
        return squares.new_zeros(graph.count).index_add(0, graph.batch, squares).sqrt()

    first = straight.blocks[0].arguments[0]
    error = lengths(turn_features(first, turns, graph) - turned.blocks[0].arguments[0])
    bound = error
    rows = [{"error": _mean(error / lengths(first)), "bound": _mean(bound / lengths(first))}]
    for block, other in zip(straight.blocks, turned.blocks, strict=True):
        given, came = turn_features(block.arguments[0], turns, graph), other.arguments[0]
        with torch.no_grad():
            expected, shifted = turn_features(block.output, turns, graph), other(given)
        own, passed = lengths(expected - shifted), lengths(shifted - other.output)
        ends = [spectral_norm(other, place, graph, iterations, seed) for place in (given, came)]
        constant = torch.maximum(*ends)
        before, error = error, lengths(expected - other.output)
        bound = own + constant * bound
        size = lengths(block.output)
        rows.append(
            {
                "error": _mean(error / size),
                "own": _mean(own / size),
                "gain": _mean(passed / before),
                "lipschitz": _mean(constant),
                "bound": _mean(bound / size),
            }
        )

    def energy(features: Tensor) -> Float[Tensor, " n"]:
        return model.energy(model.norm(features)) * model.scale.to(features.dtype)

    atoms = torch.bincount(graph.batch, minlength=graph.count)
    slopes = []
    for features in (turn_features(straight.blocks[-1].output, turns, graph), turned.blocks[-1].output):
        place = features.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(place).sum(), place)
        slopes.append(lengths(gradient) / atoms)
    slope = torch.maximum(*slopes)
    measured = (turned.energy - straight.energy).abs()
    return {
        "rows": rows,
        "energy": {"error": _mean(measured), "lipschitz": _mean(slope), "bound": _mean(slope * bound)},
    }


def _mean(values: Tensor) -> float:
    return float(values.mean())


def spectral_norm(
    function: Block, place: Float[Tensor, "n d c"], graph: Graph, iterations: int, seed: int
) -> Float[Tensor, " g"]:
    """Largest singular value of the Jacobian of a block at `place`, for each structure, from below.

    Power iteration on `J^T J`, all structures at once, since they do not meet. `J v` is a central difference, in double
    precision right to about 1e-9.
    """

    def normalize(vector: Tensor) -> tuple[Tensor, Tensor]:
        squares = vector.square().flatten(1).sum(1)
        size = squares.new_zeros(graph.count).index_add(0, graph.batch, squares).sqrt()
        return vector / size[graph.batch].view(-1, 1, 1), size

    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(place.shape, generator=generator, dtype=place.dtype).to(place.device)
    vector, size = normalize(start)
    point = place.detach().requires_grad_()
    value = function(point)
    for _ in range(iterations):
        with torch.no_grad():
            ahead, behind = function(place + STEP * vector), function(place - STEP * vector)
        pushed, size = normalize((ahead - behind) / (2 * STEP))
        (pulled,) = torch.autograd.grad(value, point, pushed, retain_graph=True)
        vector, _ = normalize(pulled)
    return size


STEP = 1e-5
"""Of the central differences, in the units of features, which are of order one."""


# Far away


def chain(hops: int, rng: np.random.Generator) -> list[Structure]:
    """Two water molecules with `hops` edges between their oxygen atoms: as they are, with either, with both turned."""
    along = np.arange(hops + 1)[:, None] * np.array([SPACING, 0.0, 0.0])
    places = along + np.concatenate([np.zeros((hops + 1, 1)), rng.uniform(-0.5, 0.5, (hops + 1, 2))], axis=1)
    first, second = ([places[end] + WATER @ turned.T for turned in haar_rotations(2, rng)] for end in (0, -1))
    numbers = np.array([8, 1, 1] * 2 + [6] * (hops - 1))
    return [
        Structure(numbers, np.concatenate([first[a], second[b], places[1:-1]]))
        for a, b in ((0, 0), (1, 0), (0, 1), (1, 1))
    ]


def long_range(model: Potential, hops: int, chains: int, rotations: int, seed: int) -> list[dict[str, float]]:
    """Interaction of two molecules, and what rotation does to it and to the energy, against their distance.

    Returns:
        For 1 to `hops` edges: the `distance` (Angstrom) and root mean squares over chains and rotations: the
        `interaction`, its `interaction_error` under rotation, and the `energy_error` of the whole, eV.
    """
    rng = np.random.default_rng(seed)
    scale = next(model.parameters())
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64, device=scale.device)
    rows = []
    for count in range(1, hops + 1):
        structures = [structure for _ in range(chains) for structure in chain(count, rng)]
        graph = collate([build_graph(s, model.config.cutoff, scale.dtype) for s in structures]).to(scale.device)
        with torch.no_grad():
            energies = model(graph)["energy"].view(chains, 4)
            turned = []
            for turns in haar_rotations(rotations * chains, rng).reshape(rotations, chains, 3, 3):
                each = torch.tensor(turns, device=scale.device).repeat_interleave(4, 0)  # the four of a chain together
                turned.append(model(turn(graph, each))["energy"].view(chains, 4))
        change = torch.stack(turned) - energies
        rows.append(
            {
                "hops": count,
                "distance": count * SPACING,
                "interaction": _rms(energies @ signs),
                "interaction_error": _rms(change @ signs),
                "energy_error": _rms(change[..., 0]),
            }
        )
    return rows


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


# Summaries


def summarize_depths(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds against depth, and laws of growth, for each L and product."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for job in jobs:
        found.setdefault((job["L"], job["method"], job["rank"]), []).append(job)
    summary = []
    for (lmax, method, rank), own in found.items():
        depths = [row["depth"] for row in own[0]["rows"]]
        errors = {
            name: [mean_and_error([job["rows"][n][name] for job in own]) for n in range(len(depths))]
            for name in QUANTITIES
        }
        laws = {name: [growth(depths, [row[name] for row in job["rows"]]) for job in own] for name in QUANTITIES}
        summary.append(
            {
                "L": lmax,
                "method": method,
                "rank": rank,
                "depths": depths,
                "errors": errors,
                "growth": {name: _means(laws[name]) for name in QUANTITIES},
                "largest": max(row[name] for job in own for row in job["rows"] for name in QUANTITIES),
            }
        )
    return summary


def summarize_layers(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds, for each product, before and after training."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for job in jobs:
        found.setdefault((job["method"], job["rank"]), []).append(job)
    summary = []
    for (method, rank), own in found.items():
        for when in ("before", "after"):
            parts = [job[when] for job in own]
            blocks = range(1, len(parts[0]["layers"]["rows"]))
            laws = [growth(list(blocks), [part["layers"]["rows"][t]["error"] for t in blocks]) for part in parts]
            summary.append(
                {
                    "method": method,
                    "rank": rank,
                    "when": when,
                    "errors": _means([part["errors"] for part in parts]),
                    "layers": [_means(rows) for rows in zip(*(part["layers"]["rows"] for part in parts), strict=True)],
                    "energy": _means([part["layers"]["energy"] for part in parts]),
                    "growth": _means(laws),
                    "long_range": [_long_range(rows) for rows in zip(*(p["long_range"] for p in parts), strict=True)],
                }
            )
    return summary


def _long_range(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Logarithms (base ten) of the ratios are averaged: they spread over powers of ten."""
    ratios = {
        f"log10_{name}": mean_and_error([_log10(row[name]) - _log10(row["interaction"]) for row in rows])
        for name in ("interaction_error", "energy_error")
    }
    interaction = mean_and_error([_log10(row["interaction"]) for row in rows])
    return {"hops": rows[0]["hops"], "distance": rows[0]["distance"], "log10_interaction": interaction, **ratios}


def _log10(value: float) -> float:
    return log10(max(value, SMALLEST))


def _means(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    return {name: mean_and_error([row[name] for row in rows]) for name in rows[0]}


STUDY = Study(
    "error_propagation",
    "Rotation error through the layers of a network, beside bounds from single layers, and far away (O5)",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
