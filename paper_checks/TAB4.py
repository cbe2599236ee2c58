"""TAB4: the network is faster and smaller than Equiformer by about what is claimed, and needs no CP for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tdn_theory.evidence import Timing, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import NETWORKS
from tdn_theory.records import Record

READS = ("TAB4",)

PUBLISHED, EXACT = "TDN, as published", "TDN, exact"
SAME_SIZE = 0.02
"""Shares of parameters that differ by less are the paper's."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Compare the measured ratios of times and of parameters, in inference, with the paper's."""
    rows = {row["L"]: row for row in records["TAB4"].values["rows"] if row["task"] == "inference"}
    published, exact = ({l: _number(row["speedups"][name]) for l, row in rows.items()} for name in (PUBLISHED, EXACT))
    claimed = {l: NETWORKS[l]["TDN"]["gpu"] / NETWORKS[l]["Equiformer"]["gpu"] for l in rows}
    on_cpu = {l: NETWORKS[l]["TDN"]["cpu"] / NETWORKS[l]["Equiformer"]["cpu"] for l in rows}
    fewer = {l: 1 - _parameters(row, PUBLISHED) / _parameters(row, "Equiformer") for l, row in rows.items()}
    claimed_fewer = {l: 1 - NETWORKS[l]["TDN"]["parameters"] / NETWORKS[l]["Equiformer"]["parameters"] for l in rows}
    device = next(iter(rows.values()))["device"]
    table = (
        *(Row(f"times faster than Equiformer, L = {l}", Number(claimed[l]), published[l]) for l in rows),
        *(Row(f"the same on a CPU, L = {l}", Number(on_cpu[l]), published[l]) for l in rows if device == "cpu"),
        *(Row(f"with an exact product, L = {l}", "", exact[l]) for l in rows),
        *(Row(f"fewer parameters, L = {l}", _percent(claimed_fewer[l]), _percent(fewer[l])) for l in rows),
        *(
            Row(
                f"rotation error of forces, L = {l}",
                "",
                Number(row["networks"][PUBLISHED]["rotation_error"], form=".0e"),
            )
            for l, row in rows.items()
        ),
    )
    sentence = (
        f"On a {'CPU' if device == 'cpu' else 'GPU'} TDN is {_listed(published)} times faster than Equiformer "
        f"(L = {', '.join(map(str, rows))}), with {100 * min(fewer.values()):.0f} to {100 * max(fewer.values()):.0f} % "
        f"fewer parameters; with an exact product instead of CP {_listed(exact)} times."
    )
    caveat = (
        f"inference on {device}, one molecule of 30 atoms at a time" if device == "cpu" else f"inference on {device}"
    )
    rounds = min(len(n["seconds"]) for row in rows.values() for n in row["networks"].values())
    smaller = all(abs(fewer[l] - claimed_fewer[l]) < SAME_SIZE for l in rows)
    if not smaller or any(published[l].value <= 1 for l in rows):
        outcome = Outcome.REFUTED
    elif all(published[l].value + (published[l].error or 0.0) >= claimed[l] for l in rows) and any(
        exact[l].value < published[l].value for l in rows
    ):
        outcome = Outcome.VERIFIED
    else:
        outcome = Outcome.QUALIFIED
    return measured([Timing(rounds, papers_scale="A100" in device)], outcome, sentence, table, caveat)


def _number(speedup: Mapping[str, float]) -> Number:
    """Median, and half the distance of the quartiles."""
    return Number(speedup["median"], (speedup["quartile3"] - speedup["quartile1"]) / 2)


def _parameters(row: Mapping[str, Any], network: str) -> int:
    return row["networks"][network]["parameters"]


def _percent(share: float) -> Number:
    return Number(100 * share, unit="%", form=".0f")


def _listed(ratios: Mapping[int, Number]) -> str:
    return ", ".join(f"{ratio.value:.1f}" for ratio in ratios.values())
