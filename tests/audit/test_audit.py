"""The audit finds what is wrong, names it, and finds nothing where nothing is."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from typer.testing import CliRunner

from tdn_theory.audit import modules, potential, sources
from tdn_theory.audit.noise import LINES, ORDER, POINTS, of_differences, rounding_noise
from tdn_theory.audit.page import page
from tdn_theory.audit.potential import audit
from tdn_theory.audit.prediction import predict
from tdn_theory.audit.rotations import rotation_errors
from tdn_theory.audit.symmetries import symmetry_errors
from tdn_theory.audit.verdict import BROKEN, DIFFERENCES, FAULT, ROUNDOFF, Finding, Grade, grade, summary
from tdn_theory.cli.app import app
from tdn_theory.cli.common import console
from tdn_theory.coupling import CouplingTensor
from tdn_theory.files import read_json
from tdn_theory.jobs import Jobs
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

SPOILT = Path(__file__).with_name("spoilt.py")


@pytest.fixture(autouse=True)
def one_calculator_at_a_time():
    sources._calculator.cache_clear()


def small() -> dict[str, Atoms]:
    """A molecule, and a crystal whose cell is smaller than the cutoff."""
    rng = np.random.default_rng(0)
    molecule = Atoms("COHHH", 1.5 * np.array([[0, 0, 0], [1, 0, 0.2], [0, 1.1, 0], [-0.3, 0.2, 1], [-1, -0.4, 0]]))
    crystal = Atoms("Cu4", cell=3.6 * np.eye(3) + 0.2 * rng.uniform(-1, 1, (3, 3)), pbc=True)
    crystal.set_scaled_positions([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    crystal.positions += 0.05 * rng.standard_normal((4, 3))
    return {"molecule": molecule, "crystal": crystal}


def audited(name: str, tmp_path: Path, structures: dict[str, Atoms] | None = None, degree: int = 3) -> dict:
    return audit(f"{SPOILT}:{name}", {}, structures or small(), Jobs(tmp_path / name), degree)


def wrong(record: dict) -> set[tuple[str, str]]:
    return {(row["check"], row["quantity"]) for row in record["findings"] if row["grade"] != "at roundoff"}


@pytest.mark.parametrize("name", ["Exact", "Single", "Dipole"])
def test_what_is_right_is_at_roundoff(name: str, tmp_path: Path) -> None:
    record = audited(name, tmp_path)
    assert (record["grade"], wrong(record)) == ("at roundoff", set())
    checks = {row["check"] for row in record["findings"]}
    assert {"rotation", "inversion", "translation", "permutation", "images", "supercell", "smoothness"} <= checks
    assert {"energy gradient", "curl"} <= checks
    moments = {"dipole", "polarizability"} & {row["quantity"] for row in record["findings"]}
    assert moments == ({"dipole", "polarizability"} if name == "Dipole" else set())


def test_a_calculator_of_ase_is_at_roundoff(tmp_path: Path) -> None:
    """EMT of copper, which nobody here wrote."""
    record = audit("ase.calculators.emt:EMT", {}, {"copper": small()["crystal"]}, Jobs(tmp_path), 3)
    assert {check for check, _ in wrong(record)} <= {"smoothness"}


FAULTS = {
    "Broken": ("broken", "not equivariant under rotations"),
    "Anisotropic": ("approximate", "not equivariant under rotations"),
    "Half": ("approximate", "of the size of coefficients in float16"),
    "Hard": ("broken", "jumps where a neighbour leaves"),
    "Compressed": ("broken", "stress: its sign is the other one"),
    "Blind": ("broken", "two cells are not twice one"),
    "Ordered": ("broken", "order of the atoms"),
    "Anchored": ("broken", "depends on where the structure is"),
    "Direct": ("broken", "not conservative"),
    "Chiral": ("broken", "not equivariant under inversion"),
    "Random": ("at roundoff", "at roundoff"),
    "Dice": ("approximate", "the same input gives different results"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_named(name: str, tmp_path: Path) -> None:
    record = audited(name, tmp_path)
    level, reason = FAULTS[name]
    assert record["grade"] == level, record["answer"]
    assert reason in record["answer"]


def test_faults_are_not_taken_for_others(tmp_path: Path) -> None:
    assert wrong(audited("Compressed", tmp_path)) == {("strain", "stress")}
    assert {check for check, _ in wrong(audited("Direct", tmp_path))} == {"energy gradient", "curl"}
    assert wrong(audited("Skew", tmp_path)) == {("rotation", "polarizability")}
    chiral = {check for check, _ in wrong(audited("Chiral", tmp_path, {"m": small()["molecule"]}))}
    assert chiral == {"inversion", "permutation"}  # its atoms are taken by number


def test_the_floor_is_that_of_the_precision_and_not_the_error() -> None:
    """Single precision has the floor of single precision; an error that is smooth does not raise it."""
    from tests.audit import spoilt

    molecule = small()["molecule"]
    floors = {
        name: rounding_noise(getattr(spoilt, name)(), molecule, 0)["squares"]["forces"] ** 0.5
        for name in ("Exact", "Single", "Anisotropic", "Broken")
    }
    size = float(np.sqrt(np.mean(predict(spoilt.Exact(), molecule)["forces"] ** 2)))
    assert floors["Exact"] < 1e-14 * size
    assert 1e-9 * size < floors["Single"] < 1e-6 * size
    assert floors["Anisotropic"] < 1e-13 * size
    assert floors["Broken"] < 1e-13 * size


def test_noise_is_found_and_as_surely_as_is_derived() -> None:
    """The estimate on lines of noise of variance one: mean 1, variance 2 / nu, nu as the module says.

    Means of N lines err by root (variance / N), variances by about twice their size over root N: 6 of these.
    """
    count, m = 4000, POINTS - ORDER
    rng = np.random.default_rng(0)
    found = np.array([of_differences(rng.standard_normal(POINTS)) for _ in range(count)])
    r = [comb(2 * ORDER, ORDER + j) / comb(2 * ORDER, ORDER) for j in range(1, ORDER + 1)]
    # the j-th neighbours of m differences are m - j pairs
    nu = m / (1 + 2 * sum((1 - j / m) * x**2 for j, x in enumerate(r, 1)))
    assert_close(found.mean(), 1.0, 6 * np.sqrt(2 / nu / count), "mean")
    assert_close(found.var(), 2 / nu, 6 * 2 * (2 / nu) / np.sqrt(count), "variance")
    assert 12 < (LINES - 1) * nu < 14


def test_like_terms_that_are_rounded_alike_belong_to_the_floor() -> None:
    """Sums of equal terms in single precision: twice as many have another error per atom, which no line shows."""
    from tests.audit import spoilt

    cell = small()["crystal"]
    atoms, largest = cell.repeat((3, 2, 1)), 0.0
    for constant in np.random.default_rng(1).uniform(-6, -2, 3).astype(np.float32):
        model = spoilt.Summed()
        model.constant = constant
        noise = rounding_noise(model, atoms, 0)["squares"]["energy"]
        error = symmetry_errors(model, atoms, 0)["squares"]["supercell"]["energy"]
        assert error <= ROUNDOFF**2 * DIFFERENCES["supercell"] * noise
        largest = max(largest, error / noise * (len(atoms) / 2) ** 2)
    assert largest > ROUNDOFF**2 * DIFFERENCES["supercell"]  # with the rounding of the last sum alone


def test_an_error_is_compared_with_the_floor_of_the_structures_that_it_is_of(tmp_path: Path) -> None:
    """Supercells are of crystals; a molecule, however exact, does not lower the floor."""
    found = [
        {(row["check"], row["quantity"]): row["floor"] for row in audited("Single", tmp_path, structures)["findings"]}
        for structures in (small(), {"crystal": small()["crystal"]})
    ]
    for quantity in ("energy", "stress"):
        both, crystal = (floors["supercell", quantity] for floors in found)
        assert_close(both, crystal, 1e-6 * crystal, f"floor of {quantity}")


def test_variance_and_degrees_are_those_of_the_error() -> None:
    """`a sum z^2` is `a n.S n`, of a tensor `S = sum r r^T`: of degree 2 alone.

    With n Haar on the sphere, `E (n.S n)^2 = (2 tr S^2 + tr^2 S) / 15` and `E n.S n = tr S / 3`.
    """
    from tests.audit import spoilt

    molecule = small()["molecule"]
    found = rotation_errors(spoilt.Field(), molecule, 4, 0)
    r = molecule.positions - molecule.positions.mean(0)
    S = r.T @ r
    variance = (2 * np.trace(S @ S) + np.trace(S) ** 2) / 15 - np.trace(S) ** 2 / 9
    wanted = spoilt.Field.strength**2 * variance / len(molecule) ** 2
    assert_close(found["squares"]["energy"], wanted, 1e-12 * wanted, "variance")
    assert_close(found["powers"]["energy"], [0, wanted], 1e-12 * wanted, "powers")
    assert found["worst"]["forces"] >= found["squares"]["forces"] ** 0.5
    rotation = np.array(found["worst"]["rotation"])
    assert_close(rotation @ rotation.T, np.eye(3), 1e-12, "worst rotation")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Moving", "changes the positions of the structure"),
        ("NotANumber", "forces of C.* is not finite"),
    ],
)
def test_calculators_that_misbehave_are_refused(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        audited(name, tmp_path)


def test_stress_may_be_a_matrix() -> None:
    from tests.audit import spoilt

    crystal = small()["crystal"]
    one, other = (predict(made(), crystal)["stress"] for made in (spoilt.Exact, spoilt.Square))
    assert np.array_equal(one, other)
    assert np.abs(one).max() > 0


def test_a_calculator_without_forces_is_audited_by_its_energies(tmp_path: Path) -> None:
    record = audited("Energies", tmp_path)
    assert {row["quantity"] for row in record["findings"]} == {"energy"}
    assert record["grade"] == "at roundoff"


def test_a_structure_that_is_refused_is_left_out_and_said(tmp_path: Path) -> None:
    structures = small() | {"iron": Atoms("Fe2", [[0, 0, 0], [0, 0, 2.2]])}
    record = audited("Refusing", tmp_path, structures)
    assert "no parameters of Fe" in record["structures"]["iron"]["refused"]
    assert record["grade"] == "at roundoff"
    assert "no parameters of Fe" in page(record)


@pytest.mark.parametrize("name", ["Exact", "Single"])
def test_atoms_alone_and_in_a_line_divide_by_nothing(name: str, tmp_path: Path) -> None:
    """Forces vanish by symmetry; errors are of the set."""
    alone = {"atom": Atoms("C"), "pair": Atoms("CO", [[0, 0, 0], [0, 0, 1.796]])}
    record = audited(name, tmp_path, {"atom": alone["atom"]})
    assert record["grade"] == "at roundoff"
    assert all(row["relative"] is None for row in record["findings"])
    json.dumps(record, allow_nan=False)
    assert audited(name, tmp_path, alone | {"line": Atoms("COC", [[0, 0, 0], [0, 0, 1.7], [0, 0, 3.5]])})["grade"] == (
        "at roundoff"
    )


def test_a_stopped_audit_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done is kept: after an interruption only the rest is computed, and the record is the same."""
    whole = audited("Exact", tmp_path)
    rotations, calls = potential.rotation_errors, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rotations(*arguments)

    monkeypatch.setattr(potential, "rotation_errors", interrupted)
    jobs = Jobs(tmp_path / "again")
    with pytest.raises(KeyboardInterrupt):
        audit(f"{SPOILT}:Exact", {}, small(), jobs, 3)
    again = audit(f"{SPOILT}:Exact", {}, small(), jobs, 3)
    assert len(calls) == 3  # the first structure once, the second twice
    assert {**again, "provenance": 0} == {**whole, "provenance": 0}


