"""The command line `tdn-theory`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tdn_theory import __version__
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

app = typer.Typer(no_args_is_help=True, help="Verify, sharpen and extend the theory of Tensor Decomposition Networks.")
cp_app = typer.Typer(no_args_is_help=True, help="CP decompositions of coupling tensors: fit, show, list.")
app.add_typer(cp_app, name="cp")
atlas_app = typer.Typer(no_args_is_help=True, help="Exactly equivariant products of low rank: list, verify.")
app.add_typer(atlas_app, name="atlas")
console = Console()

COLOURS = {
    Outcome.VERIFIED: "green",
    Outcome.REFUTED: "red",
    Outcome.QUALIFIED: "yellow",
    Outcome.UNDECIDED: "magenta",
}

Ids = Annotated[list[str] | None, typer.Argument(help="Figures and claims, e.g. F2 T1; all if none is given.")]
PresetOption = Annotated[Preset, typer.Option(help="quick: shipped results verified again; full: made again.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
OutOption = Annotated[Path, typer.Option(help="Folder for records, pictures and finished units of work.")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes to use.")]
DaskOption = Annotated[str | None, typer.Option(help="Address of a running Dask scheduler to use instead.")]


@contextmanager
def _errors_as_messages() -> Iterator[None]:
    """Show the message of a foreseen error instead of a traceback."""
    try:
        yield
    except (ValueError, TypeError, LookupError, OSError, ImportError) as error:
        message = error.args[0] if isinstance(error, LookupError) and error.args else error
        Console(stderr=True).print(f"[red]error:[/red] {message}", highlight=False)
        raise typer.Exit(2) from error


def _verdict_table(verdicts: list[Verdict]) -> Table:
    table = Table(title="Verdicts", show_lines=True)
    for column in ("claim", "the paper says", "verdict", "because"):
        table.add_column(column)
    for verdict in verdicts:
        outcome = f"[{COLOURS[verdict.outcome]}]{verdict.outcome}[/]"
        table.add_row(verdict.claim, verdict.statement, outcome, verdict.summary)
    return table


@app.command()
def reproduce(
    ids: Ids = None,
    preset: PresetOption = Preset.QUICK,
    seed: SeedOption = 0,
    out: OutOption = Path("reproduction"),
    workers: WorkersOption = 1,
    dask: DaskOption = None,
) -> None:
    """Regenerate figures and check claims; a stopped run continues where it was."""
    from tdn_theory.reproduction import Reproduction, select

    with _errors_as_messages():
        figures, claims = select(ids or [])
        run = Reproduction(out, preset, seed, workers, dask)
        pictures, verdicts = [], []
        for name in figures:
            began = time.perf_counter()
            pictures.append(run.figure(name))
            console.print(f"{name}: {pictures[-1]} ({time.perf_counter() - began:.0f} s)", highlight=False)
        for name in claims:
            began = time.perf_counter()
            verdicts.append(run.check(name))
            console.print(f"{name}: {verdicts[-1].outcome} ({time.perf_counter() - began:.0f} s)", highlight=False)
    if verdicts:
        console.print(_verdict_table(verdicts))
    if pictures:
        table = Table("figure", "picture", "record", title="Figures")
        for name, picture in zip(figures, pictures, strict=True):
            table.add_row(name, str(picture), str(picture.with_suffix(".json")))
        console.print(table)


@app.command()
def check(
    ids: Ids = None, preset: PresetOption = Preset.QUICK, seed: SeedOption = 0, out: OutOption = Path("reproduction")
) -> None:
    """Check claims of the paper: verified, refuted, qualified or undecided, with the numbers."""
    from tdn_theory.reproduction import Reproduction, known_ids

    with _errors_as_messages():
        claims = known_ids()[1]
        unknown = [name for name in ids or [] if name not in claims]
        if unknown:
            raise LookupError(f"no check of {unknown[0]!r}; claims with a check: {', '.join(claims)}")
        run = Reproduction(out, preset, seed)
        verdicts = [run.check(name) for name in claims if not ids or name in ids]
    console.print(_verdict_table(verdicts))
    console.print(f"records: {out / 'paper_checks'}", highlight=False)


class BenchmarkName(StrEnum):
    """What `bench` can time."""

    PRODUCT = "product"
    SOLVERS = "solvers"


@app.command()
def bench(
    name: Annotated[
        BenchmarkName, typer.Argument(help="product: layers (F3c); solvers: CP solvers against each other.")
    ],
    preset: PresetOption = Preset.QUICK,
    seed: SeedOption = 0,
    out: OutOption = Path("reproduction"),
) -> None:
    """Time something on this machine, which should have nothing else to do; record and picture go to figures/."""
    from tdn_theory.reproduction import BENCHMARKS, Reproduction

    with _errors_as_messages():
        picture = Reproduction(out, preset, seed).figure(BENCHMARKS[name])
    console.print(f"{picture}, {picture.with_suffix('.json')}", highlight=False)


@app.command()
def info() -> None:
    """Show versions, folders and what is stored."""
    from tdn_theory.cp.store import SHIPPED, Store, user_folder
    from tdn_theory.provenance import commit, cpu, versions

    with _errors_as_messages():
        store = Store()
        table = Table(title=f"tdn-theory {__version__}", show_header=False)
        table.add_row("commit", commit())
        table.add_row("processor", cpu())
        table.add_row("versions", ", ".join(f"{name} {number}" for name, number in versions().items()))
        table.add_row("own solutions", f"{user_folder()} ({len(Store(also=()).entries())})")
        table.add_row("shipped solutions", f"{SHIPPED} ({len(Store(SHIPPED, ()).entries())})")
        table.add_row(
            "degrees stored", ", ".join(f"L={lmax}" for lmax in sorted({e.tensor.lmax for e in store.entries()}))
        )
    console.print(table)


class SolverName(StrEnum):
    """Solvers of `cp fit`."""

    LM = "lm"
    ALS = "als"
    ADAMW = "adamw"


LmaxOption = Annotated[int, typer.Option(help="Maximal degree L.")]
RankOption = Annotated[int, typer.Option(help="Number of terms R.")]


@cp_app.command("fit")
def cp_fit(
    lmax: LmaxOption,
    rank: RankOption,
    solver: Annotated[SolverName, typer.Option(help="Algorithm.")] = SolverName.LM,
    starts: Annotated[int, typer.Option(min=1, help="Random starts, with seeds seed, seed+1, ...")] = 5,
    seed: SeedOption = 0,
    ridge: Annotated[float, typer.Option(min=0, help="First ridge of Levenberg-Marquardt.")] = 1e-2,
) -> None:
    """Decompose the paper's coupling tensor; every start is kept in the store when it ends, and not made again."""
    from tdn_theory.coupling import CouplingTensor
    from tdn_theory.cp.solution import recipe
    from tdn_theory.cp.solvers.als import AlternatingLeastSquares
    from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
    from tdn_theory.cp.solvers.sampled_adamw import SampledAdamW
    from tdn_theory.cp.store import Store

    with _errors_as_messages():
        make = {
            SolverName.LM: lambda seed: LevenbergMarquardt(rank, seed=seed, ridge=ridge),
            SolverName.ALS: lambda seed: AlternatingLeastSquares(rank, seed=seed),
            SolverName.ADAMW: lambda seed: SampledAdamW(rank, seed=seed),
        }[solver]
        tensor, store = CouplingTensor(lmax), Store()
        for number in track(range(seed, seed + starts), f"L={lmax} R={rank} {solver}", console=console):
            chosen = make(number)
            kept = [e for e in store.entries(tensor, rank) if recipe(chosen).items() <= e.made_by.items()]
            if kept:
                console.print(f"seed {number}: kept, residual {kept[0].residual:.3e}", highlight=False)
                continue
            solution = chosen.solve(tensor)
            path = store.save(solution)
            summary = f"residual {solution.residual:.3e}, {solution.status}, {solution.made_by['seconds']:.1f} s"
            console.print(f"seed {number}: {summary}, {path.name}", highlight=False)
        found = store.best(tensor, rank)
        console.print(f"best stored: {found!r}: {found.status.message}", highlight=False)


