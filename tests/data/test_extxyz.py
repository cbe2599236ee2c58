"""Extended XYZ: nothing is guessed."""

from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from tdn_theory.data import extxyz
from tdn_theory.data.extxyz import ExtxyzReader, Keys, read_extxyz, write_extxyz
from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.structure import Structure
from tdn_theory.data.units import BOHR, HARTREE
from tdn_theory.testing import strategies as own
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.data.reference import assert_same_catalyst, catalyst

COLUMNS = "Properties=species:S:1:pos:R:3:forces:R:3:REF_forces:R:3"
FILE = f"""2
Lattice="4 0 0 0 4 0 0 0 4" {COLUMNS} energy=-1 REF_energy=-2 name=a pbc="T F T"
H 0 0 0 1 1 1 2 2 2
O 0 0 1 1 1 1 2 2 2
1
{COLUMNS} energy=-3.0 REF_energy=-4.0 name=b
H 0 0 0 1 1 1 2 2 2
"""
UNITS = {"energy_unit": "Hartree", "force_unit": "Hartree/Bohr", "length_unit": "Bohr"}
PLAIN = {"energy_unit": "eV", "force_unit": "eV/Angstrom", "length_unit": "Angstrom"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.xyz"
    path.write_text(FILE)
    return path


def test_keys_and_units(file: Path):
    first, second = read_extxyz(file, Keys(energy_key="REF_energy", forces_key="REF_forces", group_key="name", **UNITS))
    assert_close(first.energy, -2 * HARTREE, 1e-12, "energy")
    assert_close(first.forces, np.full((2, 3), 2 * HARTREE / BOHR), 1e-12, "forces")
    assert_close(first.positions[1], [0, 0, BOHR], 1e-15, "positions")
    assert first.cell is not None
    assert_close(first.cell, 4 * BOHR * np.eye(3), 1e-15, "cell")
    assert (first.pbc.tolist(), first.group, second.group) == ([True, False, True], "a", "b")
    assert (second.cell, second.pbc.any()) == (None, False)


def test_names_that_ase_knows(file: Path):
    first, second = read_extxyz(file, Keys(energy_key="energy", forces_key="forces", **PLAIN))
    assert (first.energy, second.energy) == (-1.0, -3.0)
    assert_close(first.forces, np.ones((2, 3)), 0.0, "forces")
    assert (first.group, second.group) == ("HO", "H")


def test_energies_alone(file: Path):
    units = {**PLAIN, "force_unit": None}
    assert read_extxyz(file, Keys(energy_key="energy", forces_key=None, **units))[0].labels == ("energy",)


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        ({"energy_key": "Energy"}, ("frame 0", "'Energy'", "REF_energy", "name one of these")),
        ({"forces_key": "force"}, ("frame 0", "'force'", "REF_forces")),
        ({"energy_key": "name"}, ("frame 0", "must be a number")),
        ({"forces_key": "pos"}, ("'pos'", "REF_forces")),
        ({"group_key": "molecule"}, ("'molecule'", "name")),
        ({"energy_unit": "joule"}, ("'joule'", "Hartree")),
        ({"force_unit": "eV"}, ("energy/length",)),
        ({"force_unit": None}, ("give both",)),
        ({"forces_key": None}, ("give both",)),
    ],
)
def test_missing_keys_and_units_are_refused(file: Path, change, fragments):
    arguments = {"energy_key": "energy", "forces_key": "forces", **PLAIN, **change}
    with refuses(ValueError, *fragments):
        read_extxyz(file, Keys(**arguments))


def test_missing_and_empty_files_are_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_extxyz(tmp_path / "b.xyz", Keys(energy_key="energy", forces_key="forces", **PLAIN))
    (tmp_path / "b.xyz").write_text("")
    with refuses(ValueError, "b.xyz", "no frame"):
        read_extxyz(tmp_path / "b.xyz", Keys(energy_key="energy", forces_key="forces", **PLAIN))


