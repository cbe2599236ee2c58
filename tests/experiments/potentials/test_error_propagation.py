"""Errors through layers: exact networks have none at any depth; bounds bound; the reach of a network is what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tdn_theory import checkout
from tdn_theory.data.graph import build_graph
from tdn_theory.evidence import Training
from tdn_theory.experiments.potentials import error_propagation as module
from tdn_theory.jobs import Jobs
from tdn_theory.nn.layers import SHARP_EPS, LayerNorm
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.preset import Preset
from tdn_theory.testing.assertions import assert_close

TINY = PotentialConfig((1, 6, 7, 8), lmax=2, channels=4, layers=2, heads=2, cutoff=4.5, basis_size=4, forces="direct")


@pytest.fixture(autouse=True)
def two_molecules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOLECULES", ("OC=O", "CC=O"))


def potential(**changes) -> Potential:
    return Potential(replace(TINY, **changes)).double().eval()


def test_exact_products_make_no_error_at_any_depth() -> None:
    """And approximate ones do, or the measurement sees nothing."""
    network = {**module.TINY, "lmax": 2, "method": "exact", "rank": None}
    found = module.against_depth(network, 8, rotations=1, seed=0, device="cpu")
    assert [row["depth"] for row in found["rows"]] == list(range(1, 9))
    for row in found["rows"]:
        for name in module.QUANTITIES:
            assert row[name] <= 1e-10
    approximate = module.rotation_errors(potential(method="cp", rank=20), module.molecules(), 2, 0)
    assert all(1e-3 < approximate[name] < 3 for name in module.QUANTITIES)


def test_conservative_forces_are_those_of_the_potential() -> None:
    graph = module.molecules()
    model = potential(forces="conservative")
    for part in model.modules():
        if isinstance(part, LayerNorm):
            part.eps = SHARP_EPS  # as with direct forces
    direct = potential(forces="direct")
    direct.load_state_dict(model.state_dict(), strict=False)
    found = module.observe(direct, graph)
    assert_close(found.conservative, model(graph)["forces"].detach(), 1e-12, "observe(model, graph).conservative")
    assert len(found.blocks) == TINY.layers
    assert_close(found.blocks[1].arguments[0], found.blocks[0].output, 0.0, "what the second block got")
    with torch.no_grad():
        again = found.blocks[1](found.blocks[1].arguments[0])
    assert_close(again, found.blocks[1].output, 0.0, "the second block, called again")


def test_spectral_norms_are_those_of_the_jacobian() -> None:
    """Against the singular values of the whole matrix, molecule by molecule; power iteration comes from below."""
    graph = module.molecules()
    (block, _) = module.observe(potential(lmax=1, channels=2, method="cp", rank=6), graph).blocks
    place = block.arguments[0]
    found = module.spectral_norm(block, place, graph, 60, 0)
    jacobian = torch.autograd.functional.jacobian(block, place)
    for number in range(graph.count):
        own = graph.batch == number
        size = int(own.sum()) * place.shape[1] * place.shape[2]
        wanted = torch.linalg.matrix_norm(jacobian[own][:, :, :, own].reshape(size, size), 2)
        assert_close(found[number], wanted, 2e-2 * float(wanted), f"spectral_norm, molecule {number}")
        assert float(found[number]) <= float(wanted) * (1 + 1e-6)  # differences are right to 1e-9
        early = module.spectral_norm(block, place, graph, 1, 0)[number]
        assert float(early) < 0.99 * float(wanted)


def test_the_bound_follows_from_its_parts() -> None:
    found = module.layer_errors(potential(method="cp", rank=20), module.molecules(), 10, 0)
    first, *rows = found["rows"]
    assert first["error"] == first["bound"] > 0
    assert all(row["error"] <= row["bound"] and row["gain"] <= row["lipschitz"] and row["own"] > 0 for row in rows)
    assert found["energy"]["error"] <= found["energy"]["bound"]
    exact = module.layer_errors(potential(), module.molecules(), 1, 0)
    assert all(row[name] <= 1e-10 for row in exact["rows"] for name in ("error", "own") if name in row)


@pytest.mark.parametrize("hops", [1, 2, 4])
def test_chains(hops: int) -> None:
    """The oxygen atoms are `hops` edges apart, and nothing else is nearer; the four differ in the waters only."""
    structures = module.chain(hops, np.random.default_rng(0))
    graph = build_graph(structures[0], 4.5)
    near = {0}
    edges = set(zip(graph.source.tolist(), graph.target.tolist(), strict=True))
    for step in range(1, hops + 1):
        assert 3 not in near
        near |= {t for s, t in edges if s in near and not {s, t} & {1, 2, 4, 5}}
        assert (3 in near) == (step == hops)
    rigid = [0, 3, *range(6, hops + 5)]
    for structure in structures:
        positions = structure.positions
        assert_close(positions[rigid], structures[0].positions[rigid], 1e-12, "atoms that do not move")
        bonds = [np.linalg.norm(positions[o + h] - positions[o]) for o in (0, 3) for h in (1, 2)]
        assert_close(bonds, [np.linalg.norm(module.WATER[1])] * 4, 1e-12, "O-H distances")
    moved = [np.abs(s.positions - structures[0].positions).max(1) > 1e-3 for s in structures]
    assert [(m[1:3].all(), m[4:6].all()) for m in moved] == [(False, False), (True, False), (False, True), (True, True)]


def test_molecules_interact_as_far_as_layers_reach() -> None:
    """An atom between both sees each through embedding and layers: with T layers up to 2 (T + 1) edges in all."""
    rows = module.long_range(potential(layers=1), 6, 2, 1, 0)
    scale = rows[0]["interaction"]
    assert all(row["interaction"] > 1e-9 * scale for row in rows[:4])
    assert all(row["interaction"] < 1e-12 for row in rows[4:])
    assert all(row["interaction_error"] < 1e-12 for row in rows)
    approximate = module.long_range(potential(method="cp", rank=20), 2, 2, 2, 0)
    assert all(row["interaction_error"] > 1e-3 * row["interaction"] for row in approximate)


def test_record_and_figure(tmp_path: Path) -> None:
    record = json.loads(json.dumps(module.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    values, depth = record["values"], record["values"]["depth"]
    assert [(row["L"], row["rank"]) for row in values["untrained"]] == [(1, 7), (1, None), (2, 28), (2, None)]
    for row in values["untrained"]:
        assert (row["largest"] <= 1e-10) == (row["rank"] is None)
        assert [len(row["errors"][name]) for name in module.QUANTITIES] == [depth] * 4
    assert [(row["rank"], row["when"]) for row in values["layers"]] == [
        (28, "before"), (28, "after"), (None, "before"), (None, "after")
    ]  # fmt: skip
    for row in values["layers"]:
        assert [entry["hops"] for entry in row["long_range"]] == [1, 2]
        assert len(row["layers"]) == depth + 1
        distances = [entry["distance"] for entry in row["long_range"]]
        assert all(second - first == module.SPACING for first, second in pairwise(distances))
    assert values["layers"][0]["errors"] != values["layers"][1]["errors"]
    assert Training.of(values["trainings"]) == Training(seeds=1, fall=None, unseen=True)
    checkout.load("figures", "error_propagation").plot(record)
