"""Frames of OC20 as they are released in text: extended XYZ, with reference energies in a file beside it.

Of the S2EF sets, `7.extxyz` (or `.extxyz.xz`) has its in `7.txt`, a line `sid,frame<fid>,energy` for each frame; of the
archives per adsorbate, each `random123.extxyz` is a trajectory, and `system.txt` of the same folder has a line
`system,energy` for each. The label is the energy of the frame less the reference. Units are eV and Angstrom.
"""

from __future__ import annotations

import lzma
import re
from collections import Counter
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from tdn_theory.data.extxyz import Keys, read_extxyz
from tdn_theory.data.reader import Reader
from tdn_theory.data.structure import Structure

KEYS = Keys("energy", "eV", "Angstrom", "forces", "eV/Angstrom")
SYSTEMS = "system.txt"


@dataclass(frozen=True)
class CatalystTextReader(Reader):
    """Reads `.extxyz` files, also with `.xz`, of OC20; each file is one part.

    Frames whose line beside them cannot be read, or is of another frame, are left out.
    """

    def beside(self, file: Path) -> list[Path]:
        """The file of reference energies, if there is one."""
        name = _name(file)
        names = (f"{name}.txt", f"{name}.txt.xz", SYSTEMS)
        return [path for path in map(file.with_name, names) if path.is_file()][:1]

    def read(self, file: Path, part: tuple[Any, ...]) -> tuple[list[Structure], Counter[str]]:
        """The frames of a file with energies less their references, and how many were left out for which reason.

        Raises:
            FileNotFoundError: There is no file, or none with reference energies beside it.
            ValueError: A frame, or its energy or forces, is not as it should be, or there are not as many lines as
                frames.
        """
        frames = read_extxyz(file, KEYS)
        found = self.beside(file)
        if not found:
            raise FileNotFoundError(
                f"there is neither {_name(file)}.txt nor {SYSTEMS} beside {file}, for the reference energies"
            )
        references = found[0]
        if references.name == SYSTEMS:
            return _of_system(frames, _name(file), references)
        lines = _lines(references)
        if len(lines) != len(frames):
            raise ValueError(f"{file} has {len(frames)} frames, {references} {len(lines)} lines; copy both again")
        found, left_out = list[Structure](), Counter[str]()
        for frame, line in zip(frames, lines, strict=True):
            match = re.fullmatch(r"([^,\s]+),frame(\d+),([^,\s]+)", line.strip())
            reference = None if match is None else _number(match[3])
            if match is None or reference is None:
                left_out["line without system, frame and energy"] += 1
            elif (frame.sid or match[1], frame.fid or match[2]) != (match[1], match[2]):
                left_out["line of another frame"] += 1
            else:
                found.append(_less(frame, reference, match[1], match[2]))
        return found, left_out


def _name(file: Path) -> str:
    return file.name.removesuffix(".xz").removesuffix(".extxyz")


def _of_system(frames: list[Structure], system: str, references: Path) -> tuple[list[Structure], Counter[str]]:
    rows = [line.strip().split(",") for line in _lines(references)]
    energy = next((_number(row[1]) for row in rows if len(row) == 2 and row[0] == system), None)
    if energy is None:
        return [], Counter({f"no reference energy in {SYSTEMS}": len(frames)})
    return [_less(f, energy, f.sid or system, f.fid or str(number)) for number, f in enumerate(frames)], Counter()


def _less(frame: Structure, reference: float, sid: str, fid: str) -> Structure:
    energy = None if frame.energy is None else frame.energy - reference
    return replace(frame, energy=energy, reference_energy=reference, sid=sid, fid=fid, group=sid)


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        return (lzma.decompress(content) if path.suffix == ".xz" else content).decode().splitlines()
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error}); copy it again") from error


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None
