"""Turning structures, labels and features, against the definitions, structure by structure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.rotation import turn, turn_back, turn_features, turn_label
from tdn_theory.data.structure import Structure
from tdn_theory.so3.rotation import wigner_D
from tdn_theory.testing.assertions import EPS, assert_close

COUNT = 3
ROTATIONS = torch.tensor(Rotation.random(COUNT, rng=np.random.default_rng(0)).as_matrix())
SHAPES = {"energy": (COUNT,), "forces": (9, 3), "dipole": (COUNT, 3), "polarizability": (COUNT, 3, 3)}
ROUNDOFF = 100 * EPS
"""For sums of at most nine products of numbers of order one, and rotations that are orthogonal to a few eps."""


def structures() -> list[Structure]:
    """Crystals of two, three and four atoms, in cells of 3 to 5 Angstrom."""
    rng = np.random.default_rng(1)
    everywhere = np.array([True] * 3)
    return [
        Structure(np.full(n, 6), rng.normal(size=(n, 3)), 4 * np.eye(3) + 0.3 * rng.normal(size=(3, 3)), everywhere)
        for n in (2, 3, 4)
    ]


def batch(parts: list[Structure]) -> Graph:
    return collate([build_graph(structure, 3.0, torch.float64) for structure in parts])


def values(name: str) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(2).normal(size=SHAPES[name]))


def test_turned_structures() -> None:
    """The graph of structures that were turned themselves: the same edges, turned."""
    parts = structures()
    found = turn(batch(parts), ROTATIONS)
    turned = [
        Structure(s.numbers, s.positions @ R.T, s.cell @ R.T, s.pbc)
        for s, R in zip(parts, ROTATIONS.numpy(), strict=True)
    ]
    wanted = batch(turned)
    assert_close(found.positions, wanted.positions, ROUNDOFF, "turn(graph, R).positions")
    assert_close(found.cell, wanted.cell, ROUNDOFF, "turn(graph, R).cell")
    assert_close(found.vectors.norm(dim=1), batch(parts).vectors.norm(dim=1), ROUNDOFF, "lengths of edges")


@pytest.mark.parametrize("name", SHAPES)
def test_labels(name: str) -> None:
    """`R v` and `R A R^T`, one after the other; back again is what was there."""
    graph, given = batch(structures()), values(name)
    found = turn_label(name, given, ROTATIONS, graph)
    owners = graph.batch if name == "forces" else torch.arange(COUNT)
    for place, owner in enumerate(owners):
        R, value = ROTATIONS[owner].numpy(), given[place].numpy()
        wanted = {0: lambda: value, 1: lambda: R @ value, 2: lambda: R @ value @ R.T}[value.ndim]()  # noqa: B023
        assert_close(found[place], wanted, ROUNDOFF, f"turn_label({name!r})[{place}]")
    assert_close(turn_back(name, found, ROTATIONS, graph), given, ROUNDOFF, f"turn_back({name!r}, turn_label)")
    if given.ndim > 1:
        assert float((turn_label(name, found, ROTATIONS, graph) - given).abs().max()) > 0.1


def test_features() -> None:
    """`D(R) h` in every channel."""
    graph = batch(structures())
    given = torch.tensor(np.random.default_rng(3).normal(size=(9, 9, 2)))
    found = turn_features(given, ROTATIONS, graph)
    for atom, owner in enumerate(graph.batch):
        wanted = wigner_D(2, ROTATIONS[owner].numpy()) @ given[atom].numpy()
        assert_close(found[atom], wanted, ROUNDOFF, f"turn_features(...)[{atom}]")


def test_rotations_can_be_differentiated() -> None:
    rotations = ROTATIONS.clone().requires_grad_()
    graph = batch(structures())
    (gradient,) = torch.autograd.grad(turn(graph, rotations).positions[:, 0].sum(), rotations)
    wanted = torch.zeros_like(gradient)
    wanted[:, 0] = torch.zeros(COUNT, 3, dtype=torch.float64).index_add(0, graph.batch, graph.positions)
    assert_close(gradient, wanted, ROUNDOFF, "derivative of the first coordinates")
