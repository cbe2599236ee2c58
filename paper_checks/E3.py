"""E3: the CP form evaluates the product with R (d1 + d2 + d3) multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.records import Record

READS = ("E3",)

ROUNDOFF = 1e-12
"""Relative difference of both forms that sums of up to 10^5 terms in float64 may have."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Do both forms agree to roundoff, and what do they cost?"""
    rows = records["E3"].values["rows"]
    worst, last = max(row["relative_difference"] for row in rows), rows[-1]
    dearer = [row["L"] for row in rows if row["cp"] >= row["dense"]]
    agree = worst <= ROUNDOFF
    return Finding(
        Outcome.VERIFIED if agree else Outcome.REFUTED,
        Strength.PAPERS_SCALE,
        f"Both forms agree to {worst:.0e} at R = 7L^2 up to L = {last['L']}; the CP form takes R (3d + 1) products."
        if agree
        else f"Both forms differ by {worst:.0e} at R = 7L^2.",
        (
            Row(f"multiplications at L = {last['L']}, CP", "R (d1 + d2 + d3)", Number(last["cp"], form="d")),
            Row(f"multiplications at L = {last['L']}, dense", "", Number(last["dense"], form="d")),
        ),
        "the dense tensor is the dearest rival, and still no dearer at L = "
        f"{', '.join(map(str, dearer)) or 'none'}; T6 has the others",
    )
