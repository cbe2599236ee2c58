"""O3: how consistent forces are under rotations, and what follows."""

from __future__ import annotations

from typing import Any

from tdn_theory.checkout import figure_record
from tdn_theory.preset import Preset
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "Open check 3: forces of the CP product at R = 7L^2 turn with the molecule well enough to relax and move it."
)

NOISE = 1.0
"""meV/Angstrom: forces that change by less than this cannot be told apart where forces are converged to fmax."""

EXACT = 1e-7
"""Relative change of forces under rotation up to which they are consistent to roundoff, in float64."""


def check(preset: Preset, seed: int) -> Verdict:
    """Judge the committed record of figure `force_consistency`, which says itself which preset and seed made it.

    Raises:
        FileNotFoundError: It was not measured; the message says how.
    """
    return judge(figure_record("force_consistency"))


def judge(record: dict[str, Any]) -> Verdict:
    """Changes of forces at R = 7 L^2, the worst found, and what they do, beside the exact product's roundoff."""
    values = record["values"]
    paper = [row for row in values["summary"] if row["rank"] == values["paper_rank"][str(row["lmax"])]]
    exact = [row for row in values["summary"] if row["method"] in ("exact", "cubature")]
    roundoff = max(row[f"{kind}_relative"]["mean"] for row in exact for kind in ("relaxation", "rattled", "dynamics"))
    evidence = {"preset": record["preset"], "steps": values["steps"], "paper": paper, "exact": exact}
    if roundoff > EXACT:
        summary = f"exactly equivariant products change forces by {roundoff:.0e}, which is more than roundoff"
        return Verdict("O3", STATEMENT, Outcome.UNDECIDED, summary, evidence)
    own = next(row for row in paper if row["forces"] == "conservative" and row["lmax"] == 1)
    number = {name: value["mean"] for name, value in own.items() if isinstance(value, dict)}
    summary = (
        f"L = 1, R = 7, {record['preset']} preset, {own['worst']['seeds']} seeds: a rotation changes forces by "
        f"{number['relaxation_rms']:.2g} meV/A (rms; {100 * number['relaxation_relative']:.2g} %), the worst one found "
        f"by {number['worst']:.2g}, {number['worst_over_random']:.1f} times a random one; {100 * number['share']:.2g} "
        f"% of the force loss is due to it. Relaxed copies end {number['relaxed_energy_spread']:.2g} meV and "
        f"{1e3 * number['relaxed_distance']:.2g} mA apart, after numbers of steps that differ by "
        f"{number['relaxed_steps_spread']:.1f}; in {values['measures']['time']:.0f} fs of dynamics their angular "
        f"momentum goes from 0 to {number['angular_momentum']:.2g} hbar. With exact and cubature products forces "
        f"change by {roundoff:.0e}, relative"
    )
    high = max(row["worst"]["mean"] for row in paper)
    if high <= NOISE:
        return Verdict("O3", STATEMENT, Outcome.VERIFIED, summary, evidence)
    return Verdict("O3", STATEMENT, Outcome.QUALIFIED, summary, evidence)
