"""E5: the rank schedules on the curve of error against rank."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.finding import Finding, Outcome, Row, Strength
from tdn_theory.records import Record

READS = ("F3a", "rank_table")

ADOPTED = "7L^2"

ROUNDOFF = 1e-12
"""Errors up to this are shown as 0."""


def judge(records: Mapping[str, Record]) -> Finding:
    """How do errors of the schedules compare, and where do exact products need no more terms than 7 L^2?

    A decomposition with fewer terms is one with more, by zero terms: no schedule can be both cheaper and better, unless
    the fits of the dearer one ended too early.
    """
    points, ranks = records["F3a"].values["points"], records["rank_table"].values["rows"]
    errors: dict[str, list[float]] = {}
    for point in sorted(points, key=lambda point: point["L"]):
        errors.setdefault(point["schedule"], []).append(point["frobenius_error"])
    adopted = {point["L"]: point for point in points if point["schedule"] == ADOPTED}
    early = [
        point["L"]
        for point in points
        if point["R"] <= adopted[point["L"]]["R"] and point["frobenius_error"] < adopted[point["L"]]["frobenius_error"]
    ]
    cheaper = [row["L"] for row in ranks if row["free_weights"] < row["paper"]]
    dearer = [row["L"] for row in ranks if row["free_weights"] > row["paper"]]
    released = records["F3a"].values["released_log_ranks"]
    low, high = min(errors[ADOPTED]), max(errors[ADOPTED])
    table = (
        *(Row(f"error of {name}", "", ", ".join(_error(e) for e in found)) for name, found in errors.items()),
        Row("ranks of 7L^2", "", ", ".join(str(row["paper"]) for row in ranks)),
        Row("exact, some path weights, all paths", "", ", ".join(str(row["free_weights"]) for row in ranks)),
        Row("exact, M itself, least known", "", ", ".join(str(row["best_found"]) for row in ranks)),
    )
    caveat = (
        f"errors are of the best decompositions found, at L = 1 to {max(adopted)}, so best ones may be better; exact "
        f"products need more terms than 7L^2 at L = {_listed(dearer)}; the released code computes 16 log^2(L+1) as "
        f"{_listed(released)}: no product where it is 0"
    )
    if early:
        sentence = (
            f"The fits at 7L^2 ended too early: with no more terms a smaller error is known at L = {_listed(early)}."
        )
        return Finding(Outcome.UNDECIDED, None, sentence, table, caveat)
    return Finding(
        Outcome.QUALIFIED if cheaper else Outcome.VERIFIED,
        Strength.PAPERS_SCALE,
        f"7L^2 is one point of a curve: it errs by {low:.3f} to {high:.3f}, cheaper schedules by more, dearer by less"
        + (f"; at L = {_listed(cheaper)} exact products with other path weights are cheaper." if cheaper else "."),
        table,
        caveat,
    )


def _error(error: float) -> str:
    return f"{error:.2g}" if error > ROUNDOFF else "0"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
