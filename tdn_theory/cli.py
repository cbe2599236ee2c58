"""The command line `tdn-theory`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from tdn_theory import __version__
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

app = typer.Typer(no_args_is_help=True, help="Verify, sharpen and extend the theory of Tensor Decomposition Networks.")
cp_app = typer.Typer(no_args_is_help=True, help="CP decompositions of coupling tensors: fit, show, list.")
app.add_typer(cp_app, name="cp")
atlas_app = typer.Typer(no_args_is_help=True, help="Exactly equivariant products of low rank: list, verify, search.")
app.add_typer(atlas_app, name="atlas")
data_app = typer.Typer(no_args_is_help=True, help="Structures with quantum-chemical labels: list, make, convert.")
app.add_typer(data_app, name="data")
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
    except (ValueError, TypeError, LookupError, OSError, ImportError, ArithmeticError) as error:
        message = error.args[0] if isinstance(error, LookupError) and error.args else error
        Console(stderr=True).print(f"[red]error:[/red] {escape(str(message))}", highlight=False)
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
    device: Annotated[str, typer.Option(help="Where networks are trained: cpu, cuda or cuda:1.")] = "cpu",
) -> None:
    """Regenerate figures and check claims; a stopped run continues where it was."""
    from tdn_theory.reproduction import Reproduction, select

    with _errors_as_messages():
        figures, claims = select(ids or [])
        run = Reproduction(out, preset, seed, workers, dask, device)
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


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    results: Annotated[
        Path | None, typer.Option(help="Folder of a reproduction, e.g. reproduction; else the committed records.")
    ] = None,
) -> None:
    """Write the report: verdicts, figures with their data, the rank explorer; one file that needs no network."""
    from tdn_theory.checkout import ROOT
    from tdn_theory.files import write_bytes
    from tdn_theory.report.page import page
    from tdn_theory.report.results import read

    with _errors_as_messages():
        found = read(ROOT if results is None else results)
        write_bytes(out, page(found).encode())
    console.print(f"{out}: verdicts {len(found.verdicts)}, figures {len(found.pictures)}", highlight=False)


class BenchmarkName(StrEnum):
    """What `bench` can time."""

    PRODUCT = "product"
    SOLVERS = "solvers"
    POTENTIALS = "potentials"
    NETWORKS = "networks"
    ABLATION = "ablation"
    COMBINATIONS = "combinations"
    EPOCHS = "epochs"
    CONVERSIONS = "conversions"
    GPU = "gpu"


@app.command()
def bench(
    name: Annotated[
        BenchmarkName,
        typer.Argument(
            help="product: layers (F3c); solvers: CP solvers against each other; potentials: TDN, Equiformer, SchNet, "
            "NequIP and MACE, trained for equal times (TAB1); networks: TDN and Equiformer (TAB4); ablation: why "
            "their speeds differ (TAB7); combinations: of all ingredients of TDN; epochs: TDN and NequIP with CP and "
            "without (TAB5); conversions: NequIP and MACE with other products (TAB9); gpu: all that is measured on a "
            "GPU."
        ),
    ],
    preset: PresetOption = Preset.QUICK,
    seed: SeedOption = 0,
    out: OutOption = Path("reproduction"),
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:1; by default cuda for `gpu`, else cpu.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0, help="Begin nothing new after this time; the same command goes on.")
    ] = float("inf"),
) -> None:
    """Time something on this machine, which should have nothing else to do; record and picture go to figures/."""
    from tdn_theory.reproduction import BENCHMARKS, ON_GPU, Reproduction
    from tdn_theory.training.parallel import processes

    everything = name is BenchmarkName.GPU
    device = device or ("cuda" if everything else "cpu")
    on_gpu = name is BenchmarkName.PRODUCT and device != "cpu"
    names = ON_GPU if everything else [BENCHMARKS["product on a GPU" if on_gpu else name]]
    run = Reproduction(out, preset, seed, device=device, until=time.monotonic() + 60 * minutes)
    with _errors_as_messages(), processes(device):  # of which there is one; the device has to exist
        for figure in names:
            picture = run.figure(figure)
            console.print(f"{picture}, {picture.with_suffix('.json')}", highlight=False)


class EvaluationPrecision(StrEnum):
    """Precisions of `evaluate`."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


