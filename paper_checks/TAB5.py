"""TAB5: most of the time can be saved, at the same accuracy, and most of that without CP."""

from __future__ import annotations

from statistics import median
from typing import Any

from tdn_theory.verdict import Outcome, Verdict

from tdn_theory.checkout import figure_record
from tdn_theory.experiments.comparisons.product_exchange import PAPER, relative_times
from tdn_theory.preset import Preset

STATEMENT = (
    "CP and PS take 78 % off TDN's time per epoch and 74 % off NequIP's (L = 2, four layers, 64 channels), at about "
    "the same accuracy."
)

SAME = 1.1
"""Errors that differ by no more than this factor are about the same; the paper's differ by 1.04."""


def check(preset: Preset, seed: int) -> Verdict:
    """Compare the time saved and the errors of the figure's record with the paper's.

    Nothing is timed here, whatever the preset: a verdict needs the machine to itself, which `reproduce TAB5` asks for.

    Raises:
        FileNotFoundError: TAB5 was not measured; the message says how.
    """
    record = figure_record("TAB5")
    values = record["values"]
    saved = {
        pace["network"]: {product: 1 - median(ratios) for product, ratios in relative_times(pace).items()}
        for pace in values["pace"]
    }
    claimed = {
        network: {p: 1 - r["minutes_per_epoch"] / rows["e3nn paths"]["minutes_per_epoch"] for p, r in rows.items()}
        for network, rows in PAPER.items()
    }
    errors = {network: _errors(values["learned"], network) for network in saved}
    evidence: dict[str, Any] = {
        "measured": record["provenance"],
        "saved": saved,
        "claimed": claimed,
        "errors": errors,
        "absent": values["absent"],
    }
    worse = {n: max(row["CP"][k] / row["e3nn paths"][k] for k in row["CP"]) for n, row in errors.items()}
    parts = [
        f"{network}: CP and PS save {100 * saved[network]['CP']:.0f} % (claimed {100 * claimed[network]['CP']:.0f} %), "
        f"errors at most {worse[network]:.2f} times those before"
        for network in saved
    ]
    tdn = saved["TDN"]
    summary = (
        f"{'; '.join(parts)}. TDN's exact product with shared weights saves {100 * tdn['exact']:.0f} % and stays "
        f"equivariant; fusing every path, with all the weights of before, saves {100 * tdn['fused paths']:.0f} %"
    )
    missing = [network for network in PAPER if network not in saved]
    if missing:
        return Verdict("TAB5", STATEMENT, Outcome.UNDECIDED, f"{summary}. Not at hand: {missing}", evidence)
    as_claimed = all(saved[n]["CP"] >= claimed[n]["CP"] - 0.1 and worse[n] <= SAME for n in saved)
    better = tdn["exact"] > tdn["CP"]
    return Verdict(
        "TAB5", STATEMENT, Outcome.QUALIFIED if better or not as_claimed else Outcome.VERIFIED, summary, evidence
    )


def _errors(learned: list[dict[str, Any]], network: str) -> dict[str, dict[str, float]]:
    """Mean errors over seeds on the shipped relaxations, by product."""
    found: dict[str, dict[str, float]] = {}
    for product in ("e3nn paths", "CP", "exact"):
        own = (network, product, "relaxations")
        rows = [row["test"] for row in learned if (row["network"], row["product"], row["system"]) == own]
        if rows:
            names = ("energy_mae", "forces_rmse")
            found[product] = {name: sum(row[name]["value"] for row in rows) / len(rows) for name in names}
    return found
