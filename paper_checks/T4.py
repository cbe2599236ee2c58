"""T4: maps of three inputs as 4-way tensors in CP form."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Outcome, Row
from tdn_theory.records import Record

READS = ("T4",)

FEWEST, CHAIN, EVEN = "CP, least rank", "chain of two products", "cubature, even trees"
"""Names in the record."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Is the tensor of (x y) m equivariant and a sum of d^3 terms, and how many terms must it have?"""
    values = records["T4"].values
    rows = values["forms"]
    degrees = ", ".join(str(row["L"]) for row in rows)
    terms = ", ".join(str(row["least_rank"]) for row in rows)
    costs = [row["multiply_adds"] for row in rows]
    table = tuple(
        Row(f"{what}, L = {degrees}", "", ", ".join(cells))
        for what, cells in (
            ("terms of (x y) m, at least", [str(row["least_rank"]) for row in rows]),
            ("its error with 7L^2 terms, at least", [f"{row['lower_bound']:.2f}" for row in rows]),
            ("the same, best fit", [f"{row['fit']:.2f}" for row in rows]),
            ("the same, symmetrized, at least", [f"{row['symmetric_lower_bound']:.2f}" for row in rows]),
            ("multiply-adds over two products, at least", [f"{c[FEWEST] / c[CHAIN]:.1f}" for c in costs]),
            ("terms of an exact product, even trees", [str(row["exact"][EVEN]["rank"]) for row in rows]),
        )
    )
    least = min(row["lower_bound"] for row in rows)
    return proven(
        values["proof"],
        Outcome.QUALIFIED,
        f"(x y) m is an equivariant 4-way tensor with the trivial CP form, but not a short one: at L = {degrees} it "
        f"takes {terms} terms or more, and 7L^2 terms miss {100 * least:.0f} % of it or more.",
        table,
        "shown for one coupling tree of three inputs; other trees have shorter exact forms, such as the even ones by "
        "cubature; more inputs rest on the same arguments",
    )
