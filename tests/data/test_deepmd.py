"""Folders of DeePMD-kit: written here by their definition, read by dpdata."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data.deepmd import read_deepmd
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses


def write(
    folder: Path, rng: np.random.Generator, symbols: str = "O\nH\n", **changes: np.ndarray
) -> dict[str, np.ndarray]:
    """Water, four frames in two sets, in skewed cells."""
    folder.mkdir()
    (folder / "type.raw").write_text("0\n1\n1\n")
    (folder / "type_map.raw").write_text(symbols)
    box = 6 * np.eye(3) + rng.uniform(-0.5, 0.5, (4, 3, 3))
    virial = rng.standard_normal((4, 3, 3))
    arrays = {
        "coord": rng.uniform(0, 4, (4, 9)),
        "box": box.reshape(4, 9),
        "energy": rng.standard_normal(4),
        "force": rng.standard_normal((4, 9)),
        "virial": (virial + virial.transpose(0, 2, 1)).reshape(4, 9),
        **changes,
    }
    for number, part in enumerate((slice(0, 3), slice(3, 4))):
        (folder / f"set.{number:03d}").mkdir()
        for name, array in arrays.items():
            np.save(folder / f"set.{number:03d}" / f"{name}.npy", array[part])
    return arrays


def test_all_labels(tmp_path: Path, rng: np.random.Generator):
    pytest.importorskip("dpdata", reason="needs the extra dpdata")
    arrays = write(tmp_path / "a", rng)
    found = read_deepmd(tmp_path / "a")
    assert [structure.formula for structure in found] == ["H2O"] * 4
    for number, structure in enumerate(found):
        assert structure.numbers.tolist() == [8, 1, 1]
        assert structure.pbc.all()
        assert structure.energy == arrays["energy"][number]
        assert_close(structure.positions.ravel(), arrays["coord"][number], 1e-12, "positions")
        assert_close(structure.forces.ravel(), arrays["force"][number], 1e-12, "forces")
        volume = abs(np.linalg.det(arrays["box"][number].reshape(3, 3)))
        assert_close(structure.stress.ravel(), -arrays["virial"][number] / volume, 1e-12, "stress")


def test_molecules_and_missing_labels(tmp_path: Path, rng: np.random.Generator):
    pytest.importorskip("dpdata", reason="needs the extra dpdata")
    write(tmp_path / "a", rng)
    (tmp_path / "a" / "nopbc").touch()
    for number in (0, 1):
        (tmp_path / "a" / f"set.{number:03d}" / "virial.npy").unlink()
    assert {(s.labels, s.cell is None, bool(s.pbc.any())) for s in read_deepmd(tmp_path / "a")} == {
        (("energy", "forces"), True, False)
    }


def test_mixed_types(tmp_path: Path, rng: np.random.Generator):
    pytest.importorskip("dpdata", reason="needs the extra dpdata")
    types = np.array([[0, 1, 1], [0, 1, 1], [0, 0, 1], [1, 1, 0]])
    arrays = write(tmp_path / "a", rng, real_atom_types=types)
    (tmp_path / "a" / "type.raw").write_text("0\n0\n0\n")
    found = read_deepmd(tmp_path / "a")
    energies = {structure.energy: sorted(structure.numbers.tolist()) for structure in found}
    assert energies == {
        energy: sorted([(8, 1)[kind] for kind in row]) for energy, row in zip(arrays["energy"], types, strict=True)
    }


def test_what_is_wrong_is_told(tmp_path: Path, rng: np.random.Generator):
    with pytest.raises(FileNotFoundError, match="folder"):
        read_deepmd(tmp_path / "none")
    with refuses(ValueError, "type.raw", "deepmd/npy"):
        read_deepmd(tmp_path)
    write(tmp_path / "a", rng)
    (tmp_path / "a" / "type_map.raw").unlink()
    with refuses(ValueError, "type_map.raw", "symbols of the elements"):
        read_deepmd(tmp_path / "a")
    pytest.importorskip("dpdata", reason="needs the extra dpdata")
    write(tmp_path / "b", rng, symbols="Water\nH\n")
    with refuses(ValueError, "b, frame 0", "Water, H", "symbols"):
        read_deepmd(tmp_path / "b")
    write(tmp_path / "c", rng, coord=np.full((4, 9), np.nan))
    with refuses(ValueError, "c, frame 0", "positions", "finite"):
        read_deepmd(tmp_path / "c")


def test_the_extra_is_named(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "a", rng)
    monkeypatch.setitem(sys.modules, "dpdata", None)
    with refuses(ImportError, "tdn-theory[dpdata]"):
        read_deepmd(tmp_path / "a")