class Optimizer(StrEnum):
    """Algorithms of `relax`, by their names in ASE."""

    BFGS = "BFGS"
    LBFGS = "LBFGS"
    FIRE = "FIRE"


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A TOML file, or the name of a shipped one: relaxations.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run, instead of the file's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed, instead of the file's.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs, instead of the file's.")] = None,
    time_limit: Annotated[float | None, typer.Option(min=0, help="Minutes to train now, then evaluate.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:1.")] = None,
) -> None:
    """Train a potential; in a folder that holds a stopped run, the run goes on. Several processes: torchrun."""
    from tdn_theory.training.config import TrainConfig, shipped
    from tdn_theory.training.loop import MODEL, train

    given = {"seed": seed, "epochs": epochs, "time_limit": time_limit, "device": device}
    changes = {name: value for name, value in given.items() if value is not None}
    if out is not None:
        changes["out"] = str(out)
    with _errors_as_messages():
        settings = TrainConfig.read(shipped(config), **changes)
        result = train(settings, console)
    if os.environ.get("RANK", "0") != "0":
        return
    sets = [name for name in ("validation", "test") if name in result]
    table = Table("", *sets, title=str(Path(settings.out) / MODEL))
    for name in result["validation"]:
        table.add_row(name, *(_value(result[part][name]) if name in result[part] else "" for part in sets))
    console.print(table)
    if "test" in result:
        console.print(f"constants per element: energy_mae {_value(result['constant_per_element'])}", highlight=False)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A saved potential, e.g. run/model.safetensors.")],
    data: Annotated[Path, typer.Argument(help="A training configuration, for its test set, or an extended XYZ file.")],
    energy_key: Annotated[str | None, typer.Option(help="Name of the energy in the XYZ file.")] = None,
    energy_unit: Annotated[str | None, typer.Option(help="Its unit, e.g. eV.")] = None,
    forces_key: Annotated[str | None, typer.Option(help="Name of the forces.")] = None,
    force_unit: Annotated[str | None, typer.Option(help="Their unit, e.g. eV/Angstrom.")] = None,
    length_unit: Annotated[str | None, typer.Option(help="Unit of positions, e.g. Angstrom.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Structures at a time.")] = 32,
    rotations: Annotated[int, typer.Option(min=0, help="Rotations of each structure for the rotation errors.")] = 4,
    precision: Annotated[EvaluationPrecision, typer.Option(help="Of everything.")] = EvaluationPrecision.FLOAT64,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the result.")] = None,
) -> None:
    """Errors of a potential on structures, its rotation errors and its speed, with standard errors over groups."""
    import torch

    from tdn_theory.files import write_json
    from tdn_theory.nn.potential import Potential
    from tdn_theory.provenance import provenance
    from tdn_theory.training.config import DataConfig, TrainConfig, shipped
    from tdn_theory.training.evaluation import report
    from tdn_theory.training.parallel import existing
    from tdn_theory.training.sources import load, read

    with _errors_as_messages():
        if data.suffix == ".toml" or not data.suffix:
            structures = load(TrainConfig.read(shipped(data)).data).test
        else:
            source = DataConfig(
                "extxyz",
                energy_key=energy_key,
                forces_key=forces_key,
                energy_unit=energy_unit,
                force_unit=force_unit,
                length_unit=length_unit,
            )
            structures = read(source, [str(data)])
        dtype = getattr(torch, precision)
        potential = Potential.load(model).to(existing(device), dtype)
        found = report(potential, structures, batch_size, rotations=rotations, seed=seed)
        result = {**found, "model": str(model), "data": str(data), "provenance": provenance(seed, device)}
        if out is not None:
            write_json(out, result)
    table = Table("", "value", title=f"{model} on {len(structures)} structures")
    for part in ("errors", "rotation_errors"):
        for name, metric in result[part].items():
            table.add_row(name, _value(metric))
    table.add_row("energy_mae of constants per element", _value(result["constant_per_element"]))
    table.add_row("speed", f"{result['structures_per_second']:.1f} structures/s")
    console.print(table)


@app.command()
def relax(
    file: Annotated[Path, typer.Argument(help="Any structure file that ASE reads; its last frame is relaxed.")],
    model: Annotated[Path, typer.Option(help="A saved potential, e.g. run/model.safetensors.")],
    fmax: Annotated[float, typer.Option(min=0, help="Largest force on an atom that is left, eV/Angstrom.")] = 0.01,
    steps: Annotated[int, typer.Option(min=1, help="At most so many steps.")] = 500,
    optimizer: Annotated[Optimizer, typer.Option(help="Algorithm of ASE.")] = Optimizer.BFGS,
    out: Annotated[Path, typer.Option(help="Folder for the trajectory and the relaxed structure.")] = Path("."),
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
) -> None:
    """Relax a structure with a potential, in float64; writes extended XYZ files."""
    import ase.io
    import torch
    from ase.io.formats import UnknownFileTypeError

    from tdn_theory.data.extxyz import write_frames
    from tdn_theory.nn.calculator import TDNCalculator
    from tdn_theory.nn.calculator import relax as relax_atoms
    from tdn_theory.training.parallel import existing

    with _errors_as_messages():
        try:
            *_, atoms = ase.io.iread(str(file))
        except UnknownFileTypeError as error:
            raise ValueError(
                f"ASE cannot tell the format of {file}; give a structure file with its usual suffix"
            ) from error
        atoms.calc = TDNCalculator.load(model, existing(device), torch.float64)
        frames, converged = relax_atoms(atoms, fmax, steps, optimizer)
        trajectory, relaxed = (out / f"{file.stem}-{name}.extxyz" for name in ("trajectory", "relaxed"))
        write_frames(trajectory, frames)
        write_frames(relaxed, frames[-1:])
    first, last = frames[0].get_potential_energy(), frames[-1].get_potential_energy()
    console.print(
        f"{'relaxed' if converged else 'not relaxed'} in {len(frames) - 1} steps: {first:.6f} -> {last:.6f} eV; "
        f"{trajectory}, {relaxed}",
        highlight=False,
        markup=False,
    )
    if not converged:
        console.print(f"forces above {fmax} eV/Angstrom are left; give more --steps", style="yellow", highlight=False)
        raise typer.Exit(1)