@settings(max_examples=25)
@given(own.structures())
def test_back_as_written(tmp_path_factory: pytest.TempPathFactory, structure: Structure):
    path = tmp_path_factory.mktemp("extxyz") / "a.xyz"
    labels = {name: getattr(structure, name) for name in ("stress", "dipole", "polarizability")}
    n = len(structure)
    known = Structure(
        *(structure.numbers, structure.positions, structure.cell, structure.pbc),
        **labels,
        energy=1 / 3,
        forces=structure.positions / 3,
        group=structure.group,
    )
    write_extxyz(path, [known, known])
    first, second = read_extxyz(path, Keys(energy_key="energy", forces_key="forces", group_key="group", **PLAIN))
    assert_close(first.positions, second.positions, 0.0, "positions")
    assert (first.group, first.energy, len(first)) == (known.group, known.energy, n)
    assert_close(first.positions, known.positions, 1e-8, "positions")
    assert_close(first.forces, known.forces, 1e-8, "forces")


def test_groups_may_be_smiles(tmp_path: Path):
    shipped = list({structure.group: structure for structure in relaxations()}.values())
    write_extxyz(tmp_path / "a.xyz", shipped)
    back = read_extxyz(tmp_path / "a.xyz", Keys(energy_key="energy", forces_key="forces", group_key="group", **PLAIN))
    assert [structure.group for structure in back] == [structure.group for structure in shipped]


def cu4(energy: float = 1.0, extra: str = "") -> str:
    """A frame of two atoms with all labels, in other units and other orders than ours."""
    return (
        f'2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:f:R:3 E={energy} S="1 6 5 6 2 4 5 4 3" '
        f'W="-1 -6 -5 -6 -2 -4 -5 -4 -3" mu="1 2 3" {extra}\nCu 0 0 0 1 1 1\nCu 0 0 2 -1 -1 -1\n'
    )


KEYS = {"energy_key": "E", "energy_unit": "eV", "length_unit": "Angstrom", "forces_key": "f", "force_unit": "eV/A"}


def test_stress_virial_and_dipole(tmp_path: Path):
    (tmp_path / "a.xyz").write_text(cu4())
    stress = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]])
    (found,) = read_extxyz(
        tmp_path / "a.xyz", Keys(**KEYS, stress_key="S", stress_unit="GPa", dipole_key="mu", dipole_unit="Debye")
    )
    assert_close(found.stress, stress * 0.00624150907, 1e-9, "stress")
    assert_close(found.dipole, np.array([1, 2, 3]) * 0.2081943, 1e-6, "dipole")
    (found,) = read_extxyz(tmp_path / "a.xyz", Keys(**KEYS, virial_key="W"))
    assert_close(found.stress, stress / 64, 1e-12, "stress of a virial")


def test_six_numbers_are_in_the_order_of_voigt(tmp_path: Path):
    (tmp_path / "a.xyz").write_text(cu4(extra='V="1 2 3 4 5 6"'))
    (found,) = read_extxyz(tmp_path / "a.xyz", Keys(**KEYS, stress_key="V", stress_unit="eV/A^3"))
    assert_close(found.stress, np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]), 1e-15, "stress")


def test_the_stress_of_emt_as_ase_writes_it(tmp_path: Path):
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.io import write

    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=0)
    atoms.calc = EMT()
    stress = atoms.get_stress(voigt=False)
    atoms.get_forces()
    write(tmp_path / "cu.xyz", atoms, format="extxyz")
    keys = Keys(energy_key="energy", forces_key="forces", stress_key="stress", stress_unit="eV/Angstrom^3", **PLAIN)
    assert_close(read_extxyz(tmp_path / "cu.xyz", keys)[0].stress, stress, 1e-7, "stress")


