"""Factors from a file: proven and added, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from tdn_theory.cli.app import app
from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp import atlas, contribution
from tdn_theory.cp.certificate import ProofError
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3.rotation import wigner_D
from tests.assertions import refuses

ONE = atlas.best(1)
VECTORS = atlas.best("1 x 1 -> 1")


def write(file: Path, factors: CPFactors, coupling: int | str = 1, **more: object) -> Path:
    """A file of factors, in the form that its name says."""
    content = {"coupling": coupling, "A": factors.A, "B": factors.B, "C": factors.C, "source": "found by hand"} | more
    if file.suffix == ".npz":
        np.savez(file, **{name: np.array(value) for name, value in content.items()})
    else:
        lists = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in content.items()}
        file.write_text(json.dumps(lists))
    return file


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An atlas without entries."""
    folder = tmp_path / "atlas"
    monkeypatch.setattr(atlas, "FOLDER", folder)
    return folder


@pytest.mark.parametrize("form", ["npz", "json"])
def test_what_is_exact_and_better_is_added(form: str, nothing_known: Path, tmp_path: Path) -> None:
    """Free weights: the seven terms at L = 1, whose equations are independent under a symmetry alone."""
    file = write(tmp_path / f"found.{form}", ONE.factors)
    entry = contribution.add(contribution.read(file), nothing_known)
    assert (entry.rank, len(entry.alive), entry.proof["symmetry"]) == (7, 5, "C1*Z3")
    assert entry.made_by["construction"] == "found by hand"
    (again,) = atlas.entries(nothing_known)
    again.verify()
    np.testing.assert_allclose(again.factors.array, ONE.factors.array, rtol=0, atol=1e-14)


def test_another_basis(nothing_known: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """Coordinates x', y', z' in any basis: the map of the file is the same map of vectors."""
    S_z, S_x, S_y = rng.normal(size=(3, 3, 3))
    f = VECTORS.factors
    there = CPFactors(np.linalg.solve(S_z, f.A), S_x.T @ f.B, S_y.T @ f.C)
    x, y = rng.normal(size=(2, 3))
    np.testing.assert_allclose(S_z @ there(np.linalg.solve(S_x, x), np.linalg.solve(S_y, y)), f(x, y), atol=1e-12)
    file = write(tmp_path / "found.npz", there, "1 x 1 -> 1", S_z=S_z, S_x=S_x, S_y=S_y)
    entry = contribution.add(contribution.read(file), nothing_known)
    np.testing.assert_allclose(entry.factors.array, f.array, rtol=0, atol=1e-12)
    unsaid = contribution.read(write(tmp_path / "unsaid.npz", there, "1 x 1 -> 1"))
    with refuses(ValueError, "not equivariant", "S_z, S_x, S_y"):
        contribution.add(unsaid, nothing_known)


def test_what_is_not_exact_is_refused(nothing_known: Path, tmp_path: Path) -> None:
    f = VECTORS.factors
    for error in (1e-6, 1e-10):
        near = CPFactors(f.A * (1 + error * np.eye(3)[:, :1]), f.B, f.C)
        with refuses(ValueError, "not exact", "start=factors"):
            contribution.add(contribution.Contribution(VECTORS.coupling, near, "by hand"), nothing_known)
    assert not nothing_known.exists()


def test_what_is_not_proven_is_refused(nothing_known: Path) -> None:
    """Exact, but with dependent equations: an entry turned and scaled out of the symmetry that its proof needs."""
    Q = wigner_D(1, Rotation.random(random_state=0).as_matrix())
    turned = CPFactors(np.diag([1.0, 2, 2, 2]) @ Q @ ONE.factors.A, Q @ ONE.factors.B, Q @ ONE.factors.C)
    with refuses(ProofError, "no proof closes", "D2*Z3", "turn the factors"):
        contribution.add(contribution.Contribution(ONE.coupling, turned, "by hand"), nothing_known)
    assert not nothing_known.exists()


def test_what_is_not_better_is_refused(tmp_path: Path) -> None:
    """As many terms, more terms, fewer paths, a part of an entry; unit weights are compared with unit weights."""
    better = contribution.refuse_unless_better
    for tensor, rank in (
        (CouplingTensor(1, dict.fromkeys(ONE.alive, 2.0)), 7),
        (CouplingTensor(1, {(1, 1, 1): 2.0}), 5),
        (CouplingTensor("1 x 0+1 -> 1", (2.0, 1.0)), 7),
        (CouplingTensor(1), 8),
    ):
        with refuses(ValueError, "not better", "AtlasEntry"):
            better(tensor, rank, tmp_path)
    better(CouplingTensor(1), 7, tmp_path)  # with weights all 1 eight terms are known
    better(CouplingTensor(1, dict.fromkeys(ONE.alive, 2.0)), 6, tmp_path)
    better(CouplingTensor("3 x 4 -> 6", (2.0,)), 50, tmp_path)
    atlas.save("1 x 1 -> 1", VECTORS.factors, VECTORS.proof, {}, {}, tmp_path)
    with refuses(ValueError, "not better"):
        better(CouplingTensor("1 x 1 -> 1", (1.0,)), 5, tmp_path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    f = ONE.factors
    with refuses(ValueError, "no known form", ".npz"):
        contribution.read(tmp_path / "found.txt")
    with refuses(FileNotFoundError, "found.npz"):
        contribution.read(tmp_path / "found.npz")
    with refuses(ValueError, "basis not known", "S_z"):
        contribution.read(write(tmp_path / "a.json", f, basis="mine"))
    file = tmp_path / "b.json"
    file.write_text(json.dumps({"A": [[1.0]], "B": [[1.0]]}))
    with refuses(ValueError, "C, coupling, source missing"):
        contribution.read(file)
    with refuses(ValueError, "A has shape (4, 7)", "z of L=2 has 9 components"):
        contribution.read(write(tmp_path / "c.json", f, 2))
    with refuses(ValueError, "S_x", "nonsingular"):
        contribution.read(write(tmp_path / "d.json", f, S_x=np.zeros((4, 4))))
    with refuses(TypeError, "B has dtype", "real"):
        contribution.read(write(tmp_path / "e.npz", f, B=f.B + 0j))


def test_command(nothing_known: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "found.npz", VECTORS.factors, "1 x 1 -> 1")
    arguments = ["atlas", "add", str(file), "--out", str(tmp_path / "own")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "weight of 0 x 0 -> 0: 1 to 1" in result.output
    (entry,) = atlas.entries(tmp_path / "own")
    assert Coupling.of("1 x 1 -> 1") == entry.coupling
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "not better" in again.stderr
