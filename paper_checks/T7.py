"""T7: sharing path weights keeps equivariance."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Outcome
from tdn_theory.records import Record

READS = ("T7",)


def judge(records: Mapping[str, Record]) -> Finding:
    """Do mixings of channels commute with rotations, and which biases do?"""
    values = records["T7"].values
    return proven(
        values["proof"],
        Outcome.VERIFIED,
        f"Proven up to L = {values['largest']}: every mixing of channels commutes with rotations, and a bias is "
        "invariant on l = 0 and on no other degree, as the paper has it.",
        (),
        "of an approximate product, sharing weights w scales the error by |w|: it neither makes nor mends it",
    )
