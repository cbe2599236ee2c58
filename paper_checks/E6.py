"""E6: the sampled equivariance error beside its exact mean square."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.records import Record

READS = ("F3b",)

Z = 5.0
"""Standard errors within which sampled and exact mean squares must agree."""

EXACT = 1e-9
"""Relative error below which a decomposition is exact: its error is roundoff, which the formula does not describe."""


def judge(records: Mapping[str, Record]) -> Finding:
    """Does the sampled mean square agree with `2 ||Mhat - P Mhat||^2` wherever the product is not exact?"""
    values = records["F3b"].values
    inexact = [p for p in values["points"] if p["rms_error"] > EXACT * p["output_rms"]]
    cases = {(p["L"], p["R"]): p for p in inexact}.values()
    off = max(abs(p["sampled_mean_square"] - p["rms_error"] ** 2) / p["sampled_mean_square_se"] for p in cases)
    left = max(p["sampled_mean_square_se"] / p["sampled_mean_square"] for p in cases)
    largest, smallest = max(p["output_rms"] for p in cases), min(p["output_rms"] for p in cases)
    table = (
        Row("products compared", "", Number(len(cases), form="d")),
        Row("largest difference, standard errors", "", f"{off:.1f}"),
        Row(f"error left by {values['samples']} samples", "", f"up to {100 * left:.1f} %"),
    )
    if off > Z:
        sentence = f"Sampled mean squares differ from 2 ||Mhat - P Mhat||^2 by up to {off:.1f} standard errors."
        return Finding(Outcome.UNDECIDED, None, sentence, table)
    return Finding(
        Outcome.VERIFIED,
        Strength.PAPERS_SCALE,
        f"Mean squares of {values['samples']} samples agree with the exact 2 ||Mhat - P Mhat||^2, P the projection on "
        f"equivariant tensors, within {off:.1f} standard errors.",
        table,
        f"it is not relative: outputs grow with ||M||, from {smallest:.1f} to {largest:.1f} over these L",
    )
