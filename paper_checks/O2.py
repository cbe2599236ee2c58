"""O2: what the rank of the product does to accuracy, for several molecular systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
from scipy.stats import t as student

from tdn_theory.evidence import Training, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import EXCHANGED
from tdn_theory.records import Record

READS = ("rank_accuracy", "pretrained")

SAME = 1.05
"""Errors relative to the exact product's that count as equal; the paper's (TAB5) are 1.016 and 1.041."""

LEAST_SYSTEMS = 3
CONFIDENCE = 0.95
"""Of the limits on all four mean errors together (Bonferroni), by Student's distribution."""

ERRORS = {
    "energy_rmse": "energy error",
    "forces_rmse": "force error",
    "energy_turned_rmse": "energy error, all orientations",
    "forces_turned_rmse": "force error, all orientations",
}


def judge(records: Mapping[str, Record]) -> Finding:
    """Errors at R = 7 L^2 over those of the exact product, run by run; their mean over systems and seeds is tested."""
    values = records["rank_accuracy"].values
    exact = {(r["system"], r["lmax"], r["seed"]): r for r in values["rows"] if r["method"] == "exact"}
    paper = [row for row in values["rows"] if row["rank"] == values["paper_rank"][str(row["lmax"])]]
    limits = {
        error: _limits([row[error] / exact[row["system"], row["lmax"], row["seed"]][error] for row in paper])
        for error in ERRORS
    }
    low = min((row for row in values["summary"] if row["method"] == "cp"), key=lambda row: (row["lmax"], row["rank"]))
    seeming = Number.of(low["ratio_to_exact"]["energy_rmse"])
    means = [limit["mean"] for limit in limits.values()]
    sentence = (
        f"At R = 7L^2, after {values['steps']} steps, mean errors of energies and forces are {min(means):.2f} to "
        f"{max(means):.2f} times those of the exact product, over {', '.join(values['systems'])}."
    )
    table = (
        *(
            Row(f"{name}, R = 7L^2 over exact", _papers(error), Number(limit["mean"], limit["error"]))
            for (error, name), limit in zip(ERRORS.items(), limits.values(), strict=True)
        ),
        Row(f"energy error, R = {low['rank']} over exact, {low['system']}", "", seeming),
        *_against_constants(values["rows"]),
        *_beside_published(values),
        *_in_a_pretrained_potential(records["pretrained"].values),
    )
    caveats = ["rMD17 is tested on other frames of the molecules trained on"]
    if seeming.value < 1:
        caveats.append(f"R = {low['rank']} seems no worse than exact on {low['system']}: hardly learnt networks")
    if len(values["systems"]) < LEAST_SYSTEMS:
        outcome = Outcome.UNDECIDED
        caveats.append(f"not at hand: {', '.join(values['left_out'])}")
    elif any(limit["low"] > SAME for limit in limits.values()):
        outcome = Outcome.REFUTED
    elif any(limit["high"] > SAME for limit in limits.values()):
        outcome = Outcome.UNDECIDED
        caveats.append(f"the scatter of the runs leaves a loss above {100 * (SAME - 1):.0f} % possible")
    else:
        outcome = Outcome.VERIFIED
    return measured(_evidence(values["rows"]), outcome, sentence, table, "; ".join(caveats))


def _evidence(rows: list[dict[str, Any]]) -> list[Training]:
    """Of rMD17 the question is within one molecule."""
    several = [row for row in rows if row["system"] == "relaxations"]
    single = [row for row in rows if row["system"] != "relaxations"]
    found = [Training.of(several)] * bool(several)
    return [*found, replace(Training.of(single), unseen=True)] if single else found


def _limits(ratios: list[float]) -> dict[str, float]:
    """Geometric mean of ratios, its standard error and its limits."""
    logs = np.log(ratios)
    mean, error = logs.mean(), logs.std(ddof=1) / np.sqrt(len(logs))
    reach = student.ppf(1 - (1 - CONFIDENCE) / (2 * len(ERRORS)), len(logs) - 1) * error
    low, middle, high = np.exp([mean - reach, mean, mean + reach])
    return {"mean": float(middle), "error": float(middle * error), "low": float(low), "high": float(high)}


def _papers(error: str) -> Number | str:
    name = {"energy_rmse": "energy", "forces_rmse": "forces"}.get(error)
    return Number(EXCHANGED["TDN"]["CP"][name] / EXCHANGED["TDN"]["e3nn paths"][name]) if name else ""


def _against_constants(rows: list[dict[str, Any]]) -> list[Row]:
    """Energy errors of the exact product over those of constants per element, where the record has these."""
    own = [row for row in rows if row["method"] == "exact" and "energy_rmse_of_constants" in row]
    ratios = {
        system: fmean(r["energy_rmse"] / r["energy_rmse_of_constants"] for r in own if r["system"] == system)
        for system in dict.fromkeys(row["system"] for row in own)
    }
    return [Row(f"energy error, exact over constants, {name}", "", Number(value)) for name, value in ratios.items()]


def _beside_published(values: Mapping[str, Any]) -> list[Row]:
    """Mean absolute errors of forces on rMD17, of the exact product, beside MACE's; shorter runs do not have them."""
    found = []
    for system, published in values.get("published", {}).items():
        own = [r for r in values["rows"] if (r["system"], r["method"]) == (system, "exact")]
        lmax = max(row["lmax"] for row in own)
        errors = [row["test"]["forces_mae"]["value"] for row in own if row["lmax"] == lmax]
        error = np.std(errors, ddof=1) / np.sqrt(len(errors)) if len(errors) > 1 else None
        what = f"force error on {system}, exact, L = {lmax} (MACE: {published['forces']:g})"
        found.append(Row(what, "", Number(fmean(errors), error, "meV/Å")))
    return found


def _in_a_pretrained_potential(values: Mapping[str, Any]) -> list[Row]:
    """What our best CP changes in SevenNet-0, by the kind of structures; nothing is trained again."""
    rank = values["paper_rank"]["7net-0"]
    (row,) = (
        row
        for row in values["rows"]
        if (row["potential"], row["kind"], row["rank"], row["rescaled"]) == ("7net-0", "CP", rank, False)
    )
    return [
        Row(f"SevenNet-0, R = {rank}, energies changed, {kind}", "", Number.of(found["error"]["energy"], "meV/atom"))
        for kind, found in row["kinds"].items()
    ]
