"""What searches from several starts share: the entries that they begin with, and what came of the starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tdn_theory.cp import atlas
from tdn_theory.cp.solution import EXACT


def known_entry(lmax: int, form: str) -> atlas.AtlasEntry:
    """The entry of the atlas."""
    if form != "cubature":
        return atlas.best(lmax, paths="even" if form == "even" else "all")
    of_kind = [entry for entry in atlas.entries() if (entry.lmax, entry.proof["kind"]) == (lmax, "cubature")]
    return min(of_kind, key=lambda entry: entry.rank)


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What came of several starts. The residual is the least one, of forms with all paths alive if there are any."""
    alive = [one for one in found if not one["dead"]]
    return {
        "starts": len(found),
        "alive": len(alive),
        "exact": sum(one["residual"] <= EXACT for one in alive),
        "residual": min(one["residual"] for one in alive or found),
        "condition": min((one["condition"] for one in alive), default=None),
        "seconds": sum(one["seconds"] for one in found),
    }
