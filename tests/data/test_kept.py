"""What is kept is what the readers give, whatever is killed, damaged or done at the same time."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data import extxyz, kept
from tdn_theory.data.archive import ArchiveReader, write_archive
from tdn_theory.data.ase_files import AseReader
from tdn_theory.data.extxyz import ExtxyzReader, Keys, write_extxyz
from tdn_theory.data.reader import Reader
from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.structure import Structure
from tests.assertions import refuses
from tests.data.reference import assert_packed, same

KEYS = Keys("energy", "eV", "Angstrom", "forces", "eV/Angstrom", group_key="group", missing="without")


@dataclass(frozen=True)
class LineReader(Reader):
    """Each line of a file is a part: a word, and the place of a hydrogen atom; `forces` has forces too."""

    scale: float = 1.0

    def parts(self, file: Path) -> list[tuple[int]]:
        return [(number,) for number in range(len(file.read_text().splitlines()))]

    def read(self, file: Path, part: tuple[int]) -> tuple[list[Structure], Counter[str]]:
        word, place = file.read_text().splitlines()[part[0]].split()
        if word == "fail":
            raise ValueError(f"{file}, line {part[0]}")
        if word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "change":
            file.write_text("other 1\n")
        if word == "nothing":
            return [], Counter(["nothing there"])
        forces = np.ones((1, 3)) if word == "forces" else None
        return [
            Structure(np.array([1]), np.full((1, 3), self.scale * float(place)), forces=forces, group=word)
        ], Counter()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sets are kept; one process reads."""
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "kept"))
    monkeypatch.setattr(kept, "cpu_count", lambda: 1)
    return tmp_path / "kept"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Four structures, of which the third is the first to have forces."""
    path = tmp_path / "lines"
    path.write_text("a 1\nb 2\nnothing 0\nforces 3\na 4\n")
    return path


def sets(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if path.is_dir()]


def test_parts_become_one_set(place: Path, file: Path):
    said: list[str] = []
    found = kept.kept(LineReader(), [file, file], said.append)
    assert [s.positions[0, 0] for s in found] == [1, 2, 3, 4] * 2
    assert found.groups == ["a", "b", "forces", "a"] * 2
    assert [s.forces is not None for s in found] == [False, False, True, False] * 2
    assert said[0].startswith("reading 2 files")
    assert str(place) in said[0]
    assert said[1] == "left out: 2 x nothing there"


def test_it_is_read_once(place: Path, file: Path, monkeypatch: pytest.MonkeyPatch):
    first = kept.kept(LineReader(), [file])
    with monkeypatch.context() as patch:
        patch.setattr(LineReader, "read", lambda *_: pytest.fail("it is read again"))
        renamed = file.rename(file.with_name("renamed"))
        again = kept.kept(LineReader(), [renamed])
    assert all(map(same, again, first))
    assert len(sets(place)) == 1
    assert kept.kept(LineReader(2.0), [renamed])[0].positions[0, 0] == 2
    renamed.write_text("a 5\n")
    assert kept.kept(LineReader(), [renamed])[0].positions[0, 0] == 5
    monkeypatch.setattr(kept, "checksum", lambda _: "other code")
    kept.kept(LineReader(), [renamed])
    assert len(sets(place)) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_every_reader_gives_the_same_kept_and_in_memory(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
):
    monkeypatch.setattr(kept, "cpu_count", lambda: workers)
    monkeypatch.setattr(extxyz, "PART_BYTES", 3000)
    shipped = relaxations()[:30] + relaxations()[-10:]
    write_extxyz(tmp_path / "a.xyz", shipped)
    write_archive(tmp_path / "a.npz", shipped, {})
    _ase(tmp_path / "a.traj", shipped)
    for reader, file in ((ExtxyzReader(KEYS), "a.xyz"), (ArchiveReader(), "a.npz"), (AseReader(), "a.traj")):
        path = tmp_path / file
        parts = reader.parts(path)
        assert (len(parts) > 5) == (file == "a.xyz")
        wanted = [structure for part in parts for structure in reader.read(path, part)[0]]
        found = kept.kept(reader, [path])
        assert len(wanted) == len(shipped)
        assert_packed(found, wanted)


def _ase(path: Path, structures: list[Structure]) -> None:
    from ase.io import write

    write(path, [structure.to_ase() for structure in structures])


def damage_byte(folder: Path) -> None:
    content = bytearray((folder / "positions.npy").read_bytes())
    content[-3] ^= 1
    (folder / "positions.npy").write_bytes(content)


def damage_header(folder: Path) -> None:
    content = (folder / "forces.npy").read_bytes()
    (folder / "forces.npy").write_bytes(content.replace(b"<f8", b">f8"))


def cut(folder: Path) -> None:
    content = (folder / "nearest.npy").read_bytes()
    (folder / "nearest.npy").write_bytes(content[:-8])


DAMAGES = {
    "a bit": damage_byte,
    "a header": damage_header,
    "cut off": cut,
    "a column is gone": lambda folder: (folder / "content.npy").unlink(),
    "groups": lambda folder: (folder / "texts.json").write_text('{"group": ["x", "y", "z"]}'),
    "manifest": lambda folder: (folder / "manifest.json").write_text("{"),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_made_again(place: Path, file: Path, name: str):
    wanted = list(kept.kept(LineReader(), [file]))
    (folder,) = sets(place)
    DAMAGES[name](folder)
    said: list[str] = []
    found = kept.kept(LineReader(), [file], said.append)
    assert_packed(found, wanted)
    assert ("kept is damaged" in said[0]) == (name != "no manifest")
    kept.kept(LineReader(), [file], said.append)
    assert sum("reading" in line for line in said) == 1


def test_nothing_is_left_of_what_fails(place: Path, file: Path, monkeypatch: pytest.MonkeyPatch):
    whole = file.read_text()
    file.write_text(f"{whole}fail 0\n")
    with refuses(ValueError, str(file), "line 5"):
        kept.kept(LineReader(), [file])
    file.write_text(f"{whole}change 0\n")
    with refuses(ValueError, str(file), "changed while being read"):
        kept.kept(LineReader(), [file])
    file.write_text("nothing 0\n")
    with refuses(ValueError, "no usable structure", str(file), "nothing there"):
        kept.kept(LineReader(), [file])
    with refuses(FileNotFoundError, "there is no file", "none"):
        kept.kept(LineReader(), [file.with_name("none")])
    file.write_text(whole)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with refuses(OSError, "No space left", "make space", kept.VARIABLE, str(place)):
            kept.kept(LineReader(), [file])
    assert not sets(place)
    assert len(kept.kept(LineReader(), [file])) == 4


def test_a_folder_that_cannot_be_is_refused(place: Path, file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(kept.VARIABLE, str(file / "below"))
    with refuses(OSError, "cannot be kept there", kept.VARIABLE, str(file)):
        kept.kept(LineReader(), [file])
    monkeypatch.setenv(kept.VARIABLE, "relative")
    with refuses(FileNotFoundError, "not absolute", kept.VARIABLE):
        kept.kept(LineReader(), [file])


def test_clear(place: Path, file: Path):
    assert kept.clear() == 0
    found = kept.kept(LineReader(), [file])
    kept.kept(LineReader(2.0), [file])
    assert kept.clear() == 2
    assert not sets(place)
    assert found[3].positions[0, 0] == 4  # whoever has mapped a set goes on


SCRIPT = """
import sys, time
from pathlib import Path
from tdn_theory.data import kept
from tests.data.test_kept import LineReader

