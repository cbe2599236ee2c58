"""TAB8: accuracy and equivariance on the n-body system against the rank of the product.

The charged set of EGNN (`data.nbody`), L = 2, three blocks, 72 channels, as in the paper. The network is that of the
potential with another beginning and end (`Propagator`): the paper does not describe its own. Everything but the product
is the same in all rows. At R = 30 and R = 81 (T2) the decomposition is exact, so these rows and the product without CP
are one function, and short runs train it once.

Roundoff changes some trajectories (`data.nbody`). At the quick size, other last digits of the initial positions, of
the test set or of the training set, change test errors by up to 3 % and the ratio of R = 10 to the exact product by up
to 2 %; another seed changes them by 7 %. The paper's rows for R = 28, R = 81 and no CP differ by no more, 3 to 5 %.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from math import cos, pi
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from platformdirs import user_cache_path
from torch import Tensor

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.data.graph import batch_indices
from tdn_theory.data.nbody import INPUT_FRAME, PARTICLES, STEP, STEPS_PER_FRAME, TARGET_FRAME, NBody, nbody
from tdn_theory.experiments.decompositions.rank_sweep import best_name, load
from tdn_theory.experiments.measuring import mean_and_error, single_thread
from tdn_theory.files import sha256
from tdn_theory.jobs import Jobs
from tdn_theory.nn.attention import Attention, Block, DegreeEmbedding, Edges, FeedForward
from tdn_theory.nn.edge_product import EdgeProduct, YFirstProduct
from tdn_theory.nn.harmonics import SphericalHarmonics, length
from tdn_theory.nn.layers import GatedLinear, GaussianBasis, Linear
from tdn_theory.nn.seeded import seeded
from tdn_theory.nn.spec import ProductSpec
from tdn_theory.paper import NBODY
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.study import Cost, Study
from tdn_theory.theory import equivariance
from tdn_theory.training.checkpoint import State
from tdn_theory.training.optimizer import set_learning_rate

LMAX, BLOCKS, HEADS = 2, 3, 8
"""L and blocks are the paper's."""

GAUSSIANS, RANGE = 16, 8.0
"""Radial basis: size, and the distance up to which it resolves; 97 % of the pairs are closer."""

TIME = (TARGET_FRAME - INPUT_FRAME) * STEPS_PER_FRAME * STEP
"""From input to target."""

RANKS = (10, 15, 20, 28, 30, 81)
EXACT = 1e-12
"""Largest entry of Mhat - M up to which both are the same product."""


@dataclass(frozen=True)
class Protocol:
    """How long a network trains, and on what.

    Attributes:
        train: Trajectories to train on, of 3,000.
        validation: Trajectories to validate with, of 2,000.
        test: Trajectories to test on, of 2,000.
        epochs: Epochs, with a learning rate that rises over the first twentieth and falls as a cosine to zero.
        batch: Trajectories per step.
        learning_rate: Adam's.
        every: Epochs between validations. The test error reported is that at the best one, as EGNN does it.
    """

    train: int
    validation: int
    test: int
    epochs: int
    batch: int
    learning_rate: float
    every: int


PAPERS_EPOCHS = 5000


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        protocol: The training.
        seeds: Seeds, each of initial weights and batches.
        channels: Channels of the network; the paper's are 72.
        rotated: Test trajectories that are turned.
        rotations: Rotations of each.
        again: Train rows that are the exact product over again, to roundoff, instead of repeating its results.
    """

    protocol: Protocol
    seeds: int
    channels: int = 72
    rotated: int = 200
    rotations: int = 4
    again: bool = False


SIZES = {
    Preset.SMALLEST: Size(Protocol(12, 4, 6, 1, 6, 1e-3, 1), seeds=1, channels=8, rotated=4),
    # a thousandth of the paper's training
    Preset.QUICK: Size(Protocol(3000, 100, 1000, epochs=4, batch=25, learning_rate=3e-3, every=4), seeds=3),
    # 20 minutes for each network on one core
    Preset.HOURS: Size(Protocol(3000, 1000, 2000, epochs=300, batch=100, learning_rate=1e-3, every=10), seeds=3),
    # the paper's epochs, about 150,000 steps for each network: meant for a GPU
    Preset.FULL: Size(
        Protocol(3000, 2000, 2000, epochs=PAPERS_EPOCHS, batch=100, learning_rate=1e-3, every=10), seeds=3, again=True
    ),
}


class Product(NamedTuple):
    """A row: the kind of product, its number of terms, and the stored solution that has them."""

    kind: str
    rank: int | None
    name: str | None


def products() -> list[Product]:
    """The rows: CP forms of the paper's tensor, the least exact ones of the atlas, and the exact product without CP."""
    cp = [Product("cp", rank, best_name(LMAX, rank)) for rank in RANKS]
    exact = [Product(kind, atlas.best(LMAX, paths=paths).rank, None) for kind, paths in ATLAS.items()]
    return [*cp, *exact, Product("exact", None, None)]


