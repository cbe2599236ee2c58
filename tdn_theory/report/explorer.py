"""What the rank explorer of the report offers: every decomposition of the records, fitted or exact, as one list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def choices(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Decompositions of the rank frontier, least rank first.

    Args:
        values: Values of the record `rank_frontier`.

    Returns:
        Rows with L, R, method, paths alive (of how many; whether these are the even ones), equivariance error, proof
        (null for fits), and where to get it: from the atlas, by a Python expression, or nowhere (null).
    """
    count = {row["L"]: row["paths"] for row in values["atlas"]}

    def row(source: Mapping[str, Any], method: str, code: str | None = None, **more: Any) -> dict[str, Any]:
        common = {"L": source["L"], "R": source["R"], "method": method, "error": source["rms_error"], "code": code}
        alive = count.get(source["L"], 0)
        return {**common, "alive": alive, "paths": alive, "even": False, "proof": None, **more}

    found = [
        row(r, _words(r["solver"]), f'Store().best(CouplingTensor({r["L"]}), {r["R"]}, "{r["solver"]}").factors')
        for r in values["fitted"]
        if r["R"] < (r["L"] + 1) ** 4
    ]
    found += [row(r, _words(r["solver"])) for r in values["compared"] if not r["dead"]]
    found += [row(r, _words("EquivariantLevenbergMarquardt")) for r in values["released"] if not r["dead"]]
    for r in values["atlas"]:
        known = {"alive": r["paths_alive"], "paths": r["paths"], "even": r["even_only"], "proof": r["proof"]}
        found.append(row(r, "exact, proven", "atlas", **known))
    return sorted(found, key=lambda r: (r["L"], r["R"], r["error"]))


def _words(solver: str) -> str:
    """`LevenbergMarquardt` -> `Levenberg-Marquardt`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", solver).replace("berg M", "berg-M")
