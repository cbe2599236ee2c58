"""E4: how many parameters of the product sharing path weights saves."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.records import Record

READS = ("cost",)


def judge(records: Mapping[str, Record]) -> Finding:
    """Are there c parameters with shared weights, and c times a cubic polynomial of L with one for each path?"""
    values = records["cost"].values
    channels, found = values["channels"], {}
    for row in values["rows"]:
        own = [entry for entry in row["table"] if (entry["connection"], entry["method"]) == ("uvu", "per_path")]
        found[row["L"]] = {entry["shared"]: entry["parameters"] for entry in own}
    holds = all(
        row[True] == channels and 2 * row[False] == channels * ((lmax + 1) ** 3 + (lmax + 1))
        for lmax, row in found.items()
    )
    largest = max(found)
    table = tuple(
        Row(f"parameters per edge at L = {lmax}, {name}", f"O({order})", Number(found[lmax][shared], form="d"))
        for shared, name, order in ((True, "shared", "c"), (False, "one per path", "c L^3"))
        for lmax in sorted({min(found), largest})
    )
    if not holds:
        sentence = "Counted exactly, the parameters are not c with shared weights and c ((L+1)^3 + L+1) / 2 per path."
        return Finding(Outcome.REFUTED, Strength.PROOF, sentence, table)
    return Finding(
        Outcome.VERIFIED,
        Strength.PROOF,
        f"Counted exactly up to L = {largest}: c parameters instead of c ((L+1)^3 + L+1) / 2, c for each path.",
        table,
        f"of the product alone, with c = {channels}; what that is of a whole network is in TAB4 and TAB7",
    )
