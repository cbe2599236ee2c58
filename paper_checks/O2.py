"""O2: what the rank of the product does to accuracy, for several molecular systems."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import t as student

from tdn_theory.checkout import figure_record
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "Open check 2: at R = 7L^2 the CP product costs hardly any accuracy of energies and forces (TAB5: up to 4 %)."
)

PAPER = 1.05
"""Errors relative to the exact product that still agree with the paper's: 1.016 (energy), 1.041 (forces), TAB5."""

LEAST_SYSTEMS = 3
CONFIDENCE = 0.95
"""Of the limits on all four mean errors together (Bonferroni), by Student's distribution."""

ERRORS = ("energy_rmse", "forces_rmse", "energy_turned_rmse", "forces_turned_rmse")


def check(preset: Preset, seed: int) -> Verdict:
    """Judge the committed record of figure `rank_accuracy`, which says itself which preset and seed made it.

    Raises:
        FileNotFoundError: It was not measured; the message says how.
    """
    return judge(figure_record("rank_accuracy"))


def judge(record: dict[str, Any]) -> Verdict:
    """Compare errors at R = 7 L^2 with those of the exact product, as the structures lie and in all orientations.

    Ratios are taken system by system and seed by seed, and their mean over both is tested: three seeds of one system
    are too few.
    """
    values = record["values"]
    paper = [row for row in values["summary"] if row["rank"] == values["paper_rank"][str(row["lmax"])]]
    exact = {(r["system"], r["lmax"], r["seed"]): r for r in values["rows"] if r["method"] == "exact"}
    pairs = [
        (row, exact[row["system"], row["lmax"], row["seed"]])
        for row in values["rows"]
        if row["rank"] == values["paper_rank"][str(row["lmax"])]
    ]
    limits = {error: _limits([row[error] / best[error] for row, best in pairs]) for error in ERRORS}
    shares = {f"{row['system']}, L = {row['lmax']}": row["forces_share"]["mean"] for row in paper}
    cp = [row for row in values["summary"] if row["method"] == "cp" and row["lmax"] == 1]
    low = min(row["rank"] for row in cp)
    lost = {row["system"]: row["ratio_to_exact"]["forces_turned_rmse"]["mean"] for row in cp if row["rank"] == low}
    evidence = {
        "preset": record["preset"],
        "steps": values["steps"],
        "left_out": values["left_out"],
        "ratios": limits,
        "ratios_by_system": [{k: row[k] for k in ("system", "lmax", "ratio_to_exact")} for row in paper],
        "force_shares": shares,
        "lowest_rank": low,
        "ratios_at_lowest_rank": lost,
    }
    if len(values["systems"]) < LEAST_SYSTEMS:
        summary = (
            f"only {', '.join(values['systems'])} measured, for want of the files of {', '.join(values['left_out'])}"
        )
        return Verdict("O2", STATEMENT, Outcome.UNDECIDED, summary, evidence)
    names = {error: error.removesuffix("_rmse").replace("_", " ") for error in ERRORS}
    found = ", ".join(
        f"{limit['mean']:.3f} ({names[error]}; {limit['low']:.2f} to {limit['high']:.2f})"
        for error, limit in limits.items()
    )
    most, least = 100 * max(shares.values()), 100 * min(shares.values())
    summary = (
        f"{record['preset']} preset, {values['steps']} steps, {len(pairs)} pairs of runs on {len(values['systems'])} "
        f"systems: errors at R = 7 L^2 over those of the exact product are {found}; imperfect symmetry makes "
        f"{least:.2g} to {most:.2g} % of the force loss. At R = {low}, L = 1, errors of forces in all orientations are "
        f"{min(lost.values()):.2f} to {max(lost.values()):.2f} times the exact product's"
    )
    if any(limit["low"] > PAPER for limit in limits.values()):
        return Verdict("O2", STATEMENT, Outcome.REFUTED, summary, evidence)
    if any(limit["high"] > PAPER for limit in limits.values()):
        summary += f". The scatter of the runs leaves a loss above {100 * (PAPER - 1):.0f} % possible"
        return Verdict("O2", STATEMENT, Outcome.UNDECIDED, summary, evidence)
    return Verdict("O2", STATEMENT, Outcome.VERIFIED, summary, evidence)


def _limits(ratios: list[float]) -> dict[str, float]:
    """Geometric mean of ratios, and its limits."""
    logs = np.log(ratios)
    reach = student.ppf(1 - (1 - CONFIDENCE) / (2 * len(ERRORS)), len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    mean = logs.mean()
    return {"mean": float(np.exp(mean)), "low": float(np.exp(mean - reach)), "high": float(np.exp(mean + reach))}
