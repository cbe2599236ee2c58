"""E5: the four rank schedules, and the one the released code computes instead."""

from __future__ import annotations

from tdn_theory.cp.schedules import PAPER_SCHEDULES, log_squared_released, quadratic
from tdn_theory.experiments.decompositions.rank_sweep import best_solution
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
    errors = {name: [row["error"] for row in rows if row["schedule"] == name] for name in PAPER_SCHEDULES}
    better = {
        name: [
            lmax
            for lmax in degrees
            if schedule(lmax) <= quadratic(lmax) and errors[name][lmax - 1] < errors["7L^2"][lmax - 1]
        ]
        for name, schedule in PAPER_SCHEDULES.items()
        if name != "7L^2"
    }
    evidence = {"rows": rows, "released_log_schedule": released, "no_dearer_and_better_at": better}
    adopted, logarithmic, linear = (errors[name] for name in ("7L^2", "16 ln^2(L+1)", "7L"))
    summary = (
        f"7L^2 keeps the error of the best decompositions found between {min(adopted):.3f} and {max(adopted):.3f} for "
        f"L = 1..{max(degrees)}, and no other schedule is better and costs no more; that of 16 ln^2(L+1) grows to "
        f"{max(logarithmic):.2f}, that of 7L to {max(linear):.2f}. But 7L^2 is an arbitrary point just below the ranks "
        "at which M is exact, and the released "
        f"code's form of the logarithmic schedule gives ranks {', '.join(map(str, released))}: no product at all at "
        "L = 1"
    )
    if any(better.values()):
        summary = f"Another schedule is better and costs no more at L = {better}"
        return Verdict("E5", STATEMENT, Outcome.REFUTED, summary, evidence)
    return Verdict("E5", STATEMENT, Outcome.QUALIFIED, summary, evidence)
