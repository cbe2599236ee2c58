"""What the commands share: the console, options of one meaning, errors as messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tdn_theory.extras import named
from tdn_theory.preset import Preset

console = Console()

Ids = Annotated[list[str] | None, typer.Argument(help="Figures, tables and claims, e.g. F2 T1; all if none is given.")]
PresetOption = Annotated[
    Preset,
    typer.Option(help="smallest: every step runs once; quick: shipped results verified again; full: made again."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
OutOption = Annotated[Path, typer.Option(help="Folder for records, pictures and finished jobs.")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes to use.")]
DaskOption = Annotated[str | None, typer.Option(help="Address of a running Dask scheduler to use instead.")]


class PathsName(StrEnum):
    """Paths of a coupling tensor: all, or those of even l1 + l2 + l3."""

    ALL = "all"
    EVEN = "even"


FORESEEN = (ValueError, TypeError, LookupError, OSError, ImportError, ArithmeticError)
"""Errors that input and surroundings make."""


def tell(line: str) -> None:
    """Show a line as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def errors_as_messages(kinds: type[Exception] | tuple[type[Exception], ...] = FORESEEN) -> Iterator[None]:
    """Show the message of an error of these kinds instead of a traceback; of an import, name the extra it needs."""
    try:
        with named():
            yield
    except kinds as error:
        message = error.args[0] if isinstance(error, LookupError) and error.args else error
        Console(stderr=True).print(f"[red]error:[/red] {escape(str(message))}", highlight=False)
        raise typer.Exit(2) from error
