"""T4: maps of three inputs as 4-way tensors in CP form."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.records import Record

READS = ("T4",)


def judge(records: Mapping[str, Record]) -> Finding:
    """Is the tensor of (x y) m equivariant and a sum of d^3 terms, and how many terms must it have?"""
    values = records["T4"].values
    rows = values["forms"]
    table = (
        *(Row(f"terms of (x y) m, at least, L = {row['L']}", "", f"{row['least_rank']}") for row in rows),
        *(
            Row(f"error with R = 7L^2 = {row['rank']} terms, at least, L = {row['L']}", "", Number(row["lower_bound"]))
            for row in rows
        ),
        *(Row(f"the same, best fit, L = {row['L']}", "", Number(row["fit"])) for row in rows),
        *(
            Row(f"the same, symmetrized, at least, L = {row['L']}", "", Number(row["symmetric_lower_bound"]))
            for row in rows
        ),
        *(
            Row(f"exact product of three inputs, {name}, L = {row['L']}", "", f"{found['rank']} terms")
            for row in rows
            for name, found in row["exact"].items()
        ),
        *(
            Row(
                f"multiply-adds, (x y) m in its least CP form over two products, at least, L = {row['L']}",
                "",
                Number(row["multiply_adds"]["CP, least rank"] / row["multiply_adds"]["chain of two products"]),
            )
            for row in rows
        ),
    )
    least = min(row["lower_bound"] for row in rows)
    terms = ", ".join(str(row["least_rank"]) for row in rows)
    degrees = ", ".join(str(row["L"]) for row in rows)
    return proven(
        values["proof"],
        Outcome.QUALIFIED,
        f"(x y) m is an equivariant 4-way tensor with the trivial CP form, but not a short one: at L = {degrees} it "
        f"takes {terms} terms or more, and 7L^2 terms miss {100 * least:.0f} % of it or more.",
        table,
        "shown for one coupling tree of three inputs; other trees have shorter exact forms, such as the even ones by "
        "cubature; more inputs rest on the same arguments",
    )
