"""Universality inside the model (T2, T3): a student with R terms fits a teacher with an equivariant product.

Teacher and student are the same small potential but for the product. The teacher's is `M_w = sum_p w_p C_p` with random
path weights w, frozen. The student begins with the teacher's weights and the best R-term factors found for `M_w`; then
all its weights and factors are trained on the teacher's energies and forces, in double precision. So it begins next to
where theory says that its error can be zero, and what is left is not the optimizer's fault alone.

In hours the potentials have 64 channels, and there are teachers whose path weights are those of a pretrained SevenNet.

What theory says (`theory.universality`): R terms reach every map of path space from some rank on, 8 at L = 1 and 30 at
L = 2; below, the weights that are reached form a set of lower dimension, which random weights miss. Weights that come
from those of an atlas entry by scaling degrees lie in that set, so they are reached from the entry's rank on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.relaxations import relaxations
from tdn_theory.experiments.measuring import SMALLEST, mean_and_error, single_thread
from tdn_theory.experiments.potentials.sevennet import DEGREES, path_weights
from tdn_theory.jobs import Jobs
from tdn_theory.nn.edge_product import YFirstProduct
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.nn.spec import ProductSpec
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import paths
from tdn_theory.study import Cost, Study

NETWORK = {"elements": (1, 6, 7, 8), "layers": 2, "heads": 2, "cutoff": 4.5, "basis": "bessel"}
FORCES = "direct"
BASIS_SIZE = 8

PRETRAINED = "SevenNet"
TEACHERS: dict[str, atlas.Which | None] = {"random": None, "scaled": "all", "scaled, even": "even", PRETRAINED: None}
"""Path weights: normal; those of the atlas entry of least rank with all, or all even, paths alive, degrees scaled; and
those of a channel of a pretrained SevenNet, at some distance."""

REACHED = {1: 8, 2: 30}
"""Ranks at which all nearby weights are reached (`figures/universality.json`)."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        ranks: Ranks of students, by L and kind of teacher.
        seeds: Seeds, each of a teacher's weights, its path weights and the molecules.
        molecules: Molecules to train on, in their last geometries; as many others test.
        starts: Starts of the solver for every student, per L.
        iterations: Of L-BFGS, per L.
        channels: Channels of the potentials.
    """

    ranks: dict[int, dict[str, tuple[int, ...]]]
    seeds: int
    molecules: int
    starts: dict[int, int]
    iterations: dict[int, int]
    channels: int = 8


RANKS = {
    1: {"random": (4, 5, 6, 7, 8, 9), "scaled": (4, 5, 6, 7, 8), "scaled, even": (4, 5, 6, 7)},
    2: {"random": (15, 20, 25, 28, 29, 30, 31), "scaled": (15, 20, 22, 23), "scaled, even": (12, 15, 17, 18)},
}

NEAR_THRESHOLD = {
    1: {"random": (5, 6, 7, 8, 9), "scaled": (5, 6, 7, 8), "scaled, even": (4, 5, 6, 7)},
    2: {
        "random": (26, 27, 28, 29, 30, 31),
        PRETRAINED: (26, 27, 28, 29, 30, 31),
        "scaled": (20, 21, 22, 23, 24),
        "scaled, even": (15, 16, 17, 18, 19),
    },
}

SIZES = {
    Preset.SMALLEST: Size(
        {1: {"random": (7, 8), "scaled": (7,), "scaled, even": (6,)}, 2: dict.fromkeys(RANKS[2], (4,))},
        seeds=1,
        molecules=4,
        starts={1: 1, 2: 1},
        iterations={1: 1, 2: 1},
    ),
    Preset.QUICK: Size(RANKS, 3, 24, {1: 3, 2: 2}, {1: 50, 2: 15}),
    Preset.HOURS: Size(NEAR_THRESHOLD, 3, 24, {1: 3, 2: 2}, {1: 300, 2: 150}, channels=64),
    Preset.FULL: Size(RANKS, 3, 24, {1: 3, 2: 2}, {1: 2000, 2: 2000}),
}

ZERO = 1e-9
"""Relative error up to which a student has the teacher's function."""


