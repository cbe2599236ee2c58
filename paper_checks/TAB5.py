"""TAB5: what CP and shared path weights save, and what they do to accuracy, in TDN and NequIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot
from statistics import fmean, median, stdev
from typing import Any

from tdn_theory.evidence import Timing, Training, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import EXCHANGED
from tdn_theory.records import Record

READS = ("TAB5",)

SAME = 1.1
"""Errors that differ by no more than this factor are about the same; the paper's differ by 1.04."""
SHORT = 0.1
"""A share of time saved that is less than claimed by no more than this is as claimed."""

ERRORS = {"energy_mae": ("energy", "meV/atom", ".1f"), "forces_rmse": ("forces", "meV/Å", ".0f")}
TIMED = ("fused paths", "CP", "exact")
"""Products whose times are listed; the first has weights for every path, as before, the others shared ones."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Compare the time saved and the errors, on the shipped relaxations, with the paper's."""
    values = records["TAB5"].values
    saved = {timed["network"]: _saved(timed["seconds_per_step"]) for timed in values["pace"]}
    learned = [row for row in values["learned"] if row["system"] == "relaxations"]
    errors: dict[str, dict[str, dict[str, Number]]] = {}
    for row in learned:
        own = [r for r in learned if (r["network"], r["product"]) == (row["network"], row["product"])]
        errors.setdefault(row["network"], {})[row["product"]] = {key: _number(own, key) for key in ERRORS}
    claimed = {
        network: 1 - rows["CP"]["minutes_per_epoch"] / rows["e3nn paths"]["minutes_per_epoch"]
        for network, rows in EXCHANGED.items()
    }
    table = (
        *(
            Row(f"{network}, time saved by {product}", _percent(claimed[network]) if product == "CP" else "", number)
            for network, products in saved.items()
            for product, number in products.items()
            if product in TIMED
        ),
        *(
            Row(f"{network}, {what}, {product}", _papers(network, product, what, unit), errors[network][product][key])
            for network in errors
            for key, (what, unit, _) in ERRORS.items()
            for product in errors[network]
        ),
    )
    missing = [network for network in EXCHANGED if network not in saved]
    evidence = [
        Timing(min(len(times) for timed in values["pace"] for times in timed["seconds_per_step"].values())),
        Training.of(learned),
    ]
    energies = ", ".join(f"{found['energy_mae'].value:.0f} ({p})" for p, found in errors["TDN"].items())
    times = " and ".join(f"{found['CP'].value:.0f} % off {network}'s" for network, found in saved.items())
    sentence = (
        f"CP and PS take {times} time per step; after {learned[0]['epochs']} epochs TDN's energy errors "
        f"are {energies} meV/atom."
    )
    worse = [
        f"{network}, {what}"
        for network, products in errors.items()
        for key, (what, _, _) in ERRORS.items()
        if _worse(products["CP"][key], products["e3nn paths"][key])
    ]
    caveat = "" if not worse else f"with CP errors are above {SAME} times those before: {'; '.join(worse)}"
    if missing:
        outcome, caveat = Outcome.UNDECIDED, f"not at hand: {', '.join(missing)}"
    elif worse or any(found["CP"].value <= 0 for found in saved.values()):
        outcome = Outcome.REFUTED
    elif any(found["CP"].value < 100 * (claimed[network] - SHORT) for network, found in saved.items()):
        outcome = Outcome.QUALIFIED
    else:
        outcome = Outcome.VERIFIED
    return measured(evidence, outcome, sentence, table, caveat)


def _worse(new: Number, old: Number) -> bool:
    """Whether an error is above `SAME` times the one before, beyond the errors of both."""
    return beyond(new.value - SAME * old.value, hypot(new.error or 0.0, SAME * (old.error or 0.0)))


def _saved(seconds: Mapping[str, Sequence[float]]) -> dict[str, Number]:
    """Share of the time of a step that each product saves: median over rounds, and half the range."""
    own = seconds["e3nn paths"]
    shares = {p: [100 * (1 - t / o) for t, o in zip(times, own, strict=True)] for p, times in seconds.items()}
    return {p: Number(median(s), (max(s) - min(s)) / 2, "%", ".0f") for p, s in shares.items()}


def _number(rows: Sequence[Mapping[str, Any]], key: str) -> Number:
    """Mean over seeds and its error; that over structures where there is one seed."""
    metrics, (_, unit, form) = [row["test"][key] for row in rows], ERRORS[key]
    values = [metric["value"] for metric in metrics]
    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else metrics[0]["standard_error"]
    return Number(fmean(values), error, unit, form)


def _percent(share: float) -> Number:
    return Number(100 * share, unit="%", form=".0f")


def _papers(network: str, product: str, what: str, unit: str) -> Number | str:
    rows = EXCHANGED[network]
    return Number(rows[product][what], unit=unit, form=".4g") if product in rows else ""