def test_another_file_is_not_taken_for_this_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for cutoff, level in (("smooth=True", "at roundoff"), ("smooth=False", "broken")):
        sources._calculator.cache_clear()
        file.write_text(
            "from ase.calculators.lj import LennardJones\n"
            f"def make(sigma): return LennardJones(sigma=sigma, epsilon=0.3, rc=2.8, {cutoff})\n"
        )
        record = audit(f"{file}:make", {"sigma": 1.6}, small(), Jobs(tmp_path / "jobs"), 3)
        assert record["grade"] == level


def test_the_rules_of_the_verdict() -> None:
    assert grade("rotation", ROUNDOFF * 1e-7, 1e-7, 1.0) is Grade.ROUNDOFF
    assert grade("rotation", 1.01 * ROUNDOFF * 1e-7, 1e-7, 1.0) is Grade.APPROXIMATE
    assert grade("rotation", BROKEN, 1e-7, 1.0) is Grade.BROKEN
    assert grade("supercell", FAULT, 1e-7, 1.0) is Grade.BROKEN
    assert grade("supercell", 0.9 * FAULT, 1e-7, 1.0) is Grade.APPROXIMATE
    assert grade("rotation", 1.0, 1e-7, None) is Grade.APPROXIMATE
    right = Finding("rotation", "energy", 0.0, 1e-9, 1.0, Grade.ROUNDOFF)
    turned = Finding("rotation", "energy", 2e-3, 1e-9, 1.0, Grade.APPROXIMATE)
    assert summary([right])[0] is Grade.ROUNDOFF
    level, said = summary([right, turned])
    assert level is Grade.APPROXIMATE
    assert "2 meV/atom under rotations" in said
    with refuses(ValueError, "no findings"):
        summary([])


