"""CP decompositions of coupling tensors: fit, show, list."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import track

from tdn_theory.cli.common import PathsName, SeedOption, console, errors_as_messages
from tdn_theory.cli.tables import Column, JsonOption, show_rows, show_values

if TYPE_CHECKING:
    from tdn_theory.coupling import CouplingTensor

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
    rank: RankOption,
    coupling: Annotated[str | None, typer.Argument(help="Irreps, e.g. '0e+1o x 0e+1o+2e -> 0e+1o'.")] = None,
    lmax: Annotated[int | None, typer.Option(help="Maximal degree L of the paper's features, instead.")] = None,
    solver: Annotated[SolverName, typer.Option(help="Algorithm.")] = SolverName.LM,
    starts: Annotated[int, typer.Option(min=1, help="Random starts, with seeds seed, seed+1, ...")] = 5,
    seed: SeedOption = 0,
    ridge: Annotated[float, typer.Option(min=0, help="First ridge of Levenberg-Marquardt.")] = 1e-2,
    paths: Annotated[PathsName, typer.Option(help="The paths of the tensor, all with weight 1.")] = PathsName.ALL,
) -> None:
    """Decompose a coupling tensor; every start is kept in the store when it ends, and not made again."""
    from tdn_theory.coupling import Coupling, CouplingTensor
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
        if coupling is not None and lmax is None:
            given = Coupling.of(coupling)
        elif coupling is None and lmax is not None:
            given = Coupling.of(lmax)
        else:
            raise ValueError("give the irreps, e.g. '0e+1o x 0e+1o+2e -> 0e+1o', or --lmax L for the paper's features")
        tensor = CouplingTensor.even(given) if paths is PathsName.EVEN else CouplingTensor(given)
        store = Store()
        console.print(f"kept in {store.folder}", highlight=False, markup=False, soft_wrap=True)
        for number in track(range(seed, seed + starts), f"{tensor.coupling.label} R={rank} {solver}", console=console):
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
def cp_show(lmax: LmaxOption, rank: RankOption, as_json: JsonOption = False) -> None:
    """Show the best stored decomposition of the paper's tensor, verified again from its file."""
    from math import sqrt

    from tdn_theory.coupling import CouplingTensor
    from tdn_theory.cp.store import Store
    from tdn_theory.theory.equivariance import mean_square_error

    with errors_as_messages():
        tensor = CouplingTensor(lmax)
        solution = Store().best(tensor, rank)
        found = {
            "decomposition": repr(solution),
            "relative residual": solution.residual,
            "equivariance error, rms": sqrt(mean_square_error(solution.factors)),
            "condition (cancellation)": solution.factors.condition,
            "status": f"{solution.status}: {solution.status.message}",
            **solution.made_by,
        }
    show_values(found, as_json)


COLUMNS = (
    Column("R", "R", "number of terms", 4),
    Column("residual", "residual", "||M - Mhat|| / ||M||", 9, "{:.3e}".format),
    Column("status", "status", "how the solver ended", 12),
    Column("solver", "solver", "what found it", 28),
    Column("starts", "starts", "solutions stored for this tensor and rank; the best is shown", 6),
)


@app.command("list")
def cp_list(
    lmax: Annotated[int | None, typer.Option(help="Only this maximal degree L.")] = None, as_json: JsonOption = False
) -> None:
    """List the best stored decompositions, one per tensor and rank."""
    from tdn_theory.coupling import CouplingTensor
    from tdn_theory.cp.store import Store

    with errors_as_messages():
        entries = Store().entries(None if lmax is None else CouplingTensor(lmax))
    rows: dict[tuple[CouplingTensor, int], dict[str, Any]] = {}
    for entry in entries:  # of each tensor and rank, the best is the first
        best = {"tensor": repr(entry.tensor), "R": entry.rank, "residual": entry.residual}
        best |= {"status": entry.status.value, "solver": entry.made_by.get("solver", "?"), "starts": 0}
        rows.setdefault((entry.tensor, entry.rank), best)["starts"] += 1
    show_rows(list(rows.values()), COLUMNS, "tensor", as_json)
