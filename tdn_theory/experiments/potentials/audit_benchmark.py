"""Whether the audit tells roundoff from approximation: random exact models, and the same with ten times the floor.

An exact one that is not found at roundoff in every check is a false alarm. The others see space stretched along z, by
as much as makes forces err under rotations by ten times the floor; one of them that is found at roundoff under
rotations is a miss.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from tdn_theory.audit.potential import audit
from tdn_theory.audit.rotations import rotation_errors
from tdn_theory.audit.verdict import ROUNDOFF
from tdn_theory.experiments.potentials.moments import Moments
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

SOURCE = "tdn_theory.experiments.potentials.moments:Moments"
TIMES = 10.0
"""Error of the spoilt models over the floor."""
TRIAL = 1e-3
"""Stretch at which the error is measured, to find the stretch that is wanted: errors are proportional to it."""
DEGREE = 2


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        models: Exact ones, and as many spoilt ones.
    """

    models: int


SIZES = {Preset.SMALLEST: Size(1), Preset.QUICK: Size(50), Preset.FULL: Size(200)}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Audit all of them, and count."""
    rows = jobs.map(one, [{"seed": seed + k} for k in range(size.models)], "audits of random models")
    return {
        "times": TIMES,
        "threshold": ROUNDOFF,
        "models": len(rows),
        "false_alarms": sum(bool(row["alarms"]) for row in rows),
        "misses": sum(not row["found"] for row in rows),
        "largest_exact_ratio": max(row["exact_ratio"] for row in rows),
        "least_spoilt_ratio": min(row["spoilt_ratio"] for row in rows),
        "rows": rows,
    }


def one(seed: int) -> dict[str, Any]:
    """A random potential (`moments`) on a random structure, exact and spoilt.

    Args:
        seed: Of all that is random; even ones are in double precision, and every other pair of seeds has a crystal.
    """
    exact = {"seed": seed, "dtype": ("float64", "float32")[seed % 2]}
    atoms = _structure(np.random.default_rng(seed), periodic=bool(seed // 2 % 2))
    right = _findings(exact, atoms)
    floor = right["rotation", "forces"]["floor"]
    trial = rotation_errors(Moments(**exact, stretch=TRIAL), atoms, DEGREE, seed)["squares"]["forces"] ** 0.5
    spoilt = {**exact, "stretch": TRIAL * TIMES * floor / trial}
    wrong = _findings(spoilt, atoms)
    ratios = [found["rotation", "forces"]["error"] / found["rotation", "forces"]["floor"] for found in (right, wrong)]
    return {
        **spoilt,
        "atoms": len(atoms),
        "periodic": bool(atoms.pbc.any()),
        "alarms": [", ".join(name) for name, row in right.items() if row["grade"] != "at roundoff"],
        "found": any(row["grade"] != "at roundoff" for (check, _), row in wrong.items() if check == "rotation"),
        "exact_ratio": ratios[0],
        "spoilt_ratio": ratios[1],
        "largest_ratio": max(row["error"] / row["floor"] for row in right.values()),
        "relative": wrong["rotation", "forces"]["relative"],
    }


def _findings(options: dict[str, Any], atoms: Atoms) -> dict[tuple[str, str], dict[str, Any]]:
    """The findings of an audit, by check and quantity."""
    with tempfile.TemporaryDirectory() as folder:
        record = audit(SOURCE, options, {"random": atoms}, Jobs(Path(folder)), DEGREE, options["seed"])
    return {(row["check"], row["quantity"]): row for row in record["findings"]}


def _structure(rng: np.random.Generator, periodic: bool) -> Atoms:
    """Five atoms at random, in a cell or without one, no two of them (nor images) closer than 1.2 Angstrom."""
    cell = 5.5 * np.eye(3) + rng.uniform(-0.5, 0.5, (3, 3))
    while True:
        atoms = Atoms(np.full(5, 6), rng.random((5, 3)) @ (cell if periodic else 0.7 * cell))
        if periodic:
            atoms.set_cell(cell)
            atoms.pbc = True
        distances = atoms.get_all_distances(mic=periodic)[np.triu_indices(5, 1)]
        if distances.min() > 1.2:
            return atoms


STUDY = Study(
    "audit_benchmark",
    "False alarms and misses of the audit on random models, exact and with ten times the floor",
    Cost.TRAINED,
    SIZES,
    run,
)
