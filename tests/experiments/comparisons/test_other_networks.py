"""Other people's networks behind our interface keep the physical contract, and are found where they are installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tdn_theory.data.graph import build_graph, collate
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.comparisons import other_networks
from tdn_theory.nn.potential import PotentialConfig
from tdn_theory.testing.assertions import assert_close
from tdn_theory.testing.potential import Model, PotentialContract

pytestmark = [
    # torch_geometric, e3nn 0.4 and mace compile when they are imported or made
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]

CONFIG = PotentialConfig(elements=(1, 6, 8), lmax=1, channels=4, layers=1, heads=2, cutoff=4.0, basis_size=8)


def make(name: str, dtype: torch.dtype = torch.float64, seed: int = 0) -> other_networks.OtherNetwork:
    """With a reference of its own."""
    package = other_networks.NETWORKS[name].package
    pytest.importorskip(package, reason=f"{name} has an environment of its own: make test-{package}")
    model = other_networks.NETWORKS[name](CONFIG, 6.0, seed, dtype)
    model.set_reference([-1.0, -700.0, -0.4], 0.7)
    return model


@pytest.mark.parametrize("name", other_networks.NETWORKS)
def test_without_forces(name: str):
    """The energies are those of the network that has forces, and the energy of every structure is added to each."""
    with_forces = make(name)
    kind = other_networks.NETWORKS[name]
    without = kind(replace(CONFIG, forces="none"), 6.0, 0, torch.float64)
    without.set_reference([-1.0, -700.0, -0.4], 0.7, 3.0)
    water = Structure(np.array([8, 1, 1]), np.array([[0, 0, 0.1], [0, 0.76, -0.5], [0, -0.76, -0.5]]))
    both = (water, replace(water, positions=1.1 * water.positions))
    graph = collate([build_graph(structure, CONFIG.cutoff, torch.float64) for structure in both])
    for model in (with_forces, without):
        model.eval()
    found, wanted = without(graph), with_forces(graph)
    assert found.keys() == {"energy"}
    assert_close(found["energy"].numpy(), wanted["energy"].numpy() + 3.0, 1e-9, "energy")


class Conservative(PotentialContract):
    cutoff, elements = CONFIG.cutoff, CONFIG.elements
    name: str
    seed = 0

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Model:
        return make(cls.name, seed=cls.seed).eval()

    def test_stress_is_the_strain_derivative(self, model: Model):
        """None is asked for."""
        assert set(self.properties(model, self.crystal())) == {"energy", "forces"}


class TestSchNet(Conservative):
    name = "SchNet"
    smoothness = 2  # half a cosine
    roundoff = 1e-11
    seed = 1  # at seed 0 the filter changes its sign just within the cutoff


class TestNequIP(Conservative):
    name = "NequIP"
    smoothness = 3  # a polynomial of which two derivatives vanish


class TestMACE(Conservative):
    name = "MACE"
    smoothness = 3


class TestEquiformer(PotentialContract):
    conservative = False
    cutoff, elements = CONFIG.cutoff, CONFIG.elements

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Model:
        return make("Equiformer").eval()

    def test_the_cutoff_is_smooth(self, model: Model):
        """It jumps, as published."""
        with pytest.raises(AssertionError, match=r"O\(h\^"):
            super().test_the_cutoff_is_smooth(model)


@pytest.mark.parametrize("name", other_networks.NETWORKS)
def test_what_all_share(name: str):
    """Its dtype, its seed, its scale, and gradients of its forces; the dtype of everybody else is left alone."""
    single, same, other = (make(name, torch.float32, seed).train() for seed in (0, 0, 1))
    assert torch.get_default_dtype() == torch.float32
    assert {p.dtype for p in single.parameters()} == {torch.float32}
    assert all(torch.equal(p, q) for p, q in zip(single.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(p, q) for p, q in zip(single.parameters(), other.parameters(), strict=True))
    molecule = PotentialContract().molecule()
    graph = build_graph(molecule, CONFIG.cutoff)
    found = single(graph)
    assert (found["energy"].dtype, found["forces"].dtype) == (torch.float64, torch.float32)
    found["forces"].square().sum().backward()
    assert sum(p.grad is not None and bool(p.grad.any()) for p in single.parameters()) > 4
    constants = sum({1: 10.0, 6: 20.0, 8: 30.0}[int(z)] for z in molecule.numbers)
    own = found["energy"].detach() - sum({1: -1.0, 6: -700.0, 8: -0.4}[int(z)] for z in molecule.numbers)
    single.set_reference([10.0, 20.0, 30.0], 1.4)
    assert_close(single(graph)["energy"].detach(), 2 * own + constants, 1e-4, "energy in twice the unit")
    assert_close(single(graph)["forces"].detach(), 2 * found["forces"].detach(), 1e-4, "forces in twice the unit")
    with torch.no_grad():
        assert not single.eval()(graph)["forces"].requires_grad


def test_interpreters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(other_networks, "find_spec", lambda package: None)
    monkeypatch.setattr(other_networks, "CHECKOUT", tmp_path)
    assert other_networks.interpreter("NequIP") is None
    (tmp_path / ".venv-nequip/lib/python3.11/site-packages/nequip").mkdir(parents=True)
    assert other_networks.interpreter("NequIP") == tmp_path / ".venv-nequip/bin/python"
    monkeypatch.setattr(other_networks, "find_spec", lambda package: object())
    assert other_networks.interpreter("NequIP") == Path(other_networks.sys.executable)
