"""T2: every equivariant bilinear map is a CP form of d1 d2 terms, as every tensor is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Outcome, Row
from tdn_theory.records import Record

READS = ("T2", "rank_table")


def judge(records: Mapping[str, Record]) -> Finding:
    """Does the identity hold exactly, and how far from sharp is its number of terms?"""
    values, ranks = records["T2"].values, records["rank_table"].values["rows"]
    return proven(
        [*values["proof"], *values["lower_bound"]],
        Outcome.VERIFIED,
        f"Proven up to L = {values['largest']}, and true of every tensor, equivariant or not; far from sharp: about "
        "3/4 of d1 d2 terms are enough for any tensor, and fewer for these.",
        (
            Row(f"any tensor, L = 1 to {ranks[-1]['L']}", _listed(ranks, "outer_product"), _listed(ranks, "theorem")),
            Row("M, least known", "", _listed(ranks, "best_found")),
            Row("M, lower bound", "", _listed(ranks, "lower")),
            Row("some weights, all paths, least known", "", _listed(ranks, "free_weights")),
            Row("any weights, all paths, lower bound", "", _listed(ranks, "lower_any_weights")),
        ),
        "the larger lower bounds are for M, whose path weights are all 1, and bound no other product",
    )


def _listed(rows: list[dict[str, Any]], key: str) -> str:
    return ", ".join(str(row[key]) for row in rows)
