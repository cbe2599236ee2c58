"""Verdicts on the paper's claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What a check found."""

    VERIFIED = "verified"
    """The claim holds as stated, wherever it was tested."""
    REFUTED = "refuted"
    """A counterexample or a proof shows that the claim is false as stated."""
    QUALIFIED = "qualified"
    """True, but only with a restriction, or in a sense, that the paper does not say."""
    UNDECIDED = "undecided"
    """The evidence settles it neither way."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of checking one claim.

    Attributes:
        claim: Identifier of the claim, e.g. `"T1"`.
        statement: What the paper says, in one line.
        outcome: What was found.
        summary: Why, in a sentence or two, with the deciding numbers.
        evidence: Every number behind it (JSON-compatible).
    """

    claim: str
    statement: str
    outcome: Outcome
    summary: str
    evidence: dict[str, Any] = field(default_factory=dict)
