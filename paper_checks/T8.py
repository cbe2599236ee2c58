"""T8: CP products can replace those of existing networks; so can exact ones, which the networks survive unharmed."""

from __future__ import annotations

from statistics import median
from typing import Any

from tdn_theory.verdict import Outcome, Verdict

from tdn_theory.checkout import figure_record
from tdn_theory.experiments.comparisons.product_exchange import relative_times
from tdn_theory.preset import Preset

STATEMENT = "The CP product is a plug-and-play replacement in existing networks (shown on NequIP)."

ROUNDOFF = 1e-9
"""Relative errors under rotation below this are roundoff in double precision."""


def check(preset: Preset, seed: int) -> Verdict:
    """Compare NequIP and MACE before and after the replacement in the record of TAB9.

    Raises:
        FileNotFoundError: TAB9 was not measured; the message says how.
    """
    record = figure_record("TAB9")
    values = record["values"]
    rows: dict[str, dict[str, Any]] = {}
    for pace in values["pace"]:
        network, times = pace["network"], relative_times(pace)
        learned = [row for row in values["learned"] if row["network"] == network and row["system"] == "relaxations"]
        rows[network] = {
            row["product"]: {
                "time": median(times[row["product"]]),
                "parameters": row["parameters"],
                "energy_mae": row["test"]["energy_mae"]["value"],
                "forces_rmse": row["test"]["forces_rmse"]["value"],
                "rotation_error": row["rotation"]["forces_rotation"]["value"],
            }
            for row in learned
        }
    evidence: dict[str, Any] = {"measured": record["provenance"], "networks": rows, "absent": values["absent"]}
    parts = [
        f"{network}: with CP {row['CP']['time']:.2f} of the time, {_worse(row, 'CP'):.2f} times the force error, and "
        f"forces that turn wrongly by {row['CP']['rotation_error']:.0e} (before {_before(row):.0e}); with cubature "
        f"{row['cubature']['time']:.2f} of the time, {_worse(row, 'cubature'):.2f} times the force error, "
        f"{row['cubature']['rotation_error']:.0e}"
        for network, row in rows.items()
    ]
    summary = f"It runs, after training anew. {'; '.join(parts)}"
    if "NequIP" not in rows:
        return Verdict("T8", STATEMENT, Outcome.UNDECIDED, "NequIP is not at hand", evidence)
    lost = any(row["CP"]["rotation_error"] > ROUNDOFF for row in rows.values())
    return Verdict("T8", STATEMENT, Outcome.QUALIFIED if lost else Outcome.VERIFIED, summary, evidence)


def _worse(row: dict[str, dict[str, float]], product: str) -> float:
    return row[product]["forces_rmse"] / row["e3nn paths"]["forces_rmse"]


def _before(row: dict[str, dict[str, float]]) -> float:
    return row["e3nn paths"]["rotation_error"]
