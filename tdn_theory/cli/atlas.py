"""Exactly equivariant products of low rank: list, search, add, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from tdn_theory.cli.common import (
    DaskOption,
    OutOption,
    PathsName,
    SeedOption,
    WorkersOption,
    console,
    errors_as_messages,
    tell,
)
from tdn_theory.cli.tables import Column, JsonOption, show_rows

app = typer.Typer(no_args_is_help=True, help="Exactly equivariant products of low rank: list, search, add, verify.")


COLUMNS = (
    Column("R", "R", "number of terms", 3),
    Column("paths", "known", "paths of nonzero weight, of all; even: l1 + l2 + l3 is even for each", 12),
    Column("weight", "least_weight", "least path weight; the greatest is about 1", 6, "{:.2g}".format),
    Column("rms", "rms_error", "equivariance error relative to the output, exact root mean square", 5, "{:.0e}".format),
    Column("sup", "supremum_bound", "bound on it, over all rotations and unit inputs", 5, "{:.0e}".format),
    Column("fp32", "float32_error", "error of the product in single precision", 5, "{:.0e}".format),
    Column("max", "largest_factor", "largest entry of the factors", 4, "{:.2g}".format),
    Column("madds", "multiply_adds", "multiply-adds of one product", 6),
    Column("proof", "proof", "how exactness is proven", 14),
)


@app.command("list")
def atlas_list(
    lmax: Annotated[int | None, typer.Option(help="Only this maximal degree L.")] = None, as_json: JsonOption = False
) -> None:
    """List the entries: rank, paths alive, equivariance and float32 errors, conditioning, multiply-adds, proof."""
    from tdn_theory.cp import atlas

    with errors_as_messages():
        rows = [entry.row() for entry in atlas.entries() if lmax in (None, entry.lmax)]
    for row in rows:
        row["known"] = f"{row['paths_alive']}/{row['paths']}{' even' if row['even_only'] else ''}"
    show_rows(rows, COLUMNS, "coupling", as_json)


SEARCHED = (
    Column("seed", "seed", "of the start", 5),
    Column("residual", "residual", "what the equations of equivariance leave, relative", 8, "{:.1e}".format),
    Column("weight", "least_weight", "least path weight", 7, "{:.3g}".format),
    Column("dead", "dead", "number of paths without weight", 4, lambda paths: str(len(paths))),
    Column("s", "seconds", "seconds", 6, "{:.1f}".format),
    Column("entry", "entry", "the entry, or why there is none", 38),
)


@app.command("search")
def atlas_search(
    coupling: Annotated[str, typer.Argument(help="Maximal degree L, or irreps, e.g. '0+1 x 0+1+2 -> 0+1'.")],
    rank: Annotated[int, typer.Argument(help="Number of terms R.")],
    paths: Annotated[PathsName, typer.Option(help="Paths to keep alive.")] = PathsName.ALL,
    starts: Annotated[int, typer.Option(min=1, help="Random starts, with seeds seed, seed+1, ...")] = 5,
    symmetry: Annotated[str, typer.Option(help="Group of the decomposition, e.g. C2*Z3, D2*S3; C1 for none.")] = "C1",
    any_weights: Annotated[bool, typer.Option("--any-weights", help="Look near random weights, not near 1.")] = False,
    seed: SeedOption = 0,
    out: OutOption = Path("atlas-search"),
    workers: WorkersOption = 1,
    dask: DaskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for exactly equivariant products; those proven are written to OUT/atlas. A stopped search continues."""
    from tdn_theory.cp import search
    from tdn_theory.jobs import Jobs

    with errors_as_messages():
        jobs = Jobs(out / "jobs", workers, dask)
        given = int(coupling) if coupling.isdecimal() else coupling
        rows = search.run(given, rank, paths.value, starts, symmetry, seed, jobs, out / "atlas", any_weights)
    show_rows(rows, SEARCHED, as_json=as_json)


@app.command("add")
def atlas_add(
    file: Annotated[Path, typer.Argument(help="npz or JSON: coupling, A, B, C, source; S_z, S_x, S_y for a basis.")],
    out: Annotated[Path | None, typer.Option(help="Folder of entries; the package's own if not given.")] = None,
) -> None:
    """Prove factors from a file and add them as an entry, if they are exact and better than what is known."""
    from tdn_theory.cp import atlas, contribution

    folder = atlas.FOLDER if out is None else out
    with errors_as_messages():
        entry = contribution.add(contribution.read(file), folder)
        certificate = entry.verify()
    tell(f"{entry!r}: proven, radius {certificate.radius:.1e}")
    for path, (low, high) in sorted(certificate.weights.items()):
        tell(f"weight of {path.x} x {path.y} -> {path.z}: {low:.12g} to {high:.12g}")
    tell(str(folder / f"{entry.stem}.npz"))


@app.command("verify")
def atlas_verify() -> None:
    """Run the proof of every entry again, from its stored file."""
    from tdn_theory.cp import atlas

    with errors_as_messages():
        for entry in track(atlas.entries(), "proving", console=console):
            certificate = entry.verify()
            console.print(f"{entry!r}: proven, radius {certificate.radius:.1e}", highlight=False)
