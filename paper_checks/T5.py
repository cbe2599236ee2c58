"""T5: Kruskal's condition does not apply at the paper's ranks; what else is known of uniqueness."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.records import Record

READS = ("T5", "rank_table", "cancellation")


def judge(records: Mapping[str, Record]) -> Finding:
    """Can the condition hold at R = 7 L^2, are rotated fits others, and are the terms of a given fit locally unique?"""
    ranks = records["rank_table"].values["rows"]
    paper = {row["L"]: row["paper"] for row in ranks}
    fits = [row for row in records["T5"].values["rows"] if paper.get(row["L"]) == row["R"]]
    unique = [row["L"] for row in fits if row["unique"]]
    applies = [row["L"] for row in ranks if row["paper"] <= row["kruskal_limit"]]
    grown = max(row["condition"] for row in records["cancellation"].values["rows"] if row["kind"] == "no ridge")
    table = (
        Row(
            f"7L^2 and Kruskal's limit of R, L = 1 to {max(paper)}",
            ", ".join(map(str, paper.values())),
            ", ".join(str(row["kruskal_limit"]) for row in ranks),
        ),
        Row("terms that M is proven to need", "", ", ".join(str(row["lower"]) for row in ranks)),
        *(
            Row(
                f"Jacobian at L = {row['L']}, R = {row['R']}",
                "",
                f"rank {row['rank']} of {row['unknowns'] - row['scalings']} if unique",
            )
            for row in fits
        ),
        *(Row(f"fit at L = {row['L']} rotated: change", "", Number(row["tensor_moved"], form=".2g")) for row in fits),
    )
    caveat = (
        "where Kruskal's condition fails nothing follows; locally means by the rank of a Jacobian in float64, and "
        f"far away other terms may have the same sum; at L = 1, R = 7 terms that nothing keeps from growing reach "
        f"{grown:.0f} ||M||, so a best approximation need not exist"
    )
    if applies:
        sentence = (
            f"Kruskal's condition can hold at R = 7L^2 for L = {', '.join(map(str, applies))}; whether it does is open."
        )
        return Finding(Outcome.UNDECIDED, None, sentence, table, caveat)
    known = (
        f"; only the terms of a given fit are locally unique, at L = {' and '.join(map(str, unique))}" if unique else ""
    )
    return Finding(
        Outcome.REFUTED,
        Strength.PROOF,
        f"Kruskal's condition cannot hold at R = 7L^2, L = 1 to {max(paper)}: it needs R <= (3d-2)/2. Rotated fits are "
        f"other ones, as good{known}.",
        table,
        caveat,
    )
