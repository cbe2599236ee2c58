"""Evaluation against plain loops, and rotation errors against models whose error is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tdn_theory.data.graph import collate
from tdn_theory.data.structure import Structure
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.testing.assertions import assert_close
from tdn_theory.training.batches import Graphs
from tdn_theory.training.config import LossConfig
from tdn_theory.training.evaluation import evaluate, report, rotation_errors
from tdn_theory.training.loss import Loss
from tests.assertions import refuses
from tests.training.conftest import springs

SETTINGS = {"elements": (1, 6, 8), "lmax": 2, "channels": 4, "layers": 1, "heads": 2, "basis_size": 4, "cutoff": 4.0}


def potential(**changes) -> Potential:
    model = Potential(PotentialConfig(**{**SETTINGS, **changes})).double()
    model.set_reference([-13.6, -1030.0, -2040.0], 2.0)
    return model.eval()


def test_batches_do_not_matter():
    structures = springs(7)
    graphs = Graphs(structures, 4.0, torch.float64)
    model, loss = potential(outputs=("dipole",)), Loss(LossConfig())
    done: list[int] = []
    small, large = (evaluate(model, graphs, size, loss=loss, progress=done.append) for size in (2, 50))
    assert sum(done) == 14
    assert_close(small.loss, large.loss, 1e-9, "loss in small batches")
    for name, metric in large.metrics.items():
        assert_close(small.metrics[name].value, metric.value, 1e-6, f"{name} in small batches")
    whole = collate([graphs[k] for k in range(7)])
    output = model(whole)
    wanted = 1e3 * (output["forces"] - whole.labels["forces"]).abs().mean()
    assert_close(large.metrics["forces_mae"].value, wanted.detach(), 1e-6, "forces_mae")
    assert large.structures_per_second > 0


@pytest.mark.parametrize("forces", ["direct", "conservative"])
def test_exact_products_turn_to_roundoff(forces):
    model = potential(forces=forces, outputs=("dipole", "polarizability"))
    graphs = Graphs(springs(5), 4.0, torch.float64)
    found = rotation_errors(model, graphs, 2, rotations=2)
    labels = {"energy", "forces", "dipole", "polarizability"}
    assert {f"{name}_rotation" for name in labels} == set(found)  # no stress without a cell
    for name in labels - {"energy"}:
        assert found[f"{name}_rotation"].value < 1e-12
    # a total energy of 10^3 eV per atom, in meV: eps times 10^6, and a little more
    assert found["energy_rotation"].value < 1e-8


def test_cp_products_do_not():
    model = potential(method="cp", forces="direct")
    found = rotation_errors(model, Graphs(springs(5), 4.0, torch.float64), 5)
    assert 1e-6 < found["forces_rotation"].value < 1


class Tilted(torch.nn.Module):
    """Energies and vectors that look at the axes of space."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, graph):
        along = torch.zeros(graph.count, dtype=torch.float64).index_add(0, graph.batch, graph.positions[:, 2].double())
        return {"energy": along, "forces": torch.ones_like(graph.positions) * torch.tensor([0.0, 0.0, 1.0])}


def test_errors_of_a_model_that_does_not_turn():
    """A constant vector z: |z - R z| averages 4/3 over rotations."""
    structures = springs(40)
    graphs = Graphs(structures, 4.0, torch.float64)
    found = rotation_errors(Tilted(), graphs, 8, rotations=50, seed=3)
    z = np.array([0.0, 0.0, 1.0])
    turns = haar_rotations(20_000, np.random.default_rng(0))
    wanted = np.linalg.norm(z - turns @ z, axis=1).mean()
    assert_close(wanted, 4 / 3, 0.01, "mean of |z - R z|")
    assert_close(found["forces_rotation"].value, 4 / 3, 0.05, "forces_rotation")
    assert found["energy_rotation"].value > 10
    assert found["energy_rotation"].unit == "meV/atom"
    again = rotation_errors(Tilted(), graphs, 8, rotations=50, seed=3)
    assert again == found


def test_periodic_structures_turn_with_their_cell():
    """Stress included."""
    cell = np.array([[4.0, 0, 0], [0.5, 4.2, 0], [0, 0.3, 4.1]])
    structures = [replace(s, cell=cell, pbc=np.ones(3, bool), dipole=None) for s in springs(3)]
    found = rotation_errors(potential(cutoff=3.0), Graphs(structures, 3.0, torch.float64), 2, rotations=2)
    assert found["stress_rotation"].value < 1e-11
    assert found["forces_rotation"].value < 1e-11


def test_report():
    structures = springs(6)
    found = report(potential(), structures, 4, rotations=1)
    assert found["structures"] == 6
    assert {"energy_mae", "forces_rmse"} <= set(found["errors"])
    assert found["rotation_errors"]["forces_rotation"]["value"] < 1e-12
    assert found["constant_per_element"]["unit"] == "meV/atom"
    assert report(potential(), structures, 4, rotations=0)["rotation_errors"] == {}
    with refuses(ValueError, "no structure"):
        report(potential(), [], 4)


def test_noise_is_not_divided_by_noise():
    """An ideal crystal has no forces: relative to the set's, the error of an exact model is roundoff."""
    from ase.build import bulk

    crystal = Structure.from_ase(bulk("Cu", cubic=True) * (2, 2, 2))
    moved = crystal.to_ase()
    moved.rattle(0.1, seed=0)
    structures = [crystal, Structure.from_ase(moved)]
    config = PotentialConfig((29,), channels=4, layers=1, heads=2, basis_size=4, cutoff=3.0, forces="conservative")
    model = Potential(config).double()
    found = rotation_errors(model, Graphs(structures, 3.0, torch.float64), 2)
    assert found["forces_rotation"].value < 1e-10
    forces = [model(graph)["forces"] for graph in Graphs(structures, 3.0, torch.float64).batches([np.array([0])])]
    assert float(forces[0].detach().abs().max()) < 1e-12, "so that dividing by its own forces would be noise over noise"


def test_parts_are_evaluated_as_if_they_were_alone():
    kinds = ["bulk", "slab", "bulk", "bulk", "slab"]
    structures = [replace(s, config_type=kind) for s, kind in zip(springs(5), kinds, strict=True)]
    found = report(potential(), structures, 2, rotations=0, by="config_type")
    assert list(found["errors_by"]["config_type"]) == ["bulk", "slab"]
    for kind, errors in found["errors_by"]["config_type"].items():
        alone = report(potential(), [s for s in structures if s.config_type == kind], 2, rotations=0)["errors"]
        assert errors.keys() == alone.keys()
        for name, metric in alone.items():
            assert_close(errors[name]["value"], metric["value"], 1e-9 * metric["value"], f"{name} of {kind}")
            assert (errors[name]["components"], errors[name]["groups"]) == (metric["components"], metric["groups"])
    assert len(report(potential(), structures, 2, rotations=0, by="group")["errors_by"]["group"]) == 5
    assert report(potential(), structures, 2, rotations=0)["errors_by"] == {}
    with refuses(ValueError, "no structure has a config_type"):
        report(potential(), springs(2), 2, by="config_type")