ATLAS: dict[str, atlas.Which] = {"atlas": "all", "atlas, even paths": "even"}
"""Entries of least rank, with weights of their own: all paths alive, and the even ones."""


def layer(product: Product, channels: int) -> tuple[YFirstProduct, CouplingTensor]:
    """The product of a row, and the equivariant tensor that it is meant to be."""
    tensor, method = CouplingTensor(LMAX), "exact"
    if product.kind == "cp":
        method = load(LMAX, product.rank or 0, product.name or "").factors
    elif product.kind in ATLAS:
        entry = atlas.best(LMAX, paths=ATLAS[product.kind])
        tensor, method = entry.tensor, entry.factors
    return YFirstProduct(ProductSpec(tensor, channels, method=method, weights="external")), tensor


class Propagator(torch.nn.Module):
    """Positions of charged particles at a later time: `x + T v + f(x, v, q)`, f equivariant if the product is.

    The complete graph of the particles goes through the blocks of `nn.attention`. Nodes begin with charge and speed in
    degree 0 and the velocity in degree 1; edges have Gaussians of the distance, once plain and once multiplied by the
    charges of both ends. There is no cutoff. f is degree 1 of a last feed-forward layer, zero at first.

    Args:
        product: The product of features with harmonics.
        channels: Channels of the features.
        seed: Seed of the initial weights.
    """

    source: Tensor
    target: Tensor

    def __init__(self, product: EdgeProduct, channels: int, seed: int) -> None:
        super().__init__()
        self.product = product
        with seeded(self, seed):
            self.harmonics = SphericalHarmonics(LMAX)
            self.basis = GaussianBasis(GAUSSIANS, RANGE)
            self.scalars = Linear(LMAX, 2, channels)
            self.vectors = Linear(LMAX, 1, channels, bias=False)
            self.surroundings = DegreeEmbedding(LMAX, channels, 2 * GAUSSIANS, 1, True, PARTICLES - 1)
            self.blocks = torch.nn.ModuleList(
                Block(LMAX, channels, Attention(LMAX, channels, HEADS, 2 * GAUSSIANS, 1, True), True)
                for _ in range(BLOCKS)
            )
            self.out = FeedForward(LMAX, channels, 1, True, GatedLinear)
        torch.nn.init.zeros_(self.out.out.weight)
        source, target = torch.tensor([(s, t) for t in range(PARTICLES) for s in range(PARTICLES) if s != t]).T
        self.register_buffer("source", source, persistent=False)
        self.register_buffer("target", target, persistent=False)

    def forward(
        self, x: Float[Tensor, "n p 3"], v: Float[Tensor, "n p 3"], q: Float[Tensor, "n p"]
    ) -> Float[Tensor, "n p 3"]:
        """Positions after `TIME`, from positions, velocities and charges now."""
        first = PARTICLES * torch.arange(len(x), device=x.device).unsqueeze(1)
        source, target = ((first + ends).flatten() for ends in (self.source, self.target))
        positions, velocities, charges = x.flatten(0, 1), v.flatten(0, 1), q.flatten()
        vectors = positions[source] - positions[target]
        distance = length(vectors)
        radial = self.basis(distance)
        edges = Edges(
            source,
            target,
            torch.cat([radial, radial * (charges[source] * charges[target]).unsqueeze(1)], 1),
            torch.ones_like(distance),
            self.product.prepare(self.harmonics(vectors)),
            self.product,
        )
        scalars = self.scalars.scalars(torch.stack([charges, length(velocities)], 1)).unsqueeze(1)
        rest = scalars.new_zeros(len(scalars), dim(LMAX) - 4, scalars.shape[2])
        start = torch.cat([scalars, self.vectors.mix(velocities.unsqueeze(2)), rest], 1)
        features = self.surroundings(edges, len(positions)) + start
        for block in self.blocks[:-1]:
            features = block(features, edges)
        features = self.blocks[-1](features, edges, slice(0, 2))
        return x + TIME * v + self.out(features)[:, 1:, 0].view_as(x)


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train a network with every product and compare it with the paper's table."""
    rows = [_measured(product, size.channels, seed) for product in products()]
    for row in rows:
        same = not size.again and row["kind"] == "cp" and row["deviation"] <= EXACT
        row["trained_as"] = "exact" if same else row["kind"]
    plan = [
        {
            **{key: row[key] for key in Product._fields},
            "channels": size.channels,
            "protocol": asdict(size.protocol),
            "rotated": size.rotated,
            "rotations": size.rotations,
            "seed": s,
            "device": jobs.device,
        }
        for s in range(seed, seed + size.seeds)
        for row in rows
        if row["trained_as"] == row["kind"]
    ]
    runs = jobs.map(train, plan, "n-body networks")
    for row in rows:
        kind, rank = row["trained_as"], None if row["trained_as"] == "exact" else row["rank"]
        row["runs"] = [run for run in runs if (run["kind"], run["rank"]) == (kind, rank)]
        for key in ("test_mse", "rotation_error", "asymmetric_mse"):
            row[key] = mean_and_error([run[key] for run in row["runs"]])
    exact = [run["test_mse"] for run in rows[-1]["runs"]]
    for row in rows:
        row["ratio_to_exact"] = mean_and_error([r["test_mse"] / e for r, e in zip(row["runs"], exact, strict=True)])
    return {
        "network": {"L": LMAX, "channels": size.channels, "blocks": BLOCKS, "heads": HEADS, "gaussians": GAUSSIANS},
        "protocol": asdict(size.protocol),
        "paper_epochs": PAPERS_EPOCHS,
        "paper": dict(NBODY),
        "device": jobs.device,
        "rows": rows,
    }


