"""O8: why M should be of low rank, and how to choose R: which formats can hold M, which ranks a network needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tdn_theory.evidence import GivenNetworks, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.records import Record

READS = ("teacher", "formats")


def judge(records: Mapping[str, Record]) -> Finding:
    """Compare, for each kind of teacher, the ranks of students without error with the predicted ones."""
    values = records["teacher"].values
    rows = values["summary"]
    reached = [row for row in rows if row["R"] >= row["predicted"]]
    below = [row for row in rows if row["R"] < row["predicted"]]
    missing = [row for row in reached if row["zero"] < row["log10_error"]["seeds"]]
    early = sum(row["zero"] for row in below)
    tried = sum(row["log10_error"]["seeds"] for row in below)
    predicted = {(row["L"], row["kind"]): row["predicted"] for row in rows}
    worst = max(10 ** row["log10_error"]["mean"] for row in reached)
    nearest = {(row["L"], row["kind"]): row for row in sorted(below, key=lambda row: row["R"])}
    table = (
        *(Row(f"terms of the teacher's product, L = {l}, {kind}", "", f"{R}") for (l, kind), R in predicted.items()),
        Row("error of students with so many terms or more, at most", "", Number(worst, form=".0e")),
        Row("students with fewer terms and no error", "", f"{early} of {tried}"),
        *(
            Row(
                f"error with {row['R']} terms, L = {l}, {kind}",
                "",
                Number(10 ** row["log10_error"]["mean"], form=".1g"),
            )
            for (l, kind), row in nearest.items()
        ),
        *_formats(records["formats"].values["rows"]),
    )
    evidence = [GivenNetworks(min(row["log10_error"]["seeds"] for row in rows))]
    if missing:
        ranks = ", ".join(f"R = {row['R']} (L = {row['L']}, {row['kind']})" for row in missing[:3])
        sentence = f"Students with as many terms as the teacher's product has do not all get its function: {ranks}."
        return measured(evidence, Outcome.REFUTED, sentence, table)
    random = " and ".join(f"{R} at L = {l}" for (l, kind), R in predicted.items() if kind == "random")
    sentence = (
        f"With as many terms as the product itself has ({random} for random path weights, fewer for some) every "
        f"student gets the teacher's function, to {worst:.0e}; with fewer {early or 'none'} of {tried} did."
    )
    caveat = (
        "proven is only that so many terms suffice (T2); that fewer failed is the optimiser's failure, and no proof "
        "that none would do"
    )
    return measured(evidence, Outcome.QUALIFIED, sentence, table, caveat)


def _formats(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Numbers that each format holds for the error of CP at the largest L, over those of M."""
    row = max(rows, key=lambda row: row["L"])
    what = f"numbers over M's {row['dense']}, L = {row['L']}, error {row['error']:.2f}"
    shares = {
        f"CP, R = {row['rank']}": row["cp"][-1]["numbers"],
        "Tucker form or tensor train, at least": min(row["fewest"].values()),
        "nonzeros of M (no error)": row["nonzeros"],
    }
    return [Row(f"{name}: {what}", "", Number(count / row["dense"], form=".2f")) for name, count in shares.items()]
