"""Graphs: neighbours against their definition, batches against single graphs."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy.spatial import cKDTree

from tdn_theory.data.graph import Graph, batch_indices, batches, build_graph, collate, neighbours
from tdn_theory.data.structure import Structure
from tdn_theory.testing import strategies as own
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.data.reference import assert_neighbours, catalyst

EVERYWHERE = np.array([True] * 3)
CUTOFFS = st.sampled_from([0.5, 1.5, 3.0])


@settings(max_examples=50)
@given(own.structures(), CUTOFFS)
def test_neighbours_are_those_of_the_definition(structure: Structure, cutoff: float):
    assert_neighbours(neighbours, structure, cutoff)


def test_one_atom_sees_its_images():
    simple_cubic = Structure(np.array([1]), np.zeros((1, 3)), np.eye(3), EVERYWHERE)
    graph = build_graph(simple_cubic, 1.2, torch.float64)
    assert len(graph.source) == 6
    assert sorted(map(tuple, graph.vectors.tolist())) == sorted(
        map(tuple, np.concatenate([np.eye(3), -np.eye(3)]).tolist())
    )


def test_a_large_box_against_a_tree():
    """Large boxes take another algorithm than small ones."""
    rng = np.random.default_rng(0)
    box = np.array([14.0, 16.0, 18.0])
    positions = rng.random((400, 3)) * box
    structure = Structure(np.ones(400, int), positions + box * rng.integers(-2, 3, (400, 3)), np.diag(box), EVERYWHERE)
    target, source, offsets = neighbours(structure, 4.0)
    wanted = cKDTree(positions, boxsize=box).query_pairs(4.0, output_type="ndarray")
    assert sorted(zip(target.tolist(), source.tolist(), strict=True)) == sorted(
        map(tuple, np.concatenate([wanted, wanted[:, ::-1]]).tolist())
    )
    vectors = structure.positions[source] + offsets * box - structure.positions[target]
    assert np.linalg.norm(vectors, axis=1).max() < 4.0


def test_a_slab_that_floats_far_away_is_the_same_slab():
    cell = np.array([[2.0, 0, 0], [0.5, 2.0, 0], [0, 0, 1.0]])
    positions = np.array([[0.0, 0, 0], [1.0, 1.0, 1.5]])
    pbc = np.array([True, True, False])
    here, there = (Structure(np.array([1, 1]), positions + z, cell, pbc) for z in (0.0, np.array([0, 0, 1000.0])))
    for ours, theirs in zip(neighbours(here, 2.5), neighbours(there, 2.5), strict=True):
        assert np.array_equal(ours, theirs)


@given(own.structures(), CUTOFFS)
def test_edge_vectors_point_from_target_to_source_and_back(structure: Structure, cutoff: float):
    graph = build_graph(structure, cutoff, torch.float64)
    lengths = torch.linalg.vector_norm(graph.vectors, dim=1)
    assert bool((lengths < cutoff).all())
    assert bool((graph.target.diff() >= 0).all())
    rows = torch.column_stack((graph.target, graph.source, graph.offsets)).tolist()
    assert {tuple(row) for row in rows} == {(j, i, -a or 0.0, -b or 0.0, -c or 0.0) for i, j, a, b, c in rows}
    cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
    source, target = graph.source.numpy(), graph.target.numpy()
    wanted = structure.positions[source] + graph.offsets.numpy() @ cell - structure.positions[target]
    assert_close(graph.vectors, wanted, 1e-13 * (1 + np.abs(structure.positions).max()), "vectors")


def test_a_box_that_is_only_drawn_is_no_cell():
    structure = Structure(np.array([1, 1]), np.eye(2, 3), 5 * np.eye(3), np.zeros(3, dtype=bool))
    assert not build_graph(structure, 2.0).cell.any()


def test_labels_that_nothing_can_predict_are_left_out():
    """A dipole in a cell depends on the choice of images; without a volume there is no stress."""
    labels = {"energy": 1.0, "stress": np.eye(3), "dipole": np.ones(3)}
    plain = {"numbers": np.array([1]), "positions": np.zeros((1, 3)), **labels}
    slab = {"cell": np.diag([3.0, 3.0, 0.0]), "pbc": np.array([True, True, False])}
    cases = [
        (Structure(**plain), {"energy", "dipole"}),
        (Structure(**plain, cell=np.eye(3)), {"energy", "dipole"}),
        (Structure(**plain, cell=np.eye(3), pbc=EVERYWHERE), {"energy", "stress"}),
        (Structure(**plain, **slab), {"energy"}),
    ]
    graphs = [build_graph(structure, 1.0) for structure, _ in cases]
    assert [graph.labels.keys() for graph in graphs] == [wanted for _, wanted in cases]
    known = ~torch.isnan(collate(graphs).labels["dipole"])
    assert known.all(1).tolist() == [True, True, False, False]


def test_nobody_is_asked_for_forces_on_fixed_atoms():
    structure = catalyst()
    forces = collate([build_graph(structure, 3.0, torch.float64)] * 2).labels["forces"]
    known = ~np.concatenate([structure.fixed] * 2)
    assert torch.isnan(forces).all(1).tolist() == (~known).tolist()
    assert_close(forces[torch.tensor(known)], np.tile(structure.forces, (2, 1))[known], 0.0, "forces on free atoms")


def test_vectors_are_differentiable_in_positions_and_cell():
    structure = Structure(np.array([1, 8]), np.array([[0.0, 0, 0], [0.4, 0.5, 0.6]]), np.eye(3), EVERYWHERE)
    graph = build_graph(structure, 1.1, torch.float64)
    assert torch.autograd.gradcheck(
        lambda positions, cell: (
            Graph(graph.numbers, positions, graph.batch, 1, graph.source, graph.target, graph.offsets, cell).vectors
        ),
        (graph.positions.clone().requires_grad_(), graph.cell.clone().requires_grad_()),
    )


@settings(max_examples=25)
@given(st.lists(own.structures(), min_size=1, max_size=4))
def test_a_batch_is_its_graphs_side_by_side(members: list[Structure]):
    graphs = [build_graph(structure, 2.0, torch.float32) for structure in members]
    batch = collate(graphs)
    assert batch.count == len(members)
    assert bool((batch.batch.diff() >= 0).all())
    assert bool((batch.target.diff() >= 0).all())
    assert_close(batch.vectors, torch.cat([graph.vectors for graph in graphs]), 0.0, "vectors of collate(graphs)")
    assert torch.equal(batch.batch[batch.source], batch.batch[batch.target])
    for number, graph in enumerate(graphs):
        nodes = batch.batch == number
        assert torch.equal(batch.numbers[nodes], graph.numbers)
        for name, label in batch.labels.items():
            rows = label[nodes] if name == "forces" else label[number : number + 1]
            if name in graph.labels:
                assert_close(rows, graph.labels[name], 0.0, name)
            else:
                assert bool(rows.isnan().all())
    assert set(batch.labels) == {name for graph in graphs for name in graph.labels}
    twice = collate([batch, batch])
    assert twice.count == 2 * batch.count
    assert_close(twice.vectors, torch.cat([batch.vectors] * 2), 0.0, "vectors of collate([batch, batch])")


def test_types_of_numbers():
    structure = Structure(np.array([1]), np.ones((1, 3)), energy=-4000.123456789, forces=np.ones((1, 3)))
    graph = build_graph(structure, 1.0)
    assert (graph.positions.dtype, graph.labels["forces"].dtype) == (torch.float32, torch.float32)
    assert graph.labels["energy"].item() == -4000.123456789
    double = graph.to(dtype=torch.float64)
    assert double.positions.dtype == double.cell.dtype == double.offsets.dtype == torch.float64
    assert double.numbers.dtype == torch.int64
    assert double.to(dtype=torch.float32).labels["energy"].dtype == torch.float64
    assert graph.to("cpu").positions.dtype == torch.float32


@pytest.mark.parametrize(
    ("cutoff", "positions", "fragments"),
    [
        (0.0, [[0, 0, 0], [0, 0, 1]], ("cutoff is 0.0", "positive")),
        (np.inf, [[0, 0, 0], [0, 0, 1]], ("cutoff is inf",)),
        (1.0, [[0, 0, 0], [0, 0, 0]], ("atoms 0 and 1", "same place")),
    ],
)
def test_bad_graphs_are_refused(cutoff: float, positions: list[list[float]], fragments: tuple[str, ...]):
    with refuses(ValueError, *fragments):
        build_graph(Structure(np.array([1, 1]), np.array(positions, float)), cutoff)


def test_nothing_cannot_be_collated():
    with refuses(ValueError, "at least one"):
        collate([])


@given(st.integers(0, 40), st.integers(1, 7), st.integers(1, 4), own.seeds(), st.integers(0, 3))
def test_training_batches(count: int, size: int, ranks: int, seed: int, epoch: int):
    shares = [batch_indices(count, size, seed, epoch, rank, ranks) for rank in range(ranks)]
    assert len({tuple(map(len, share)) for share in shares}) == 1  # else gradients would wait for each other for ever
    drawn = np.concatenate([np.empty(0, int), *(batch for share in shares for batch in share)])
    times = np.bincount(drawn.astype(int), minlength=count)
    assert times.sum() == -(-count // ranks) * ranks
    assert count == 0 or times.min() >= 1
    again = batch_indices(count, size, seed, epoch, 0, ranks)
    assert all(np.array_equal(a, b) for a, b in zip(again, shares[0], strict=True))


@given(st.integers(0, 40), st.integers(1, 7), st.integers(1, 4))
def test_evaluation_batches_have_everything_once(count: int, size: int, ranks: int):
    shares = [batch_indices(count, size, rank=rank, ranks=ranks) for rank in range(ranks)]
    drawn = [int(number) for share in shares for batch in share for number in batch]
    assert sorted(drawn) == list(range(count))
    assert all(batch.tolist() == sorted(batch.tolist()) for share in shares for batch in share)


def test_epochs_differ():
    first, second = (np.concatenate(batch_indices(50, 10, 0, epoch)) for epoch in (0, 1))
    assert not np.array_equal(first, second)


def test_bad_batches_are_refused():
    for arguments in ({"size": 0}, {"size": 1, "rank": 2, "ranks": 2}, {"size": 1, "rank": -1}):
        with refuses(ValueError, "size", "ranks - 1"):
            batch_indices(3, **arguments)


def test_batches_of_a_stream():
    graph = build_graph(Structure(np.array([1]), np.zeros((1, 3))), 1.0)
    assert [batch.count for batch in batches((graph for _ in range(5)), 2)] == [2, 2, 1]
