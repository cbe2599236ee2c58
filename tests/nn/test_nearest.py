"""A limit of neighbours: who is kept, and what a strict limit and a tolerant one do to symmetry and continuity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.rotation import turn
from tdn_theory.data.structure import Structure
from tdn_theory.nn.nearest import TOLERANCE, nearest
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.so3.rotation import haar_rotations

LIMIT = 8
CONFIG = PotentialConfig((29, 79), channels=8, layers=1, heads=2, basis_size=6, cutoff=4.5, forces="direct")


def cluster(seed: int, count: int = 14) -> Structure:
    rng = np.random.default_rng(seed)
    return Structure(rng.choice([29, 79], count), rng.uniform(0, 6, (count, 3)))


def crystal() -> Structure:
    """Copper: shells of 12, 6 and 24 neighbours within 4.5 A."""
    atoms = bulk("Cu", cubic=True)
    return Structure(atoms.numbers, atoms.positions, np.array(atoms.cell), np.array(atoms.pbc))


def by_definition(graph: Graph, limit: int) -> list[tuple]:
    """Edges (target, source, shift) that are no longer than the one after the limit, and the tolerance."""
    lengths = np.linalg.norm(graph.vectors.numpy(), axis=1)
    found = []
    for e, target in enumerate(graph.target.tolist()):
        own = sorted(lengths[graph.target.numpy() == target])
        if len(own) <= limit or lengths[e] <= own[limit] + TOLERANCE:
            found.append((target, graph.source[e].item(), *graph.offsets[e].tolist()))
    return found


def strict(graph: Graph, limit: int) -> Graph:
    """Exactly the `limit` nearest of each target; of equal distances those that come first."""
    lengths = graph.vectors.norm(dim=1)
    kept = torch.zeros(len(lengths), dtype=torch.bool)
    for target in range(len(graph.numbers)):
        own = torch.nonzero(graph.target == target).squeeze(1)
        kept[own[torch.argsort(lengths[own])[:limit]]] = True
    return replace(graph, source=graph.source[kept], target=graph.target[kept], offsets=graph.offsets[kept])


@pytest.mark.parametrize("limit", [1, 4, 8, 30])
def test_the_nearest_are_kept(limit: int):
    graph = collate([build_graph(s, 4.5, torch.float64) for s in (cluster(0), crystal(), cluster(1, 1), cluster(2))])
    found = nearest(graph, limit)
    edges = zip(found.target.tolist(), found.source.tolist(), found.offsets.tolist(), strict=True)
    assert [(t, s, *shift) for t, s, shift in edges] == by_definition(graph, limit)
    assert len(found.target) < len(graph.target) or limit == 30


def test_no_edge_at_all():
    graph = build_graph(cluster(0, 1), 4.5, torch.float64)
    assert len(nearest(graph, 1).target) == 0


def spread(limit, graph: Graph, model: Potential) -> float:
    """Largest change of the energy per atom when the crystal is turned."""
    rotations = torch.tensor(haar_rotations(12, np.random.default_rng(0)))
    with torch.no_grad():
        energies = torch.stack([model(limit(turn(graph, r[None])))["energy"][0] for r in rotations])
    return float(energies.max() - energies.min()) / len(graph.numbers)


def test_whole_shells_keep_the_energy_invariant_where_a_strict_limit_does_not():
    model = Potential(CONFIG).double().eval()
    graph = build_graph(crystal(), 4.5, torch.float64)
    assert nearest(graph, LIMIT).target.bincount().tolist() == [12] * 4
    # the product of the default configuration is exactly equivariant: what is left is roundoff
    assert spread(lambda g: nearest(g, LIMIT), graph, model) < 1e-12
    assert spread(lambda g: strict(g, LIMIT), graph, model) > 1e-6


def test_no_limit_makes_energies_continuous_but_the_cutoff_does():
    model = Potential(CONFIG).double().eval()
    limited = Potential(replace(CONFIG, neighbor_limit=2)).double().eval()
    # atom 3 moves away from atom 0 and passes the distance, 3 + TOLERANCE, at which it is no neighbour any more
    numbers = np.array([29, 29, 79, 79, 29])
    place = np.array([[0, 0, 0], [2.5, 0, 0], [0, 2.6, 0], [0, 0, 3.0], [-3.0, 0, 0]])

    def energy(potential: Potential, far: float) -> float:
        moved = place + far * np.eye(5)[:, 3:4] * np.array([0, 0, 1.0])
        with torch.no_grad():
            return float(potential(build_graph(Structure(numbers, moved), 4.5, torch.float64))["energy"])

    step = 1e-9
    jumps = [
        abs(energy(m, where + step) - energy(m, where - step))
        for m, where in ((model, TOLERANCE), (limited, TOLERANCE), (model, 1.5), (limited, 1.5))
    ]
    # a slope of 10 eV/A, which no energy of this model has, changes it by 2e-8 over two steps
    assert jumps[0] < 2e-8
    assert jumps[1] > 1e-5
    assert jumps[2] < 2e-8
    assert jumps[3] < 2e-8


def test_a_limit_that_nothing_reaches_changes_nothing(tmp_path):
    limited = Potential(replace(CONFIG, neighbor_limit=100)).double().eval()
    graph = build_graph(cluster(3), 4.5, torch.float64)
    with torch.no_grad():
        found, wanted = limited(graph), Potential(CONFIG).double().eval()(graph)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    limited.save(tmp_path / "a.safetensors")
    assert Potential.load(tmp_path / "a.safetensors").config.neighbor_limit == 100
