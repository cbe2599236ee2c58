"""The command line `tdn-theory`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tdn_theory import __version__
from tdn_theory.cli import atlas, audit, data, decompositions, potentials, predict, relax, studies
from tdn_theory.cli.common import console, errors_as_messages
from tdn_theory.cli.tables import JsonOption, show_values


class _Commands(TyperGroup):
    """Commands, which begin with imports: one that needs an extra says which, where it is missing."""

    def invoke(self, ctx: Any) -> Any:  # a context of click, or of the copy of click in typer
        with errors_as_messages(ImportError):
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, help="Verify, sharpen and extend the theory of Tensor Decomposition Networks."
)
for command in (
    studies.reproduce,
    studies.check,
    studies.report,
    potentials.train,
    potentials.evaluate,
    predict.predict,
    relax.relax,
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
def info(as_json: JsonOption = False) -> None:
    """Show versions, what is stored, and the folders outside the working directory that are written to."""
    from platformdirs import user_cache_path

    from tdn_theory.cp.store import SHIPPED, Store, user_folder
    from tdn_theory.data.kept import folder
    from tdn_theory.provenance import commit, cpu, vector_code, versions

    with errors_as_messages():
        labels = dict.fromkeys(entry.tensor.coupling.label for entry in Store().entries())
        found = {
            "tdn-theory": __version__,
            "commit": commit(),
            "processor": cpu(),
            "vector code": vector_code(),
            "versions": versions(),
            "shipped solutions": len(Store(SHIPPED, ()).entries()),
            "own solutions": len(Store(also=()).entries()),
            "couplings stored": ", ".join(labels),
            "own solutions are in": user_folder(),
            "compiled loops are in": user_cache_path("tdn-theory"),
            "structures that were read are in": folder(),
        }
    show_values(found, as_json)
