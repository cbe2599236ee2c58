"""O5: how the error of the products grows through several layers, and what it does to long-range interactions."""

from __future__ import annotations

from typing import Any

from tdn_theory.checkout import figure_record
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "Open check 5: at R = 7L^2 the error of the products stays small through many layers, and does not disturb "
    "interactions over long distances."
)

ROUNDOFF = 1e-10
"""Relative rotation error of everything, at any depth, that exact products may have in double precision."""

Z = 2.0
"""Standard errors beyond which a mean differs."""


def check(preset: Preset, seed: int) -> Verdict:
    """Judge the committed record of figure `error_propagation`, which says itself which preset and seed made it.

    Raises:
        FileNotFoundError: It was not measured; the message says how.
    """
    return judge(figure_record("error_propagation"))


def judge(record: dict[str, Any]) -> Verdict:
    """Growth with depth at the paper's ranks; errors of distant interactions; exact products as a control."""
    values = record["values"]
    paper = {int(lmax): rank for lmax, rank in values["paper_rank"].items()}
    growth = {}
    for row in values["untrained"]:
        if row["rank"] == paper[row["L"]]:
            features = row["errors"]["features"]
            growth[f"L = {row['L']}"] = {
                "one_block": features[0],
                "all_blocks": features[-1],
                "times": features[-1]["mean"] / features[0]["mean"],
                **{name: row["growth"][name] for name in ("features", "energy", "conservative", "direct")},
            }
    exact = max(row["largest"] for row in values["untrained"] if row["rank"] is None)
    (layers,) = [r for r in values["layers"] if r["rank"] in paper.values() and r["when"] == "after"]
    first, last = layers["long_range"][0], layers["long_range"][-1]
    bound = layers["layers"][-1]
    evidence = {
        "preset": record["preset"],
        "steps": values["steps"],
        "depth": values["depth"],
        "exact": exact,
        "growth": growth,
        "trained": {key: layers[key] for key in ("errors", "growth", "energy", "layers", "long_range")},
    }
    if exact > ROUNDOFF:
        summary = f"networks with exact products have rotation errors up to {exact:.0e}: the measurement is not right"
        return Verdict("O5", STATEMENT, Outcome.UNDECIDED, summary, evidence)
    times = ", ".join(f"{row['times']:.2f}" for row in growth.values())
    powers = ", ".join(f"{row['features']['power']['mean']:.2f}" for row in growth.values())
    ranks = ", ".join(map(str, paper.values()))
    reached = [row["hops"] for row in layers["long_range"] if _exceeds(row["log10_energy_error"])]
    summary = (
        f"From one to {values['depth']} untrained blocks the relative error of features at R = {ranks} "
        f"(L = {', '.join(map(str, paper))}) grows {times} times, as t^p with p = {powers}: norms and residual "
        f"connections keep it, and what bounds on single layers allow ({bound['bound']['mean']:.2g} of the features "
        f"after {values['steps']} steps of training) is {bound['bound']['mean'] / bound['error']['mean']:.0f} times "
        f"too much. The interaction of two molecules is off by {_percent(first)} at {first['distance']:.0f} A and by "
        f"{_percent(last)} at {last['distance']:.0f} A. But errors are made at every atom: that of the energy is "
        f"{10 ** first['log10_energy_error']['mean']:.2g} and {10 ** last['log10_energy_error']['mean']:.2g} times the "
        f"interaction there. With exact products everything is right to {exact:.0e} at every depth"
    )
    if any(row["times"] > values["depth"] for row in growth.values()):
        return Verdict("O5", STATEMENT, Outcome.REFUTED, summary, evidence)
    return Verdict("O5", STATEMENT, Outcome.QUALIFIED if reached else Outcome.VERIFIED, summary, evidence)


def _exceeds(logarithm: dict[str, Any]) -> bool:
    """Whether a ratio is above one."""
    return logarithm["mean"] - Z * (logarithm["standard_error"] or 0.0) > 0


def _percent(row: dict[str, Any]) -> str:
    return f"{100 * 10 ** row['log10_interaction_error']['mean']:.1f} %"
