"""The search for atlas entries: resumable, and nothing is kept without a proof."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tdn_theory.cli.app import app
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas, search
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.symmetry import group
from tdn_theory.jobs import Jobs
from tdn_theory.so3.irreps import Path as CouplingPath
from tests.assertions import refuses


def test_what_is_exact_is_proven_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R = 7 at L = 1: some starts are exact, and those with independent equations become entries."""
    jobs = Jobs(tmp_path / "jobs")
    rows = search.run(1, 7, "all", 4, "C2*Z3", 0, jobs, tmp_path / "atlas")
    assert [row["seed"] for row in rows] == [0, 1, 2, 3]
    saved = atlas.entries(tmp_path / "atlas")
    assert saved
    assert len(saved) == sum("AtlasEntry" in row["entry"] for row in rows)
    for entry in saved:
        assert entry.covers("all")
        assert entry.error <= EXACT
        entry.verify()
    monkeypatch.setattr(search, "EquivariantLevenbergMarquardt", None)  # nothing is computed again
    again = search.run(1, 7, "all", 4, "C2*Z3", 0, jobs, tmp_path / "atlas")
    assert again == rows


def test_too_few_terms(tmp_path: Path) -> None:
    """R = 6 is impossible with all paths alive, and enough for the even ones."""
    (row,) = search.run(1, 6, "all", 1, "C1", 0, Jobs(tmp_path), tmp_path / "atlas")
    assert row["entry"] == "paths died"
    assert row["dead"]
    assert not (tmp_path / "atlas").exists()
    rows = search.run(1, 6, "even", 2, "C1", 0, Jobs(tmp_path), tmp_path / "atlas")
    assert all(row["residual"] <= EXACT for row in rows if not row["dead"])


def test_command(tmp_path: Path) -> None:
    arguments = ["atlas", "search", "1", "7", "--starts", "2", "--symmetry", "C2*Z3", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "residual" in result.output
    wrong = CliRunner().invoke(app, ["atlas", "search", "1", "7", "--symmetry", "X7", "--out", str(tmp_path)])
    assert wrong.exit_code == 2


def test_irreps_of_any_kind(tmp_path: Path) -> None:
    text = "1e x 1e -> 1e"
    arguments = ["atlas", "search", text, "5", "--starts", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (entry,) = atlas.entries(tmp_path / "atlas")
    assert (str(entry.coupling), entry.rank) == (text, 5)
    with refuses(ValueError, "which differ"):
        search.run("1 x 1 -> 2", 6, "all", 1, "C2*Z3", 0, Jobs(tmp_path / "others"), tmp_path / "others")


def test_an_unknown_group_is_refused(tmp_path: Path) -> None:
    with refuses(ValueError, "'X7'"):
        search.run(1, 7, "all", 1, "X7", 0, Jobs(tmp_path), tmp_path)


@pytest.mark.parametrize("symmetry", ["C1", "D2*Z3", "C2*Z2", "T*S3"])
def test_drawn_weights_are_those_of_the_group(symmetry: str) -> None:
    """Random, of both signs, zero where a path is not in use, and the same for the paths that the group exchanges."""
    tensor = search.drawn(CouplingTensor.even(2), symmetry, 3)
    assert [w != 0 for w in tensor.weights] == [path.even for path in tensor.paths]
    assert min(tensor.weights) < 0 < max(tensor.weights)
    assert tensor.weights != search.drawn(CouplingTensor.even(2), symmetry, 4).weights
    weights = dict(zip(tensor.paths, tensor.weights, strict=True))
    for element in group(symmetry).elements:
        z, x, y = element.permutation
        for path, weight in weights.items():
            slots = (path.z, path.x, path.y)
            assert weights[CouplingPath(slots[x], slots[y], slots[z])] == weight


def test_a_search_near_any_weights(tmp_path: Path) -> None:
    """At L = 1 seven terms reach a part of path space of full dimension but one, so some starts end elsewhere."""
    rows = search.run(1, 7, "all", 3, "C1", 0, Jobs(tmp_path), tmp_path / "atlas", any_weights=True)
    near_one = search.run(1, 7, "all", 3, "C1", 0, Jobs(tmp_path), tmp_path / "atlas")
    assert [row["residual"] for row in rows] != [row["residual"] for row in near_one]
    assert any(row["residual"] < EXACT and not row["dead"] for row in rows)


def test_a_start_that_loses_every_path_says_so() -> None:
    row = search.attempt(1, 6, "even", "T*Z2", 1, any_weights=True)
    assert len(row["dead"]) == 4
    assert row["residual"] == pytest.approx(1)  # of the tensor it began with
    assert row["entry"] == "paths died"
