"""OC20's and OC22's kinds of data from files to a trained potential: sources, and the shipped configurations."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tdn_theory.cli.app import app
from tdn_theory.data import geometric_pickle, lmdb_file
from tdn_theory.data.aselmdb import write_aselmdb
from tdn_theory.data.catalyst_lmdb import write_is2re
from tdn_theory.data.extxyz import write_extxyz
from tdn_theory.data.graph import build_graph, collate
from tdn_theory.files import npz_arrays
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.testing.assertions import assert_close
from tdn_theory.training.config import PRESETS, DataConfig, TrainConfig
from tdn_theory.training.evaluation import report
from tdn_theory.training.loop import MODEL, train
from tdn_theory.training.prediction import predictions
from tdn_theory.training.sources import load, read, unlabelled
from tests.assertions import refuses
from tests.data.reference import catalyst, systems

lmdb = pytest.importorskip("lmdb", reason="needs the extra lmdb")

SMALL = {"channels": 8, "layers": 1, "heads": 2, "basis_size": 4, "cutoff": 5.0}


def write(folder: Path, source: str, count: int) -> str:
    """A file or folder of shards of that source, with so many systems."""
    folder.mkdir(parents=True)
    first, relaxed = systems(count)
    if source == "is2re":
        write_is2re(folder / "data.0000.lmdb", first[: count // 2], relaxed[: count // 2])
        write_is2re(folder / "data.0001.lmdb", first[count // 2 :], relaxed[count // 2 :])
    elif source == "s2ef-text":
        frames = [replace(catalyst(k), sid=f"random{k}", fid="0", reference_energy=None) for k in range(count)]
        write_extxyz(folder / "0.extxyz", frames)
        (folder / "0.txt").write_text("".join(f"random{k},frame0,{-1.0 - k}\n" for k in range(count)))
    else:
        write_aselmdb(folder / "data.aselmdb", first)
    return str(folder)


@pytest.mark.parametrize("source", ["is2re", "s2ef-text", "aselmdb"])
def test_sources(tmp_path: Path, source: str):
    config = DataConfig(source, files=(write(tmp_path / "a", source, 10),), validation=0.2, test=0.1)
    splits = load(config)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [7, 2, 1]
    energies = sorted(s.energy for part in (splits.train, splits.validation, splits.test) for s in part)
    wanted = {"is2re": -2.5 - np.arange(10), "s2ef-text": -1.25 + 1.0 + np.arange(10), "aselmdb": -1.25 - np.arange(10)}
    assert energies == sorted(wanted[source])
    assert all((s.forces is None) == (source == "is2re") for s in splits.train)
    assert all(s.fixed.any() for s in splits.train)


def test_what_is_left_out_is_told(tmp_path: Path):
    good = {
        "pos": np.eye(3),
        "cell": 9 * np.eye(3),
        "atomic_numbers": np.array([1, 1, 8]),
        "y": 1.0,
        "force": np.eye(3),
    }
    records = [geometric_pickle.dumps({**good, "sid": k}) for k in range(2)] + [b"", b""]
    lmdb_file.write(tmp_path / "a.lmdb", [(str(k).encode(), content) for k, content in enumerate(records)])
    config = DataConfig("s2ef", files=(str(tmp_path / "a.lmdb"),))
    said = []
    assert len(read(config, config.files, said.append)) == 2
    assert said[-1] == "left out: 2 x damaged or unsafe pickle"
    with refuses(ValueError, "no usable structure", "2 x no y_relaxed"):
        read(replace(config, source="is2re"), config.files)


@pytest.mark.parametrize("name", ["oc20-is2re", "oc20-s2ef", "oc22-is2re"])
def test_shipped_configurations_train(tmp_path: Path, name: str):
    table = tomllib.loads((PRESETS / f"{name}.toml").read_text())
    source = table["data"]["source"]
    train_files, validation = write(tmp_path / "train", source, 6), write(tmp_path / "validation", source, 2)
    files = {"files": [train_files], "validation_files": [validation], "test_files": [validation]}
    model = {**table["model"], **SMALL, "neighbor_limit": min(table["model"]["neighbor_limit"], 3)}
    small = {"model": model, "data": {**table["data"], **files}, "epochs": 1, "batch_size": 3}
    config = TrainConfig.from_dict({**table, **small, "device": "cpu", "workers": 0, "out": str(tmp_path / "run")})
    result = train(config)
    model = Potential.load(tmp_path / "run" / MODEL)
    assert float(model.offset) == table.get("reference", {}).get("mean", 0.0)
    assert model.shifts.any() == (name == "oc22-is2re")
    found = report(model, load(config.data).test, 2, rotations=0)["catalyst_errors"]
    assert ("EFwT" in found) == (source == "s2ef-text")
    per_atom = result["test"]["energy_mae"]["value"] / 1e3
    assert found["system_energy_mae"]["value"] == pytest.approx(4 * per_atom, rel=1e-4)  # four atoms; one is float32
    assert result["complete"]
    assert result["structures"] == {"train": 6, "validation": 2, "test": 2}
    assert ("forces_mae" in result["test"]) == (source == "s2ef-text")
    if source == "s2ef-text":  # nine components of free atoms in each of two systems
        assert result["test"]["forces_mae"]["components"] == 18


def test_energies_of_a_test_set_without_labels(tmp_path: Path):
    """By name, whatever labels there are; forces, one structure behind the other."""
    first, relaxed = systems(5)
    write_is2re(tmp_path / "labelled.lmdb", first, relaxed)
    hidden = [
        {"pos": s.positions, "cell": s.cell, "atomic_numbers": s.numbers, "tags": s.tags, "sid": int(s.sid)}
        for s in first
    ]
    records = [(str(k).encode(), geometric_pickle.dumps(record)) for k, record in enumerate(hidden)]
    lmdb_file.write(tmp_path / "test.lmdb", records)
    config = DataConfig("is2re")
    with refuses(ValueError, "no usable structure", "5 x no y_relaxed"):
        read(config, (str(tmp_path / "test.lmdb"),))
    for forces in ("none", "direct"):
        settings = PotentialConfig(elements=(1, 8, 29), channels=8, layers=1, heads=2, forces=forces)
        model = Potential(settings).double()
        model.set_reference([0.0, 0.0, 0.0], 1.0, 5.0)
        model.save(tmp_path / "model.safetensors")
        command = ["predict", tmp_path / "model.safetensors", "surfaces", tmp_path / "test.lmdb", "--batch-size", 2]
        result = CliRunner().invoke(app, [*map(str, command), "--out", str(tmp_path / "p.npz")])
        assert result.exit_code == 0, result.output
        assert "5 structures" in result.output
        found = npz_arrays((tmp_path / "p.npz").read_bytes())
        assert found["sid"].tolist() == [s.sid for s in first]
        known = unlabelled(config, (str(tmp_path / "labelled.lmdb"),))
        assert known.labels == ()
        wanted = predictions(model, known, 5)
        assert_close(found["energy"], wanted["energy"], 1e-9, "energy")
        assert ("forces" in found) == (forces == "direct")
        if forces == "direct":
            each = [model(collate([build_graph(s, 5.0, torch.float64)]))["forces"] for s in known]
            assert_close(found["forces"], torch.cat(each).detach().numpy(), 1e-9, "forces")
            assert found["atoms"].tolist() == [len(s) for s in known]
