"""Potentials: train, evaluate."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tdn_theory.cli.common import SeedOption, console, errors_as_messages
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
    keys_of,
)
from tdn_theory.cli.tables import Column, JsonOption, show_rows, show_values


class EvaluationPrecision(StrEnum):
    """Precisions of `evaluate`."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


class By(StrEnum):
    """What `evaluate` tells errors apart by."""

    GROUP = "group"
    CONFIG_TYPE = "config_type"


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
    with errors_as_messages():
        settings = TrainConfig.read(shipped(config), **changes)
        try:
            result = train(settings, console)
        except KeyboardInterrupt as stop:
            raise typer.Exit(130) from stop
    if os.environ.get("RANK", "0") != "0":
        return
    sets = [name for name in ("validation", "test") if name in result]
    rows = [
        {"error": name, **{part: _value(result[part][name]) if name in result[part] else "" for part in sets}}
        for name in result["validation"]
    ]
    meaning = "of the set, with its standard error over groups"
    show_rows(rows, [Column("error", "error", "what is compared", 22), *(Column(n, n, meaning, 24) for n in sets)])
    console.print(f"{Path(settings.out) / MODEL}", highlight=False, soft_wrap=True)
    if "test" in result:
        console.print(f"constants per element: energy_mae {_value(result['constant_per_element'])}", highlight=False)


def evaluate(
    model: Annotated[Path, typer.Argument(help="A saved potential, e.g. run/model.safetensors.")],
    data: Annotated[
        Path, typer.Argument(help="A training configuration, for its test set, or a file as of `data check`.")
    ],
    energy_key: EnergyKey = None,
    energy_unit: EnergyUnit = None,
    forces_key: ForcesKey = None,
    force_unit: ForceUnit = None,
    stress_key: StressKey = None,
    stress_unit: StressUnit = None,
    virial_key: VirialKey = None,
    length_unit: LengthUnit = None,
    group_key: GroupKey = None,
    missing: MissingOption = "refuse",
    ignore: IgnoreOption = None,
    by: Annotated[By | None, typer.Option(help="Errors also of each group, or of each config_type.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Structures at a time.")] = 32,
    rotations: Annotated[int, typer.Option(min=0, help="Rotations of each structure for the rotation errors.")] = 4,
    precision: Annotated[EvaluationPrecision, typer.Option(help="Of everything.")] = EvaluationPrecision.FLOAT64,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1.")] = "cpu",
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the result.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Errors of a potential on structures, its rotation errors and its speed, with standard errors over groups."""
    options = locals()
    import torch

    from tdn_theory.data.formats import TEXT, read_structures
    from tdn_theory.files import write_json
    from tdn_theory.nn.potential import Potential
    from tdn_theory.provenance import provenance
    from tdn_theory.training.config import TrainConfig, shipped
    from tdn_theory.training.evaluation import report
    from tdn_theory.training.parallel import existing
    from tdn_theory.training.sources import load

    with errors_as_messages():
        if data.suffix == ".toml" or not (data.suffix or data.exists()):
            structures = load(TrainConfig.read(shipped(data)).data).test
        else:
            says = {} if data.name.endswith(TEXT) else {"energy_key": "energy", "energy_unit": "eV", "length_unit": "A"}
            structures = read_structures(data, keys_of(options, **says))
        dtype = getattr(torch, precision)
        potential = Potential.load(model).to(existing(device), dtype)
        found = report(potential, structures, batch_size, rotations=rotations, seed=seed, by=by)
        result = {**found, "model": str(model), "data": str(data), "provenance": provenance(seed, device)}
        if out is not None:
            write_json(out, result)
    if as_json:
        show_values(result, as_json)
        return
    found = {"potential": model, "structures": len(structures)}
    for part in ("errors", "catalyst_errors", "rotation_errors"):
        found |= {name: _value(metric) for name, metric in result[part].items()}
    found["energy_mae of constants per element"] = _value(result["constant_per_element"])
    found["speed"] = f"{result['structures_per_second']:.1f} structures/s"
    show_values(found)
    for name, parts in result["errors_by"].items():
        units = {error: metric["unit"] for error, metric in result["errors"].items() if error.endswith("_mae")}
        rows = [
            {name: part, **{error: _number(errors[error]) if error in errors else "" for error in units}}
            for part, errors in parts.items()
        ]
        columns = [
            Column(error, error, f"{unit}, with its standard error over groups", 16) for error, unit in units.items()
        ]
        console.print()
        show_rows(rows, [Column(name, name, "part of the structures", 22), *columns])


def _value(metric: Mapping[str, Any]) -> str:
    return f"{_number(metric)} {metric['unit']}"


def _number(metric: Mapping[str, Any]) -> str:
    error = metric["standard_error"]
    return f"{metric['value']:.4g}{'' if error is None else f' ± {error:.2g}'}"