@cp_app.command("show")
def cp_show(lmax: LmaxOption, rank: RankOption) -> None:
    """Show the best stored decomposition of the paper's tensor, verified again from its file."""
    from math import sqrt

    from tdn_theory.coupling import CouplingTensor
    from tdn_theory.cp.store import Store
    from tdn_theory.theory.equivariance import mean_square_error

    with _errors_as_messages():
        tensor = CouplingTensor(lmax)
        solution = Store().best(tensor, rank)
        table = Table(title=repr(solution), show_header=False)
        table.add_row("relative residual ||M - Mhat|| / ||M||", f"{solution.residual:.6e}")
        table.add_row("equivariance error, exact rms", f"{sqrt(mean_square_error(solution.factors)):.6e}")
        table.add_row("condition (cancellation of terms)", f"{solution.factors.condition:.3g}")
        table.add_row("status", f"{solution.status}: {solution.status.message}")
        for key, value in solution.made_by.items():
            table.add_row(key, str(value))
    console.print(table)


@cp_app.command("list")
def cp_list(lmax: Annotated[int | None, typer.Option(help="Only this maximal degree L.")] = None) -> None:
    """List the best stored decompositions, one per tensor and rank."""
    from tdn_theory.coupling import CouplingTensor
    from tdn_theory.cp.store import Store

    with _errors_as_messages():
        entries = Store().entries(None if lmax is None else CouplingTensor(lmax))
        table = Table("tensor", "R", "residual", "status", "solver", "starts stored")
        seen: dict[tuple[CouplingTensor, int], int] = {}
        for entry in entries:
            seen[entry.tensor, entry.rank] = seen.get((entry.tensor, entry.rank), 0) + 1
        for entry in entries:
            starts = seen.pop((entry.tensor, entry.rank), None)
            if starts is not None:
                solver = entry.made_by.get("solver", "?")
                row = (repr(entry.tensor), entry.rank, f"{entry.residual:.3e}", entry.status.value, solver, starts)
                table.add_row(*map(str, row))
    console.print(table)


@atlas_app.command("list")
def atlas_list(lmax: Annotated[int | None, typer.Option(help="Only this maximal degree L.")] = None) -> None:
    """List the entries of the atlas: rank, paths alive, errors, proof."""
    from tdn_theory.cp import atlas

    with _errors_as_messages():
        rows = [entry.row() for entry in atlas.entries() if lmax in (None, entry.lmax)]
    table = Table(
        "L", "R", "paths", "least weight", "rms error", "supremum <=", "float32 error", "proof", title="Atlas"
    )
    for row in rows:
        numbers = (f"{row[key]:.1e}" for key in ("rms_error", "supremum_bound", "float32_error"))
        known = f"{row['paths_alive']} of {row['paths']}{' (even)' if row['even_only'] else ''}"
        table.add_row(str(row["L"]), str(row["R"]), known, f"{row['least_weight']:.3g}", *numbers, row["proof"])
    console.print(table)


@atlas_app.command("verify")
def atlas_verify() -> None:
    """Run the proof of every entry again, from its stored file."""
    from tdn_theory.cp import atlas

    with _errors_as_messages():
        for entry in track(atlas.entries(), "proving", console=console):
            certificate = entry.verify()
            console.print(f"{entry!r}: proven, radius {certificate.radius:.1e}", highlight=False)
