"""Structures with quantum-chemical labels are made: molecules, relaxations, surfaces, particles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, track

from tdn_theory.cli.common import SeedOption, WorkersOption, console, errors_as_messages

app = typer.Typer()

OutFileOption = Annotated[Path, typer.Option(help="File to write.")]


@app.command("make-relaxations")
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

    with errors_as_messages():
        units = plan(seed)
        for number, path in enumerate(make_relaxations(units, work, workers), start=1):
            console.print(f"relaxation {number} of at most {len(units)}: {path}", highlight=False)
        if polarizabilities:
            for number, path in enumerate(make_polarizabilities(units, work, workers), start=1):
                console.print(f"polarizabilities of relaxation {number}: {path}", highlight=False)
        collect(units, work, out)
    console.print(f"{out}, {out.with_suffix('.json')}", highlight=False, soft_wrap=True)


@app.command("make-gfn2")
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

    with errors_as_messages():
        starts = {structure.group: structure for structure in relaxations()}  # the last of each molecule
        structures = []
        for number, start in enumerate(track(starts.values(), "GFN2-xTB", console=console)):
            structures += gfn2_trajectory(start, snapshots, temperature, seed=seed + number)
        made_by = {"method": "GFN2-xTB", "snapshots": snapshots, "temperature": temperature, **provenance(seed)}
        write_archive(out, structures, made_by)
    console.print(f"{out}: {len(structures)} snapshots of {len(starts)} molecules", highlight=False, soft_wrap=True)


@app.command("make-molecules")
def data_make_molecules(
    out: OutFileOption = Path("molecules.lmdb"),
    work: Annotated[Path, typer.Option(help="Folder of finished compounds; a stopped run goes on there.")] = Path(
        "molecules"
    ),
    count: Annotated[int, typer.Option(min=1, help="Compounds.")] = 5000,
    most_atoms: Annotated[int, typer.Option(min=2, help="Only compounds of at most so many atoms.")] = 24,
    snapshots: Annotated[int, typer.Option(min=1, help="At most so many of each relaxation.")] = 40,
    workers: WorkersOption = 1,
    seed: SeedOption = 0,
) -> None:
    """Make GFN2-xTB relaxations of compounds of PubChem, in PubChemQCR's format; 100 snapshots a second and core."""
    from tdn_theory.data.molecules import UNIT, collect, compounds, make

    with errors_as_messages():
        chosen = compounds(most_atoms, count, seed)
        for _ in track(make(chosen, snapshots, work, workers), "GFN2-xTB", total=-(-count // UNIT), console=console):
            pass
        found = collect(chosen, snapshots, work, out)
    console.print(f"{out}: {found}", highlight=False, soft_wrap=True)


@app.command("make-nbody")
def data_make_nbody(out: OutFileOption = Path("nbody.npz")) -> None:
    """Simulate the charged n-body benchmark: arrays of the parts train, validation and test."""
    from tdn_theory.data.nbody import SPLITS, nbody
    from tdn_theory.files import npz_bytes, write_bytes

    with errors_as_messages():
        parts = {split: nbody(split) for split in track(SPLITS, "simulating", console=console)}
        arrays = {
            f"{split}_{name}": getattr(part, name)
            for split, part in parts.items()
            for name in ("positions", "velocities", "charges", "targets")
        }
        write_bytes(out, npz_bytes(arrays))
    sizes = ", ".join(f"{split} {len(part)}" for split, part in parts.items())
    console.print(f"{out}: {sizes}", highlight=False, soft_wrap=True)


@app.command("make-surfaces")
def data_make_surfaces(
    out: Annotated[Path, typer.Option(help="Folder for the LMDB files.")] = Path("surfaces"),
    systems: Annotated[int, typer.Option(min=1, help="About how many systems.")] = 500,
    workers: WorkersOption = 1,
    seed: SeedOption = 0,
) -> None:
    """Relax adsorbates on metals with EMT: five files of the kind of OC20's IS2RE, in less than a minute of a core."""
    from tdn_theory.data.surfaces import make_surfaces

    with errors_as_messages(), Progress(console=console, transient=True) as progress:
        task = progress.add_task("relaxing", total=systems)
        sizes = make_surfaces(out, systems, workers, seed, lambda done: progress.advance(task, done))
    found = ", ".join(f"{name} {size}" for name, size in sizes.items())
    console.print(f"{out}: {found}", highlight=False, soft_wrap=True)


@app.command("make-oxides")
def data_make_oxides(
    out: Annotated[Path, typer.Option(help="Folder for the LMDB files.")] = Path("oxides"),
    work: Annotated[Path, typer.Option(help="Folder of finished slabs; a stopped run goes on there.")] = Path(
        "oxides-work"
    ),
    systems: Annotated[int, typer.Option(min=1, help="About how many systems are tried.")] = 500,
    workers: WorkersOption = 1,
    seed: SeedOption = 0,
) -> None:
    """Relax adsorbates on oxides with GFN1-xTB: files of the kind of OC22's IS2RE; 5 s of a core for each tried."""
    from tdn_theory.data.oxides import ADSORBATES, collect, plan, relax_slabs

    with errors_as_messages(), Progress(console=console, transient=True) as progress:
        slabs = plan(systems, seed)
        task = progress.add_task("relaxing", total=len(ADSORBATES) * len(slabs))
        for _ in relax_slabs(slabs, work, workers):
            progress.advance(task, len(ADSORBATES))
        sizes = collect(slabs, work, out, seed)
    found = ", ".join(f"{name} {size}" for name, size in sizes.items())
    console.print(f"{out}: {found}", highlight=False, soft_wrap=True)
