"""E2: M has one block of norm 1 for each path, exactly."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.paper import NORMS_SQUARED
from tdn_theory.records import Record

READS = ("E1",)

ROUNDOFF = 1e-12
"""Relative; of norms in float64, whose exact values are steps of the proof."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Are the numbers of paths and the squared norms the paper's?"""
    values = records["E1"].values
    rows = values["rows"]
    last, degrees = rows[-1], f"at L = 1 to {rows[-1]['L']}"
    table = (
        Row(
            f"paths {degrees}",
            ", ".join(str(NORMS_SQUARED[row["L"]]) for row in rows),
            ", ".join(str(row["paths"]) for row in rows),
        ),
        Row(f"||M||^2 at L = {last['L']}", Number(NORMS_SQUARED[last["L"]], form="d"), Number(last["norm_squared"])),
        Row(f"smallest singular value at L = {last['L']}", "", Number(last["smallest_singular_value"])),
        Row(f"largest singular value at L = {last['L']}", "", Number(last["largest_singular_value"])),
    )
    wrong = [
        row["L"]
        for row in rows
        if row["paths"] != NORMS_SQUARED[row["L"]] or abs(row["norm_squared"] / row["paths"] - 1) > ROUNDOFF
    ]
    if wrong:
        sentence = f"At L = {', '.join(map(str, wrong))} the number of paths or ||M||^2 is not the paper's."
        return Finding(Outcome.REFUTED, Strength.PROOF, sentence, table)
    return proven(
        values["proof"],
        Outcome.VERIFIED,
        f"Proven up to L = {last['L']}: M is the sum of the path tensors, each of norm 1, and ||M||^2 their number.",
        table,
        "the singular values of its unfoldings, sqrt(N_l / (2l+1)), lie close together: M has no tail to cut off (T1)",
    )
