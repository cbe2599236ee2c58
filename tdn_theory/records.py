"""Records of studies: a run's own ones first, the committed ones else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdn_theory.files import read_json


@dataclass(frozen=True)
class Record:
    """What a study found, and where that comes from.

    Attributes:
        study: Identifier of the study.
        preset: Size of the run that made it.
        provenance: Its versions, commit, device, seed and time.
        values: What was found.
    """

    study: str
    preset: str
    provenance: Mapping[str, Any]
    values: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path) -> Record:
        """The record in a JSON file.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It is not a record; the message names the file.
        """
        content = read_json(file)
        try:
            return cls(content["id"], content["preset"], content["provenance"], content["values"])
        except KeyError as missing:
            raise ValueError(f"{file} has no {missing}; a record has id, preset, provenance and values") from missing

    @property
    def origin(self) -> str:
        """Date, device and size of the run that made it."""
        device = re.sub(r"\(R\)|\(TM\)| Processor\b", "", self.provenance["device"])
        return f"record of {self.provenance['time'][:10]} on {device}, {self.preset}"


class Records(Mapping[str, Record]):
    """Records by study; of several folders, the first that has one counts.

    Args:
        folders: Folders of `ID.json`, e.g. those of a run and of the checkout.

    Raises:
        KeyError: No folder has the record that is asked for.
    """

    def __init__(self, *folders: Path) -> None:
        self._read: dict[str, Record] = {}
        self._files = {file.stem: file for folder in reversed(folders) for file in sorted(folder.glob("*.json"))}

    def __getitem__(self, study: str) -> Record:
        """The record of a study, read once."""
        if study not in self._read:
            self._read[study] = Record.read(self._files[study])
        return self._read[study]

    def __iter__(self) -> Iterator[str]:
        """Identifiers of the studies that there are records of."""
        return iter(self._files)

    def __len__(self) -> int:
        """Number of records."""
        return len(self._files)
