"""Exactly equivariant products of low rank: list, search, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from rich.table import Table

from tdn_theory.cli.common import (
    DaskOption,
    OutOption,
    PathsName,
    SeedOption,
    WorkersOption,
    console,
    errors_as_messages,
)

app = typer.Typer(no_args_is_help=True, help="Exactly equivariant products of low rank: list, verify, search.")


@app.command("list")
def atlas_list(lmax: Annotated[int | None, typer.Option(help="Only this maximal degree L.")] = None) -> None:
    """List the entries: rank, paths alive, equivariance and float32 errors, conditioning, multiply-adds, proof."""
    from tdn_theory.cp import atlas

    with errors_as_messages():
        rows = [entry.row() for entry in atlas.entries() if lmax in (None, entry.lmax)]
    table = Table(title="Atlas", box=None, padding=(0, 1, 0, 0))
    for column in ("L", "R", "paths", "weight >=", "rms", "sup <=", "fp32", "factor <=", "madds"):
        table.add_column(column, justify="right", no_wrap=" " not in column)
    table.add_column("proof", overflow="fold")
    for row in rows:
        known = f"{row['paths_alive']}/{row['paths']}{' even' if row['even_only'] else ''}"
        weights = (f"{row['least_weight']:.2g}", *(f"{row[key]:.0e}" for key in ("rms_error", "supremum_bound")))
        sizes = (f"{row['float32_error']:.0e}", f"{row['largest_factor']:.2g}", str(row["multiply_adds"]))
        table.add_row(str(row["L"]), str(row["R"]), known, *weights, *sizes, row["proof"])
    console.print(table)


@app.command("search")
def atlas_search(
    lmax: Annotated[int, typer.Argument(help="Maximal degree L.")],
    rank: Annotated[int, typer.Argument(help="Number of terms R.")],
    paths: Annotated[PathsName, typer.Option(help="Paths to keep alive.")] = PathsName.ALL,
    starts: Annotated[int, typer.Option(min=1, help="Random starts, with seeds seed, seed+1, ...")] = 5,
    symmetry: Annotated[str, typer.Option(help="Group of the decomposition, e.g. C2*Z3, D2*S3; C1 for none.")] = "C1",
    seed: SeedOption = 0,
    out: OutOption = Path("atlas-search"),
    workers: WorkersOption = 1,
    dask: DaskOption = None,
) -> None:
    """Look for exactly equivariant products; those proven are written to OUT/atlas. A stopped search continues."""
    from tdn_theory.cp import search
    from tdn_theory.jobs import Jobs

    with errors_as_messages():
        jobs = Jobs(out / "jobs", workers, dask)
        rows = search.run(lmax, rank, paths.value, starts, symmetry, seed, jobs, out / "atlas")
    table = Table(
        "seed", "residual", "least weight", "dead paths", "s", "entry", title=f"L={lmax}, R={rank}, {symmetry}"
    )
    for row in rows:
        numbers = (
            f"{row['residual']:.1e}",
            f"{row['least_weight']:.3g}",
            str(len(row["dead"])),
            f"{row['seconds']:.1f}",
        )
        table.add_row(str(row["seed"]), *numbers, row["entry"])
    console.print(table)


@app.command("verify")
def atlas_verify() -> None:
    """Run the proof of every entry again, from its stored file."""
    from tdn_theory.cp import atlas

    with errors_as_messages():
        for entry in track(atlas.entries(), "proving", console=console):
            certificate = entry.verify()
            console.print(f"{entry!r}: proven, radius {certificate.radius:.1e}", highlight=False)