def _value(metric: Mapping[str, Any]) -> str:
    error = metric["standard_error"]
    return f"{metric['value']:.4g}{'' if error is None else f' +- {error:.2g}'} {metric['unit']}"


@app.command()
def info() -> None:
    """Show versions, folders and what is stored."""
    from tdn_theory.cp.store import SHIPPED, Store, user_folder
    from tdn_theory.provenance import commit, cpu, vector_code, versions

    with _errors_as_messages():
        store = Store()
        table = Table(title=f"tdn-theory {__version__}", show_header=False)
        table.add_row("commit", commit())
        table.add_row("processor", cpu())
        table.add_row("vector code", ", ".join(f"{library} {code}" for library, code in vector_code().items()))
        table.add_row("versions", ", ".join(f"{name} {number}" for name, number in versions().items()))
        table.add_row("own solutions", f"{user_folder()} ({len(Store(also=()).entries())})")
        table.add_row("shipped solutions", f"{SHIPPED} ({len(Store(SHIPPED, ()).entries())})")
        table.add_row(
            "degrees stored", ", ".join(f"L={lmax}" for lmax in sorted({e.tensor.lmax for e in store.entries()}))
        )
    console.print(table)


class PathsName(StrEnum):
    """Paths of a coupling tensor: all, or those of even l1 + l2 + l3."""

    ALL = "all"
    EVEN = "even"


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
    paths: Annotated[PathsName, typer.Option(help="The paths of the tensor, all with weight 1.")] = PathsName.ALL,
) -> None:
    """Decompose a coupling tensor; every start is kept in the store when it ends, and not made again."""
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
    """List the entries: rank, paths alive, equivariance and float32 errors, conditioning, multiply-adds, proof."""
    from tdn_theory.cp import atlas

    with _errors_as_messages():
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


@atlas_app.command("search")
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
    from tdn_theory.experiments import atlas_search
    from tdn_theory.experiments.units import Units

    with _errors_as_messages():
        units = Units(out / "units", workers, dask)
        rows = atlas_search.run(lmax, rank, paths.value, starts, symmetry, seed, units, out / "atlas")
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


@atlas_app.command("verify")
def atlas_verify() -> None:
    """Run the proof of every entry again, from its stored file."""
    from tdn_theory.cp import atlas

    with _errors_as_messages():
        for entry in track(atlas.entries(), "proving", console=console):
            certificate = entry.verify()
            console.print(f"{entry!r}: proven, radius {certificate.radius:.1e}", highlight=False)


OutFileOption = Annotated[Path, typer.Option(help="File to write.")]


@data_app.command("list")
def data_list() -> None:
    """List the sources of data: what they hold, and what they need."""
    from tdn_theory.data.relaxations import SHIPPED
    from tdn_theory.files import read_json

    with _errors_as_messages():
        manifest = read_json(SHIPPED.with_suffix(".json"))
    labels = ", ".join(f"{name} ({count})" for name, count in manifest["labels"].items() if count)
    table = Table("source", "holds", "needs", show_lines=True)
    shipped = f"{manifest['structures']} snapshots of {manifest['groups']} molecules, B3LYP/6-31G*: {labels}"
    table.add_row("relaxations", shipped, "nothing: shipped with the package")
    table.add_row("gfn2", "thermal trajectories of molecules, GFN2-xTB", "'tdn-theory\\[gfn2]', data make-gfn2")
    table.add_row("nbody", "five charged particles, the benchmark of EGNN", "nothing: simulated, data make-nbody")
    table.add_row("pubchemqcr", "LMDB files of PubChemQCR", "'tdn-theory\\[pubchemqcr]', files of yours")
    table.add_row("extxyz", "extended XYZ files; keys and units are yours to name", "files of yours")
    console.print(table)


