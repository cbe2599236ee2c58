"""TAB1: errors of TDN and of other networks, on the data and in the time that a laptop has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot
from statistics import fmean
from typing import Any

from tdn_theory.evidence import Training, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import PUBCHEMQCR
from tdn_theory.records import Record

READS = ("TAB1",)

PUBLISHED = "TDN, CP as released, direct"
CLAIMED_BELOW = ("Equiformer", "SchNet")
"""Networks of the paper's table that are at hand."""
ERRORS = {"energy_mae": ("energy", "meV/atom", ".1f"), "forces_rmse": ("forces", "meV/Å", ".0f")}


def judge(records: Mapping[str, Record]) -> Finding:
    """Compare the networks that the claim compares, which were trained for equal times on molecules of one kind."""
    values = records["TAB1"].values
    networks = values["networks"]
    rows = {
        name: [run for run in networks if run["model"] == name] for name in dict.fromkeys(n["model"] for n in networks)
    }
    errors = {name: {key: _number(runs, key) for key in ERRORS} for name, runs in rows.items()}
    split = values["config"]["data"]["split"]
    compared = [run for name in (PUBLISHED, *CLAIMED_BELOW) for run in rows.get(name, [])]
    training = Training.of(
        {"seed": run["seed"], "validation": [point["loss"] for point in run["curve"]], "split": split}
        for run in compared
    )
    named = {"TDN": PUBLISHED, **{name: name for name in CLAIMED_BELOW}}
    table = (
        *(
            Row(f"{what}, {name}", Number(PUBCHEMQCR[name][key], unit=unit), errors[ours][key])
            for key, (what, unit, _) in ERRORS.items()
            for name, ours in named.items()
            if ours in errors
        ),
        *(
            Row(f"energy; forces, {name}", "", f"{found['energy_mae']}; {found['forces_rmse']}")
            for name, found in errors.items()
            if name not in named.values()
        ),
        Row("energy, constants per element", "", Number(networks[0]["constant_per_element"]["value"], unit="meV/atom")),
        Row("forces under rotation, TDN as published", "", Number(_rotation(rows[PUBLISHED]), form=".0e")),
    )
    missing = [name for name in CLAIMED_BELOW if name not in rows]
    above = [name for name in CLAIMED_BELOW if name in rows and _below(errors[name], errors[PUBLISHED])]
    below = [name for name in CLAIMED_BELOW if name in rows and _below(errors[PUBLISHED], errors[name])]
    listed = ", ".join(f"{name} {errors[name]['forces_rmse'].value:.0f}" for name in CLAIMED_BELOW if name in rows)
    sentence = (
        f"After {networks[0]['seconds']:.0f} s of a processor, on molecules never seen, TDN's force error is "
        f"{errors[PUBLISHED]['forces_rmse'].value:.0f} meV/Å ({listed}): beyond its error below "
        f"{' and '.join(below) or 'neither'}."
    )
    data = "GFN2-xTB relaxations of its kind" if values.get("molecules") else "the shipped relaxations"
    tuned = "learning rates chosen alike" if values.get("trials") else "only TDN's settings were chosen on them"
    caveat = f"not PubChemQCR, but {data}; PaiNN is not at hand; {tuned}"
    if missing:
        caveat += f"; nor are {', '.join(missing)}"
    decided = Outcome.QUALIFIED if set(below) == set(CLAIMED_BELOW) else Outcome.UNDECIDED
    outcome = Outcome.REFUTED if above else decided
    return measured([training], outcome, sentence, table, caveat)


def _number(runs: Sequence[Mapping[str, Any]], key: str) -> Number:
    """Mean over seeds; the standard error is that over molecules, which seeds share."""
    metrics, (_, unit, form) = [run["test"][key] for run in runs], ERRORS[key]
    value, error = (fmean(metric[part] for metric in metrics) for part in ("value", "standard_error"))
    return Number(value, error, unit, form)


def _rotation(runs: Sequence[Mapping[str, Any]]) -> float:
    return fmean(run["rotation"]["forces_rotation"]["value"] for run in runs)


def _below(one: Mapping[str, Number], other: Mapping[str, Number]) -> bool:
    """Whether the force error of `one` is below that of `other` by more than its error."""
    mine, theirs = one["forces_rmse"], other["forces_rmse"]
    return beyond(theirs.value - mine.value, hypot(mine.error or 0.0, theirs.error or 0.0))
