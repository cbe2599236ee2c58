"""The metrics of OC20 and OC22 against their definitions, structure by structure and atom by atom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tdn_theory.data.structure import Structure
from tdn_theory.testing.assertions import assert_close
from tdn_theory.training.batches import Graphs
from tdn_theory.training.catalyst_metrics import DISTANCES, UNITS, catalyst_metrics, distances_within_threshold
from tests.assertions import refuses
from tests.data.reference import catalyst


def structures() -> list[Structure]:
    """Six catalysts, one without an energy, one without forces, one without a free atom."""
    found = [replace(catalyst(k), group=f"system {k // 2}") for k in range(6)]
    found[1] = replace(found[1], energy=None)
    found[2] = replace(found[2], forces=None)
    found[3] = replace(found[3], fixed=np.ones(4, bool))
    return found


class Near(torch.nn.Module):
    """Predicts the labels with errors of its own, by the number of the structure in the set."""

    def __init__(self, structures: list[Structure], energies: list[float], size: float):
        super().__init__()
        rng = np.random.default_rng(1)
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.energies = [-1.25 + error for error in energies]
        self.forces = [catalyst(k).forces + size * rng.uniform(-1, 1, (4, 3)) for k in range(len(structures))]
        self.forces[5] = np.zeros((4, 3))
        self.place = 0

    def forward(self, graph):
        chosen = range(self.place, self.place + graph.count)
        self.place += graph.count
        energies = torch.tensor([self.energies[k] for k in chosen], dtype=torch.float64)
        return {"energy": energies, "forces": torch.tensor(np.concatenate([self.forces[k] for k in chosen]))}


def by_definition(structures: list[Structure], model: Near) -> dict[str, list[list[float]]]:
    """For each metric, the values of every structure that it is the mean of."""
    found: dict[str, list[list[float]]] = {name: [[] for _ in structures] for name in UNITS}
    for k, structure in enumerate(structures):
        good = False
        if structure.energy is not None:
            error = abs(model.energies[k] - structure.energy)
            good = error < 0.02
            found["system_energy_mae"][k].append(error)
            found["EwT"][k].append(100.0 if good else 0.0)
        if structure.forces is None:
            continue
        largest = []
        for atom in range(len(structure)):
            if structure.fixed[atom]:
                continue
            force, wanted = model.forces[k][atom], structure.forces[atom]
            largest.append(max(abs(force - wanted)))
            found["free_forces_mae"][k].append(sum(abs(force - wanted)) / 3)
            found["forces_magnitude"][k].append(abs(np.sqrt(sum(force**2)) - np.sqrt(sum(wanted**2))))
            if any(force):
                found["forces_cosine"][k].append(sum(force * wanted) / np.sqrt(sum(force**2) * sum(wanted**2)))
        if largest and structure.energy is not None:
            found["EFwT"][k].append(100.0 if good and max(largest) < 0.03 else 0.0)
    return found


@pytest.mark.parametrize("size", [0.029, 0.06])
@pytest.mark.parametrize("batch_size", [4, 6])
def test_they_are_what_their_definitions_say(size: float, batch_size: int):
    sets = structures()
    model = Near(sets, [0.019, 0.5, 0.021, -0.01, -0.019, 0.3], size)
    found = catalyst_metrics(model, Graphs(sets, 3.0, torch.float64), batch_size)
    assert set(found) == set(UNITS)
    for name, rows in by_definition(sets, model).items():
        values = [value for row in rows for value in row]
        assert_close(found[name].value, np.mean(values), 1e-12 * (1 + abs(np.mean(values))), name)
        assert (found[name].components, found[name].unit) == (len(values), UNITS[name])
        groups = [rows[k] + rows[k + 1] for k in (0, 2, 4) if rows[k] + rows[k + 1]]
        assert found[name].groups == len(groups)
        # linearised variance of a ratio of sums over groups
        n, s = np.array([len(g) for g in groups]), np.array([sum(g) for g in groups])
        squares = np.square(s - np.mean(values) * n).sum()
        wanted = np.sqrt(len(n) / (len(n) - 1) * squares) / n.sum()
        assert_close(found[name].standard_error, wanted, 1e-9 * (1 + wanted), f"error of {name}")
    assert found["EFwT"].value == pytest.approx(200 / 3 if size < 0.03 else 0.0)
    assert found["EwT"].value == pytest.approx(60.0)


def test_energies_alone_have_energy_metrics_alone():
    sets = [replace(s, forces=None) for s in structures()]
    found = catalyst_metrics(Near(sets, [0.0] * 6, 0.01), Graphs(sets, 3.0, torch.float64), 6)
    assert set(found) == {"system_energy_mae", "EwT"}


def test_distances_within_threshold():
    relaxed = [replace(catalyst(k), group=str(k)) for k in range(4)]
    free = ~relaxed[0].fixed
    shifts = [0.0, 0.1004, 0.4996, 2.0]
    way = free[:, None] * np.array([0, 0.6, 0.8])
    predicted = [s.positions + shift * way for s, shift in zip(relaxed, shifts, strict=True)]
    predicted[1] += 8.0 * np.array([1, -2, 0])  # another image
    predicted[0][~free] += 1.0  # fixed atoms do not count
    found = distances_within_threshold(predicted, relaxed)
    assert found is not None
    # thresholds 0.01, 0.011, ..., 0.5 are 491; above 0.1004 lie those from 0.101 on, above 0.4996 only 0.5
    assert len(DISTANCES) == 491
    wanted = 100 * np.mean([1, 400 / 491, 1 / 491, 0])
    assert_close(found.value, wanted, 1e-9, "ADwT")
    assert (found.unit, found.components) == ("%", 4)
    assert distances_within_threshold([], []) is None
    with refuses(ValueError, "differ in number"):
        distances_within_threshold(predicted[:1], relaxed)
