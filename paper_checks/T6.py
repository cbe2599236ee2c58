"""T6: the exponents are right, and the comparison is with the wrong product."""

from __future__ import annotations

from typing import Any

from tdn_theory.cp.schedules import quadratic
from tdn_theory.preset import Preset
from tdn_theory.theory.cost import Channels, Connection, Method, cost, crossover, growth
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = "The full product costs O(L^6); the CP product with R = 7 L^2 costs O(R L^2) = O(L^4)."

CHANNELS = 128

LARGEST = 12
"""Largest degree counted, by either preset."""


def check(preset: Preset, seed: int) -> Verdict:
    """Fit exponents to the counted multiply-adds, and find where CP is cheaper than what else is exact."""
    table = {
        connection: {method: _work(method, connection, LARGEST) for method in ("per_path", "sparse", "y_first", "cp")}
        for connection in ("uvu", "uuu")
    }
    exponents = {method: growth(table["uuu"][method], LARGEST // 2) for method in table["uuu"]}
    crossovers: dict[str, dict[str, int | None]] = {
        connection: {
            f"cp below {method}": crossover(work["cp"], work[method]) for method in ("per_path", "sparse", "y_first")
        }
        for connection, work in table.items()
    }
    evidence: dict[str, Any] = {
        "channels": CHANNELS,
        "multiply_adds": {c: {m: {str(l): v for l, v in w.items()} for m, w in t.items()} for c, t in table.items()},
        "exponents_of_L_plus_1": exponents,
        "crossovers": crossovers,
    }
    if not (5.5 < exponents["per_path"] < 6.2 and 3.8 < exponents["cp"] < 4.5):
        return Verdict("T6", STATEMENT, Outcome.REFUTED, f"the exponents of L + 1 are {exponents}", evidence)
    uvu, uuu = table["uvu"], table["uuu"]
    dearer = [l for l in uvu["cp"] if uvu["y_first"][l] >= uvu["cp"][l]]
    summary = (
        f"The exponents of L+1 are {exponents['per_path']:.1f} and {exponents['cp']:.1f}. But O(L^6) is the cost of "
        f"dense blocks: the nonzero coefficients are O(L^5) (measured {exponents['sparse']:.1f}), and contracting "
        "with y first is O(L^4) and exact for one harmonics channel, the network's case: "
        f"{uvu['cp'][LARGEST] / uvu['y_first'][LARGEST]:.0f} times fewer multiply-adds than CP at L = {LARGEST}, and "
        f"fewer at every L{f' but {dearer}' if dearer else ''}. With channels in both inputs y first still costs less "
        "up to L = "
        f"{max(l for l in uuu['cp'] if uuu['y_first'][l] <= uuu['cp'][l])} at least, and sparse coefficients up to L "
        f"= {max(l for l in uuu['cp'] if uuu['sparse'][l] <= uuu['cp'][l])}. That R = 7 L^2 keeps the error fixed is "
        "not part of the claim, and does not hold (F3a)"
    )
    return Verdict("T6", STATEMENT, Outcome.QUALIFIED, summary, evidence)


def _work(method: Method, connection: Connection, largest: int) -> dict[int, int]:
    return {
        lmax: cost(
            method, lmax, Channels.of(connection, CHANNELS), rank=quadratic(lmax) if method == "cp" else None
        ).multiply_adds
        for lmax in range(1, largest + 1)
    }