@pytest.mark.parametrize("suffix", ["xyz", "xyz.gz", "xyz.xz"])
def test_blank_lines_line_ends_and_compression(tmp_path: Path, suffix: str):
    import gzip
    import lzma

    text = "\n" + cu4(1.0) + "\n\n   \n" + cu4(2.0) + cu4(3.0) + "\n"
    pack = {"xyz": bytes, "xyz.gz": gzip.compress, "xyz.xz": lzma.compress}[suffix]
    (tmp_path / f"a.{suffix}").write_bytes(pack(text.replace("\n", "\r\n").encode()))
    found = read_extxyz(tmp_path / f"a.{suffix}", Keys(**KEYS))
    assert [structure.energy for structure in found] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (cu4() + cu4()[:-20], ("frame 1 (line 5)", "cut off")),
        (cu4() + "3" + cu4()[1:] + cu4(), ("frame 1 (line 5)", "frame 1")),
        ("1" + cu4()[1:], ("frame 1 (line 4)", "number of atoms")),
        ("3" + cu4()[1:] + "\n" + cu4(), ("frame 0 (line 1)", "line 5 is blank")),
        (cu4().replace("Cu 0 0 2", "Cu1 0 0 2"), ("frame 0 (line 1)", "Cu1")),
        (cu4().replace("0 0 2", "0 0 ********"), ("frame 0 (line 1)", "********")),
        (cu4().replace("0 0 2", "0 0 1.0D-1"), ("frame 0 (line 1)", "1.0D-1")),
        (cu4().replace("0 0 2", "0 0 1e300"), ("frame 0", "1e+300", "Angstrom")),
        (cu4().replace("0 0 2", "0 0 0.01"), ("frame 0", "atoms 0 and 1", "closer")),
        (cu4().replace("E=1.0", "E=T"), ("frame 0", "E is True")),
        (cu4().replace("E=1.0", "E=nan"), ("frame 0", "energy", "finite")),
        (cu4().replace('"1 6 5 6', '"1 6 5 9'), ("frame 0", "S is not symmetric")),
        (cu4().replace('S="1 6 5 6 2 4 5 4 3"', 'S="1 6"'), ("frame 0", "S has 2 numbers")),
        (cu4().replace('Lattice="4 0 0 0 4 0 0 0 4"', ""), ()),
    ],
)
def test_what_is_wrong_is_told_with_frame_and_line(tmp_path: Path, text: str, fragments: tuple[str, ...]):
    (tmp_path / "a.xyz").write_text(text)
    if not fragments:
        with refuses(ValueError, "no volume"):
            read_extxyz(tmp_path / "a.xyz", Keys(**KEYS, virial_key="W"))
        return
    with refuses(ValueError, "a.xyz", *fragments):
        read_extxyz(tmp_path / "a.xyz", Keys(**KEYS, stress_key="S", stress_unit="GPa"))


def test_damaged_and_foreign_files(tmp_path: Path):
    import gzip

    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress(cu4().encode())[:-12])
    with refuses(ValueError, "a.xyz.gz", "cut off"):
        read_extxyz(tmp_path / "a.xyz.gz", Keys(**KEYS))
    (tmp_path / "b.xyz").write_bytes(cu4().encode() + "2\nname=\u00e9".encode("latin-1"))
    with refuses(ValueError, "b.xyz", "line 6", "UTF-8"):
        read_extxyz(tmp_path / "b.xyz", Keys(**KEYS))


def test_labels_may_be_missing_if_allowed(tmp_path: Path):
    lone = "1\nProperties=species:S:1:pos:R:3 E=-3.0 config_type=IsolatedAtom\nCu 0 0 0\n"
    bare = "2\nProperties=species:S:1:pos:R:3 E=-3.0\nCu 0 0 0\nCu 0 0 3\n"
    (tmp_path / "a.xyz").write_text(cu4() + bare + lone)
    with refuses(ValueError, "frame 1", "'f'", "without"):
        read_extxyz(tmp_path / "a.xyz", Keys(**KEYS))
    full, second, third = read_extxyz(tmp_path / "a.xyz", Keys(**KEYS, missing="without"))
    assert (full.labels, second.labels, third.labels) == (("energy", "forces"), ("energy",), ("energy",))
    assert (third.config_type, second.config_type) == ("IsolatedAtom", "")


@pytest.mark.parametrize("group", ["", "T", "012", "1e3", "a\\b", 'a "b" c', "x=y", " spaced ", "\u00e9", "None"])
def test_groups_come_back_as_they_were(tmp_path: Path, group: str):
    structure = Structure(np.array([1, 1]), np.array([[0, 0, 0], [0, 0, 0.7]]), energy=-1.0, group=group)
    write_extxyz(tmp_path / "a.xyz", [structure, structure])
    keys = {"group_key": "group"} if group else {}
    for found in read_extxyz(tmp_path / "a.xyz", Keys("energy", "eV", "Angstrom", **keys)):
        assert (found.group, found.energy) == (group or "H2", -1.0)


def test_what_catalysts_have_is_kept(tmp_path: Path):
    wanted = [catalyst(), replace(catalyst(1), tags=None, fid="", fixed=np.zeros(4, bool))]
    write_extxyz(tmp_path / "a.xyz", wanted)
    keys = Keys("energy", "eV", "Angstrom", "forces", "eV/Angstrom", group_key="group")
    for got, structure in zip(read_extxyz(tmp_path / "a.xyz", keys), wanted, strict=True):
        assert_same_catalyst(got, structure)
        assert_close(got.forces, structure.forces, 1e-8, "forces, also those on fixed atoms")  # 8 decimals
    text = (tmp_path / "a.xyz").read_text().replace("reference_energy=-100.0625", "reference_energy=PBE")
    (tmp_path / "b.xyz").write_text(text)
    with refuses(ValueError, "frame 0", "PBE"):
        read_extxyz(tmp_path / "b.xyz", keys)


