"""The command line `tdn-theory`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from tdn_theory import __version__
from tdn_theory.cli import atlas, audit, data, decompositions, potentials, studies
from tdn_theory.cli.common import console, errors_as_messages

app = typer.Typer(no_args_is_help=True, help="Verify, sharpen and extend the theory of Tensor Decomposition Networks.")
for command in (
    studies.reproduce,
    studies.check,
    studies.report,
    potentials.train,
    potentials.evaluate,
    potentials.relax,
    audit.audit,
):
    app.command()(command)
for name, group in (("cp", decompositions.app), ("atlas", atlas.app), ("data", data.app)):
    app.add_typer(group, name=name)


def _version(asked: bool) -> bool:
    if asked:
        console.print(__version__, highlight=False)
        raise typer.Exit
    return asked


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Verify, sharpen and extend the theory of Tensor Decomposition Networks."""


@app.command()
def info() -> None:
    """Show versions, folders and what is stored."""
    from tdn_theory.cp.store import SHIPPED, Store, user_folder
    from tdn_theory.provenance import commit, cpu, vector_code, versions

    with errors_as_messages():
        store = Store()
        table = Table(title=f"tdn-theory {__version__}", show_header=False)
        table.add_row("commit", commit())
        table.add_row("processor", cpu())
        table.add_row("vector code", ", ".join(f"{library} {code}" for library, code in vector_code().items()))
        table.add_row("versions", ", ".join(f"{name} {number}" for name, number in versions().items()))
        table.add_row("own solutions", f"{user_folder()} ({len(Store(also=()).entries())})")
        table.add_row("shipped solutions", f"{SHIPPED} ({len(Store(SHIPPED, ()).entries())})")
        labels = dict.fromkeys(entry.tensor.coupling.label for entry in store.entries())
        table.add_row("couplings stored", ", ".join(labels))
    console.print(table)
