"""T4: one map of three inputs as a 4-way tensor in CP form."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Outcome
from tdn_theory.records import Record

READS = ("T4",)


def judge(records: Mapping[str, Record]) -> Finding:
    """Is the tensor of (x y) m equivariant, and a sum of at most d^3 terms?"""
    values = records["T4"].values
    return proven(
        values["proof"],
        Outcome.QUALIFIED,
        f"Proven up to L = {values['largest']} for one map of three inputs, (x y) m: its 4-way tensor is equivariant, "
        "and a sum of d^3 terms, the trivial form that every tensor has.",
        (),
        "more inputs and other orders of coupling rest on the same argument, one term per tuple of components; forms "
        "with fewer terms were not examined",
    )