def test_a_group_with_a_line_break_is_refused(tmp_path: Path):
    with refuses(ValueError, "line break"):
        write_extxyz(tmp_path / "a.xyz", [Structure(np.array([1]), np.zeros((1, 3)), group="a\nb")])


def test_types_and_weights(tmp_path: Path):
    text = cu4(extra="config_type=bulk w=2.5") + cu4(extra='config_type="slab 111" w=0') + cu4(extra="w=-1")
    (tmp_path / "a.xyz").write_text(text[: text.rindex("2\nLattice")])
    found = read_extxyz(tmp_path / "a.xyz", Keys(**KEYS, weight_key="w"))
    assert [(s.config_type, s.weight) for s in found] == [("bulk", 2.5), ("slab 111", 0.0)]
    write_extxyz(tmp_path / "b.xyz", found)
    again = read_extxyz(tmp_path / "b.xyz", Keys(*("energy", "eV", "Angstrom"), weight_key="weight", missing="without"))
    assert [(s.config_type, s.weight) for s in again] == [("bulk", 2.5), ("slab 111", 0.0)]
    assert [s.weight for s in read_extxyz(tmp_path / "a.xyz", Keys(**KEYS))] == [1.0, 1.0]
    (tmp_path / "a.xyz").write_text(text)
    with refuses(ValueError, "frame 2", "weight is -1.0", ">= 0"):
        read_extxyz(tmp_path / "a.xyz", Keys(**KEYS, weight_key="w"))
    with refuses(ValueError, "frame 0", "config_type is 'bulk'", "number"):
        read_extxyz(tmp_path / "a.xyz", Keys(**KEYS, weight_key="config_type"))


FRAMES = st.sampled_from(
    [
        cu4(),
        cu4(3.0),
        cu4().replace("\n", "\r\n"),
        "\n",
        "  \r\n",
        "1\nE=1 Properties=species:S:1:pos:R:3:f:R:3\nH 0 0 0 0 0 0\n",
        "1\n\nH 0 0 0\n",
        "3\nProperties=species:S:1:pos:R:3\nH 0 0 0\n",
        "0\n\n",
        "-3\n\n",
        "one\n",
        cu4().replace("Cu", "Cu1"),
        cu4(extra="\x0c"),
        cu4().replace("\n", "\r"),
        "2\nE=1 Properties=species:S:1:pos:R:3\nCu 0 0 0\n\n",
    ]
)


@settings(max_examples=60)
@example(["\n", cu4(), cu4()], False, 1)  # a part of blank lines alone would hold no frame
@given(st.lists(FRAMES, max_size=5), st.booleans(), st.sampled_from([1, 200, 500]))
def test_parts_give_what_the_whole_gives(
    tmp_path_factory: pytest.TempPathFactory, frames: list[str], stray: bool, size: int
):
    """Structures, or the error with its frame and line, do not depend on where a file is cut into parts."""
    file = tmp_path_factory.mktemp("parts") / "a.xyz"
    file.write_bytes("".join(frames).encode() + b"\xff" * stray)
    found = []
    for part_bytes in (size, 2**30):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(extxyz, "PART_BYTES", part_bytes)
            try:
                structures = read_extxyz(file, Keys(**KEYS, missing="without"))
                found.append([(s.numbers.tolist(), s.energy, s.group) for s in structures])
            except ValueError as error:
                found.append(str(error))
    if "not UTF-8" in found[1]:  # of the whole it is told before anything else
        assert isinstance(found[0], str)
    else:
        assert found[0] == found[1]


def test_a_file_is_cut_between_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "a.xyz"
    file.write_text("".join([cu4(), "\n", cu4(), cu4(), "\n\n", cu4()]))
    monkeypatch.setattr(extxyz, "PART_BYTES", 2 * len(cu4()))
    length = len(cu4())
    parts = ExtxyzReader(Keys(**KEYS)).parts(file)
    assert parts == [(0, 2 * length + 1, 0, 1), (2 * length + 1, None, 2, 10)]
