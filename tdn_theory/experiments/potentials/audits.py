"""Audits of potentials that people use, of this package's, and of networks that are spoilt on purpose.

The packages exclude each other, so each is audited in an environment of its own: run this study with the same folder in
one after the other. What is done is kept, and what is not installed is named in the record.

What an audit costs is measured with SevenNet-0 on a crystal of copper.
"""

from __future__ import annotations

import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tdn_theory.audit.potential import audit, version_of
from tdn_theory.audit.sources import RATTLE, structures
from tdn_theory.experiments.measuring import seconds_of, single_thread
from tdn_theory.experiments.potentials.audited import FAULTS
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

HERE = "tdn_theory.experiments.potentials.audited"
PAPER = {"method": "cp", "rank": 28}

CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "SevenNet-0": ("sevennet", {}, "sevenn"),
    "CHGNet": ("chgnet", {}, "chgnet"),
    "MACE": ("other", {"name": "MACE", "dtype": "float32"}, "mace"),
    "NequIP": ("other", {"name": "NequIP", "dtype": "float32"}, "nequip"),
    "SchNet": ("other", {"name": "SchNet", "dtype": "float32"}, "torch_geometric"),
    "TDN, R = 28": ("tdn", PAPER, ""),
    "TDN, exact": ("tdn", {"method": "exact"}, ""),
    "TDN, exact, even paths": ("tdn", {"method": "cubature"}, ""),
    "TDN, exact, float32": ("tdn", {"method": "cubature", "dtype": "float32"}, ""),
    **{fault: ("spoilt", {"fault": fault}, "") for fault in FAULTS},
}
"""By name: the function of `audited`, its arguments, and the package that it needs."""

CRYSTALS = {"CHGNet": ["silicon", "rock salt"]}
"""What is audited instead with potentials that take crystals only."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        structures: Of the shipped set.
        degree: Of the quadrature over rotations.
        cases: How many, from the end of the list; None: all.
        copper: Atoms of the crystal for the cost; None: it is not measured.
    """

    structures: tuple[str, ...]
    degree: int
    cases: int | None = None
    copper: int | None = 20


SIZES = {
    Preset.SMALLEST: Size(("water",), 2, 2, None),
    Preset.QUICK: Size(("ethanol", "silicon"), 4),
    Preset.FULL: Size(("water", "methanol", "ethanol", "silicon"), 6),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Audit what is installed, or kept from another environment."""
    rows, missing = [], []
    for name in list(CASES)[-size.cases if size.cases else 0 :]:
        function, options, package = CASES[name]
        job = {
            "function": function,
            "options": options,
            "package": package,
            "names": CRYSTALS.get(name, list(size.structures)),
            "degree": size.degree,
            "seed": seed,
        }
        try:
            rows.append({"name": name, "package": package, **jobs.map(one, [job], name)[0]})
        except ModuleNotFoundError as error:
            missing.append({"name": name, "reason": str(error)})
    costs = []
    if size.copper is not None and "SevenNet-0" in {row["name"] for row in rows}:
        costs = jobs.map(cost, [{"atoms": size.copper, "seed": seed}], "cost of an audit")
    return {"rows": rows, "missing": missing, "costs": costs}


def cost(atoms: int, seed: int) -> dict[str, Any]:
    """Time and memory of an audit with SevenNet-0.

    Args:
        atoms: Of a rattled crystal of copper, a multiple of four.
        seed: Of everything random.

    Returns:
        `atoms`; `seconds` of the processor; `gigabytes`, the most that this process has ever held, packages included.
    """
    from ase.build import bulk

    crystal = bulk("Cu") * (2, 2, atoms // 4)
    crystal.positions += RATTLE * np.random.default_rng(seed).standard_normal(crystal.positions.shape)
    with tempfile.TemporaryDirectory() as folder, single_thread():
        seconds = seconds_of(
            lambda: audit(f"{HERE}:sevennet", {}, {"copper": crystal}, Jobs(Path(folder)), seed=seed), "cpu"
        )
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"atoms": len(crystal), "seconds": seconds, "gigabytes": 1024e-9 * kilobytes}


def one(
    function: str, options: dict[str, Any], package: str, names: list[str], degree: int, seed: int
) -> dict[str, Any]:
    """One audit, without what each structure measured."""
    with tempfile.TemporaryDirectory() as folder:
        record = audit(f"{HERE}:{function}", options, structures(None, names, seed), Jobs(Path(folder)), degree, seed)
    refused = {name: part["refused"] for name, part in record["structures"].items() if "refused" in part}
    return {
        "grade": record["grade"],
        "answer": record["answer"],
        "findings": record["findings"],
        "refused": refused,
        "version": version_of(package),
        "versions": record["provenance"]["versions"],
        "device": record["provenance"]["device"],
    }


STUDY = Study(
    "audits",
    "Audits of potentials: SevenNet-0, CHGNet, MACE, NequIP, SchNet, TDN, and networks spoilt on purpose",
    Cost.TRAINED,
    SIZES,
    run,
)
