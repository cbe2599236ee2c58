"""F3c: how many times faster than e3nn's product CP is, and what makes it so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tdn_theory.evidence import Timing, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import SPEEDUPS
from tdn_theory.records import Record

READS = ("F3c",)

SHAPE = {"mode": "uvu", "channels": 128, "edges": 1024}

REPEATS = 3
"""Calls of one method in one round, at most (`tdn_theory.experiments.measuring.take_turns`)."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Is CP as much faster as the paper says, and is that CP's doing?

    e3nn's product has a weight for every path, CP one for all. Like for like are the exact product with a weight for
    every path and e3nn's; and the exact product with one for all and CP.
    """
    shapes = {u["L"]: u for u in records["F3c"].values["units"] if SHAPE.items() <= u.items()}
    if not shapes:
        sentence = f"Not timed with {SHAPE['channels']} channels and {SHAPE['edges']} edges."
        return Finding(Outcome.UNDECIDED, None, sentence)
    times = {lmax: {name: m["forward"] for name, m in unit["methods"].items()} for lmax, unit in shapes.items()}
    cp = {lmax: _speedup(found, "cp, released order") for lmax, found in times.items()}
    beaten = [lmax for lmax, found in times.items() if found["exact"]["median"] < found["cp, released order"]["median"]]
    table = (
        *(Row(f"CP, weights shared, L = {lmax}", Number(SPEEDUPS[lmax]), cp[lmax]) for lmax in cp),
        Row("exact, weights per path as in e3nn", "", _span(times, "per path")),
        Row("exact, weights shared as in CP", "", _span(times, "exact")),
        Row("the same in one fused loop", "", _span(times, "exact, fused")),
    )
    kept = " with freed memory kept for all methods" if all(u["kept_memory"] for u in shapes.values()) else ""
    rounds = min(found[name]["rounds"] for found in times.values() for name in found) // REPEATS
    speedups = [number.value for number in cp.values()]
    if min(speedups) <= 1:
        outcome = Outcome.REFUTED
    elif any(2 * cp[lmax].value < SPEEDUPS[lmax] for lmax in cp):
        outcome = Outcome.UNDECIDED
    else:
        outcome = Outcome.QUALIFIED
    return measured(
        [Timing(rounds)],
        outcome,
        f"On a processor CP is {min(speedups):.1f} to {max(speedups):.0f} times faster than e3nn's product, but shares "
        "weights that e3nn has for every path; with these shared, the exact product is faster than CP at "
        f"{len(beaten)} of {len(times)} L.",
        table,
        f"times faster than e3nn, forward, one thread, {SHAPE['channels']} channels, {SHAPE['edges']} edges{kept}; the "
        "paper's device is a GPU",
    )


def _span(times: Mapping[int, Mapping[str, Any]], name: str) -> str:
    """Least and largest speed-up over all L at which the method was timed."""
    found = [_speedup(methods, name).value for methods in times.values() if name in methods]
    return f"{min(found):.1f} to {max(found):.1f}" if found else "not timed"


def _speedup(times: Mapping[str, Mapping[str, float]], name: str) -> Number:
    """Ratio of medians; its error from half the distances of the quartiles."""
    theirs, ours = times["e3nn"], times[name]
    spread = sum(((t["quartile3"] - t["quartile1"]) / 2 / t["median"]) ** 2 for t in (theirs, ours)) ** 0.5
    ratio = theirs["median"] / ours["median"]
    return Number(ratio, spread * ratio)
