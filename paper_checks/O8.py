"""O8: how to choose R, inside the model: which ranks have the function of any network with an equivariant product."""

from __future__ import annotations

from typing import Any

from tdn_theory.checkout import figure_record
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "Open check 8, how to choose R: a network with R terms has the function of one with any equivariant product from "
    "the rank on that represents this product (T2), and not below."
)


def check(preset: Preset, seed: int) -> Verdict:
    """Judge the committed record of figure `teacher`, which says itself which preset and seed made it.

    Raises:
        FileNotFoundError: It was not measured; the message says how.
    """
    return judge(figure_record("teacher"))


def judge(record: dict[str, Any]) -> Verdict:
    """Compare, for each kind of teacher, the ranks of students without error with the predicted ones."""
    values = record["values"]
    rows = [
        {
            **{key: row[key] for key in ("L", "kind", "R", "predicted", "zero", "log10_error", "log10_error_before")},
            "seeds": row["log10_error"]["seeds"],
        }
        for row in values["summary"]
    ]
    evidence = {"preset": record["preset"], "zero": values["zero"], "rows": rows}
    missing = [row for row in rows if row["R"] >= row["predicted"] and row["zero"] < row["seeds"]]
    early = [row for row in rows if row["R"] < row["predicted"] and row["zero"]]
    thresholds = {(row["L"], row["kind"]): row["predicted"] for row in rows}
    listed = "; ".join(f"L = {lmax}, {kind}: {rank}" for (lmax, kind), rank in thresholds.items())
    just_below = {}
    for row in sorted(rows, key=lambda row: row["R"]):
        if row["R"] < row["predicted"]:
            just_below[row["L"], row["kind"]] = 10 ** row["log10_error"]["mean"]
    summary = (
        f"Of the students {_count(missing)} fail to reach zero at or above the predicted rank, {_count(early)} reach "
        f"it below ({len(rows)} ranks, {rows[0]['seeds']} seeds; predicted: {listed}). At the largest rank below, the "
        f"error on held-out molecules after training everything is between {min(just_below.values()):.1g} and "
        f"{max(just_below.values()):.1g}: not zero, but not always large. The "
        "rank depends on the product, not on L alone"
    )
    if missing:
        return Verdict("O8", STATEMENT, Outcome.REFUTED, summary, evidence)
    return Verdict("O8", STATEMENT, Outcome.QUALIFIED if early else Outcome.VERIFIED, summary, evidence)


def _count(rows: list[dict[str, Any]]) -> str:
    return str(len(rows)) if rows else "none"
