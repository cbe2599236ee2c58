"""O3: how consistent forces are under rotations, and what follows."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import GivenNetworks, Training, Z, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.records import Record

READS = ("force_consistency",)

NOISE = 1.0
"""meV/Angstrom: forces that change by less than this cannot be told apart where forces are converged to fmax."""

EXACT = 1e-7
"""Relative change of forces under rotation up to which they are consistent to roundoff, in float64."""

KINDS = ("relaxation", "rattled", "dynamics")


def judge(records: Mapping[str, Record]) -> Finding:
    """Changes of forces at R = 7 L^2, the worst found, and what they do, beside the exact product's roundoff."""
    values = records["force_consistency"].values
    paper = [row for row in values["summary"] if row["rank"] == values["paper_rank"][str(row["lmax"])]]
    exact = [row for row in values["summary"] if row["method"] in ("exact", "cubature")]
    roundoff = max(row[f"{kind}_relative"]["mean"] for row in exact for kind in KINDS)
    own = {row["forces"]: row for row in paper if row["lmax"] == 1}
    kept = own["conservative"]
    given = GivenNetworks(kept["worst"]["seeds"])
    changes = {forces: Number.of(row["relaxation_relative"], "%", ".2g", 100) for forces, row in own.items()}
    table = (
        *(Row(f"{forces} forces, relative change (rms), L = 1", "", change) for forces, change in changes.items()),
        Row("exact products, the same, at most", "", Number(roundoff, form=".0e")),
        *(Row(f"{f} forces, worst change found", "", Number.of(row["worst"], "meV/Å")) for f, row in own.items()),
        Row("energies of relaxed copies apart", "", Number.of(kept["relaxed_energy_spread"], "meV")),
        Row("geometries of relaxed copies apart", "", Number.of(kept["relaxed_distance"], "mÅ", times=1e3)),
        Row("relaxations that converged", "", Number.of(kept["relaxed_converged"], "%", ".0f", 100)),
        Row(
            f"angular momentum after {values['measures']['time']:.0f} fs, from 0",
            "",
            Number.of(kept["angular_momentum"], "hbar"),
        ),
    )
    caveat = f"networks of {values['steps']} steps; what converged ones do, in meV/Å and in relaxations, is open"
    if roundoff > EXACT:
        sentence = f"Exactly equivariant products change forces by {roundoff:.0e} under rotation: not measured right."
        return measured([given], Outcome.UNDECIDED, sentence, table, caveat)
    told = " and ".join(f"{forces} ones by {change}" for forces, change in changes.items())
    sentence = f"A rotation changes forces at R = 7, L = 1: {told} (rms); exact products change them by {roundoff:.0e}."
    worst = max(row["worst"]["mean"] + Z * (row["worst"]["standard_error"] or 0.0) for row in paper)
    if worst <= NOISE:
        return measured([given, Training.of(values["rows"])], Outcome.VERIFIED, sentence, table, caveat)
    changed = all(
        beyond(row["relaxation_relative"]["mean"] - EXACT, row["relaxation_relative"]["standard_error"])
        for row in own.values()
    )
    return measured([given], Outcome.QUALIFIED if changed else Outcome.UNDECIDED, sentence, table, caveat)
