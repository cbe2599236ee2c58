"""CP decompositions of coupling tensors: fit, show, list."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.progress import track
from rich.table import Table

from tdn_theory.cli.common import PathsName, SeedOption, console, errors_as_messages

app = typer.Typer(no_args_is_help=True, help="CP decompositions of coupling tensors: fit, show, list.")


class SolverName(StrEnum):
    """Solvers of `cp fit`."""

    LM = "lm"
    ALS = "als"
    ADAMW = "adamw"


LmaxOption = Annotated[int, typer.Option(help="Maximal degree L.")]
RankOption = Annotated[int, typer.Option(help="Number of terms R.")]


@app.command("fit")
def cp_fit(
    lmax: LmaxOption,
    rank: RankOption,
    solver: Annotated[SolverName, typer.Option(help="Algorithm.")] = SolverName.LM,
    starts: Annotated[int, typer.Option(min=1, help="Random starts, with seeds seed, seed+1, ...")] = 5,
    seed: SeedOption = 0,
    ridge: Annotated[float, typer.Option(min=0, help="First ridge of Levenberg-Marquardt.")] = 1e-2,
    paths: Annotated[PathsName, typer.Option(help="The paths of the tensor, all with weight 1.")] = PathsName.ALL,
) -> None:
    """Decompose a coupling tensor; every start is kept in the store when it ends, and not made again."""
    from tdn_theory.coupling import CouplingTensor
    from tdn_theory.cp.solution import recipe
    from tdn_theory.cp.solvers.als import AlternatingLeastSquares
    from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
    from tdn_theory.cp.solvers.sampled_adamw import SampledAdamW
    from tdn_theory.cp.store import Store

    with errors_as_messages():
        make = {
            SolverName.LM: lambda seed: LevenbergMarquardt(rank, seed=seed, ridge=ridge),
            SolverName.ALS: lambda seed: AlternatingLeastSquares(rank, seed=seed),
            SolverName.ADAMW: lambda seed: SampledAdamW(rank, seed=seed),
        }[solver]
        tensor = CouplingTensor.even(lmax) if paths is PathsName.EVEN else CouplingTensor(lmax)
        store = Store()
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


@app.command("show")
def cp_show(lmax: LmaxOption, rank: RankOption) -> None:
    """Show the best stored decomposition of the paper's tensor, verified again from its file."""
    from math import sqrt

    from tdn_theory.coupling import CouplingTensor
    from tdn_theory.cp.store import Store
    from tdn_theory.theory.equivariance import mean_square_error

    with errors_as_messages():
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


@app.command("list")
def cp_list(lmax: Annotated[int | None, typer.Option(help="Only this maximal degree L.")] = None) -> None:
    """List the best stored decompositions, one per tensor and rank."""
    from tdn_theory.coupling import CouplingTensor
    from tdn_theory.cp.store import Store

    with errors_as_messages():
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
