"""T1: Theorem 3.1 is true, and says nothing at any rank below d^2."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.records import Record

READS = ("T1",)


def judge(records: Mapping[str, Record]) -> Finding:
    """Does the proof hold, and is the bound below what `||M - Mhat|| <= ||M||` gives without it?"""
    values = records["T1"].values
    rows = values["rows"]
    over = {row["L"]: row["theorem_bound"] / row["trivial_bound"] for row in rows}
    empty = all(row["first_rank_below_trivial"] > row["d"] ** 2 and over[row["L"]] >= 1 for row in rows)
    last = rows[-1]
    table = (
        *(Row(f"theorem's bound over 2 ||M|| at L = {lmax}", "", Number(ratio)) for lmax, ratio in over.items()),
        Row(f"least useful rank at L = {last['L']}", "", Number(last["first_rank_below_trivial"], form="d")),
        Row(f"d^2 at L = {last['L']}, where forms are exact", "", Number(last["d"] ** 2, form="d")),
        Row(f"bound from the decomposition at L = {last['L']}", "", Number(last["certified_bound"])),
        Row(f"largest error found at L = {last['L']}", "", f"{last['largest_error_found']:.3g}"),
    )
    violated = [row["L"] for row in rows if row["largest_error_found"] > row["theorem_bound"]]
    if violated:
        sentence = f"An error above the bound was found at L = {', '.join(map(str, violated))}."
        return Finding(Outcome.REFUTED, Strength.PAPERS_SCALE, sentence, table)
    low, high = min(over.values()), max(over.values())
    return proven(
        values["proof"],
        Outcome.QUALIFIED if empty else Outcome.VERIFIED,
        f"Proven up to L = {values['proven']}, but empty: at R = 7L^2 the bound is {low:.2f} to {high:.2f} times the "
        "trivial 2 ||M||, and falls below that only at ranks above d^2."
        if empty
        else f"Proven up to L = {values['proven']}, and below the trivial 2 ||M|| at some rank up to d^2.",
        table,
        f"errors are for unit x and y, searched up to L = {last['L']}, which gives lower bounds of the largest",
    )
