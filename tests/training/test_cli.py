"""The commands train, evaluate and relax as a user meets them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import ase.io
import pytest
from ase.build import molecule
from typer.testing import CliRunner

from tdn_theory.cli.app import app
from tdn_theory.cli.common import console
from tdn_theory.data.extxyz import write_extxyz
from tdn_theory.nn import Potential, PotentialConfig
from tdn_theory.training.config import PRESETS, TrainConfig
from tests.training.conftest import springs
from tests.training.test_sources import write

CONFIG = """
epochs = 2
batch_size = 4
out = "unused"

[data]
source = "extxyz"
files = [{train}]
energy_key = "E"
forces_key = "F"
energy_unit = "eV"
force_unit = "eV/Angstrom"
length_unit = "Angstrom"
group_key = "molecule"
validation = 0.2
test = 0.2

[model]
channels = 4
layers = 1
heads = 2
basis_size = 4
cutoff = 4.0
"""


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setattr(console, "width", 200)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    output = re.sub(r"\s+", " ", result.output)
    assert result.exit_code == code, output
    return output


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(train=json.dumps(write(tmp_path / "a.xyz", springs(12)))))
    return path


def test_train_evaluate_and_relax(config, tmp_path):
    out = tmp_path / "run"
    output = run("train", config, "--out", out, "--epochs", 1)
    assert "epoch 1: loss" in output
    assert "forces_rmse" in output
    assert "constants per element" in output
    assert "another run" in run("train", config, "--out", out, "--epochs", 1, "--seed", 5, code=2)
    result = json.loads((out / "result.json").read_text())
    assert result["config"]["epochs"] == 1

    model = out / "model.safetensors"
    output = run("evaluate", model, config, "--out", tmp_path / "evaluation.json")
    assert "forces_rotation" in output
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["errors"]["forces_mae"]["value"] == pytest.approx(result["test"]["forces_mae"]["value"], rel=1e-4)
    assert {"seed", "versions", "commit", "device", "time"} <= found["provenance"].keys()
    file = ["--energy-key", "E", "--energy-unit", "eV", "--length-unit", "Angstrom"]
    assert "energy_mae" in run("evaluate", model, tmp_path / "a.xyz", *file, "--rotations", 0)

    atoms = molecule("H2O")
    ase.io.write(tmp_path / "water.xyz", atoms)
    output = run("relax", tmp_path / "water.xyz", "--model", model, "--steps", 1, "--fmax", 1e-9, "--out", out, code=1)
    assert "not relaxed in 1 steps" in output
    assert len(ase.io.read(out / "water-trajectory.extxyz", ":")) == 2
    assert "relaxed in 0 steps" in run("relax", tmp_path / "water.xyz", "--model", model, "--fmax", 1e9, "--out", out)
    assert ase.io.read(out / "water-relaxed.extxyz").get_forces().shape == (3, 3)
    ase.io.write(tmp_path / "chloride.xyz", molecule("HCl"))
    assert "does not know Cl" in run("relax", tmp_path / "chloride.xyz", "--model", model, code=2)
    (tmp_path / "unknown").write_text("?")
    assert "format of" in run("relax", tmp_path / "unknown", "--model", model, code=2)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path):
    assert TrainConfig.read(path).out


def test_errors_teach(config, tmp_path):
    assert "relaxations" in run("train", "nothing", code=2)
    config.write_text(config.read_text() + "\nlayer = 3")
    output = run("train", config, code=2)
    assert "layer" in output
    assert "Traceback" not in output
    assert "not a saved potential" in run("evaluate", config, config, code=2)


def test_a_device_that_does_not_exist_is_told(tmp_path):
    model, atoms = tmp_path / "model.safetensors", tmp_path / "water.xyz"
    Potential(PotentialConfig(elements=(1, 8), channels=2, heads=1, layers=1)).save(model)
    ase.io.write(atoms, molecule("H2O"))
    for device in ("tpu", "meta", "cuda:99"):
        assert f"device is '{device}'" in run("relax", atoms, "--model", model, "--device", device, code=2)
        assert f"device is '{device}'" in run("evaluate", model, "relaxations", "--device", device, code=2)


def test_an_xyz_file_without_keys_names_the_options(tmp_path):
    Potential(PotentialConfig((1,), channels=4, layers=1, heads=2, basis_size=4)).save(tmp_path / "m.safetensors")
    (tmp_path / "a.xyz").write_text("1\nE=1\nH 0 0 0\n")
    found = run("evaluate", tmp_path / "m.safetensors", tmp_path / "a.xyz", code=2)
    assert "--energy-key, --energy-unit, --length-unit" in found


def test_relaxing_a_file_that_is_not_there(tmp_path):
    assert f"there is no structure file {tmp_path / 'a.xyz'}" in run(
        "relax", tmp_path / "a.xyz", "--model", tmp_path / "m.safetensors", code=2
    )


def test_ctrl_c_has_its_usual_status(config, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tdn_theory.training.loop.train", interrupted)
    run("train", config, "--out", tmp_path / "run", code=130)


def test_forces_on_fixed_atoms_are_kept(tmp_path):
    from ase.build import fcc111
    from ase.calculators.emt import EMT
    from ase.constraints import FixAtoms

    from tdn_theory.nn.calculator import relax

    slab = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    slab.rattle(0.1, seed=0)
    slab.set_constraint(FixAtoms([0]))
    slab.calc = EMT()
    frames, _ = relax(slab, 0.05, 50)
    free = slab.get_forces(apply_constraint=False)
    assert abs(free[0]).max() > 0.01
    assert abs(frames[-1].get_forces(apply_constraint=False) - free).max() < 1e-12


def test_charged_molecules_are_relaxed_only_where_that_is_ignored(tmp_path):
    model = tmp_path / "m.safetensors"
    Potential(PotentialConfig((1, 8), channels=2, layers=1, heads=1, basis_size=4)).save(model)
    ase.io.write(tmp_path / "a.xyz", molecule("OH", info={"charge": -1}))
    command = ["relax", tmp_path / "a.xyz", "--model", model, "--fmax", 1e9, "--out", tmp_path]
    assert "charge is -1" in run(*command, code=2)
    assert "relaxed in 0 steps" in run(*command, "--ignore", "charge")
    assert "allowed are 'charge', 'spin'" in run(*command, "--ignore", "mass", code=2)


def test_errors_of_each_type_are_told(tmp_path):
    Potential(PotentialConfig((1, 6, 8), channels=2, layers=1, heads=1, basis_size=4)).save(tmp_path / "m.safetensors")
    kinds = ("bulk", "slab")
    write_extxyz(tmp_path / "a.xyz", [replace(s, config_type=k) for n, k in enumerate(kinds) for s in springs(2, n)])
    keys = ["--energy-key", "energy", "--energy-unit", "eV", "--length-unit", "A", "--rotations", 0]
    output = run("evaluate", tmp_path / "m.safetensors", tmp_path / "a.xyz", *keys, "--by", "config_type")
    table = output[output.index("config_type") :]
    found = json.loads(
        run("evaluate", tmp_path / "m.safetensors", tmp_path / "a.xyz", *keys, "--by", "group", "--json")
    )
    assert sum(metrics["energy_mae"]["groups"] for metrics in found["errors_by"]["group"].values()) == len(
        found["errors_by"]["group"]
    )
    for kind in kinds:
        assert re.search(rf"{kind} [\d.e+]+ ± [\d.e+]+", table)
