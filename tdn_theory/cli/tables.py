"""Tables of the command line: as wide as a terminal, with a legend, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tdn_theory.cli.common import console

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its head.
        key: Key of its values in a row.
        meaning: What the values are, for the legend below the table.
        width: Characters; longer values are folded.
        form: How a value is written.
    """

    name: str
    key: str
    meaning: str
    width: int
    form: Callable[[Any], str] = str


def show_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], heading: str | None = None, as_json: bool = False
) -> None:
    """Print rows, and below them what the columns mean.

    Args:
        rows: JSON objects.
        columns: Columns to print; JSON has all keys.
        heading: Key of a text that stands above the rows that share it, for texts too long for a column.
        as_json: Whether to print a JSON list instead.
    """
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    console.print(_table(columns, [[column.name for column in columns]]), highlight=False, style="bold")
    for text in dict.fromkeys(row[heading] if heading else None for row in rows):
        if text is not None:
            console.print(text, highlight=False, markup=False, style="italic")
        own = [row for row in rows if not heading or row[heading] == text]
        console.print(
            _table(columns, [[column.form(row[column.key]) for column in columns] for row in own]), highlight=False
        )
    console.print()
    legend = Table.grid(padding=(0, 2, 0, 0))
    for column in columns:
        legend.add_row(column.name, Text(column.meaning))
    console.print(legend, highlight=False, style="dim")


def _table(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(width=column.width, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def show_values(values: Mapping[str, Any], as_json: bool = False) -> None:
    """Print named values; paths stand on lines of their own, which can be copied.

    Args:
        values: Texts, numbers, paths, and named values in their turn.
        as_json: Whether to print a JSON object instead.
    """
    if as_json:
        typer.echo(json.dumps(values, indent=1, default=str))
        return
    width = max(map(len, values))
    for name, value in values.items():
        if isinstance(value, Path):
            console.print(f"{name:{width}}  {value}", highlight=False, markup=False, soft_wrap=True)
            continue
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=width)
        grid.add_column(overflow="fold")
        grid.add_row(name, Text(_words(value)))
        console.print(grid, highlight=False)


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)