class Teacher(NamedTuple):
    """A product to be fitted.

    Attributes:
        tensor: The equivariant tensor.
        known: Exact factors of it, where theory gives some of low rank.
    """

    tensor: CouplingTensor
    known: CPFactors | None


def teacher(lmax: int, kind: str, seed: int) -> Teacher:
    """The product of a teacher, of the norm of the paper's tensor.

    Args:
        lmax: Maximal degree L.
        kind: One of `TEACHERS`.
        seed: Of its weights.

    Raises:
        ImportError: The package of pretrained potentials is missing; the message names the extra.
    """
    rng = np.random.default_rng(seed)
    which, norm = TEACHERS[kind], CouplingTensor(lmax).norm
    if which is None:
        weights = rng.standard_normal(len(paths(lmax)))
        if kind == PRETRAINED:
            given = path_weights(next(name for name, degree in DEGREES.items() if degree == lmax), seed)
            weights = np.array([given[path] for path in paths(lmax)])
        return Teacher(CouplingTensor(lmax, weights * norm / np.linalg.norm(weights)), None)
    entry = atlas.best(lmax, paths=which)
    scales = np.repeat(np.exp(0.3 * rng.standard_normal((3, lmax + 1))), [2 * l + 1 for l in range(lmax + 1)], axis=1)
    A, B, C = (f * s[:, None] for f, s in zip((entry.factors.A, entry.factors.B, entry.factors.C), scales, strict=True))
    A = A * norm / np.linalg.norm(CPFactors(A, B, C).array)
    tensor = CouplingTensor(lmax).project(CPFactors(A, B, C).array)
    return Teacher(tensor, CPFactors(A, B, C))