class WaitingReader(LineReader):
    def read(self, file, part):
        while not Path(sys.argv[2]).exists():
            time.sleep(0.01)
        return super().read(file, part)

kept.cpu_count = lambda: 1
found = kept.kept(WaitingReader(), [Path(sys.argv[1])], lambda line: print(line, flush=True))
print(found.fingerprint)
"""


def launch(file: Path, start: Path) -> subprocess.Popen:
    """A process that reads `file` as soon as there is a file `start`."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", SCRIPT, str(file), str(start)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_read_it_once(place: Path, file: Path):
    start = file.with_name("start")
    processes = [launch(file, start)]
    lines = [processes[0].stdout.readline()]
    processes.append(launch(file, start))
    lines.append(processes[1].stdout.readline())
    start.touch()
    rest = [process.communicate()[0].splitlines() for process in processes]
    assert lines[0].startswith("reading 1 files")
    assert lines[1].startswith("waiting for another process")
    assert not any("reading" in line for lines in rest for line in lines)
    assert rest[0][-1] == rest[1][-1] == kept.kept(LineReader(), [file]).fingerprint
    assert [process.returncode for process in processes] == [0, 0]


def test_a_killed_process_leaves_no_set(place: Path, file: Path):
    whole = file.read_text()
    file.write_text(f"{whole}kill 0\n")
    killed = launch(file, file)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    (folder,) = sets(place)
    assert (folder / "positions.npy").exists()
    assert not (folder / kept.MANIFEST).exists()
    address = folder.name
    file.write_text(whole)
    kept.kept(LineReader(), [file])
    (folder / "half").write_text("")  # what the killed process had begun is no part of what is made in its place
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "_address", lambda *_: address)
        found = kept.kept(LineReader(), [file])
    assert [s.positions[0, 0] for s in found] == [1, 2, 3, 4]
    assert not (folder / "half").exists()
    assert json.loads((folder / kept.MANIFEST).read_text())["left_out"] == {"nothing there": 1}
