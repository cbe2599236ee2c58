"""TAB7: CP is not what makes the network fast; one tensor for all paths is, and that needs no approximation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tdn_theory.evidence import Timing, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import NETWORKS
from tdn_theory.records import Record

READS = ("TAB7", "ablation_grid")

GAINS = 1.2
"""CP makes a network faster if it makes it so many times faster than e3nn's paths do."""

WITH_CP, WITHOUT_CP, PER_PATH = "TDN", "TDN w/o CP", "TDN w/o CP, PS"
SETTINGS = ("L", "task", "network", "product", "shared", "shared_linear", "pruned", "compiled")


def judge(records: Mapping[str, Record]) -> Finding:
    """Compare what replaces e3nn's paths, weights shared: CP, or the exact tensor contracted with harmonics first."""
    values, combinations = records["TAB7"].values, records["ablation_grid"].values
    found = {entry["L"]: entry for entry in values["attribution"] if entry["task"] == "inference"}
    cp, without = ({l: _number(a["in_paper"][n]["speedup"]) for l, a in found.items()} for n in (WITH_CP, WITHOUT_CP))
    exact = {l: _number(a["reached"]["one tensor, harmonics first"]) for l, a in found.items()}
    per_path = {  # all else equal: only what is read is computed in both
        l: a["reached"]["only what is read"]["median"] / a["branches"]["last step without PS"]["median"]
        for l, a in found.items()
    }
    over_cp = _over_cp(combinations["cells"])
    saved = {
        l: 1 - a["in_paper"][WITHOUT_CP]["parameters"] / a["in_paper"][PER_PATH]["parameters"] for l, a in found.items()
    }
    table = (
        *(Row(f"CP, shared weights, L = {l}", Number(_paper(l, WITH_CP)), cp[l]) for l in found),
        *(Row(f"e3nn's paths, shared weights, L = {l}", Number(_paper(l, WITHOUT_CP)), without[l]) for l in found),
        *(Row(f"one exact tensor, shared weights, L = {l}", "", exact[l]) for l in found),
        *(Row(f"exact: shared weights over weights per path, L = {l}", "", Number(per_path[l])) for l in found),
        Row(
            f"exact over the faster CP, {len(over_cp)} combinations",
            "",
            f"{min(over_cp):.2f} to {max(over_cp):.2f}",
        ),
        *(
            Row(f"parameters saved by sharing path weights, L = {l}", _percent(_papers_share(l)), _percent(saved[l]))
            for l in found
        ),
    )
    gains = ", ".join(f"{cp[l].value / without[l].value:.1f}" for l in found)
    further = ", ".join(f"{exact[l].value / cp[l].value:.1f}" for l in found)
    sentence = (
        f"CP makes the network {gains} times faster than e3nn's paths do (L = {', '.join(map(str, found))}, weights "
        f"shared in both); but one exact tensor, weights shared too, is another {further} times faster."
    )
    device = values["units"][0]["device"]
    caveat = (
        f"speeds over Equiformer's, inference on {device}; one tensor for all paths takes shared weights, as CP does"
    )
    rounds = min(len(row["seconds"]) for part in values["units"] for row in part["variants"])
    if any(cp[l].value <= GAINS * without[l].value for l in found):
        outcome = Outcome.REFUTED
    else:
        faster = all(exact[l].value - (exact[l].error or 0) > cp[l].value + (cp[l].error or 0) for l in found)
        outcome = Outcome.QUALIFIED if faster else Outcome.VERIFIED
    return measured([Timing(rounds, papers_scale="A100" in device)], outcome, sentence, table, caveat)


def _over_cp(cells: Sequence[Mapping[str, Any]]) -> list[float]:
    """How many times faster than CP in the better order the exact tensor is, all else equal, for each combination."""
    times = {tuple(cell[name] for name in SETTINGS): cell["relative_time"] for cell in cells}
    orders = ("CP released", "CP naive")
    return [
        min(times[tuple({**cell, "product": order}[name] for name in SETTINGS)] for order in orders)
        / cell["relative_time"]
        for cell in cells
        if cell["product"] == "exact"
    ]


def _number(speedup: Mapping[str, float]) -> Number:
    """Median, and half the distance of the quartiles."""
    return Number(speedup["median"], (speedup["quartile3"] - speedup["quartile1"]) / 2)


def _paper(lmax: int, network: str) -> float:
    return NETWORKS[lmax][network]["gpu"] / NETWORKS[lmax]["Equiformer"]["gpu"]


def _papers_share(lmax: int) -> float:
    return 1 - NETWORKS[lmax][WITHOUT_CP]["parameters"] / NETWORKS[lmax][PER_PATH]["parameters"]


def _percent(share: float) -> Number:
    return Number(100 * share, unit="%", form=".0f")