def representable_rank(lmax: int, kind: str) -> int:
    """The least rank at which theory promises a student without error."""
    which = TEACHERS[kind]
    return REACHED[lmax] if which is None else atlas.best(lmax, paths=which).rank


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Errors of students against rank, for three kinds of teachers."""
    plan = [
        {
            "lmax": lmax,
            "kind": kind,
            "rank": rank,
            "molecules": size.molecules,
            "starts": size.starts[lmax],
            "iterations": size.iterations[lmax],
            "channels": size.channels,
            "seed": s,
            "device": jobs.device,
        }
        for lmax, kinds in size.ranks.items()
        for kind, ranks in kinds.items()
        for rank in ranks
        for s in range(seed, seed + size.seeds)
    ]
    rows = jobs.map(student, plan, "students")
    return {
        "network": {**NETWORK, "channels": size.channels, "forces": FORCES, "basis_size": BASIS_SIZE},
        "molecules": size.molecules,
        "zero": ZERO,
        "rows": rows,
        "summary": summarize(rows),
    }


def student(
    lmax: int,
    kind: str,
    rank: int,
    molecules: int,
    starts: int,
    iterations: int,
    channels: int,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Fit one teacher with one student.

    Args:
        lmax: Maximal degree L.
        kind: Kind of teacher.
        rank: Terms of the student's product.
        molecules: Molecules to train on, and as many to test.
        starts: Starts of the solver.
        iterations: Of L-BFGS.
        channels: Channels of both potentials.
        seed: Of the teacher's weights, path weights and molecules, and of the solver's first start.
        device: `cpu`, `cuda` or `cuda:1`.
    """
    tensor, known = teacher(lmax, kind, seed)
    with single_thread():
        factors, source = _factors(tensor, known, rank, range(seed, seed + starts))
        config = PotentialConfig(
            **NETWORK, channels=channels, lmax=lmax, forces=FORCES, basis_size=BASIS_SIZE, method="cp"
        )
        network = Potential(config, seed, outer_product(tensor)).double().to(device)
        learner = Potential(config, seed, product=Learned(lmax, config.channels, factors)).double().to(device)
        last = list({structure.group: structure for structure in relaxations()}.values())
        chosen = np.random.default_rng(seed).permutation(len(last))[: 2 * molecules]
        graphs = [build_graph(last[n], config.cutoff, torch.float64) for n in chosen]
        sets = [collate(graphs[:molecules]).to(device), collate(graphs[molecules:]).to(device)]
        with torch.no_grad():
            wanted = [network(graph) for graph in sets]
            before = _error(learner, sets[1], wanted[1])
        errors = _train(learner, sets[0], wanted[0], iterations if float(before) > ZERO else 0)
        with torch.no_grad():
            after = _error(learner, sets[1], wanted[1])
    return {
        "L": lmax,
        "kind": kind,
        "R": rank,
        "seed": seed,
        "device": device,
        "factors": source,
        "frobenius_error": factors.relative_residual(tensor.array),
        "error_before": float(before),
        "error": float(after),
        "training_error": errors[-1],
        "training_curve": errors[:: max(1, len(errors) // 100)],
    }


def _factors(tensor: CouplingTensor, known: CPFactors | None, rank: int, seeds: range) -> tuple[CPFactors, str]:
    """The best R-term factors at hand, and where they come from."""
    fits = (LevenbergMarquardt(rank, s, ridge=1e-3, max_iterations=300).solve(tensor) for s in seeds)
    found = [(fit.factors, "LevenbergMarquardt") for fit in fits]
    if known is not None and known.rank <= rank:
        found.append((known, "atlas"))
    return min(found, key=lambda pair: pair[0].relative_residual(tensor.array))


class Learned(YFirstProduct):
    """A product whose CP factors are parameters.

    Args:
        lmax: Maximal degree L.
        channels: Channels of the features.
        factors: The factors at first, kept in float64.
    """

    def __init__(self, lmax: int, channels: int, factors: CPFactors) -> None:
        super().__init__(ProductSpec(lmax, channels, method=factors, weights="external"))
        self.learned = torch.nn.ParameterList(torch.tensor(getattr(factors, name)) for name in "ABC")

    def prepare(self, y: Float[Tensor, "e d2"]) -> Float[Tensor, "e 1 all"]:
        """The matrices, made of the factors as they are now."""
        return (y @ torch.einsum("kr,ir,jr->jki", *self.learned).flatten(1)).unsqueeze(1)


def _error(student: Potential, graph: Graph, wanted: dict[str, Tensor]) -> Tensor:
    """Root of the mean of two relative mean squares: of energies per atom (less their mean), and of forces."""
    found = student(graph)
    atoms = torch.bincount(graph.batch, minlength=graph.count)
    energy = wanted["energy"] / atoms
    parts = [
        (found["energy"] / atoms - energy).square().mean() / energy.var(),
        (found["forces"] - wanted["forces"]).square().mean() / wanted["forces"].square().mean(),
    ]
    return torch.stack(parts).mean().sqrt()


def _train(student: Potential, graph: Graph, wanted: dict[str, Tensor], iterations: int) -> list[float]:
    """Minimise the error by L-BFGS, in place, if there are to be iterations; returns it at every call, and the last."""
    errors = []
    # no tolerances: it stops after the iterations, or where it finds no descent
    options = {"max_iter": iterations, "history_size": 20, "tolerance_grad": 0.0, "tolerance_change": 0.0}
    optimizer = torch.optim.LBFGS(student.parameters(), line_search_fn="strong_wolfe", **options)

    def loss() -> Tensor:
        optimizer.zero_grad()
        error = _error(student, graph, wanted)
        errors.append(float(error.detach()))
        value = error.square()
        value.backward()
        return value

    if iterations:
        optimizer.step(loss)
    with torch.no_grad():
        return [*errors, float(_error(student, graph, wanted))]


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each L, kind and rank, base-ten logarithms of errors averaged over seeds, since they spread over powers."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["L"], row["kind"], row["R"]), []).append(row)
    return [
        {
            "L": lmax,
            "kind": kind,
            "R": rank,
            "predicted": representable_rank(lmax, kind),
            "zero": sum(row["error"] <= ZERO for row in own),
            **{
                f"log10_{name}": mean_and_error([log10(max(row[name], SMALLEST)) for row in own])
                for name in ("error_before", "error", "training_error", "frobenius_error")
            },
        }
        for (lmax, kind, rank), own in found.items()
    ]


STUDY = Study(
    "teacher",
    "Students of rank R inside the model fit teachers with random equivariant products (T2, T3, O8)",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