def test_where_calculators_come_from(tmp_path: Path) -> None:
    assert isinstance(sources.calculator("ase.calculators.emt:EMT", {}), EMT)
    saved = tmp_path / "model.safetensors"
    Potential(PotentialConfig(elements=(1, 6, 8), channels=8, layers=1)).save(saved)
    found = sources.calculator(str(saved), {})
    assert next(found.potential.parameters()).dtype == torch.float64
    assert sources.fingerprint(str(saved)) is not None
    assert sources.fingerprint("ase.calculators.emt:EMT") is None
    assert potential.version_of("PIL") == version("pillow")
    assert potential.version_of("nowhere") is None
    with refuses(ValueError, "names nothing", "module:name"):
        sources.named("emt")
    with refuses(ValueError, "no 'Nothing'", "Exact"):
        sources.named(f"{SPOILT}:Nothing")
    with refuses(FileNotFoundError, "nowhere.py"):
        sources.named("nowhere.py:name")
    with refuses(TypeError, "calculator of ASE"):
        sources.calculator("builtins:dict", {})


def test_the_shipped_set_and_files(tmp_path: Path) -> None:
    found = sources.shipped()
    assert {"water", "silicon", "oxygen on copper"} <= found.keys()
    assert all(np.array_equal(atoms.positions, sources.shipped()[name].positions) for name, atoms in found.items())
    assert list(sources.structures(None, ["water"])) == ["water"]
    with refuses(ValueError, "'mercury'", "water"):
        sources.structures(None, ["mercury"])
    found["water"].write(tmp_path / "a.xyz")
    assert list(sources.structures(tmp_path / "a.xyz")) == ["0 H2O"]
    (tmp_path / "a.unknown").write_text("?")
    with refuses(ValueError, "a.unknown", "suffix"):
        sources.structures(tmp_path / "a.unknown")


