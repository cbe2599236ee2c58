"""`tdn-theory data` as a user meets it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tdn_theory.cli.app import app
from tdn_theory.cli.common import console
from tdn_theory.data import kept, nbody, oxides, surfaces
from tdn_theory.data import relaxations as module
from tdn_theory.data.archive import read_archive, write_archive
from tdn_theory.data.relaxations import Relaxation, relaxations
from tdn_theory.files import npz_arrays
from tests.data.reference import assert_same_catalyst, catalyst


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 200)  # tables are not cut


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    output = re.sub(r"\s+", " ", result.output)
    assert result.exit_code == code, output
    return output


def test_list():
    output = run("list")
    for part in (
        "relaxations",
        "gfn2",
        "nbody",
        "pubchemqcr",
        "extxyz",
        "tdn-theory[gfn2]",
        f"{len(relaxations())} snap",
    ):
        assert part in output


def test_convert(tmp_path: Path):
    pytest.importorskip("lmdb", reason="needs the extra lmdb")
    count = len(relaxations())
    assert f"{count} structures" in run("convert", "relaxations", tmp_path / "a.npz")
    run("convert", tmp_path / "a.npz", tmp_path / "a.lmdb")
    run("convert", tmp_path / "a.lmdb", tmp_path / "b.npz")
    run("convert", tmp_path / "b.npz", tmp_path / "b.xyz")
    assert len(read_archive(tmp_path / "b.npz")) == count
    assert (tmp_path / "b.xyz").read_text().count("Properties=") == count


def test_catalysts_are_converted_without_loss(tmp_path: Path):
    pytest.importorskip("lmdb", reason="needs the extra lmdb")
    wanted = replace(catalyst(), reference_energy=None)
    write_archive(tmp_path / "a.npz", [wanted], {})
    for source, target in (("a.npz", "b.aselmdb"), ("b.aselmdb", "c.xyz"), ("c.xyz", "d.npz")):
        run("convert", tmp_path / source, tmp_path / target)
    assert "1 structures" in run("check", tmp_path / "b.aselmdb")
    (found,) = read_archive(tmp_path / "d.npz")
    assert_same_catalyst(found, wanted)
    assert found.forces is not None
    assert abs(found.forces - wanted.forces).max() < 1e-8


def test_make_surfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sizes, asked = {"train": 3, "id": 1}, []
    monkeypatch.setattr(surfaces, "make_surfaces", lambda *arguments: asked.append(arguments[:4]) or sizes)
    assert "train 3, id 1" in run("make-surfaces", "--out", tmp_path, "--systems", 7, "--seed", 5)
    assert asked == [(tmp_path, 7, 1, 5)]


def test_make_oxides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(oxides, "relax_slabs", lambda *arguments: asked.append(arguments) or iter(()))
    monkeypatch.setattr(oxides, "collect", lambda *arguments: asked.append(arguments) or {"train": 3, "id": 1})
    output = run("make-oxides", "--out", tmp_path / "a", "--work", tmp_path / "b", "--systems", 17, "--seed", 5)
    assert "train 3, id 1" in output
    slabs = oxides.plan(17, 5)
    assert asked == [(slabs, tmp_path / "b", 1), (slabs, tmp_path / "b", tmp_path / "a", 5)]


def test_bad_conversions_are_refused(tmp_path: Path):
    assert "must end in one of .npz, .lmdb, .aselmdb, .xyz" in run("convert", "a.csv", tmp_path / "a.npz", code=2)
    assert "must end in one of .npz, .lmdb, .aselmdb, .xyz" in run("convert", "relaxations", tmp_path / "a.csv", code=2)
    assert "there is no file" in run("convert", tmp_path / "b.npz", tmp_path / "a.npz", code=2)


def test_make_relaxations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pyscf", reason="needs the extra make-data")
    pytest.importorskip("rdkit", reason="needs the extra make-data")
    units = [Relaxation("[H][H]", snapshots=1, grid_level=0, seed=seed) for seed in (1, 2)]
    monkeypatch.setattr(module, "plan", lambda seed: units)
    output = run("make-relaxations", "--out", tmp_path / "r.npz", "--work", tmp_path / "work")
    assert "relaxation 2 of at most 2" in output
    assert "polarizabilities of relaxation 2" in output
    assert [s.labels for s in read_archive(tmp_path / "r.npz")] == [
        ("energy", "forces", "dipole", "polarizability")
    ] * 2


def test_make_nbody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nbody, "SPLITS", {"train": range(3), "test": range(3, 5)})
    monkeypatch.setattr(nbody, "TARGET_FRAME", nbody.INPUT_FRAME)  # a shorter simulation
    monkeypatch.setattr(nbody, "STEPS_PER_FRAME", 1)
    assert "train 3, test 2" in run("make-nbody", "--out", tmp_path / "n.npz")
    arrays = npz_arrays((tmp_path / "n.npz").read_bytes())
    assert {name: array.shape for name, array in arrays.items() if name.startswith("test")} == {
        "test_positions": (2, 5, 3),
        "test_velocities": (2, 5, 3),
        "test_charges": (2, 5),
        "test_targets": (2, 5, 3),
    }


def test_make_gfn2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tblite", reason="needs the extra gfn2")
    few = [structure for structure in relaxations() if len(structure) == 3]
    monkeypatch.setattr(module, "relaxations", lambda: few)
    molecules = {structure.group for structure in few}
    assert f"{2 * len(molecules)} snapshots" in run("make-gfn2", "--out", tmp_path / "g.npz", "--snapshots", 2)
    assert {structure.group for structure in read_archive(tmp_path / "g.npz")} == molecules
    assert "temperature" in run("make-gfn2", "--out", tmp_path / "g.npz", "--temperature", 0, code=2)


def test_check_says_what_is_in_a_file(tmp_path: Path):
    frame = "2\nProperties=species:S:1:pos:R:3 energy={}\nO 0 0 0\nH 0 0 {}\n"
    frames = "".join(frame.format(-2.0 - n, 1 + n / 10) for n in range(3))
    (tmp_path / "a.xyz").write_text(frames + frames[: len(frames) // 3])
    found = run("check", str(tmp_path / "a.xyz"), "--cutoff", "0.5")
    for text in ("4 structures in 1 groups", "1 duplicates", "nearest atoms 1 A", "H (4), O (4)", "energy: 4 of 4, -2"):
        assert text in found
    assert "warning: no two atoms are within the cutoff of 0.5 A" in found


def test_what_is_kept_is_said_and_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "kept"))
    (tmp_path / "a.xyz").write_text("1\nProperties=species:S:1:pos:R:3 energy=-2\nO 0 0 0\n")
    said = f"kept in {tmp_path / 'kept'}"
    assert said in run("check", str(tmp_path / "a.xyz"))
    assert said not in run("check", str(tmp_path / "a.xyz"))
    assert f"removed 1 sets of structures from {tmp_path / 'kept'}" in run("clear")
    assert said in run("check", str(tmp_path / "a.xyz"))


def test_weights_types_and_virials_survive_conversions(tmp_path: Path):
    (tmp_path / "a.xyz").write_text(
        '1\nLattice="2 0 0 0 2 0 0 0 2" Properties=species:S:1:pos:R:3 energy=-2 W="8 0 0 0 8 0 0 0 8" w=0.5 '
        "config_type=bulk\nO 0 0 0\n"
    )
    run("convert", tmp_path / "a.xyz", tmp_path / "b.xyz.gz", "--virial-key", "W", "--weight-key", "w")
    run("convert", tmp_path / "b.xyz.gz", tmp_path / "c.npz", "--weight-key", "weight")
    (structure,) = read_archive(tmp_path / "c.npz")
    assert (structure.config_type, structure.weight) == ("bulk", 0.5)
    assert np.allclose(structure.stress, -np.eye(3))
    (tmp_path / "a.xyz").write_text("1\nProperties=species:S:1:pos:R:3 energy=-2 charge=1\nO 0 0 0\n")
    assert "charge is 1" in run("convert", tmp_path / "a.xyz", tmp_path / "d.npz", code=2)
    run("convert", tmp_path / "a.xyz", tmp_path / "d.npz", "--ignore", "charge")


def test_text_is_converted_and_a_wrong_target_is_blamed(tmp_path: Path):
    (tmp_path / "a.xyz").write_text("1\nProperties=species:S:1:pos:R:3 energy=-2\nO 0 0 0\n")
    run("convert", str(tmp_path / "a.xyz"), str(tmp_path / "a.npz"))
    (structure,) = read_archive(tmp_path / "a.npz")
    assert (structure.energy, structure.formula) == (-2.0, "O")
    refused = run("convert", str(tmp_path / "a.xyz"), str(tmp_path / "b.foo"), code=2)
    assert f"{tmp_path / 'b.foo'} ends in '.foo'" in refused
