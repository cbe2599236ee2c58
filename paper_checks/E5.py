"""E5: the four rank schedules, and the one the released code computes instead."""

from __future__ import annotations

from tdn_theory.cp.schedules import PAPER_SCHEDULES, log_squared_released
from tdn_theory.experiments.rank_sweep import best_solution
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = "R = 7L^2 balances error and cost better than (L+1)^4, 16 log^2(L+1) and 7L."


def check(preset: Preset, seed: int) -> Verdict:
    """Ranks and errors of all schedules; is any other one both cheaper and better than 7L^2?"""
    degrees = range(1, 7)
    rows = [
        {"schedule": name, "L": lmax, "R": schedule(lmax), "error": best_solution(lmax, schedule(lmax)).residual}
        for name, schedule in PAPER_SCHEDULES.items()
        for lmax in degrees
    ]
    released = [log_squared_released(lmax) for lmax in degrees]
    adopted = [row["error"] for row in rows if row["schedule"] == "7L^2"]
    evidence = {"rows": rows, "released_log_schedule": released}
    summary = (
        f"7L^2 keeps the error of the best decompositions found between {min(adopted):.3f} and {max(adopted):.3f} "
        "for L = 1..6, and the two "
        "slower schedules lose most of M; but it is an arbitrary point just below the ranks at which M is exact, "
        "and the released "
        f"code's form of the logarithmic schedule gives ranks {', '.join(map(str, released))}: no product at all at "
        "L = 1"
    )
    return Verdict("E5", STATEMENT, Outcome.QUALIFIED, summary, evidence)
