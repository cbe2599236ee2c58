"""Relax a structure with a potential."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tdn_theory.cli.common import console, errors_as_messages
from tdn_theory.cli.labels import IgnoreOption


class Optimizer(StrEnum):
    """Algorithms of `relax`, by their names in ASE."""

    BFGS = "BFGS"
    LBFGS = "LBFGS"
    FIRE = "FIRE"


def relax(
    file: Annotated[Path, typer.Argument(help="Any structure file that ASE reads; its last frame is relaxed.")],
    model: Annotated[Path, typer.Option(help="A saved potential, e.g. run/model.safetensors.")],
    fmax: Annotated[float, typer.Option(min=0, help="Largest force on an atom that is left, eV/Angstrom.")] = 0.01,
    steps: Annotated[int, typer.Option(min=1, help="At most so many steps.")] = 500,
    optimizer: Annotated[Optimizer, typer.Option(help="Algorithm of ASE.")] = Optimizer.BFGS,
    ignore: IgnoreOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the trajectory and the relaxed structure.")] = Path("."),
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
) -> None:
    """Relax a structure with a potential, in float64; writes extended XYZ files."""
    import ase.io
    import torch
    from ase.io.formats import UnknownFileTypeError

    from tdn_theory.data.electrons import check_electrons, check_ignored
    from tdn_theory.data.extxyz import write_frames
    from tdn_theory.nn.calculator import TDNCalculator
    from tdn_theory.nn.calculator import relax as relax_atoms
    from tdn_theory.training.parallel import existing

    with errors_as_messages():
        if not file.is_file():
            raise FileNotFoundError(f"there is no structure file {file}")
        try:
            *_, atoms = ase.io.iread(str(file))
        except UnknownFileTypeError as error:
            raise ValueError(
                f"ASE cannot tell the format of {file}; give a structure file with its usual suffix"
            ) from error
        check_ignored(ignore or ())
        check_electrons(atoms, ignore or ())
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
        soft_wrap=True,
    )
    if not converged:
        console.print(f"forces above {fmax} eV/Angstrom are left; give more --steps", style="yellow", highlight=False)
        raise typer.Exit(1)
