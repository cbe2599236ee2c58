"""O4: dipole moments and polarizabilities."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import GivenNetworks, Training, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.records import Record

READS = ("properties",)

LABELS = {"dipole": "dipoles", "polarizability": "polarizabilities"}
EXACT = 1e-7
"""Relative change under rotation up to which predictions are equivariant to roundoff, in float64."""

LOSS = 1.05
"""Errors relative to the exact product's that count as equal: the paper's for energies and forces are up to 1.04."""


def judge(records: Mapping[str, Record]) -> Finding:
    """How nearly predictions at R = 7 L^2 turn with the molecule, and their errors against the exact product's."""
    values = records["properties"].values
    rows = {(row["method"], row["rank"]): row for row in values["summary"]}
    paper, exact = rows["cp", values["paper_rank"]], rows["exact", None]
    roundoff = max(rows[key][label]["relative_change"]["mean"] for key in rows if key[0] != "cp" for label in LABELS)
    useless = [label for label in LABELS if exact[label]["rmse"]["mean"] >= exact[label]["without_network"]["mean"]]
    changes = {label: Number.of(paper[label]["relative_change"], "%", ".2g", 100) for label in LABELS}
    ratios = {label: paper[label]["turned_rmse_ratio_to_exact"] for label in LABELS}
    table = (
        *(Row(f"{LABELS[label]}, relative change (rms)", "", changes[label]) for label in LABELS),
        Row("exact products, the same, at most", "", Number(roundoff, form=".0e")),
        *(Row(f"{LABELS[label]}, error over exact", "", Number.of(ratios[label])) for label in LABELS),
        *(
            Row(
                f"{LABELS[label]}, exact: error over that without network",
                "",
                Number(exact[label]["rmse"]["mean"] / exact[label]["without_network"]["mean"]),
            )
            for label in LABELS
        ),
    )
    given, training = GivenNetworks(ratios["dipole"]["seeds"]), Training.of(values["rows"])
    told = " and ".join(f"{LABELS[label]} by {changes[label]}" for label in LABELS)
    sentence = (
        f"A rotation changes predictions at L = 2, R = {values['paper_rank']}: {told} (rms); exact products change "
        f"them by {roundoff:.0e}."
    )
    if roundoff > EXACT or useless:
        problem = (
            f"nothing is learnt of {', '.join(useless)}" if useless else "exact products are off: not measured right"
        )
        return measured([given], Outcome.UNDECIDED, sentence, table, problem)
    doubts = training.doubts()
    if not doubts and any(beyond(ratio["mean"] - LOSS, ratio["standard_error"]) for ratio in ratios.values()):
        sentence = f"At L = 2, R = {values['paper_rank']} errors are above {LOSS} times the exact product's."
        return measured([given, training], Outcome.REFUTED, sentence, table)
    changed = any(
        beyond(paper[label]["relative_change"]["mean"] - EXACT, paper[label]["relative_change"]["standard_error"])
        for label in LABELS
    )
    caveat = f"accuracy is open: {'; '.join(doubts)}" if doubts else ""
    return measured([given], Outcome.QUALIFIED if changed else Outcome.UNDECIDED, sentence, table, caveat)
