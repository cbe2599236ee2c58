"""Figures and verdicts: reproduce, check, report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tdn_theory.cli.common import (
    DaskOption,
    Ids,
    OutOption,
    PresetOption,
    SeedOption,
    WorkersOption,
    console,
    errors_as_messages,
)
from tdn_theory.cli.tables import JsonOption
from tdn_theory.finding import Outcome
from tdn_theory.paper import NOT_EXAMINED, STATEMENTS
from tdn_theory.preset import Preset

if TYPE_CHECKING:
    from tdn_theory.reproduction import Verdict

COLOURS = {
    Outcome.VERIFIED: "green",
    Outcome.REFUTED: "red",
    Outcome.QUALIFIED: "yellow",
    Outcome.UNDECIDED: "magenta",
}
MANY = 4
"""Verdicts from which on only their sentences are shown; the tables are in the records and in the report."""


def reproduce(
    ids: Ids = None,
    preset: PresetOption = Preset.QUICK,
    seed: SeedOption = 0,
    out: OutOption = Path("reproduction"),
    workers: WorkersOption = 1,
    dask: DaskOption = None,
    device: Annotated[str, typer.Option(help="Where networks are trained and timed: cpu, cuda or cuda:1.")] = "cpu",
    minutes: Annotated[
        float, typer.Option(min=0, help="Begin nothing new after this time; the same command goes on.")
    ] = float("inf"),
) -> None:
    """Run studies and judge claims; a stopped run continues where it was.

    Without ids: all that is computed in minutes, and all claims; what times
    this machine or trains networks is read from the committed records, unless
    it is named. On a GPU: all that can use one.
    """
    from tdn_theory.reproduction import Reproduction, Selection
    from tdn_theory.training.parallel import processes

    with errors_as_messages():
        chosen = Selection.of(ids or [], device)
        run = Reproduction(out, preset, seed, workers, dask, device, until=time.monotonic() + 60 * minutes)
        with processes(device):  # of which there is one; the device has to exist
            for study in chosen.studies:
                began = time.perf_counter()
                record = run.run(study)
                console.print(
                    f"{study}: {record} ({time.perf_counter() - began:.0f} s)", highlight=False, soft_wrap=True
                )
        _tell([run.check(claim) for claim in chosen.claims], bool(ids))
    for name in chosen.not_examined:
        console.print(f"{name} is not examined: {NOT_EXAMINED[name]}", highlight=False)


def check(ids: Ids = None, out: OutOption = Path("reproduction"), as_json: JsonOption = False) -> None:
    """Judge claims by the records there are: those in OUT first, the committed ones else. Runs no study."""
    from tdn_theory.reproduction import Reproduction, claims

    with errors_as_messages():
        run = Reproduction(out)
        verdicts = [run.check(claim) for claim in claims(ids or [])]
    if as_json:
        typer.echo(json.dumps([{"id": v.claim, **v.finding.as_json(), "reads": v.origins} for v in verdicts], indent=1))
    else:
        _tell(verdicts, bool(ids))


def report(
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    results: Annotated[Path, typer.Option(help="Folder of a run; shown beside the committed records.")] = Path(
        "reproduction"
    ),
) -> None:
    """Write the report: verdicts, figures with their data, the explorer of products; one file that needs no network."""
    from tdn_theory.files import write_bytes
    from tdn_theory.report.page import page
    from tdn_theory.report.results import read

    with errors_as_messages():
        found = read(results)
        write_bytes(out, page(found).encode())
    console.print(
        f"{out}: verdicts {len(found.verdicts)}, figures {len(found.pictures)}", highlight=False, soft_wrap=True
    )


def _tell(verdicts: Sequence[Verdict], named: bool) -> None:
    """Verdicts on claims, then answers to reviewers; how many are as committed, and what is not."""
    for title, asked in (("What the paper claims", False), ("What its reviewers asked", True)):
        own = [verdict for verdict in verdicts if STATEMENTS[verdict.claim].asked is asked]
        if own:
            console.print(Text(title, style="bold"))
        for verdict in own:
            _tell_one(verdict, whole=len(verdicts) < MANY)
    if verdicts and not named:
        console.print(Text("Not examined: " + ", ".join(NOT_EXAMINED), style="dim"), highlight=False)
    known = [verdict for verdict in verdicts if verdict.differences is not None]
    if known:
        same = sum(not verdict.differences for verdict in known)
        console.print(f"{same} of {len(known)} verdicts agree with the committed ones", highlight=False)
    for verdict in known:
        for difference in verdict.differences or ():
            console.print(Padding(f"{verdict.claim}: {difference}", (0, 0, 0, 2)), highlight=False, markup=False)


def _tell_one(verdict: Verdict, whole: bool) -> None:
    finding, statement = verdict.finding, STATEMENTS[verdict.claim]
    head = Text(finding.outcome.value, style=COLOURS[finding.outcome])
    head.append(f", {finding.strength.value}" if finding.strength else "", style="default")
    origins = dict.fromkeys(verdict.origins.values())
    head.append(f"; {'; '.join(origins)}" if origins else "", style="dim")
    lines: list[Text | Table] = [head, Text(finding.sentence)]
    if whole:
        lines.insert(1, Text(f"{statement.place}: {statement.text}", style="italic"))
        if finding.table:
            table = Table("", "paper", "here", box=None, padding=(0, 2, 0, 0))
            for row in finding.table:
                table.add_row(row.what, str(row.paper), str(row.here))
            lines.append(table)
        if finding.caveat:
            lines.append(Text(f"But: {finding.caveat}"))
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=5)
    grid.add_column()
    for number, line in enumerate(lines):
        grid.add_row("" if number else verdict.claim, line)
    console.print(grid, highlight=False)
