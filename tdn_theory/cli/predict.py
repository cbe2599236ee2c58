"""Predict energies and forces of structures without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from tdn_theory.cli.common import console, errors_as_messages


def predict(
    model: Annotated[Path, typer.Argument(help="A saved potential, e.g. run/model.safetensors.")],
    config: Annotated[Path, typer.Argument(help="A training configuration, or the name of a shipped one: its source.")],
    files: Annotated[list[Path], typer.Argument(help="Files of that source, labelled or not.")],
    out: Annotated[Path, typer.Option(help="npz file to write.")] = Path("predictions.npz"),
    batch_size: Annotated[int, typer.Option(min=1, help="Structures at a time.")] = 32,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
) -> None:
    """Energies, and forces if any, of structures by name, as of OC20's test sets, whose labels are not released."""
    from tdn_theory.files import npz_bytes, write_bytes
    from tdn_theory.nn.potential import Potential
    from tdn_theory.training.config import TrainConfig, shipped
    from tdn_theory.training.parallel import existing
    from tdn_theory.training.prediction import predictions
    from tdn_theory.training.sources import unlabelled

    with errors_as_messages(), Progress(console=console, transient=True) as progress:
        data = TrainConfig.read(shipped(config)).data
        structures = unlabelled(data, list(map(str, files)), lambda line: console.print(line, highlight=False))
        potential = Potential.load(model).to(existing(device))
        task = progress.add_task("predicting", total=len(structures))
        found = predictions(potential, structures, batch_size, lambda done: progress.advance(task, done))
        write_bytes(out, npz_bytes(found))
    console.print(f"{out}: {len(structures)} structures, {', '.join(found)}", highlight=False, soft_wrap=True)
