"""TAB2: adsorption energies of catalysts, by TDN and Equiformer, on the data that are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot
from typing import Any

from tdn_theory.evidence import Training, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import OC20
from tdn_theory.records import Record

READS = ("TAB2",)

PUBLISHED, CLAIMED = "TDN, CP as released", "Equiformer"
SAME = 1.1
"""Errors that differ by no more than this factor are about the same; the paper's differ by 1.04."""
TESTS = {"id": "ID", "ood_ads": "OOD-ads", "ood_cat": "OOD-cat", "ood_both": "OOD-both"}


def judge(records: Mapping[str, Record]) -> Finding:
    """Compare TDN as published with Equiformer, both trained the same way, and list the other networks."""
    values = records["TAB2"].values
    rows = {(row["source"], row["model"]): row for row in values["summary"]}
    sources = list(dict.fromkeys(source for source, _ in rows))
    ours = {name: model for name, model in (("TDN", PUBLISHED), ("Equiformer", CLAIMED)) if (sources[0], model) in rows}
    table = (
        *(
            Row(
                f"{key}, {name}, {TESTS[part]}, {source}",
                Number(OC20[name][key][part], unit=unit, form=form) if source == sources[0] else "",
                Number.of(rows[source, model][key][part], unit, form),
            )
            for source in sources
            for key, unit, form in (("mae", "eV", ".3f"), ("EwT", "%", ".1f"))
            for part in TESTS
            for name, model in ours.items()
        ),
        *(
            Row(f"mae, {model}, mean, {source}", "", Number.of(row["mae"]["mean"], "eV", ".3f"))
            for (source, model), row in rows.items()
            if model not in ours.values()
        ),
        *(
            Row(f"mae, no network, mean, {source}", "", Number(rows[source, PUBLISHED]["constants"], unit="eV"))
            for source in sources
        ),
    )
    training = Training.of(run for run in values["networks"] if run["model"] in ours.values())
    caveat = "not OC20: energies are those of " + " and of ".join(
        {"surfaces": "effective medium theory (surfaces)", "DFT": "DFT of atoms on seven metals (DFT)"}[source]
        for source in sources
    )
    if values["absent"]:
        caveat += f"; not at hand: {', '.join(values['absent'])}"
    if len(ours) < 2:
        sentence = "Equiformer is not at hand, so there is nothing to compare TDN with."
        return measured([training], Outcome.UNDECIDED, sentence, table, caveat)
    errors = {source: [rows[source, model]["mae"]["mean"] for model in ours.values()] for source in sources}
    told = " and ".join(f"{t['mean']:.3f} and {e['mean']:.3f} eV ({s})" for s, (t, e) in errors.items())
    sentence = f"Trained the same way, TDN's and Equiformer's mean errors over the four tests are {told}."
    if any(
        row["mae"]["mean"]["mean"] >= row["constants"] for (_, model), row in rows.items() if model in ours.values()
    ):
        caveat += "; no better than no network"
        return measured([training], Outcome.UNDECIDED, sentence, table, caveat)
    same = [_below(t, e, SAME) for t, e in errors.values()]
    worse = [_below(e, t, 1 / SAME) for t, e in errors.values()]
    if all(same):
        outcome = Outcome.VERIFIED
    elif all(worse):
        outcome = Outcome.REFUTED
    else:
        outcome = Outcome.QUALIFIED if all(map(any, zip(same, worse, strict=True))) else Outcome.UNDECIDED
    return measured([training], outcome, sentence, table, caveat)


def _below(one: Mapping[str, Any], other: Mapping[str, Any], times: float) -> bool:
    """Whether an error is below another times a factor, beyond the errors of both."""
    error = hypot(one["standard_error"] or 0.0, times * (other["standard_error"] or 0.0))
    return beyond(times * other["mean"] - one["mean"], error)
