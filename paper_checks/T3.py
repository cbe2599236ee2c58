"""T3: the equivariant bilinear maps are the combinations of path tensors."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import proven
from tdn_theory.finding import Finding, Outcome
from tdn_theory.records import Record

READS = ("T3",)


def judge(records: Mapping[str, Record]) -> Finding:
    """Is the dimension of every space of equivariant maps the number of paths?"""
    values = records["T3"].values
    return proven(
        values["proof"],
        Outcome.VERIFIED,
        f"Proven up to L = {values['largest']}: equivariant maps V_l1 (x) V_l2 -> V_l3 are the multiples of the path "
        "tensor where there is a path, and zero elsewhere.",
        (),
        "for representations that contain every degree once, as the claim says",
    )
