"""O6: whether CP products are numerically unstable at high rank."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from statistics import linear_regression
from typing import Any

from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.records import Record

READS = ("cancellation",)

FACTOR = 4.0
"""Errors may be so many times the unit roundoff times the condition: rounding of inputs, factors and sums."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Does the error follow the cancellation of the terms, and does that grow with the rank?"""
    values = records["cancellation"].values
    products = [row for row in values["rows"] if row["kind"] != "exact tensor"]
    stored = [row for row in products if row["kind"] == "stored"]
    power = linear_regression(
        [log(row["condition"]) for row in products], [log(row["float32"]) for row in products]
    ).slope
    excess = max(row[name] / (unit * row["condition"]) for row in products for name, unit in values["units"].items())
    worst = {
        "stored, below 7L^2": _worst([row for row in stored if row["R"] < 7 * row["L"] ** 2]),
        "stored, at 7L^2": _worst([row for row in stored if row["R"] == 7 * row["L"] ** 2]),
        "stored, above 7L^2": _worst([row for row in stored if row["R"] > 7 * row["L"] ** 2]),
        "exact, atlas": _worst([row for row in products if row["kind"] == "atlas"]),
        "fits without a ridge at L = 1": _worst([row for row in products if row["kind"] == "no ridge"]),
    }
    table = (
        *(
            Row(f"largest condition, {name}", "", f"{row['condition']:.0f}, error {row['float32']:.0e} in float32")
            for name, row in worst.items()
        ),
        Row("error grows as condition to the power", "", Number(power, form=".2f")),
        Row("largest error over roundoff times condition", "", f"{excess:.1f}"),
    )
    if excess > FACTOR:
        sentence = f"Errors are up to {excess:.1f} times roundoff times condition: cancellation does not explain them."
        return Finding(Outcome.UNDECIDED, None, sentence, table)
    low, high = worst["stored, below 7L^2"]["condition"], worst["stored, above 7L^2"]["condition"]
    unstable = high >= low
    return Finding(
        Outcome.VERIFIED if unstable else Outcome.QUALIFIED,
        Strength.PAPERS_SCALE,
        f"Errors grow with the cancellation of the terms, and that is largest at {'high' if unstable else 'low'} rank: "
        f"condition up to {low:.0f} in stored fits below R = 7L^2, {high:.0f} above it.",
        table,
        "a ridge keeps the terms of stored fits from growing; inputs are random",
    )


def _worst(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The row of largest condition."""
    return max(rows, key=lambda row: row["condition"])
