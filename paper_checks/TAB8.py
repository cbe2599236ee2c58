"""TAB8: on the n-body system, errors against the rank of the product, and equivariance errors beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import Training, beyond, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import NBODY
from tdn_theory.records import Record

READS = ("TAB8",)

AGREES = 0.0040 / 0.0038
"""Error at R = 28 relative to that without CP, in the paper."""

EXACT = 1e-10
"""Relative equivariance error of a product up to which it is roundoff."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Compare test errors, seed by seed, with those of the exact product, and equivariance errors with the paper's."""
    values = records["TAB8"].values
    cp = {row["rank"]: row for row in values["rows"] if row["kind"] == "cp"}
    exact = next(row for row in values["rows"] if row["kind"] == "exact")
    atlas = next(row for row in values["rows"] if row["kind"] == "atlas")
    low, at_28 = (cp[rank]["ratio_to_exact"] for rank in (10, 28))
    epochs, full = values["protocol"]["epochs"], values["protocol"]["epochs"] >= values["paper_epochs"]
    least = min(rank for rank, row in cp.items() if row["rms_error"] <= EXACT)
    papers = {int(rank): row for rank, row in NBODY.items() if rank.isdigit()}
    claimed = [(cp[rank], row) for rank, row in papers.items() if rank in cp and row["error"] is not None]
    table = (
        *(
            Row(f"test error, R = {r}", _given(papers.get(r, {}).get("mse")), Number.of(row["test_mse"]))
            for r, row in cp.items()
        ),
        Row("test error, without CP", _given(NBODY["without CP"]["mse"]), Number.of(exact["test_mse"])),
        Row(f"test error, R = {atlas['rank']}, exact with other path weights", "", Number.of(atlas["test_mse"])),
        *(
            Row(
                f"relative equivariance error, R = {row['rank']}",
                _given(paper["error"]),
                Number(row["rms_error"], form=".2g"),
            )
            for row, paper in claimed
        ),
        Row(
            "least R with no equivariance error", "81 (below .01)", f"{least}; {atlas['rank']} with other path weights"
        ),
    )
    length = f"After {epochs} of {values['paper_epochs']} epochs"
    sentence = (
        f"{length} the test error at R = 10 is {low['mean']:.2f} and at R = 28 {at_28['mean']:.2f} times that without "
        f"CP; no equivariance error is left from R = {least} on, not from 81."
    )
    # test trajectories are drawn by themselves, so none was trained on
    runs = [run for row in values["rows"] for run in row["runs"]]
    training = Training.of(
        (
            {"seed": run["seed"], "validation": [point["validation"] for point in run["history"]], "split": "group"}
            for run in runs
        ),
        papers_scale=full,
    )
    if not beyond(low["mean"] - 1, low["standard_error"]) or beyond(at_28["mean"] - AGREES, at_28["standard_error"]):
        outcome = Outcome.REFUTED
    else:
        outcome = Outcome.VERIFIED if least >= 81 else Outcome.QUALIFIED
    return measured([training], outcome, sentence, table, "equivariance errors of products need no training")


def _given(value: float | None) -> Number | str:
    return "" if value is None else Number(value)
