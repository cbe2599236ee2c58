"""Records, pictures and verdicts as the report reads them: those of a run first, the committed ones else."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdn_theory import checkout
from tdn_theory.files import read_json
from tdn_theory.finding import Finding
from tdn_theory.paper import STATEMENTS, Statement
from tdn_theory.report.pictures import Picture

ID = re.compile(r"\b[A-Z]+\d+[a-z]?\b")
"""What identifiers of claims, figures and tables look like in texts: T1, F3a, TAB7."""


@dataclass(frozen=True)
class Result:
    """A study with what it found.

    Attributes:
        study: Identifier.
        title: What it shows.
        claims: Claims that it is evidence for.
        own: Whether the record is of the run, not the committed one.
        record: Its record.
        caption: What its picture shows; the title if it has none.
        picture: Its picture; None if it has none.
        committed: The committed picture, if `picture` is of the run and there is one.
    """

    study: str
    title: str
    claims: tuple[str, ...]
    own: bool
    record: Mapping[str, Any]
    caption: str
    picture: Picture | None
    committed: Picture | None


@dataclass(frozen=True)
class Claim:
    """A statement with the verdict on it.

    Attributes:
        statement: What the paper says, or its reviewers ask.
        finding: What was found.
        record: The file's content, with the origin of all that was read.
        own: Whether it is of the run, not the committed one.
        committed: What the committed verdict says, if this one is of the run and there is one.
    """

    statement: Statement
    finding: Finding
    record: Mapping[str, Any]
    own: bool
    committed: Finding | None


@dataclass(frozen=True)
class Results:
    """Everything recorded.

    Attributes:
        results: What studies found, by identifier.
        verdicts: Verdicts by claim.
    """

    results: Mapping[str, Result]
    verdicts: Mapping[str, Claim]

    @property
    def values(self) -> dict[str, Mapping[str, Any]]:
        """The values of each record."""
        return {name: result.record["values"] for name, result in self.results.items()}

    @property
    def pictures(self) -> dict[str, Result]:
        """Studies with a picture."""
        return {name: result for name, result in self.results.items() if result.picture}

    def evidence(self, claim: str) -> list[Result]:
        """Studies whose records the verdict on `claim` is read from."""
        read = [part["study"] for part in self.verdicts[claim].record["reads"]]
        return [self.results[study] for study in read if study in self.results]


def read(run: Path | None = None, committed: Path = checkout.ROOT) -> Results:
    """Results of a run, where it has some, and the committed ones else.

    Args:
        run: Folder that `reproduce --out` wrote; it need not exist.
        committed: Folder of the committed ones.

    Raises:
        FileNotFoundError: There are none; the message says how to make some. Or a figure lacks a picture.
        ValueError: A record cannot be read.
    """
    folders = [*([run] if run is not None and run != committed else []), committed]
    own = folders[0] if len(folders) > 1 else None
    records = _files(folders, "figures")
    claims: dict[str, list[str]] = {}
    verdicts = {}
    for claim, file in _files(folders, "paper_checks").items():
        content = read_json(file)
        verdicts[claim] = _claim(claim, content, file, own, committed)
        for part in content["reads"]:
            claims.setdefault(part["study"], []).append(claim)
    results = {name: _result(name, file, own, committed, tuple(claims.get(name, ()))) for name, file in records.items()}
    if not results and not verdicts:
        raise FileNotFoundError(
            f"{' and '.join(map(str, folders))}: no record in figures/ or paper_checks/; "
            "make some with 'tdn-theory reproduce'"
        )
    return Results(results, verdicts)


def _files(folders: list[Path], name: str) -> dict[str, Path]:
    """The first file of each identifier, in the order of `_order`."""
    found = {file.stem: file for folder in reversed(folders) for file in (folder / name).glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def _order(name: str) -> tuple[int, list[tuple[str, int]]]:
    """The paper's definitions, theorems and figures, then its tables, then ours; numbers by size."""
    kind = next((n for n, prefix in enumerate((r"[EFT]\d", r"TAB\d")) if re.match(prefix, name)), 2)
    return kind, [(text, int(number or 0)) for text, number in re.findall(r"(\D+)(\d*)", name)]


def _result(name: str, file: Path, own: Path | None, committed: Path, claims: tuple[str, ...]) -> Result:
    record, of_run = read_json(file), own is not None and own in file.parents
    title = record.get("title", name.replace("_", " "))
    script, recorded = checkout.ROOT / "figures" / f"{name}.py", committed / "figures" / f"{name}.svg"
    if not script.exists():
        return Result(name, title, claims, of_run, record, title, None, None)
    caption = " ".join((ast.get_docstring(ast.parse(script.read_text())) or title).split())
    before = Picture(recorded.read_text()) if of_run and recorded.exists() else None
    return Result(name, title, claims, of_run, record, caption, Picture(file.with_suffix(".svg").read_text()), before)


def _claim(claim: str, content: Mapping[str, Any], file: Path, own: Path | None, committed: Path) -> Claim:
    of_run, before = own is not None and own in file.parents, committed / "paper_checks" / f"{claim}.json"
    recorded = Finding.from_json(read_json(before)) if of_run and before.exists() else None
    return Claim(STATEMENTS[claim], Finding.from_json(content), content, of_run, recorded)
