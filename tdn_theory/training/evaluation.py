"""How good a model is on structures, and how nearly it turns with them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tdn_theory.data.graph import Graph, batch_indices
from tdn_theory.data.rotation import turn, turn_label
from tdn_theory.data.structure import Structure
from tdn_theory.nn.potential import Potential
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.training.batches import Graphs
from tdn_theory.training.catalyst_metrics import catalyst_metrics
from tdn_theory.training.config import Precision
from tdn_theory.training.loss import Loss
from tdn_theory.training.metrics import UNITS, Metric, error_sums, mean, summarize
from tdn_theory.training.parallel import Processes
from tdn_theory.training.reference import baseline

ALONE = Processes()

PARTS = ("group", "config_type")
"""What errors can be told apart by."""


@dataclass(frozen=True)
class Evaluation:
    """Errors over a set of structures.

    Attributes:
        metrics: `energy_mae`, `energy_rmse`, `forces_mae`, ...
        loss: Of the whole set as one batch; NaN if none was asked for.
        structures_per_second: Predictions by this process, data preparation not counted.
        parts: `metrics` of each part of the set, by its name, if parts were asked for.
    """

    metrics: dict[str, Metric]
    loss: float
    structures_per_second: float
    parts: dict[str, dict[str, Metric]] = field(default_factory=dict)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager:
    """Matrix products in bfloat16 if that is the precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def dtype_of(precision: Precision) -> torch.dtype:
    """The type of weights, positions and sums."""
    return torch.float64 if precision == "float64" else torch.float32