@data_app.command("make-relaxations")
def data_make_relaxations(
    out: OutFileOption = Path("relaxations.npz"),
    work: Annotated[Path, typer.Option(help="Folder of finished relaxations; a stopped run continues there.")] = Path(
        "relaxations"
    ),
    workers: WorkersOption = 1,
    seed: SeedOption = 0,
    polarizabilities: Annotated[bool, typer.Option(help="Also for some snapshots of the smaller molecules.")] = True,
) -> None:
    """Make the shipped dataset again: B3LYP/6-31G* relaxations; about six hours of one core."""
    from tdn_theory.data.relaxations import collect, make_polarizabilities, make_relaxations, plan

    with _errors_as_messages():
        units = plan(seed)
        for number, path in enumerate(make_relaxations(units, work, workers), start=1):
            console.print(f"relaxation {number} of at most {len(units)}: {path}", highlight=False)
        if polarizabilities:
            for number, path in enumerate(make_polarizabilities(units, work, workers), start=1):
                console.print(f"polarizabilities of relaxation {number}: {path}", highlight=False)
        collect(units, work, out)
    console.print(f"{out}, {out.with_suffix('.json')}", highlight=False)


@data_app.command("make-gfn2")
def data_make_gfn2(
    out: OutFileOption = Path("gfn2.npz"),
    snapshots: Annotated[int, typer.Option(min=1, help="Snapshots of each molecule.")] = 20,
    temperature: Annotated[float, typer.Option(help="Kelvin.")] = 500.0,
    seed: SeedOption = 0,
) -> None:
    """Make thermal GFN2-xTB trajectories of the molecules of the shipped dataset."""
    from tdn_theory.data.archive import write_archive
    from tdn_theory.data.gfn2 import gfn2_trajectory
    from tdn_theory.data.relaxations import relaxations
    from tdn_theory.provenance import provenance

    with _errors_as_messages():
        starts = {structure.group: structure for structure in relaxations()}  # the last of each molecule
        structures = []
        for number, start in enumerate(track(starts.values(), "GFN2-xTB", console=console)):
            structures += gfn2_trajectory(start, snapshots, temperature, seed=seed + number)
        made_by = {"method": "GFN2-xTB", "snapshots": snapshots, "temperature": temperature, **provenance(seed)}
        write_archive(out, structures, made_by)
    console.print(f"{out}: {len(structures)} snapshots of {len(starts)} molecules", highlight=False)


@data_app.command("make-nbody")
def data_make_nbody(out: OutFileOption = Path("nbody.npz")) -> None:
    """Simulate the charged n-body benchmark: arrays of the parts train, validation and test."""
    from tdn_theory.data.nbody import SPLITS, nbody
    from tdn_theory.files import npz_bytes, write_bytes

    with _errors_as_messages():
        parts = {split: nbody(split) for split in track(SPLITS, "simulating", console=console)}
        arrays = {
            f"{split}_{name}": getattr(part, name)
            for split, part in parts.items()
            for name in ("positions", "velocities", "charges", "targets")
        }
        write_bytes(out, npz_bytes(arrays))
    console.print(f"{out}: {', '.join(f'{split} {len(part)}' for split, part in parts.items())}", highlight=False)


@data_app.command("convert")
def data_convert(
    source: Annotated[str, typer.Argument(help="`relaxations` (shipped), or a file: .npz of this command or .lmdb.")],
    target: Annotated[Path, typer.Argument(help="File to write: .npz, .xyz (extended XYZ) or .lmdb (PubChemQCR).")],
) -> None:
    """Write structures in another format. LMDB keeps energies and forces only, extended XYZ all but polarizability."""
    from tdn_theory.data.archive import read_archive, write_archive
    from tdn_theory.data.extxyz import write_extxyz
    from tdn_theory.data.pubchemqcr import read_pubchemqcr, write_pubchemqcr
    from tdn_theory.data.relaxations import SHIPPED
    from tdn_theory.provenance import provenance

    with _errors_as_messages():
        path = SHIPPED if source == "relaxations" else Path(source)
        readers = {".npz": read_archive, ".lmdb": lambda path: list(read_pubchemqcr([path]))}
        writers = {
            ".npz": lambda path, found: write_archive(path, found, {"converted": source, **provenance(None)}),
            ".xyz": write_extxyz,
            ".lmdb": write_pubchemqcr,
        }
        for given, known in ((path, readers), (target, writers)):
            if given.suffix not in known:
                raise ValueError(f"{given} ends in {given.suffix!r}; it must end in {' or '.join(known)}")
        structures = readers[path.suffix](path)
        writers[target.suffix](target, structures)
    console.print(f"{target}: {len(structures)} structures", highlight=False)
