"""How files of one kind are read, part by part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any

from tdn_theory.data.structure import Structure


class Reader(ABC):
    """A frozen dataclass, whose fields are the settings, in JSON types."""

    def parts(self, file: Path) -> list[tuple[Any, ...]]:
        """Parts that processes can read apart from each other, in order, of some thousand structures each.

        By default the whole is one.
        """
        return [()]

    def beside(self, file: Path) -> list[Path]:
        """Other files that it reads with this one; by default none."""
        return []

    @abstractmethod
    def read(self, file: Path, part: tuple[Any, ...]) -> tuple[list[Structure], Counter[str]]:
        """The structures of a part, and how many others were left out for which reason.

        Raises:
            ValueError: The file is not as it should be; the message names it.
        """
