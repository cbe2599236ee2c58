"""O6: whether CP products are numerically unstable at high rank."""

from __future__ import annotations

from typing import Any

from tdn_theory.checkout import figure_record
from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.measuring import growth
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = "Open check 6: CP products are numerically unstable at high rank."

FACTOR = 4.0
"""Errors may be so many times the unit roundoff times the condition: rounding of inputs, factors and sums."""


def check(preset: Preset, seed: int) -> Verdict:
    """Judge the committed record of figure `cancellation`, which says itself which preset and seed made it.

    Raises:
        FileNotFoundError: It was not measured; the message says how.
    """
    return judge(figure_record("cancellation"))


def judge(record: dict[str, Any]) -> Verdict:
    """Does the error follow the cancellation of the terms, and does that grow with the rank?"""
    values = record["values"]
    kinds = ("stored", "no ridge", "atlas", "exact tensor")
    rows = {kind: [row for row in values["rows"] if row["kind"] == kind] for kind in kinds}
    cp = [row for kind in kinds[:3] for row in rows[kind]]
    exponents = {
        precision: growth([row["condition"] for row in cp], [row[precision] for row in cp])["power"]
        for precision in ("float32", "bfloat16", "mixed")
    }
    excess = {
        precision: max(row[precision] / (unit * row["condition"]) for row in cp)
        for precision, unit in values["units"].items()
    }
    adopted = {
        "below 7L^2": [row for row in rows["stored"] if row["R"] < quadratic(row["L"])],
        "at 7L^2": [row for row in rows["stored"] if row["R"] == quadratic(row["L"])],
        "above 7L^2": [row for row in rows["stored"] if row["R"] > quadratic(row["L"])],
    }
    worst = {name: _worst(some) for name, some in (rows | adopted).items() if some}
    evidence = {"preset": record["preset"], "exponents": exponents, "largest_over_bound": excess, "worst": worst}
    listed = ", ".join(f"{_said(worst[name])} {name}" for name in adopted if name in worst)
    summary = (
        f"Errors of {len(cp)} CP products grow as condition^{exponents['float32']:.2f} (float32) and "
        f"condition^{exponents['bfloat16']:.2f} (bfloat16), and are at most {max(excess.values()):.1f} times unit "
        f"roundoff times condition. Of stored fits the largest condition and float32 error are {listed}. Terms that "
        f"nothing keeps from growing reach {_said(worst['no ridge'])} at L = 1, R = 7. Atlas entries, exact, stay at "
        f"{_said(worst['atlas'])} at most, the tensor itself makes "
        f"{worst['exact tensor']['float32']:.0e}. With factors in float32, bfloat16 costs "
        f"{worst['no ridge']['mixed']:.1e} whatever the condition"
    )
    if max(excess.values()) > FACTOR:
        return Verdict(
            "O6", STATEMENT, Outcome.UNDECIDED, f"errors are not explained by cancellation. {summary}", evidence
        )
    high, low = (worst[name]["condition"] for name in ("above 7L^2", "below 7L^2"))
    if high < low:
        summary = f"They are where the rank is low, not where it is high. {summary}"
    return Verdict("O6", STATEMENT, Outcome.QUALIFIED if high < low else Outcome.VERIFIED, summary, evidence)


def _worst(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {name: max(row[name] for row in rows) for name in ("condition", "float32", "bfloat16", "mixed")}


def _said(row: dict[str, float]) -> str:
    return f"{row['condition']:.0f} and {row['float32']:.0e}"
