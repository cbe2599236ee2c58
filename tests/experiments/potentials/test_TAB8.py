"""The n-body network and its training: equivariance, resumption, what the record says; not how accurate it gets."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch

from tdn_theory import checkout
from tdn_theory.data.nbody import NBody, nbody
from tdn_theory.experiments.potentials import TAB8
from tdn_theory.jobs import Jobs
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.testing.assertions import assert_close

DATA = cache(lambda: nbody("train", 12))
"""Of every part: the random stream of the others is long."""

CHANNELS = 8
SIZE = TAB8.Size(
    TAB8.Protocol(train=12, validation=4, test=6, epochs=2, batch=5, learning_rate=1e-3, every=1),
    seeds=2,
    channels=CHANNELS,
    rotated=4,
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few trajectories, and checkpoints in a folder of their own."""

    def first(split: str, count: int) -> NBody:
        data = DATA()
        return NBody(data.positions[:count], data.velocities[:count], data.charges[:count], data.targets[:count])

    monkeypatch.setattr(TAB8, "_data", first)
    monkeypatch.setattr(TAB8, "user_cache_path", lambda name: tmp_path / "cache")


def trained(kind: str, rank: int | None) -> TAB8.Propagator:
    """In double precision, its last layer not zero any more."""
    (product,) = (p for p in TAB8.products() if (p.kind, p.rank) == (kind, rank))
    model = TAB8.Propagator(TAB8.layer(product, CHANNELS)[0], CHANNELS, 0)
    torch.nn.init.normal_(model.out.out.weight, generator=torch.Generator().manual_seed(0))
    return model.double()


def tensors() -> list[torch.Tensor]:
    return [torch.tensor(part[:6]) for part in (DATA().positions, DATA().velocities, DATA().charges)]


def test_a_new_network_goes_straight_on() -> None:
    (*_, product) = TAB8.products()
    model, (x, v, q) = TAB8.Propagator(TAB8.layer(product, CHANNELS)[0], CHANNELS, 0).double(), tensors()
    assert_close(model(x, v, q).detach(), x + v, 0.0, "Propagator(x, v, q)")


@pytest.mark.parametrize(("kind", "rank"), [("exact", None), ("cp", 30), ("atlas", 23), ("atlas, even paths", 17)])
def test_symmetries(kind: str, rank: int | None) -> None:
    """Rotation, translation and exchange of particles, to roundoff: 1e-12 of positions of order ten."""
    model, (x, v, q) = trained(kind, rank), tensors()
    turn = torch.tensor(haar_rotations(1, np.random.default_rng(0))[0])
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        found = model(x, v, q)
        assert float((found - x - v).abs().max()) > 1e-2
        assert_close(model(x @ turn.T, v @ turn.T, q), found @ turn.T, 1e-11, "Propagator(R x, R v, q)")
        assert_close(model(x + 1, v, q), found + 1, 1e-11, "Propagator(x + 1, v, q)")
        assert_close(model(x[:, order], v[:, order], q[:, order]), found[:, order], 1e-11, "Propagator(P x, P v, P q)")


def test_a_product_of_low_rank_breaks_them() -> None:
    model, (x, v, q) = trained("cp", 10), tensors()
    turn = torch.tensor(haar_rotations(1, np.random.default_rng(0))[0])
    with torch.no_grad():
        assert float((model(x @ turn.T, v @ turn.T, q) - model(x, v, q) @ turn.T).abs().max()) > 1e-2


class Drift(torch.nn.Module):
    """Adds the same vector whatever the orientation: not equivariant."""

    shift = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)

    def forward(self, x: torch.Tensor, v: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return x + TAB8.TIME * v + self.shift


def test_the_rotation_error_of_a_drift(unchecked: None) -> None:
    """`E |c - R c|^2 / |c|^2` by hand; half of it, per coordinate, is lost to asymmetry."""
    data = [*tensors(), tensors()[0]]
    found = TAB8._rotation(Drift(), data, 4, 3)  # pyright: ignore[reportArgumentType]
    turns = torch.tensor(haar_rotations(4, np.random.default_rng(3)))
    change = float((Drift.shift - turns @ Drift.shift).square().sum(-1).mean())
    assert_close(found["rotation_error"], sqrt(change / 6), 1e-13, "rotation_error")
    assert_close(found["asymmetric_mse"], change / 3 / 2, 1e-13, "asymmetric_mse")


def test_a_stopped_training_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stopped after its first checkpoint, it ends with the same numbers, bit for bit, and leaves no checkpoint."""
    product = {"kind": "exact", "rank": None, "name": None, "channels": CHANNELS}
    job = {**product, "protocol": asdict(SIZE.protocol), "rotated": 4, "rotations": 4, "seed": 0, "device": "cpu"}
    whole = TAB8.train(**job)
    save = TAB8.State.save

    def stop(*arguments) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(TAB8.State, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        TAB8.train(**job)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    monkeypatch.setattr(TAB8.State, "save", save)
    monkeypatch.setattr(TAB8, "_epoch", counted := Counted(TAB8._epoch))
    assert TAB8.train(**job) == whole
    assert counted.calls == 1
    assert not list(tmp_path.rglob("*.safetensors"))


class Counted:
    """Counts the calls of a function."""

    def __init__(self, function) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *arguments) -> None:
        self.calls += 1
        self.function(*arguments)


def test_record_and_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(TAB8, "RANKS", (10, 28, 81))
    size = replace(SIZE, protocol=replace(SIZE.protocol, epochs=1))
    values = json.loads(json.dumps(TAB8.run(size, 0, Jobs(tmp_path)), allow_nan=False))
    rows = {(row["kind"], row["rank"]): row for row in values["rows"]}
    exact = [("cp", 81), ("atlas", 23), ("atlas, even paths", 17), ("exact", None)]
    assert list(rows) == [("cp", 10), ("cp", 28), *exact]
    for key, row in rows.items():
        assert row["trained_as"] == ("exact" if key == ("cp", 81) else key[0])
        assert row["test_mse"]["seeds"] == 2
        assert row["test_mse"]["standard_error"] > 0
        assert (row["rms_error"] < 1e-13) == (key in exact)
        # relative to the output of the product, whose norm differs from that of M by the approximation error at most
        scaled = row["rms_error"] * row["norm"]
        assert_close(scaled, sqrt(row["mean_square_error"]), row["frobenius_error"] * scaled + 1e-14, "rms_error")
    for key in (("cp", 10), ("cp", 28)):
        mean, error = rows[key]["paper_error"]["mean"], rows[key]["paper_error"]["standard_error"]
        assert mean <= sqrt(rows[key]["mean_square_error"]) + 4 * error  # Jensen
    assert rows["cp", 28]["rms_error"] < 0.1 * rows["cp", 10]["rms_error"]
    assert rows["cp", 81]["runs"] == rows["exact", None]["runs"]
    assert rows["exact", None]["ratio_to_exact"]["mean"] == 1.0
    checkout.load("figures", "TAB8").plot({"values": values})
