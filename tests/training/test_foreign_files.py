"""Files like those that people share: each is read, summed up, trained on, evaluated and relaxed, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write
from typer.testing import CliRunner

from tdn_theory.cli.app import app
from tdn_theory.cli.common import console

UNITS = {"energy_unit": "eV", "force_unit": "eV/A", "length_unit": "A"}
MODEL = "channels = 2\nlayers = 1\nheads = 1\nbasis_size = 4\ncutoff = 3.0\n"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 200)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    output = re.sub(r"\s+", " ", result.output)
    assert result.exit_code == code, output
    return output


def crystals(count: int, cell: Callable[[], Atoms] = lambda: bulk("Cu", cubic=True)) -> list[Atoms]:
    """Rattled crystals with EMT's energies, forces and stresses."""
    frames = []
    for seed in range(count):
        atoms = cell()
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    return frames


def block(atoms: Atoms, comment: str, columns: str, *extra: np.ndarray) -> str:
    """A frame as programs other than ASE write it."""
    lattice = " ".join(f"{x:.10g}" for x in atoms.cell.array.ravel())
    lines = [str(len(atoms)), f'Lattice="{lattice}" Properties=species:S:1:pos:R:3{columns} pbc="T T T" {comment}']
    for symbol, *values in zip(atoms.symbols, atoms.positions, *extra, strict=True):
        lines.append(" ".join([symbol, *(f"{x:.10g}" for value in values for x in value)]))
    return "\n".join(lines) + "\n"


def numbers(array: np.ndarray) -> str:
    return '"' + " ".join(f"{x:.10g}" for x in np.ravel(array)) + '"'


def nep(folder: Path) -> tuple[Path, dict[str, str]]:
    """GPUMD's: capital letters, virials, `force` in the columns."""
    text = ""
    for atoms in crystals(6):
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
        comment = f"Energy={atoms.get_potential_energy():.10g} Virial={numbers(virial)} config_type=cubic"
        text += block(atoms, comment, ":force:R:3", atoms.get_forces())
    (folder / "train.xyz").write_text(text)
    return folder / "train.xyz", {"energy_key": "Energy", "forces_key": "force", "virial_key": "Virial", **UNITS}


def libatoms(folder: Path) -> tuple[Path, dict[str, str]]:
    """Of interatomic potentials' benchmarks: `REF_` keys, stresses, types, an isolated atom; line ends of Windows."""
    text = "1\nProperties=species:S:1:pos:R:3 REF_energy=3.5 config_type=IsolatedAtom\nCu 0 0 0\n\n"
    for number, atoms in enumerate(crystals(6)):
        stress = numbers(atoms.get_stress(voigt=False))
        comment = f"REF_energy={atoms.get_potential_energy():.10g} REF_stress={stress} config_type=bulk_{number % 2}"
        text += block(atoms, comment, ":REF_forces:R:3", atoms.get_forces())
    (folder / "mp.xyz").write_bytes(text.replace("\n", "\r\n").encode())
    keys = {"energy_key": "REF_energy", "forces_key": "REF_forces", "stress_key": "REF_stress", "stress_unit": "eV/A^3"}
    return folder / "mp.xyz", {**keys, **UNITS}


def missing(folder: Path) -> tuple[Path, dict[str, str]]:
    """Frames without forces among others."""
    text = ""
    for number, atoms in enumerate(crystals(6)):
        energy = f"energy={atoms.get_potential_energy():.10g}"
        text += block(atoms, energy, ":forces:R:3", atoms.get_forces()) if number % 3 else block(atoms, energy, "")
    (folder / "some.xyz").write_text(text)
    return folder / "some.xyz", {"energy_key": "energy", "forces_key": "forces", "missing": "without", **UNITS}


def triclinic(folder: Path) -> tuple[Path, dict[str, str]]:
    """Primitive cells of one atom, smaller than the cutoff, sheared; compressed."""

    def sheared() -> Atoms:
        atoms = bulk("Cu") * (1, 1, 2)
        atoms.set_cell(atoms.cell.array @ np.array([[1, 0.1, 0], [0, 1, 0.2], [0, 0, 1]]), scale_atoms=True)
        return atoms

    write(folder / "tiny.xyz.gz", crystals(6, sheared), format="extxyz")
    keys = {"energy_key": "energy", "forces_key": "forces", "stress_key": "stress", "stress_unit": "eV/A^3"}
    return folder / "tiny.xyz.gz", {**keys, **UNITS}


def many(folder: Path) -> tuple[Path, dict[str, str]]:
    """900 frames of one formula."""
    rng, text = np.random.default_rng(0), ""
    for _ in range(900):
        x = 0.9 + 0.1 * rng.random()
        text += f"2\nProperties=species:S:1:pos:R:3 energy={(x - 1) ** 2:.8f}\nO 0 0 0\nH 0 0 {x:.8f}\n"
    (folder / "md.xyz").write_text(text)
    return folder / "md.xyz", {"energy_key": "energy", "energy_unit": "eV", "length_unit": "A"}


def database(folder: Path) -> tuple[Path, dict[str, str]]:
    """ASE's database."""
    write(folder / "cu.db", crystals(6))
    return folder / "cu.db", {}


@pytest.mark.parametrize("make", [nep, libatoms, missing, triclinic, many, database])
def test_from_the_file_to_a_relaxed_structure(tmp_path: Path, make: Callable[[Path], tuple[Path, dict[str, str]]]):
    file, keys = make(tmp_path)
    options = [text for name, value in keys.items() for text in ("--" + name.replace("_", "-"), value)]
    found = run("data", "check", file, *options, "--cutoff", 3.0)
    assert "warning" not in found
    count = {many: 900, libatoms: 7}.get(make, 6)
    labels = {"energy": count, "forces": {many: 0, missing: 4}.get(make, 6)}
    labels["stress"] = 0 if make in (many, missing) else 6
    for label, number in labels.items():
        assert (f"{label}: {number} of {count}" in found) == (number > 0), found

    settings = "".join(f'{name} = "{value}"\n' for name, value in keys.items())
    loss = "".join(f"{label} = {{ weight = {float(labels[label] > 0)} }}\n" for label in labels)
    (tmp_path / "a.toml").write_text(
        f'epochs = 1\nbatch_size = {count // 3}\nout = "{tmp_path / "run"}"\n'
        f'[data]\nsource = "{"ase" if make is database else "extxyz"}"\nfiles = ["{file}"]\nsplit = "structure"\n'
        f"validation = 0.2\ntest = 0.2\n{settings}[model]\n{MODEL}[loss]\n{loss}"
    )
    found = run("train", tmp_path / "a.toml")
    assert "energy_mae" in found
    model = tmp_path / "run" / "model.safetensors"
    found = run("evaluate", model, tmp_path / "a.toml", "--rotations", 1)
    assert ("stress_mae" in found) == (labels["stress"] > 0)
    atoms = molecule("OH") if make is many else crystals(1)[0]
    atoms.calc = None
    write(tmp_path / "start.xyz", atoms)
    assert "relaxed in 0 steps" in run(
        "relax", tmp_path / "start.xyz", "--model", model, "--fmax", 1e9, "--out", tmp_path
    )