def evaluate(
    model: nn.Module,
    graphs: Graphs,
    batch_size: int,
    *,
    loss: Loss | None = None,
    parts: Sequence[str] = (),
    precision: Precision = "float32",
    processes: Processes = ALONE,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Errors of `model` on `graphs`, each process taking its share of the batches.

    Args:
        model: On the device of `processes`.
        graphs: Structures with labels.
        batch_size: Structures at a time.
        loss: A loss to compute as well.
        parts: Name of the part that each structure is in, for errors of the parts as well.
        precision: As in training.
        processes: Who shares the work; all get the result.
        progress: Called with the number of structures done at a time.
    """
    count, device = len(graphs), processes.device
    mine = batch_indices(count, batch_size, rank=processes.rank, ranks=processes.count)
    rows = {label: torch.zeros(count, 3, dtype=torch.float64, device=device) for label in UNITS}
    sums = None if loss is None else torch.zeros(2, len(loss.terms), dtype=torch.float64, device=device)
    seconds = 0.0
    for batch, graph in zip(mine, graphs.batches(mine), strict=True):
        graph = graph.to(device)
        began = time.perf_counter()
        with torch.no_grad(), autocast(precision, device):
            output = model(graph)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - began
        for label, found in error_sums(output, graph).items():
            rows[label][batch] = found
        if loss is not None and sums is not None:
            sums += loss.sums(output, graph)
        progress(len(batch))
    groups = np.array(graphs.structures.groups)
    found = {label: processes.sum(values).cpu().numpy() for label, values in rows.items()}
    members = {name: np.array(parts) == name for name in sorted(set(parts))}
    of_parts = {
        name: summarize({label: values[chosen] for label, values in found.items()}, groups[chosen])
        for name, chosen in members.items()
    }
    value = math.nan if loss is None or sums is None else float(loss.value(processes.sum(sums))[0])
    rate = sum(map(len, mine)) / max(seconds, 1e-9)
    return Evaluation(summarize(found, groups), value, rate, of_parts)


def rotation_errors(
    model: nn.Module, graphs: Graphs, batch_size: int, *, rotations: int = 4, seed: int = 0
) -> dict[str, Metric]:
    """How far predictions are from turning with the structure, `|f(R x) - R f(x)|` (E6).

    For energies, the difference per atom. For everything else the root mean square over the components of a structure,
    relative to that over all of the set, since of a structure in equilibrium it would be noise over noise. Means over
    structures and `rotations` Haar-random `R` for each, with standard errors over groups. A quantity that is zero in
    the whole set has no relative error, and is left out.

    Args:
        model: A potential; a float64 one for errors below 1e-6.
        graphs: Structures.
        batch_size: Structures at a time.
        rotations: Rotations of each structure.
        seed: Seed of the rotations.
    """
    rng = np.random.default_rng(seed)
    device = next(model.parameters()).device
    found: dict[str, list[Tensor]] = {}
    squares: dict[str, Tensor] = {}
    count = len(graphs)
    for graph in graphs.batches(batch_indices(count, batch_size)):
        graph = graph.to(device)
        with torch.no_grad():
            straight = model(graph)
        totals = {label: torch.zeros(graph.count, dtype=torch.float64, device=device) for label in straight}
        for _ in range(rotations):
            turns = torch.tensor(haar_rotations(graph.count, rng), device=device)
            with torch.no_grad():
                turned = model(turn(graph, turns))
            for label, value in straight.items():
                totals[label] += _error(label, turned[label], value, turns, graph) / rotations
        for label, total in totals.items():
            found.setdefault(label, []).append(total)
            known = straight[label].double()[~torch.isnan(straight[label])]
            square = torch.stack((known.square().sum(), known.new_tensor(known.numel())))
            squares[label] = squares.get(label, torch.zeros_like(square)) + square
    groups = graphs.structures.groups
    metrics = {}
    for label, parts in found.items():
        sum_of_squares, number = squares[label].tolist()
        if label != "energy" and sum_of_squares == 0:
            continue
        size = math.sqrt(sum_of_squares / number)
        unit, factor = ("meV/atom", 1e3) if label == "energy" else ("relative", 1 / size)
        values = factor * torch.cat(parts).cpu().numpy()
        # a stress without a cell, and a dipole with one, are NaN by definition
        counts = (~np.isnan(values) if label in ("stress", "dipole") else np.ones(count)).astype(float)
        metric = mean(np.where(counts > 0, values, 0.0), counts, groups, unit)
        if metric is not None:
            metrics[f"{label}_rotation"] = metric
    return metrics


def _error(label: str, turned: Tensor, straight: Tensor, turns: Tensor, graph: Graph) -> Tensor:
    """Of every structure: of the energy per atom, of anything else the root mean square over components."""
    turned, straight = turned.double(), straight.double()
    wanted = turn_label(label, straight, turns, graph)
    atoms = torch.bincount(graph.batch, minlength=graph.count)
    if label == "energy":
        return (turned - wanted).abs() / atoms
    squares = (turned - wanted).square().flatten(1)
    if label == "forces":
        return (squares.new_zeros(graph.count).index_add(0, graph.batch, squares.sum(1)) / (3 * atoms)).sqrt()
    return squares.mean(1).sqrt()


def report(
    model: Potential,
    structures: Sequence[Structure],
    batch_size: int,
    *,
    rotations: int = 4,
    seed: int = 0,
    by: str | None = None,
) -> dict[str, Any]:
    """Errors, rotation errors, speed, and the energy error of constants per element, as JSON.

    Of catalysts (the first structure has tags) also the metrics of OC20 and OC22.

    Args:
        model: A potential; its device and dtype are used.
        structures: With labels.
        batch_size: Structures at a time.
        rotations: Rotations of each structure.
        seed: Seed of the rotations.
        by: Errors also of each `group` or `config_type`.

    Raises:
        ValueError: There is no structure, one with an unknown element, or none has what errors are asked for by.
    """
    if not structures:
        raise ValueError("there is no structure to evaluate on")
    if by is not None and by not in PARTS:
        raise ValueError(f"by is {by!r}; it must be one of {PARTS}")
    parts = [] if by is None else [getattr(structure, by) for structure in structures]
    if by is not None and not any(parts):
        raise ValueError(f"no structure has a {by}, so there are no errors by {by}")
    weight = next(model.parameters())
    graphs = Graphs(structures, model.config.cutoff, weight.dtype)
    model.eval()
    found = evaluate(model, graphs, batch_size, parts=parts, processes=Processes(device=weight.device))
    turned = rotation_errors(model, graphs, batch_size, rotations=rotations, seed=seed) if rotations else {}
    of_catalysts = catalyst_metrics(model, graphs, batch_size) if structures[0].tags is not None else {}
    constants = baseline(model.shifts.tolist(), model.config.elements, structures, float(model.offset))
    return {
        "structures": len(structures),
        "errors": as_json(found.metrics),
        "errors_by": {} if by is None else {by: {name: as_json(part) for name, part in found.parts.items()}},
        "catalyst_errors": as_json(of_catalysts),
        "rotation_errors": as_json(turned),
        "constant_per_element": constants.to_dict(),
        "structures_per_second": found.structures_per_second,
    }


def as_json(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """Metrics by name, in JSON types."""
    return {name: metric.to_dict() for name, metric in metrics.items()}
