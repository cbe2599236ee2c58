"""E1: the products of all paths are equivariant, exactly."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.records import Record

READS = ("E1",)


def judge(records: Mapping[str, Record]) -> Finding:
    """Do the exact coefficients of every path commute with the generators of rotations?"""
    values = records["E1"].values
    last = values["rows"][-1]
    error = max(row["coefficient_error"] for row in values["rows"])
    return proven(
        values["proof"],
        Outcome.VERIFIED,
        f"Proven up to L = {last['L']}: the exact M, one block for each path, commutes with the three generators of "
        "rotations, and so does each block.",
        (
            Row(f"paths up to L = {last['L']}", "", Number(last["paths"], form="d")),
            Row("largest error of a coefficient in float64", "", f"{error:.0e}"),
        ),
    )
