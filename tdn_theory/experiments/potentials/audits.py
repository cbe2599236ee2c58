"""Audits of potentials that people use, of this package's, and of networks that are spoilt on purpose.

The packages exclude each other, so each is audited in an environment of its own: run this study with the same folder in
one after the other. What is done is kept, and what is not installed is named in the record.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdn_theory.audit.potential import audit
from tdn_theory.audit.sources import structures
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


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        structures: Of the shipped set.
        degree: Of the quadrature over rotations.
        cases: How many, from the end of the list; None: all.
    """

    structures: tuple[str, ...]
    degree: int
    cases: int | None = None


SIZES = {
    Preset.SMALLEST: Size(("water",), 2, 2),
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
            "names": list(size.structures),
            "degree": size.degree,
            "seed": seed,
        }
        try:
            rows.append({"name": name, "package": package, **jobs.map(one, [job], name)[0]})
        except ModuleNotFoundError as error:
            missing.append({"name": name, "reason": str(error)})
    return {"rows": rows, "missing": missing}


def one(function: str, options: dict[str, Any], names: list[str], degree: int, seed: int) -> dict[str, Any]:
    """One audit, without what each structure measured."""
    with tempfile.TemporaryDirectory() as folder:
        record = audit(f"{HERE}:{function}", options, structures(None, names, seed), Jobs(Path(folder)), degree, seed)
    refused = {name: part["refused"] for name, part in record["structures"].items() if "refused" in part}
    return {
        "grade": record["grade"],
        "answer": record["answer"],
        "findings": record["findings"],
        "refused": refused,
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
