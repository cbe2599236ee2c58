"""Records and pictures as the report reads them: whatever figures and verdicts there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdn_theory import checkout
from tdn_theory.files import read_json

ID = re.compile(r"\b[A-Z]+\d+[a-z]?\b")
"""What identifiers of claims, figures and tables look like in texts: T1, F3a, TAB7."""


@dataclass(frozen=True)
class Picture:
    """A figure with its data.

    Attributes:
        name: Identifier, e.g. `"F2"`.
        title: What it shows: the first line of its script in `figures/`.
        claims: Claims that it shows: those its title names, and the one of the same name.
        record: Its record.
        png: The picture.
        svg: The picture as vectors.
    """

    name: str
    title: str
    claims: tuple[str, ...]
    record: Mapping[str, Any]
    png: bytes
    svg: bytes


@dataclass(frozen=True)
class Results:
    """Everything recorded.

    Attributes:
        pictures: Figures by name.
        verdicts: Records of `paper_checks/` by claim.
    """

    pictures: Mapping[str, Picture]
    verdicts: Mapping[str, Mapping[str, Any]]

    @property
    def values(self) -> dict[str, Mapping[str, Any]]:
        """What each record measured: the values of figures, the evidence of claims."""
        found = {name: picture.record["values"] for name, picture in self.pictures.items()}
        return {**{name: record["evidence"] for name, record in self.verdicts.items() if name not in found}, **found}

    def shown_by(self, claim: str) -> list[Picture]:
        """Figures that show `claim`."""
        return [picture for picture in self.pictures.values() if claim in picture.claims]


def read(folder: Path = checkout.ROOT) -> Results:
    """Results in a folder that holds `figures/` and `paper_checks/`: a checkout, or what `reproduce --out` wrote.

    Raises:
        FileNotFoundError: There are none; the message says how to make some. Or a figure lacks a picture.
        ValueError: A record cannot be read.
    """
    pictures = {file.stem: _picture(file) for file in sorted((folder / "figures").glob("*.json"), key=_order)}
    verdicts = {file.stem: read_json(file) for file in sorted((folder / "paper_checks").glob("*.json"), key=_order)}
    if not pictures and not verdicts:
        raise FileNotFoundError(
            f"{folder} holds no record in figures/ or paper_checks/; "
            f"make some with 'tdn-theory reproduce --out {folder}'"
        )
    return Results(pictures, verdicts)


def _order(file: Path) -> tuple[int, list[tuple[str, int]]]:
    """The paper's figures, then its tables, then ours; numbers by size."""
    kind = next((n for n, prefix in enumerate((r"[EFT]\d", r"TAB\d")) if re.match(prefix, file.stem)), 2)
    return kind, [(text, int(number or 0)) for text, number in re.findall(r"(\D+)(\d*)", file.stem)]


def _picture(record: Path) -> Picture:
    name = record.stem
    script = checkout.ROOT / "figures" / f"{name}.py"
    text = (ast.get_docstring(ast.parse(script.read_text())) or "") if script.exists() else ""
    title = re.sub(rf"^{name}[:,] ", "", text.split("\n")[0]).rstrip(".") or name
    claims = tuple(dict.fromkeys([name, *ID.findall(title)]))
    png, svg = (record.with_suffix(suffix).read_bytes() for suffix in (".png", ".svg"))
    return Picture(name, title, claims, read_json(record), png, svg)