def _measured(product: Product, channels: int, seed: int) -> dict[str, Any]:
    """What is known of a product without training: its errors (E6), sampled as in the paper and exactly."""
    made, tensor = layer(product, channels)
    array = made.array
    sampled = equivariance.monte_carlo(array, 1000, seed)
    return {
        **product._asdict(),
        "deviation": float(np.abs(array - tensor.array).max()),
        "frobenius_error": float(np.linalg.norm(array - tensor.array) / tensor.norm),
        "paper_error": {"mean": sampled.mean, "standard_error": sampled.mean_se},
        "mean_square_error": equivariance.mean_square_error(array),
        "rms_error": equivariance.rms_error_relative_to_output(array),
        "norm": tensor.norm,
    }


def train(
    kind: str,
    rank: int | None,
    name: str | None,
    channels: int,
    protocol: dict[str, Any],
    rotated: int,
    rotations: int,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Train and test one network; a checkpoint in the user's cache lets it go on where it was stopped.

    The result has the validation and test errors of the best validation, the test error of `x + T v` (`straight_mse`),
    and the rotation errors of the last weights in double precision.

    Args:
        kind: Kind of product, with `rank` and `name` as in `Product`.
        rank: Its number of terms.
        name: The stored solution.
        channels: Channels of the network.
        protocol: A `Protocol`.
        rotated: Test trajectories that are turned.
        rotations: Rotations of each.
        seed: Of initial weights and batches.
        device: `cpu`, `cuda` or `cuda:1`.
    """
    plan = Protocol(**protocol)
    what = {"kind": kind, "rank": rank, "name": name, **protocol, "seed": seed}
    with single_thread():
        model = Propagator(layer(Product(kind, rank, name), channels)[0], channels, seed).to(device)
        sizes = {"train": plan.train, "validation": plan.validation, "test": plan.test}
        data = {split: _tensors(_data(split, count), torch.float32, device) for split, count in sizes.items()}
        state = State(model, None, torch.optim.Adam(model.parameters()), torch.zeros(2, 1))
        # the source is part of the name: a changed experiment starts again
        key = sha256(f"{what}{channels}{device}{sha256(Path(__file__).read_bytes())}".encode())[:24]
        file = user_cache_path("tdn-theory") / "TAB8" / f"{key}.safetensors"
        if file.exists():
            state.restore(file, what)
        while state.epoch < plan.epochs:
            _epoch(state, data["train"], plan, seed)
            if state.epoch % plan.every == 0 or state.epoch == plan.epochs:
                errors = {split: _errors(model, data[split]) for split in ("validation", "test")}
                state.history.append({"epoch": state.epoch, **{k: float(e.mean()) for k, e in errors.items()}})
                if state.epoch < plan.epochs:
                    state.save(file, what)
        best = min(state.history, key=lambda row: row["validation"])
        x, v, _, wanted = data["test"]
        straight = float((x + TIME * v - wanted).square().mean())
        turned = [part[:rotated] for part in _tensors(_data("test", plan.test), torch.float64, device)]
        symmetry = _rotation(model.double(), turned, rotations, seed)
        file.unlink(missing_ok=True)
    return {
        **what,
        "device": device,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epoch": best["epoch"],
        "validation_mse": best["validation"],
        "test_mse": best["test"],
        "straight_mse": straight,
        **symmetry,
        "history": state.history[:: max(1, len(state.history) // 50)],
    }


@lru_cache
def _data(split: str, count: int) -> NBody:
    return nbody(split, count)


def _tensors(data: NBody, dtype: torch.dtype, device: str) -> list[Tensor]:
    parts = (data.positions, data.velocities, data.charges, data.targets)
    return [torch.tensor(part, dtype=dtype, device=device) for part in parts]


def _epoch(state: State[Propagator], data: list[Tensor], plan: Protocol, seed: int) -> None:
    """One pass through the training data."""
    batches = batch_indices(plan.train, plan.batch, seed, state.epoch)
    for step, batch in enumerate(batches):
        done = (state.epoch + step / len(batches)) / plan.epochs
        factor = min(1.0, 20 * done + 1 / len(batches)) * (1 + cos(pi * done)) / 2
        set_learning_rate(state.optimizer, factor * plan.learning_rate)
        x, v, q, wanted = (part[torch.as_tensor(batch, device=part.device)] for part in data)
        state.optimizer.zero_grad()
        (state.model(x, v, q) - wanted).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
        state.optimizer.step()
    state.epoch += 1


@torch.no_grad()
def _errors(model: Propagator, data: list[Tensor]) -> Float[Tensor, " n"]:
    """Mean square errors of the trajectories."""
    parts = zip(*(part.split(100) for part in data), strict=True)
    return torch.cat([(model(x, v, q) - wanted).square().mean((1, 2)) for x, v, q, wanted in parts]).double()


@torch.no_grad()
def _rotation(model: Propagator, data: list[Tensor], rotations: int, seed: int) -> dict[str, float]:
    """How far predictions are from turning with the particles, and what that costs.

    With `e = f(R x) - R f(x)`: the root of `E e^2 / E f^2`, f being what the network adds to `x + T v`; and `E e^2 / 2`
    per coordinate, the part of the mean square error over all orientations that is due to imperfect symmetry
    (`symmetry_error`).
    """
    x, v, q, _ = data
    turns = torch.tensor(haar_rotations(rotations, np.random.default_rng(seed)), device=x.device)
    added = model(x, v, q) - x - TIME * v
    squares = []
    for turn in turns:
        moved, fast = x @ turn.T, v @ turn.T
        squares.append((model(moved, fast, q) - moved - TIME * fast - added @ turn.T).square().mean())
    error = float(torch.stack(squares).mean())
    return {"rotation_error": (error / float(added.square().mean())) ** 0.5, "asymmetric_mse": error / 2}


STUDY = Study(
    "TAB8",
    "Accuracy and equivariance on the n-body system against the rank of the product, beside the paper's table",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
