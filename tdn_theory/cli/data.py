"""Structures with quantum-chemical labels: list, make, check, convert, clear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tdn_theory.cli import make_data
from tdn_theory.cli.common import console, errors_as_messages, tell
from tdn_theory.cli.labels import (
    EnergyKey,
    EnergyUnit,
    ForcesKey,
    ForceUnit,
    GroupKey,
    IgnoreOption,
    LengthUnit,
    MissingOption,
    StressKey,
    StressUnit,
    VirialKey,
    WeightKey,
    keys_of,
)
from tdn_theory.cli.tables import Column, JsonOption, show_rows

app = typer.Typer(
    no_args_is_help=True, help="Structures with quantum-chemical labels: list, make, check, convert, clear."
)
app.add_typer(make_data.app)  # without a name: its commands become commands of this group

COLUMNS = (
    Column("source", "source", "its name in a training configuration", 11),
    Column("holds", "holds", "structures and labels", 34),
    Column("needs", "needs", "what has to be installed, made or given before", 29),
)


@app.command("list")
def data_list(as_json: JsonOption = False) -> None:
    """List the sources of data: what they hold, and what they need."""
    from tdn_theory.data.relaxations import SHIPPED
    from tdn_theory.files import read_json

    with errors_as_messages():
        manifest = read_json(SHIPPED.with_suffix(".json"))
    labels = ", ".join(f"{name} ({count})" for name, count in manifest["labels"].items() if count)
    shipped = f"{manifest['structures']} snapshots of {manifest['groups']} molecules, B3LYP/6-31G*: {labels}"
    sources = (
        ("relaxations", shipped, "nothing: shipped with the package"),
        ("gfn2", "thermal trajectories of molecules, GFN2-xTB", "'tdn-theory[gfn2]', data make-gfn2"),
        ("pubchemqcr", "relaxations of compounds of PubChem, GFN2-xTB", "'tdn-theory[make-data]', data make-molecules"),
        ("nbody", "five charged particles, the benchmark of EGNN", "nothing: simulated, data make-nbody"),
        ("surfaces", "adsorbates on metals, EMT (read as is2re)", "'tdn-theory[lmdb]', data make-surfaces"),
        ("oxides", "adsorbates on oxides, GFN1-xTB (read as is2re)", "'tdn-theory[gfn2,lmdb]', data make-oxides"),
        ("npz", "archives, as data convert writes them", "files of yours"),
        ("pubchemqcr", "LMDB files of PubChemQCR", "'tdn-theory[lmdb]', files of yours"),
        ("is2re", "OC20, OC22: LMDB, energies of relaxed structures", "'tdn-theory[lmdb]', files of yours"),
        ("s2ef", "OC20, OC22: LMDB, energies and forces", "'tdn-theory[lmdb]', files of yours"),
        ("s2ef-text", "OC20: extended XYZ, reference energies beside it", "files of yours"),
        ("aselmdb", "ASE's database in LMDB files", "'tdn-theory[lmdb]', files of yours"),
        ("extxyz", "extended XYZ files; keys and units are yours to name", "files of yours"),
        ("cp2k", "CP2K's trajectories with cells and forces", "files of yours"),
        ("deepmd", "DeePMD-kit's folders of numpy arrays", "'tdn-theory[dpdata]', folders of yours"),
        ("ase", "ASE's .traj, .db, .json; VASP's OUTCAR, vasprun.xml", "files of yours"),
    )
    show_rows([dict(zip(("source", "holds", "needs"), row, strict=True)) for row in sources], COLUMNS, as_json=as_json)


@app.command("check")
def data_check(
    files: Annotated[
        list[Path],
        typer.Argument(help=".xyz, .extxyz (.gz, .xz), .npz, .lmdb, .aselmdb; of ASE, VASP, CP2K; DeePMD's folders."),
    ],
    energy_key: EnergyKey = "energy",
    energy_unit: EnergyUnit = "eV",
    forces_key: ForcesKey = None,
    force_unit: ForceUnit = None,
    stress_key: StressKey = None,
    stress_unit: StressUnit = None,
    virial_key: VirialKey = None,
    length_unit: LengthUnit = "Angstrom",
    group_key: GroupKey = None,
    missing: MissingOption = "without",
    ignore: IgnoreOption = None,
    cutoff: Annotated[float | None, typer.Option(help="Of the potential, Angstrom.")] = None,
) -> None:
    """Say what files hold: groups, elements, ranges of labels, nearest atoms, duplicates; warn of what looks wrong."""
    options = locals()
    from tdn_theory.data.formats import read_structures
    from tdn_theory.data.summary import summary

    with errors_as_messages():
        keys = keys_of(options)
        for file in files:
            found = summary(read_structures(file, keys, tell), cutoff)
            console.print(f"{file}: {found}", highlight=False, markup=False, soft_wrap=True)


@app.command("clear")
def data_clear() -> None:
    """Remove what was kept of files that were read; they are read again when needed."""
    from tdn_theory.data.kept import clear, folder

    with errors_as_messages():
        console.print(f"removed {clear()} sets of structures from {folder()}", highlight=False, soft_wrap=True)


@app.command("convert")
def data_convert(
    source: Annotated[str, typer.Argument(help="`relaxations` (shipped), or a file as of `data check`.")],
    target: Annotated[
        Path,
        typer.Argument(help="File to write: .npz, .xyz (extended XYZ; .gz, .xz), .lmdb (PubChemQCR), .aselmdb (ASE)."),
    ],
    energy_key: EnergyKey = "energy",
    energy_unit: EnergyUnit = "eV",
    forces_key: ForcesKey = "forces",
    force_unit: ForceUnit = "eV/Angstrom",
    stress_key: StressKey = None,
    stress_unit: StressUnit = None,
    virial_key: VirialKey = None,
    length_unit: LengthUnit = "Angstrom",
    group_key: GroupKey = None,
    weight_key: WeightKey = None,
    ignore: IgnoreOption = None,
) -> None:
    """Write structures in another format: .lmdb keeps energies and forces, extended XYZ all but polarizability."""
    options = locals()
    from tdn_theory.data.formats import check_writable, read_structures, write_structures
    from tdn_theory.data.relaxations import SHIPPED

    with errors_as_messages():
        check_writable(target)
        stress = {} if virial_key else {"stress_key": "stress", "stress_unit": "eV/Angstrom^3"}
        keys = keys_of(options, **stress, missing="without")
        structures = read_structures(SHIPPED if source == "relaxations" else Path(source), keys, tell)
        write_structures(target, structures, source)
    console.print(f"{target}: {len(structures)} structures", highlight=False, soft_wrap=True)
