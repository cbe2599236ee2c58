"""T8: CP products can replace those of existing networks: time and equivariance after the exchange, and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot, sqrt
from statistics import fmean, median, stdev
from typing import Any

from tdn_theory.evidence import GivenNetworks, Timing, Training, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.records import Record

READS = ("TAB9", "pretrained", "distilled", "motion")

STAND_INS = {
    "CP": ("the best CP", False),
    "CP, released recipe": ("the released recipe", False),
    "atlas, all paths": ("an exact CP", True),
}
"""Products in pretrained potentials, and whether with the best path weights: at the paper's rank, or exact."""

ROUNDOFF = 1e-9
"""Relative errors under rotation below this are roundoff in double precision."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Compare NequIP and MACE before and after the replacement, and what it changes in pretrained SevenNets."""
    values = records["TAB9"].values
    pace = {timed["network"]: _times(timed["seconds_per_step"]) for timed in values["pace"]}
    learned = [row for row in values["learned"] if row["system"] == "relaxations"]
    rows: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in learned:
        rows.setdefault(row["network"], {}).setdefault(row["product"], []).append(row)
    if "NequIP" not in rows:
        return Finding(Outcome.UNDECIDED, None, "NequIP, which the paper shows it on, is not at hand.")
    turned = {n: {p: _number(own, "rotation", "forces_rotation") for p, own in row.items()} for n, row in rows.items()}
    forces = {n: {p: _number(own, "test", "forces_rmse") for p, own in row.items()} for n, row in rows.items()}
    pretrained = records["pretrained"].values
    table = (
        *(
            Row(f"{n}, forces under rotation, {p}", "", Number(e.value, e.error, form=".0e"))
            for n, row in turned.items()
            for p, e in row.items()
        ),
        *(
            Row(f"{n}, time of a step, {p} over its own", "", pace[n][p])
            for n in rows
            for p in rows[n]
            if p != "e3nn paths"
        ),
        *(Row(f"{n}, force error, {p}", "", error) for n, row in forces.items() for p, error in row.items()),
        *(row for potential, lmax in pretrained["degrees"].items() for row in _changed(pretrained, potential, lmax)),
        *_trained_again(records["distilled"].values),
        *_moved(records["motion"].values),
    )
    error, time = turned["NequIP"]["CP"].value, pace["NequIP"]["CP"]
    runs = rows["NequIP"]["CP"]
    given = [
        GivenNetworks(sum(run["rotation"]["forces_rotation"]["groups"] for run in runs)),
        Timing(min(len(times) for timed in values["pace"] for times in timed["seconds_per_step"].values())),
    ]
    training = Training.of(learned)
    doubts = training.doubts()
    kept = error <= ROUNDOFF
    sentence = (
        f"NequIP runs with CP in its products' place, in {time.value:.2f} of the time of a step, and forces turn with "
        f"the molecule to {error:.0e}; whether it learns as well is {'open' if doubts else 'measured'}."
    )
    caveats = ["NequIP with natural parity, whose paths are all even, and an exact CP of these; trained anew"]
    if not kept:
        caveats = ["trained anew"]
    if doubts:
        caveats.append(f"accuracy: {'; '.join(doubts)}")
        return measured(given, Outcome.QUALIFIED, sentence, table, "; ".join(caveats))
    new, old = forces["NequIP"]["CP"], forces["NequIP"]["e3nn paths"]
    lost = not kept or beyond(new.value - old.value, hypot(new.error or 0.0, old.error or 0.0))
    outcome = Outcome.QUALIFIED if lost else Outcome.VERIFIED
    return measured([*given, training], outcome, sentence, table, "; ".join(caveats))


def _times(seconds: Mapping[str, list[float]]) -> dict[str, Number]:
    """Time of a step over that with the network's own product in the same round: median, and half the range."""
    own = seconds["e3nn paths"]
    ratios = {product: [t / o for t, o in zip(times, own, strict=True)] for product, times in seconds.items()}
    return {
        product: Number(median(found), (max(found) - min(found)) / 2, form=".2f") for product, found in ratios.items()
    }


def _number(runs: list[Mapping[str, Any]], kind: str, name: str) -> Number:
    """Mean over seeds; the standard error is that over structures."""
    metrics = [run[kind][name] for run in runs]
    value, error = (fmean(metric[part] for metric in metrics) for part in ("value", "standard_error"))
    return Number(value, error, {"forces_rmse": "meV/Å"}.get(name, ""))


def _changed(values: Mapping[str, Any], potential: str, lmax: int) -> list[Row]:
    """By how much the energies of a pretrained potential change with a CP product for its own; nothing is trained."""
    rank, found = values["paper_rank"][potential], []
    for kind, (name, rescaled) in STAND_INS.items():
        rows = [
            row
            for row in values["rows"]
            if (row["potential"], row["kind"], row["rescaled"]) == (potential, kind, rescaled)
            and (rescaled or row["rank"] == rank)
        ]
        of_kinds = [[kind["error"]["energy"] for kind in row["kinds"].values()] for row in rows]
        means = [fmean(error["mean"] for error in errors) for errors in of_kinds]
        error = hypot(*(error["standard_error"] for error in of_kinds[0])) / len(of_kinds[0])
        spread = hypot(error, _error(means) or 0.0)
        what = f"SevenNet (L = {lmax}), energies changed by {name}, R = {rows[0]['rank']}"
        found.append(Row(what, "", Number(fmean(means), spread, "meV/atom")))
    return found


def _trained_again(values: Mapping[str, Any]) -> list[Row]:
    """What training on the potential as it was leaves of that change, on the same structures; errors are over seeds."""
    found: dict[str, list[float]] = {}
    for row in values["rows"]:
        product, lmax = row["product"], values["degrees"][row["potential"]]
        before, after = (fmean(kind["energy"]["mean"] for kind in row[when].values()) for when in ("before", "after"))
        name = f"SevenNet (L = {lmax}), left of it by training again, {_name(product)}"
        found.setdefault(name, []).append(100 * after / before)
    return [Row(name, "", Number(fmean(runs), _error(runs), "%", ".0f")) for name, runs in found.items()]


def _moved(values: Mapping[str, Any]) -> list[Row]:
    """Largest change of a free molecule's angular momentum over its thermal size; an invariant energy keeps it."""
    return [
        Row(
            f"SevenNet (L = {values['degrees'][row['potential']]}), turning in {values['femtoseconds'] / 1000:g} ps, "
            + ("its own product" if row["product"] is None else _name(row["product"])),
            "",
            Number(row["angular_momentum"], form=".1g"),
        )
        for row in values["rows"]
    ]


def _name(product: Mapping[str, Any]) -> str:
    return f"{STAND_INS[product['kind']][0]}, R = {product['rank']}"


def _error(values: list[float]) -> float | None:
    return stdev(values) / sqrt(len(values)) if len(values) > 1 else None
