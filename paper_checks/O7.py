"""O7: how consistent forces on catalysts are under rotations of atoms and cell."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import GivenNetworks, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.records import Record

READS = ("catalyst_forces",)

REAL = ("OC20", "OC22")
"""What the question is about; the shipped surfaces are not."""

EXACT = 1e-7
"""Relative change of forces under rotation up to which they are consistent to roundoff, in float64."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Spread of forces over orientations at R = 7, L = 1, on real frames, beside the exact product's roundoff."""
    values = records["catalyst_forces"].values
    rows = {(row["source"], row["forces"], row["method"]): row for row in values["summary"]}
    roundoff = max(row["relative"]["mean"] for (_, _, method), row in rows.items() if method == "exact")
    low = {key[:2]: row for key, row in rows.items() if key[2] == "cp"}
    table = (
        *(
            Row(f"{source}, {forces} forces, relative spread", "", Number.of(row["relative"], "%", ".2g", 100))
            for (source, forces), row in low.items()
        ),
        Row("exact product, the same, at most", "", Number(roundoff, form=".0e")),
        *(
            Row(f"{source}, {forces} forces, spread by their error", "", Number.of(row["of_error"], "%", ".2g", 100))
            for (source, forces), row in low.items()
        ),
        *(
            Row(f"{source}, {forces} forces, worst found", "", Number.of(row["worst"], "meV/Å"))
            for (source, forces), row in low.items()
        ),
    )
    errors = [row["error"]["mean"] for row in low.values()]
    caveat = (
        f"networks of {values['steps']} steps, whose forces are off by {min(errors):.0f} to {max(errors):.0f} meV/Å"
    )
    real = {key: row for key, row in low.items() if key[0] in REAL}
    given = GivenNetworks(min(row["relative"]["seeds"] for row in (real or low).values()))
    if not real:
        sentence = "No frame of OC20 or OC22 is at hand; on the shipped surfaces forces at R = 7 turn as in the table."
        return measured([given], Outcome.UNDECIDED, sentence, table, caveat)
    if roundoff > EXACT:
        sentence = f"The exact product's forces change by {roundoff:.0e} under rotation: not measured right."
        return measured([given], Outcome.UNDECIDED, sentence, table, caveat)
    missing = [source for source in REAL if source not in {key[0] for key in real}]
    if missing:
        caveat += f"; not at hand: {', '.join(missing)}"
    spreads = [row["relative"]["mean"] for row in real.values()]
    named = " and ".join(source for source in REAL if source not in missing)
    sentence = (
        f"On real frames of {named}, forces at R = 7, L = 1, spread by {100 * min(spreads):.1g} to "
        f"{100 * max(spreads):.1g} % over the orientations; exact products' by {roundoff:.0e}."
    )
    relative = [row["relative"] for row in real.values()]
    if all(number["mean"] <= EXACT for number in relative):
        outcome = Outcome.VERIFIED
    else:
        changed = all(beyond(number["mean"] - EXACT, number["standard_error"]) for number in relative)
        outcome = Outcome.QUALIFIED if changed else Outcome.UNDECIDED
    return measured([given], outcome, sentence, table, caveat)
