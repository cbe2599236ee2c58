"""The model of TorchSim: against the calculator of ASE, and in TorchSim itself where that is installed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase.build import bulk

from tdn_theory.nn.calculator import TDNCalculator
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.nn.torchsim import TorchSimModel
from tdn_theory.testing.assertions import assert_close


def potential(**options) -> Potential:
    config = PotentialConfig((8, 14, 26), channels=4, layers=1, heads=1, cutoff=4.5, basis_size=4, **options)
    return Potential(config).double()


def test_it_predicts_what_the_calculator_does():
    """A crystal of skew cell, whose vectors are columns here, and another one, in one state."""
    crystals = [bulk("Si"), bulk("Fe", cubic=True)]
    for number, crystal in enumerate(crystals):
        crystal.rattle(0.1, seed=number)
        crystal.calc = TDNCalculator(potential())
    state = SimpleNamespace(
        positions=torch.tensor(np.concatenate([crystal.positions for crystal in crystals])),
        atomic_numbers=torch.tensor(np.concatenate([crystal.numbers for crystal in crystals])),
        cell=torch.tensor(np.stack([crystal.cell.array.T for crystal in crystals])),
        system_idx=torch.tensor([0, 0, 1, 1]),
        pbc=True,
    )
    model = TorchSimModel(potential())
    for given in (state, vars(state)):
        found = model(given)
        wanted = {
            "energy": np.array([crystal.get_potential_energy() for crystal in crystals]),
            "forces": np.concatenate([crystal.get_forces() for crystal in crystals]),
            "stress": np.stack([crystal.get_stress(voigt=False) for crystal in crystals]),
        }
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            assert_close(found[name].numpy(), value, 1e-12, name)


def test_it_says_what_it_has():
    assert TorchSimModel(potential()).compute_stress
    assert not TorchSimModel(potential(forces="direct")).compute_stress
    assert not TorchSimModel(potential(forces="none")).compute_forces
    assert TorchSimModel(potential().float()).dtype == torch.float32


def test_torchsim_takes_it():
    """TorchSim 0.3: its own checks of a model, and a crystal that it relaxes."""
    torch_sim = pytest.importorskip("torch_sim")
    from torch_sim.models.interface import validate_model_outputs

    model = TorchSimModel(potential())
    validate_model_outputs(model, model.device, model.dtype)
    crystal = bulk("Si")
    crystal.rattle(0.1, seed=0)
    final = torch_sim.optimize(crystal, model, optimizer=torch_sim.optimizers.fire, max_steps=20)
    (after,) = final.to_atoms()
    for atoms in (crystal, after):
        atoms.calc = TDNCalculator(potential())
    assert after.get_potential_energy() < crystal.get_potential_energy()
    assert_close(float(final.energy[0]), after.get_potential_energy(), 1e-9, "energy in TorchSim")
