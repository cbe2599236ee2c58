"""The decomposition of the loss, on a map whose averages over rotations are known, and on potentials."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from tdn_theory.data.graph import Graph
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.potentials import symmetry_error as module
from tdn_theory.experiments.potentials.symmetry_error import SymmetryError, symmetry_errors
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

OCTAHEDRAL = Rotation.create_group("O").as_matrix()
"""24 rotations, over which polynomials of degree <= 3 in the entries of a rotation have their Haar averages."""

MATRIX = np.array([[1.0, 2.0, 0.5], [-1.0, 0.3, 0.2], [0.4, 0.1, -2.0]])
NETWORK = {"elements": (1, 6, 8), "lmax": 2, "channels": 4, "layers": 1, "heads": 2, "cutoff": 4.0, "basis_size": 4}


def molecules(count: int, seed: int = 0, **labels: bool) -> list[Structure]:
    """Of three to five atoms, with forces if `forces`, and dipoles for the first one if `dipole`."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        n = 3 + number % 3
        positions = 1.2 * np.stack((np.arange(n), np.arange(n) % 2, np.zeros(n)), 1) + 0.1 * rng.normal(size=(n, 3))
        known = {"forces": rng.normal(size=(n, 3))} if labels.get("forces") else {}
        if labels.get("dipole") and number == 0:
            known["dipole"] = rng.normal(size=3)
        found.append(Structure(rng.choice([1, 6, 8], n), positions, energy=float(number), **known))
    return found


def potential(**changes: object) -> Potential:
    """An untrained one in double precision."""
    return Potential(PotentialConfig(**{**NETWORK, **changes})).double().eval()  # pyright: ignore[reportArgumentType]


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> Potential:
    """Predictions are A r for each atom, in the 24 rotations of the cube."""

    def predict(_: Potential, graph: Graph) -> dict[str, torch.Tensor]:
        forces = graph.positions @ torch.tensor(MATRIX).T
        return {"energy": forces[: graph.count, 0], "forces": forces}

    turns = iter(OCTAHEDRAL)
    monkeypatch.setattr(module, "predict", predict)
    monkeypatch.setattr(module, "haar_rotations", lambda count, rng: np.broadcast_to(next(turns), (count, 3, 3)).copy())
    return potential()


def found_and_expected(linear: Potential) -> tuple[SymmetryError, dict[str, np.ndarray]]:
    """`T f = tr(A)/3 r`, and the mean of `|f_g|^2` is `|A|^2/3 |r|^2`."""
    structures = molecules(2, forces=True)
    found = symmetry_errors(linear, structures, len(OCTAHEDRAL), seed=0)["forces"]
    r2 = np.array([np.square(s.positions).sum() for s in structures])
    pull = np.array([(s.forces * s.positions).sum() for s in structures])
    f2 = np.array([np.square(s.forces).sum() for s in structures])
    mean, square = np.trace(MATRIX) / 3, np.square(MATRIX).sum() / 3
    straight = [np.square(s.positions @ MATRIX.T - s.forces).sum() for s in structures]
    return found, {
        "total": square * r2 - 2 * mean * pull + f2,
        "asymmetric": (square - mean**2) * r2 * 24 / 23,  # the 24 are no random sample, but a mean over all of them
        "straight": np.array(straight),
        "components": np.array([9.0, 12.0]),
    }


def test_a_linear_map(linear: Potential) -> None:
    found, expected = found_and_expected(linear)
    for name, value in expected.items():
        assert_close(getattr(found, name), value, 1e-12 * np.abs(value).max(), name)
    assert found.share == pytest.approx(expected["asymmetric"].sum() / expected["total"].sum())
    assert found.rmse == pytest.approx(np.sqrt(expected["straight"].sum() / 21))
    assert found.turned_rmse == pytest.approx(np.sqrt(expected["total"].sum() / 21))


@pytest.mark.parametrize("mutant", ["turned instead of turned back", "not turned back"])
def test_wrong_rotations_are_caught(linear: Potential, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    def back(name: str, value: torch.Tensor, turns: torch.Tensor, graph: Graph) -> torch.Tensor:
        if name == "energy" or mutant == "not turned back":
            return value
        return torch.einsum("nab,nb->na", turns[graph.batch], value)

    monkeypatch.setattr(module, "turn_back", back)
    found, expected = found_and_expected(linear)
    assert np.abs(found.total - expected["total"]).max() > 1e-2 * expected["total"].max()


@pytest.mark.parametrize("forces", ["direct", "conservative"])
def test_exact_products_change_nothing(forces: str) -> None:
    """Everything turns with the molecule, to roundoff."""
    model = potential(forces=forces, outputs=("dipole", "polarizability"))
    found = symmetry_errors(model, molecules(3), 3, seed=0)
    assert found.keys() == {"energy", "forces", "dipole", "polarizability"}
    for name, own in found.items():
        assert own.relative_change < 1e-10, name
        assert own.size.min() > 0, name
        assert own.change.shape == (3, 3)


@pytest.mark.parametrize("forces", ["direct", "conservative"])
def test_cp_products_change_everything(forces: str) -> None:
    model = potential(forces=forces, outputs=("dipole", "polarizability"), method="cp", rank=10)
    for name, own in symmetry_errors(model, molecules(3), 3, seed=0).items():
        if name != "energy":  # constants per element are most of it
            assert own.relative_change > 1e-3, name
        assert own.rms_change > 1e-7, name


def test_as_many_terms_as_needed_are_the_exact_product() -> None:
    """So that experiments need not train both: R = 30 at L = 2."""
    structures = molecules(3)
    exact, cp = (symmetry_errors(potential(**p), structures, 2, 0) for p in ({}, {"method": "cp", "rank": 30}))
    for name in ("energy", "forces"):
        assert_close(cp[name].size, exact[name].size, 1e-9 * exact[name].size.max(), name)


def test_unknown_labels_are_left_out() -> None:
    model = potential(outputs=("dipole",), method="cp", rank=10)
    found = symmetry_errors(model, molecules(3, dipole=True), 2, seed=0)["dipole"]
    assert np.isnan(found.total).tolist() == [False, True, True]
    assert found.share == pytest.approx(found.asymmetric[0] / found.total[0])
    assert found.rmse == pytest.approx(np.sqrt(found.straight[0] / 3))


def test_one_rotation_has_no_variance() -> None:
    with refuses(ValueError, "rotations is 1", "at least 2"):
        symmetry_errors(potential(), molecules(1), 1, 0)
