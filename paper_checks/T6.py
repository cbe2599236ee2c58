"""T6: the exponents of the costs, and what other exact evaluations cost."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.records import Record

READS = ("cost", "F3a")

FULL, CP = (5.5, 6.2), (3.8, 4.5)
"""Exponents of L + 1, fitted at finite L, that stand for 6 and 4."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Are the exponents 6 and 4, and is CP the cheapest way to the product?"""
    values = records["cost"].values
    exponents, rows = values["exponents"], values["rows"]
    errors = [p["frobenius_error"] for p in records["F3a"].values["points"] if p["schedule"] == "7L^2"]
    largest = rows[-1]["L"]
    cheaper = {c: [row["L"] for row in rows if row[c]["y_first"] < row[c]["cp"]] for c in ("uvu", "uuu")}
    sparse = [row["L"] for row in rows if row["uuu"]["sparse"] < row["uuu"]["cp"]]
    full, cp = exponents["uuu"]["per_path"], exponents["uuu"]["cp"]
    ratios = {c: rows[-1][c]["cp"] / rows[-1][c]["y_first"] for c in cheaper}
    table = (
        Row("exponent of L + 1, full product", "6", Number(full, form=".1f")),
        Row("exponent of L + 1, CP", "4", Number(cp, form=".1f")),
        Row("exponent of L + 1, nonzeros only", "", Number(exponents["uuu"]["sparse"], form=".1f")),
        Row("exponent of L + 1, y first (one channel)", "", Number(exponents["uvu"]["y_first"], form=".1f")),
        Row("exponent of L + 1, turned to the pole (eSCN)", "", Number(exponents["uvu"]["rotated"], form=".1f")),
        Row("exponent of L + 1, on a grid, all paths", "", Number(exponents["uuu"]["bracket"], form=".1f")),
        Row(f"CP over y first, L = {largest}, y of one channel", "", Number(ratios["uvu"], form=".1f")),
        Row(f"CP over y first, L = {largest}, both of many", "", Number(ratios["uuu"], form=".1f")),
    )
    if not (FULL[0] < full < FULL[1] and CP[0] < cp < CP[1]):
        sentence = f"Counted up to L = {largest}, the exponents of L + 1 are {full:.1f} and {cp:.1f}, not 6 and 4."
        return Finding(Outcome.REFUTED, Strength.PROOF, sentence, table)
    always = len(cheaper["uvu"]) == len(rows)
    return Finding(
        Outcome.QUALIFIED if always else Outcome.VERIFIED,
        Strength.PROOF,
        f"Counted up to L = {largest}, the exponents of L+1 are {full:.1f} and {cp:.1f}"
        + (
            "; but where y has one channel, as in the network, contracting with it first is exact, and cheaper than CP "
            "at every L."
            if always
            else "."
        ),
        table,
        f"with channels in both, y first is cheaper than CP at {len(cheaper['uuu'])} of {len(rows)} L, the nonzero "
        f"coefficients at {len(sparse)}; whether R = 7L^2 keeps the error fixed is no part of the claim, and open: the "
        f"errors found, {min(errors):.3f} to {max(errors):.3f} (F3a), bound those of best approximations from above",
    )
