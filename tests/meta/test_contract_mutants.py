"""Tests of the physical contract: a right potential passes all of it, and each wrong one fails what is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tdn_theory.data.graph import Graph
from tdn_theory.nn import potential as module
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.testing import potential as contract
from tdn_theory.testing.potential import Model, PotentialContract

CONFIG = PotentialConfig(
    elements=(1, 6, 8), lmax=1, channels=8, layers=1, heads=2, cutoff=4.0, basis_size=8, outputs=("dipole",)
)


def make(config: PotentialConfig = CONFIG) -> Potential:
    """In float64, for evaluation, with a reference of its own; forces are of order 1, so that relative errors count."""
    potential = Potential(config).double().eval()
    potential.set_reference([-1.0, -0.7, -0.4], 7.0)
    return potential


RIGHT = make()

TESTS = [name for name in dir(PotentialContract) if name.startswith("test_") and name not in contract.NEEDS["parity"]]


def check(test: str, model: Model) -> None:
    """One test of the contract, for all of its parameters."""
    arguments = [(False,), (True,)] if test == "test_rotation" else [()]
    for more in arguments:
        getattr(PotentialContract(), test)(model, *more)


# Wrong potentials: Graph -> properties. Each is right but for one thing.


def with_energy(term: Callable[[Graph], torch.Tensor]) -> Model:
    """The right one, and a further energy (g,) whose forces are right."""

    def model(graph: Graph) -> dict[str, torch.Tensor]:
        found = RIGHT(graph)
        positions = graph.positions.clone().requires_grad_()
        energy = term(replace(graph, positions=positions))
        (gradient,) = torch.autograd.grad(energy.sum() + 0 * positions.sum(), positions)
        return found | {"energy": found["energy"] + energy.detach(), "forces": found["forces"] - gradient}

    return model


def with_output(change: Callable[[dict[str, torch.Tensor], Graph], dict[str, torch.Tensor]]) -> Model:
    """The right one, with some properties changed."""

    def model(graph: Graph) -> dict[str, torch.Tensor]:
        found = RIGHT(graph)
        return found | change(found, graph)

    return model


def with_edges(keep: Callable[[Graph], torch.Tensor]) -> Model:
    """The right one on a graph that lacks some edges."""

    def model(graph: Graph) -> dict[str, torch.Tensor]:
        kept = keep(graph)
        edges = {name: getattr(graph, name)[kept] for name in ("source", "target", "offsets")}
        return RIGHT(replace(graph, **edges))

    return model


def summed(values: torch.Tensor, graph: Graph) -> torch.Tensor:
    """Sum over the atoms of each graph."""
    return values.new_zeros(graph.count).index_add(0, graph.batch, values)


def places(graph: Graph) -> torch.Tensor:
    """Number of each atom in its own graph, from 0."""
    counts = torch.bincount(graph.batch, minlength=graph.count)
    return torch.arange(len(graph.numbers)) - (counts.cumsum(0) - counts)[graph.batch]


def repulsion(graph: Graph) -> torch.Tensor:
    """`sum 1/r` over all pairs of a graph, near or far, without images."""
    pairs = torch.triu(graph.batch[:, None] == graph.batch[None, :], 1).nonzero()
    distance = torch.linalg.vector_norm(graph.positions[pairs[:, 0]] - graph.positions[pairs[:, 1]], dim=1)
    return graph.positions.new_zeros(graph.count).index_add(0, graph.batch[pairs[:, 0]], 1 / distance)


def nothing(graph: Graph) -> float:
    """0, but NaN without edges: what a mean over no neighbours is."""
    return 0.0 if len(graph.source) else float("nan")


def stretched(graph: Graph) -> dict[str, torch.Tensor]:
    """Space is a little longer along z: conservative in all, and not isotropic."""
    metric = torch.tensor([1.0, 1.0, 1.001], dtype=torch.float64)
    found = RIGHT(replace(graph, positions=graph.positions * metric, cell=graph.cell * metric))
    return found | {"forces": found["forces"] * metric}


def direct(graph: Graph) -> dict[str, torch.Tensor]:
    """Direct forces that are said to be the gradient of the energy."""
    return RIGHT(graph) | {"forces": DIRECT(graph)["forces"]}


DIRECT = make(replace(CONFIG, forces="direct"))

WRONG: dict[str, tuple[Model, set[str]]] = {
    "constant": (
        with_output(lambda found, graph: {name: 0 * value for name, value in found.items()}),
        {"test_something_is_computed"},
    ),
    "forces of the wrong sign": (
        with_output(lambda found, graph: {"forces": -found["forces"]}),
        {"test_forces_are_minus_the_gradient", "test_dynamics_conserve_energy"},
    ),
    "forces too large by a hundred-thousandth": (
        with_output(lambda found, graph: {"forces": 1.00001 * found["forces"]}),
        {"test_forces_are_minus_the_gradient"},
    ),
    "direct forces": (
        direct,
        {"test_forces_are_minus_the_gradient", "test_forces_add_up_to_nothing"},
    ),
    "a field of force": (
        with_output(lambda found, graph: {"forces": found["forces"] + 1e-6}),
        {"test_forces_add_up_to_nothing"},
    ),
    "stress without the volume": (
        with_output(lambda found, graph: {"stress": found["stress"] * torch.linalg.det(graph.cell).view(-1, 1, 1)}),
        {"test_stress_is_the_strain_derivative"},
    ),
    "stress as pressure": (
        with_output(lambda found, graph: {"stress": -found["stress"]}),
        {"test_stress_is_the_strain_derivative"},
    ),
    "mean over the batch": (
        with_output(lambda found, graph: {"energy": 0.999 * found["energy"] + 0.001 * found["energy"].mean()}),
        {"test_batching"},
    ),
    "first graph of the batch": (
        with_output(lambda found, graph: {"stress": found["stress"] + 1e-6 * found["energy"][0] * graph.batch[-1]}),
        {"test_batching"},
    ),
    "order of the atoms": (
        with_energy(lambda graph: 1e-6 * summed((places(graph) * graph.numbers).double(), graph)),
        {"test_permutation"},
    ),
    "origin": (
        with_energy(lambda graph: 1e-6 * summed(graph.positions.square().sum(1), graph)),
        {"test_translation"},
    ),
    "space stretched": (stretched, {"test_rotation"}),
    "dipole with axes exchanged": (
        with_output(lambda found, graph: {"dipole": found["dipole"][:, [1, 2, 0]]}),
        {"test_rotation"},
    ),
    "stress with axes exchanged": (
        with_output(lambda found, graph: {"stress": found["stress"][:, [1, 2, 0]][:, :, [1, 2, 0]]}),
        {"test_rotation", "test_stress_is_the_strain_derivative"},
    ),
    "own images forgotten": (
        with_edges(lambda graph: graph.source != graph.target),
        {"test_periodic_images"},
    ),
    "images forgotten": (
        with_edges(lambda graph: ~graph.offsets.any(1)),
        {"test_periodic_images"},
    ),
    "images mirrored": (
        lambda graph: RIGHT(replace(graph, offsets=-graph.offsets)),
        {"test_periodic_images"},
    ),
    "energy of the cell, not of its atoms": (
        with_output(lambda found, graph: {"energy": found["energy"] + 1e-6}),
        {"test_periodic_images"},
    ),
    "beyond the cutoff": (
        with_energy(lambda graph: 1e-6 * repulsion(graph)),
        {"test_atoms_beyond_the_cutoff_do_not_interact"},
    ),
    "no energy without neighbours": (
        with_output(lambda found, graph: {"energy": found["energy"] + nothing(graph)}),
        {"test_atoms_beyond_the_cutoff_do_not_interact"},
    ),
    "no forces without neighbours": (
        with_output(lambda found, graph: {"forces": found["forces"] + nothing(graph)}),
        {"test_atoms_beyond_the_cutoff_do_not_interact"},
    ),
}


def test_the_right_one_passes():
    for test in TESTS:
        check(test, RIGHT)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_one_fails(name: str):
    model, tests = WRONG[name]
    for test in tests:
        with pytest.raises(AssertionError):
            check(test, model)


def test_every_test_catches_something():
    """Those of the cutoff below."""
    caught = set().union(*(tests for _, tests in WRONG.values())) | {"test_the_cutoff_is_smooth"}
    assert caught == set(TESTS)


@pytest.mark.parametrize(
    "envelope",
    [
        lambda distance, cutoff: torch.ones_like(distance),
        lambda distance, cutoff: 1 - distance / cutoff,
        lambda distance, cutoff: (1 + torch.cos(np.pi * distance / cutoff)) / 2,
        lambda distance, cutoff: (1 - distance / cutoff) ** 3,
    ],
    ids=["none", "linear", "cosine", "cubic"],
)
def test_envelopes_that_end_too_roughly(envelope: Callable, monkeypatch: pytest.MonkeyPatch):
    """They begin at orders 0 to 3 of the distance from the cutoff."""
    monkeypatch.setattr(module, "envelope", envelope)
    with pytest.raises(AssertionError, match=r"O\(h\^"):
        check("test_the_cutoff_is_smooth", RIGHT)


def test_turning_backwards_is_caught(monkeypatch: pytest.MonkeyPatch):
    """Were the contract to turn vectors by the inverse rotation, the right potential would fail it."""
    right = contract.rotated
    monkeypatch.setattr(contract, "rotated", lambda value, R, rank: right(value, R.T, rank))
    with pytest.raises(AssertionError, match="under rotations"):
        check("test_rotation", RIGHT)


def test_an_exact_potential_is_not_approximate():
    """A contract that says how much a potential errs is not kept by one that does not err."""

    class Approximate(PotentialContract):
        conservative = False
        equivariance = (1e-6, 0.5)

    with pytest.raises(AssertionError, match="under rotations"):
        Approximate().test_rotation(RIGHT, periodic=False)
