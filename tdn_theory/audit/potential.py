"""The audit of a potential: units of work that are kept when they are done, and the record that they make."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from tdn_theory.audit.consequences import consequences
from tdn_theory.audit.derivatives import derivative_errors
from tdn_theory.audit.noise import rounding_noise
from tdn_theory.audit.rotations import rotation_errors
from tdn_theory.audit.smoothness import jumps
from tdn_theory.audit.sources import calculator, fingerprint
from tdn_theory.audit.symmetries import symmetry_errors
from tdn_theory.audit.verdict import UNITS, findings, summary
from tdn_theory.jobs import Jobs
from tdn_theory.provenance import provenance

PARTS = ("noise", "symmetries", "rotations", "derivatives", "smoothness")


def audit(
    source: str,
    options: Mapping[str, Any],
    structures: Mapping[str, Atoms],
    jobs: Jobs,
    degree: int = 4,
    seed: int = 0,
    with_consequences: bool = False,
) -> dict[str, Any]:
    """Audit a calculator on a set of structures.

    A stopped audit goes on where it was: each kind of measurement on each structure is a job of its own. A structure
    that the calculator refuses, or predicts nonsense of, is left out, and the record says why.

    Args:
        source: Of the calculator, see `sources.calculator`.
        options: Keyword arguments of it.
        structures: By name.
        jobs: Runs the work.
        degree: Of the quadrature over rotations.
        seed: Of everything random.
        with_consequences: Also relax turned copies and run dynamics.

    Returns:
        The record: `grade`, `answer` and `worst` rotation in words, `findings`, and per structure what was measured, or
        `refused`.

    Raises:
        ValueError: No structure could be audited; the message has the first reason.
        TimeoutError: The time of `jobs` is over.
    """
    base = {
        "source": source,
        "options": dict(options),
        "fingerprint": fingerprint(source),
        "version": version_of(source.split(":")[0].split(".")[0]),
        "seed": seed,
    }
    rows = {name: {**base, "structure": _as_json(atoms)} for name, atoms in structures.items()}
    done: dict[str, dict[str, Any]] = {name: {"atoms": len(atoms)} for name, atoms in structures.items()}
    for part in (*PARTS, *(["consequences"] if with_consequences else [])):
        asked = [name for name in rows if "refused" not in done[name]]
        plan = [
            {**rows[name], "part": part, "degree": degree if part == "rotations" else None}
            | ({"noise": done[name]["noise"]["squares"]} if part == "derivatives" else {"noise": None})
            for name in asked
        ]
        for name, result in zip(asked, jobs.map(measure, plan, part), strict=True):
            if "refused" in result:
                done[name]["refused"] = result["refused"]
            else:
                done[name][part] = result
    good = [part for part in done.values() if "refused" not in part]
    if not good:
        raise ValueError(f"no structure could be audited: {next(iter(done.values()))['refused']}")
    found = findings(good)
    verdict, answer = summary(found)
    return {
        "calculator": source,
        "options": dict(options),
        "version": base["version"],
        "degree": degree,
        "grade": verdict.value,
        "answer": answer,
        "worst": _worst(done),
        "findings": [finding.as_json() for finding in found],
        "structures": done,
        "provenance": provenance(seed, "cpu"),
    }


def measure(
    source: str,
    options: dict[str, Any],
    fingerprint: str | None,
    version: str | None,
    seed: int,
    structure: dict[str, Any],
    part: str,
    degree: int | None,
    noise: dict[str, float] | None,
) -> dict[str, Any]:
    """One kind of measurement on one structure.

    Args:
        source: Of the calculator.
        options: Keyword arguments of it.
        fingerprint: Of the file that it is in, so that another file is not taken for it.
        version: Of its package, likewise.
        seed: Of everything random.
        structure: `numbers`, `positions`, `cell`, `pbc`.
        part: One of `PARTS`, or `consequences`.
        degree: Of the quadrature over rotations.
        noise: Rounding errors, for the derivatives.

    Returns:
        What the module of that name returns, or `refused`: why the calculator does not do.
    """
    atoms = Atoms(structure["numbers"], structure["positions"], cell=structure["cell"], pbc=structure["pbc"])
    own = calculator(source, options)
    try:
        if part == "noise":
            return rounding_noise(own, atoms, seed)
        if part == "symmetries":
            return symmetry_errors(own, atoms, seed)
        if part == "rotations":
            return rotation_errors(own, atoms, degree or 0, seed)
        if part == "derivatives":
            return derivative_errors(own, atoms, noise or {}, seed)
        if part == "smoothness":
            return jumps(own, atoms)
        return consequences(own, atoms, seed)
    except Exception as error:  # whatever other people's calculators raise
        return {"refused": f"{type(error).__name__}: {error}"}


def _worst(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """The worst rotation that was found of any structure, in words."""
    found = {name: part["rotations"]["worst"] for name, part in parts.items() if "refused" not in part}
    name = max(found, key=lambda name: found[name].get("forces", found[name]["energy"]))
    turn = Rotation.from_matrix(found[name]["rotation"]).as_rotvec(degrees=True)
    angle = float(np.linalg.norm(turn))
    axis = ", ".join(f"{x:.3f}" for x in turn / (angle or 1.0))
    errors = ", ".join(f"{key} off by {found[name][key]:.1e} {UNITS[key]}" for key in UNITS if key in found[name])
    return f"{name}, by {angle:.1f} degrees about ({axis}): {errors}"


def _as_json(atoms: Atoms) -> dict[str, Any]:
    return {
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": np.array(atoms.cell).tolist(),
        "pbc": atoms.pbc.tolist(),
    }


def version_of(package: str) -> str | None:
    """Version of what is installed that a package is imported from; None if that is not known."""
    try:
        return version(package)
    except (PackageNotFoundError, ValueError):
        installed = packages_distributions().get(package)  # as mace, of mace-torch
        return version(installed[0]) if installed else None