class Gate(torch.nn.Module):
    """Scalars times vectors, spoilt by adding to one component."""

    def __init__(self, spoil: float = 0.0, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.7, dtype=dtype))
        self.spoil = spoil

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        vector = torch.tanh(self.weight * x[:, :1]) * x[:, 1:]
        return vector + self.spoil * torch.stack([x[:, 1] ** 2, 0 * x[:, 1], 0 * x[:, 1]], dim=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_modules(dtype: torch.dtype) -> None:
    right = modules.module(Gate(dtype=dtype), "0e+1o", "1o")
    assert right["grade"] == "at roundoff"
    unit = torch.finfo(dtype).eps
    assert 0.01 * unit < right["floor"] < 10 * unit
    near = modules.module(Gate(200 * right["floor"], dtype), "0e+1o", "1o")
    assert near["grade"] == "approximate"
    assert near["inversion"] > right["floor"]
    assert modules.module(Gate(1.0, dtype), "0e+1o", "1o")["grade"] == "broken"
    with refuses(ValueError, "returns shape (32, 3)", "(32, 5)"):
        modules.module(Gate(), "0e+1o", "2e")


def test_products_have_exact_numbers() -> None:
    tensor = CouplingTensor(1)
    right = modules.product(tensor)
    assert right["grade"] == "at roundoff"
    spoilt = tensor.array.copy()
    spoilt[1, 2, 3] += 1e-3
    wrong = modules.product(spoilt)
    assert wrong["grade"] == "approximate"
    assert 0 < wrong["at_least"] <= wrong["at_most"]
    assert modules.product(lambda x, y: x * y, "1o x 1o -> 1e")["grade"] == "broken"


runner = CliRunner()


def run(*arguments: object, code: int = 0) -> str:
    result = runner.invoke(app, ["audit", *map(str, arguments)])
    output = re.sub(r"\s+", " ", result.output)
    assert result.exit_code == code, output
    return output


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    small()["molecule"].write(tmp_path / "molecule.xyz")
    return tmp_path / "molecule.xyz"


def test_the_command(tmp_path: Path, structures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "width", 80)
    common = ("--structures", structures, "--degree", 2, "--out", tmp_path / "out")
    result = runner.invoke(app, ["audit", "--calculator", f"{SPOILT}:Exact", *map(str, common)])
    assert result.exit_code == 0
    assert "at roundoff: symmetric and consistent" in result.output
    assert max(map(len, result.output.replace(str(tmp_path), "").splitlines())) <= 80
    assert "degrees about" in result.output
    record = read_json(tmp_path / "out" / "audit.json")
    assert record["grade"] == "at roundoff"
    again = runner.invoke(app, ["audit", "--calculator", f"{SPOILT}:Exact", *map(str, common), "--json"])
    assert json.loads(again.stdout)["findings"] == record["findings"]
    html = (tmp_path / "out" / "audit.html").read_text()
    assert html.count("<svg") == 2
    assert record["worst"] in html
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"|<metadata>.*?</metadata>', "", html, flags=re.DOTALL)
    run("--calculator", f"{SPOILT}:Broken", *common, code=1)
    run("--calculator", f"{SPOILT}:Anisotropic", *common)
    assert "is above 1e-09" in run("--calculator", f"{SPOILT}:Anisotropic", "--max-forces", 1e-9, *common, code=1)
    assert "has no forces" in run("--calculator", f"{SPOILT}:Energies", "--max-forces", 1e-9, *common, code=2)
    run("--calculator", f"{SPOILT}:Anisotropic", "--max-energy", 1.0, *common)


def test_the_command_for_products_and_modules(tmp_path: Path) -> None:
    out = ("--out", tmp_path)
    assert "at roundoff" in run("--product", "numpy:cross", "--coupling", "1o x 1o -> 1e", *out)
    file = tmp_path / "mine.py"
    file.write_text("import torch\nmine = torch.nn.Linear(3, 3)\n")
    module = ("--module", f"{file}:mine", "--inputs", "1o", "--outputs", "1o")
    assert "broken" in run(*module, *out, code=1)
    assert "--inputs" in run("--module", f"{file}:mine", *out, code=2)
    assert "0 things" in run(*out, code=2)
    assert "name=value" in run("--calculator", "ase.calculators.emt:EMT", "--argument", "small", *out, code=2)


def test_consequences(tmp_path: Path) -> None:
    record = audit(f"{SPOILT}:Exact", {}, {"m": small()["molecule"]}, Jobs(tmp_path), 2, with_consequences=True)
    found = record["structures"]["m"]["consequences"]
    assert max(map(abs, found["energies"])) < 1e-3
    assert len(found["drifts"]) == 3
