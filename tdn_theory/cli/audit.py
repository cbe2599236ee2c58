"""Audits of potentials, modules and products."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tdn_theory.cli.common import OutOption, SeedOption, WorkersOption, console, errors_as_messages
from tdn_theory.cli.tables import Column, JsonOption, show_rows, show_values

COLUMNS = (
    Column("check", "check", "what was tried", 15),
    Column("of", "quantity", "property", 14),
    Column("error", "error", "root mean square over structures, rotations, trials, components", 7, "{:.1e}".format),
    Column("unit", "unit", "of the error; energies are per atom", 7),
    Column("floor", "floor", "what roundoff, or a finite difference, explains", 5, "{:.0e}".format),
    Column("rel.", "relative", "error over the size of the property", 5, lambda r: "" if r is None else f"{r:.0e}"),
    Column("grade", "grade", "at roundoff, approximate or broken", 11),
)


def audit(
    calculator: Annotated[
        str | None,
        typer.Option(
            help="module:name or file.py:name of an ASE calculator (it is run), or a saved model.safetensors."
        ),
    ] = None,
    argument: Annotated[
        list[str] | None, typer.Option(help="Keyword argument of the calculator: name=value, value in JSON or text.")
    ] = None,
    structures: Annotated[
        Path | None, typer.Option(help="Structure file that ASE reads; else a shipped set of molecules and solids.")
    ] = None,
    name: Annotated[list[str] | None, typer.Option(help="Structures of the shipped set, e.g. water; else all.")] = None,
    product: Annotated[
        str | None, typer.Option(help="module:name or file.py:name of a bilinear product instead: exact numbers.")
    ] = None,
    coupling: Annotated[str | None, typer.Option(help="Its irreps, e.g. '0e+1o x 0e+1o -> 0e+1o'.")] = None,
    module: Annotated[
        str | None, typer.Option(help="module:name or file.py:name of a torch module (or what makes one) instead.")
    ] = None,
    inputs: Annotated[str | None, typer.Option(help="Irreps of the module's input, e.g. 0e+1o.")] = None,
    outputs: Annotated[str | None, typer.Option(help="Irreps of its output.")] = None,
    degree: Annotated[int, typer.Option(min=2, max=20, help="Degree to which rotations are averaged exactly.")] = 4,
    max_energy: Annotated[float | None, typer.Option(help="Most rotation error of energies, eV/atom.")] = None,
    max_forces: Annotated[float | None, typer.Option(help="Most rotation error of forces, eV/Angstrom.")] = None,
    consequences: Annotated[
        bool, typer.Option("--consequences", help="Also relax turned copies; run dynamics.")
    ] = False,
    seed: SeedOption = 0,
    workers: WorkersOption = 1,
    out: OutOption = Path("audit"),
    as_json: JsonOption = False,
) -> None:
    """Is it equivariant and consistent: at roundoff, approximate, or broken?

    Writes audit.json and audit.html; a stopped audit goes on. Exit status 1 if it is broken or above a given limit.
    """
    from tdn_theory.audit.page import page
    from tdn_theory.audit.potential import audit as run
    from tdn_theory.audit.sources import named
    from tdn_theory.audit.sources import structures as read
    from tdn_theory.files import write_bytes, write_json
    from tdn_theory.jobs import Jobs
    from tdn_theory.provenance import provenance

    with errors_as_messages():
        given = [source for source in (calculator, product, module) if source is not None]
        if len(given) != 1:
            raise ValueError(f"{len(given)} things to audit are given; give one of --calculator, --product, --module")
        if calculator is not None:
            options = dict(_argument(text) for text in argument or ())
            jobs = Jobs(out / "jobs", workers)
            record = run(calculator, options, read(structures, name or (), seed), jobs, degree, seed, consequences)
            write_bytes(out / "audit.html", page(record).encode())
            limits = _limits(record, {"energy": max_energy, "forces": max_forces})
        else:
            from tdn_theory.audit import modules

            if product is not None:
                found = modules.product(named(product), coupling)
            else:
                if inputs is None or outputs is None:
                    raise ValueError("a module does not say what it takes; give --inputs and --outputs, e.g. 0e+1o")
                found = modules.module(_made(named(str(module))), inputs, outputs, degree, seed)
            record, limits = {"audited": given[0], **found, "provenance": provenance(seed, "cpu")}, []
        write_json(out / "audit.json", record)
    if as_json:
        show_values(record, as_json)
    elif calculator is not None:
        _show(record)
    else:
        show_values({name: value for name, value in record.items() if isinstance(value, float | str)})
    if not as_json:
        console.print(f"written: {out / 'audit.json'}", highlight=False, markup=False)
    for limit in limits:
        typer.echo(limit, err=True)
    if limits or record["grade"] == "broken":
        raise typer.Exit(1)


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--argument is {text!r}; it must be name=value, e.g. model=small or default_dtype=float64")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _made(found: Any) -> Any:
    import torch

    made = found if isinstance(found, torch.nn.Module) else found()
    if not isinstance(made, torch.nn.Module):
        raise TypeError(f"the module is a {type(made).__name__}; it must be a torch.nn.Module or make one")
    return made


def _limits(record: dict[str, Any], limits: dict[str, float | None]) -> list[str]:
    """What is above a limit, or cannot be held to it."""
    errors = {row["quantity"]: row for row in record["findings"] if row["check"] == "rotation"}
    said = []
    for name, limit in limits.items():
        if limit is None:
            continue
        if name not in errors:
            raise ValueError(f"--max-{name} is given, but the calculator has no {name}")
        if errors[name]["error"] > limit:
            said.append(f"{name}: {errors[name]['error']:.2e} {errors[name]['unit']} is above {limit:g}")
    return said


def _show(record: dict[str, Any]) -> None:
    show_rows(record["findings"], COLUMNS)
    values: dict[str, Any] = {}
    for name, part in record["structures"].items():
        if "refused" in part:
            values[f"left out: {name}"] = part["refused"]
        if "consequences" in part:
            energies, drifts = part["consequences"]["energies"], part["consequences"]["drifts"]
            spread, drift = 1e3 * (max(energies) - min(energies)), 1e3 * max(map(abs, drifts))
            values[name] = f"relaxed energies spread over {spread:.2g} meV/atom, drift {drift:.2g} meV/atom/ps"
    show_values(values | {"worst rotation": record["worst"], "answer": record["answer"]})
