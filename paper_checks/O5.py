"""O5: how the error of the products grows through several layers, and what it does to long-range interactions."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot, log
from typing import Any

from tdn_theory.evidence import GivenNetworks, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.records import Record

READS = ("error_propagation",)

ROUNDOFF = 1e-10
"""Relative rotation error of everything, at any depth, that exact products may have in double precision."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Growth with depth at the paper's ranks; errors of distant interactions; exact products as a control."""
    values = records["error_propagation"].values
    paper, depth = {int(lmax): rank for lmax, rank in values["paper_rank"].items()}, values["depth"]
    untrained = {row["L"]: row["errors"]["features"] for row in values["untrained"] if row["rank"] == paper[row["L"]]}
    growth = {lmax: _times(features[0], features[-1]) for lmax, features in untrained.items()}
    exact = max(row["largest"] for row in values["untrained"] if row["rank"] is None)
    rows = {row["when"]: row for row in values["layers"] if row["rank"] in paper.values()}
    far = {when: row["long_range"][-1] for when, row in rows.items()}
    distance = far["before"]["distance"]
    table = (
        *(Row(f"features, {depth} blocks over one, L = {l}, R = {paper[l]}", "", times) for l, times in growth.items()),
        Row("exact products, every error at most", "", Number(exact, form=".0e")),
        *(
            Row(f"{what} over interaction at {distance:.0f} Å, {_when(when, values)}", "", _power(row[key]))
            for what, key in (("energy error", "log10_energy_error"), ("its own error", "log10_interaction_error"))
            for when, row in far.items()
        ),
        Row(
            f"bound from single layers over error, {_when('after', values)}",
            "",
            Number(
                rows["after"]["layers"][-1]["bound"]["mean"] / rows["after"]["layers"][-1]["error"]["mean"], form=".0e"
            ),
        ),
    )
    given = [GivenNetworks(min(features[0]["seeds"] for features in untrained.values()))]
    caveat = "interactions of untrained and hardly trained networks, not of molecules"
    if exact > ROUNDOFF:
        sentence = f"Networks with exact products have rotation errors up to {exact:.0e}: not measured right."
        return measured(given, Outcome.UNDECIDED, sentence, table, caveat)
    listed = ", ".join(f"{times.value:.1f}" for times in growth.values())
    sentence = (
        f"From one to {depth} untrained blocks the rotation error of features grows {listed} times "
        f"(L = {', '.join(map(str, growth))}); at {distance:.0f} Å that of the energy is "
        f"{10 ** far['before']['log10_energy_error']['mean']:.2g} times the interaction."
    )
    if any(beyond(times.value - depth, times.error) for times in growth.values()):
        return measured(given, Outcome.REFUTED, sentence, table, caveat)
    disturbed = any(
        beyond(row["log10_energy_error"]["mean"], row["log10_energy_error"]["standard_error"]) for row in far.values()
    )
    return measured(given, Outcome.QUALIFIED if disturbed else Outcome.VERIFIED, sentence, table, caveat)


def _times(first: Mapping[str, Any], last: Mapping[str, Any]) -> Number:
    """Ratio of two means, its error as if they were independent."""
    ratio = last["mean"] / first["mean"]
    errors = [row["standard_error"] for row in (first, last)]
    if None in errors:
        return Number(ratio)
    return Number(ratio, ratio * hypot(errors[0] / first["mean"], errors[1] / last["mean"]))


def _power(logarithm: Mapping[str, Any]) -> Number:
    """Ten to the mean of logarithms, which errors spread about."""
    value, error = 10 ** logarithm["mean"], logarithm["standard_error"]
    return Number(value, None if error is None else value * log(10) * error, form=".2g")


def _when(when: str, values: Mapping[str, Any]) -> str:
    return "untrained" if when == "before" else f"{values['steps']} steps"
