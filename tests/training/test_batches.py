"""Graphs are the same however many of them are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tdn_theory.data.graph import build_graph, collate
from tdn_theory.training import batches
from tdn_theory.training.batches import OBJECTS, Graphs
from tests.training.conftest import springs

ORDER = [np.array([3, 1, 4]), np.array([1, 5]), np.array([4, 3])]


@pytest.mark.parametrize("kept", [0, 2, 100])
def test_as_many_are_kept_as_fit(monkeypatch: pytest.MonkeyPatch, kept: int):
    structures = springs(7, size=3)[::2] * 2
    wanted = [build_graph(structure, 4.0) for structure in structures]
    built = []
    monkeypatch.setattr(batches, "build_graph", lambda *given: built.append(1) or build_graph(*given))
    monkeypatch.setattr(batches, "KEPT", kept * (max(graph.bytes for graph in wanted) + OBJECTS))
    graphs = Graphs(structures, 4.0, torch.float32)
    assert not built
    for batch, graph in zip(ORDER, graphs.batches(ORDER), strict=True):
        expected = collate([wanted[number] for number in batch])
        for name in ("numbers", "positions", "batch", "source", "target", "offsets", "cell"):
            assert torch.equal(getattr(graph, name), getattr(expected, name)), name
        assert all(torch.equal(graph.labels[name], expected.labels[name]) for name in expected.labels)
    assert len(built) == {0: 7, 2: 5, 100: 4}[kept]


def test_the_bytes_are_those_of_all_tensors():
    graph = build_graph(springs(1)[0], 4.0)
    tensors = [value for value in vars(graph).values() if isinstance(value, torch.Tensor)]
    tensors += graph.labels.values()
    assert graph.bytes == sum(tensor.numel() * tensor.element_size() for tensor in tensors)
