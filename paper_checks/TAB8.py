"""TAB8: on the n-body system, errors fall with the rank, to those of the exact product at R = 28."""

from __future__ import annotations

from typing import Any

from tdn_theory.verdict import Outcome, Verdict

from tdn_theory.checkout import figure_record
from tdn_theory.preset import Preset

STATEMENT = (
    "n-body, L = 2: the test error falls from .0081 at R = 10 to .0040 at R = 28, where it is that without CP (.0038), "
    "and the equivariance error from .60 to .02; it takes R = 81 to get below .01."
)

AGREES = 0.0040 / 0.0038
"""Error at R = 28 relative to that without CP, in the paper."""

Z = 2.0
"""Standard errors beyond which a mean differs."""

EXACT = 1e-10
"""Relative rotation error of a network up to which it is roundoff."""


def check(preset: Preset, seed: int) -> Verdict:
    """Judge the committed record of figure `TAB8`, which says itself which preset and seed made it.

    Raises:
        FileNotFoundError: TAB8 was not measured; the message says how.
    """
    return judge(figure_record("TAB8"))


def judge(record: dict[str, Any]) -> Verdict:
    """Compare test errors, seed by seed, with those of the exact product, and rotation errors with the paper's."""
    values = record["values"]
    cp = {row["rank"]: row for row in values["rows"] if row["kind"] == "cp"}
    low, at_28 = (cp[rank]["ratio_to_exact"] for rank in (10, 28))
    exact = next(row for row in values["rows"] if row["kind"] == "atlas")
    trained, full = values["protocol"]["epochs"], values["protocol"]["epochs"] >= values["paper_epochs"]
    numbers = [
        {key: row[key] for key in ("kind", "rank", "trained_as", "test_mse", "ratio_to_exact", "rotation_error")}
        | {key: row[key] for key in ("rms_error", "frobenius_error", "paper_error", "asymmetric_mse")}
        for row in values["rows"]
    ]
    evidence = {"preset": record["preset"], "epochs": trained, "device": values["device"], "numbers": numbers}
    errors = {rank: (row["rms_error"], values["paper"][str(rank)]["error"]) for rank, row in cp.items() if rank < 30}
    listed = ", ".join(f"{ours:.2g} ({paper:.2g}) at {rank}" for rank, (ours, paper) in errors.items())
    summary = (
        f"After {trained} of the paper's {values['paper_epochs']} epochs ({low['seeds']} seeds) the test error is "
        f"{cp[10]['test_mse']['mean']:.4f} at R = 10, {_times(low)} that of the exact product, and "
        f"{cp[28]['test_mse']['mean']:.4f}, {_times(at_28)}, at R = 28. Relative rms equivariance errors of the best "
        f"products found are those of the paper (in brackets): {listed}. It takes no 81 terms to be exact: the "
        f"network with the {exact['rank']} terms of the atlas has a rotation error of "
        f"{exact['rotation_error']['mean']:.0e}"
    )
    worse = low["mean"] - Z * (low["standard_error"] or 0.0) > 1
    same = at_28["mean"] - Z * (at_28["standard_error"] or 0.0) <= AGREES
    if not worse or not same or exact["rotation_error"]["mean"] > EXACT:
        return Verdict("TAB8", STATEMENT, Outcome.REFUTED if full else Outcome.UNDECIDED, summary, evidence)
    return Verdict("TAB8", STATEMENT, Outcome.QUALIFIED, summary, evidence)


def _times(ratio: dict[str, Any]) -> str:
    return f"{ratio['mean']:.3f} +- {ratio['standard_error'] or 0.0:.3f} times"
