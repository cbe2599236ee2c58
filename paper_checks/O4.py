"""O4: dipole moments and polarizabilities."""

from __future__ import annotations

from typing import Any

from scipy.stats import t as student

from tdn_theory.checkout import figure_record
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "Open check 4: CP products serve other properties than energies: vectors (dipoles) and tensors (polarizabilities)."
)

LABELS = ("dipole", "polarizability")
EXACT = 1e-7
"""Relative change under rotation up to which predictions are equivariant to roundoff, in float64."""

LOSS = 1.05
"""Errors relative to the exact product's that count as equal: the paper's for energies and forces are up to 1.04."""

CONFIDENCE = 0.95
"""Of both labels' limits together (Bonferroni), by Student's distribution."""


def check(preset: Preset, seed: int) -> Verdict:
    """Judge the committed record of figure `properties`, which says itself which preset and seed made it.

    Raises:
        FileNotFoundError: It was not measured; the message says how.
    """
    return judge(figure_record("properties"))


def judge(record: dict[str, Any]) -> Verdict:
    """Errors at R = 7 L^2 against the exact product's, and how nearly predictions turn with the molecule."""
    values = record["values"]
    rows = {(row["method"], row["rank"]): row for row in values["summary"]}
    paper, exact = rows["cp", values["paper_rank"]], rows["exact", None]
    roundoff = max(rows[key][label]["relative_change"]["mean"] for key in rows if key[0] != "cp" for label in LABELS)
    useless = [label for label in LABELS if exact[label]["rmse"]["mean"] >= exact[label]["without_network"]["mean"]]
    evidence = {"preset": record["preset"], "steps": values["steps"], "summary": values["summary"]}
    if roundoff > EXACT or useless:
        problem = f"exact products are off by {roundoff:.0e}" if roundoff > EXACT else f"nothing is learnt of {useless}"
        return Verdict("O4", STATEMENT, Outcome.UNDECIDED, problem, evidence)
    lowest = min(rank for method, rank in rows if method == "cp")
    parts = [
        f"{label}: {paper[label]['turned_rmse_ratio_to_exact']['mean']:.2f} +- "
        f"{paper[label]['turned_rmse_ratio_to_exact']['standard_error'] or 0:.2f} times the exact product's error, a "
        f"rotation changes it by {100 * paper[label]['relative_change']['mean']:.2g} % "
        f"({100 * rows['cp', lowest][label]['relative_change']['mean']:.2g} % at R = {lowest})"
        for label in LABELS
    ]
    ratios = [paper[label]["turned_rmse_ratio_to_exact"] for label in LABELS]
    outcome = Outcome.QUALIFIED
    factor = student.ppf(1 - (1 - CONFIDENCE) / len(ratios), max(1, ratios[0]["seeds"] - 1))
    if any(ratio["mean"] - factor * (ratio["standard_error"] or ratio["mean"]) > LOSS for ratio in ratios):
        outcome = Outcome.REFUTED
    summary = (
        f"L = 2, R = {values['paper_rank']}, {record['preset']} preset, {ratios[0]['seeds']} seeds. "
        f"{'; '.join(parts)}. With exact and cubature products vectors and tensors turn with the molecule to "
        f"{roundoff:.0e}"
    )
    return Verdict("O4", STATEMENT, outcome, summary, evidence)
