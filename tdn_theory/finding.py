"""What a check finds about a claim: an outcome and its strength, one sentence, a small table, a caveat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import hypot, isfinite
from typing import Any

LONGEST_SENTENCE = 200
"""Characters: three lines of a terminal."""


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


class Strength(StrEnum):
    """What an outcome rests on."""

    PROOF = "proof"
    """Exact arithmetic, for every input, up to the degree that the finding names."""
    PAPERS_SCALE = "paper's scale"
    """Measured in the paper's setting."""
    SCALED = "scaled"
    """Measured in a smaller setting, by the rules of `tdn_theory.evidence`."""


@dataclass(frozen=True)
class Number:
    """A number of a table.

    Attributes:
        value: The number.
        error: Standard error, or half the spread; None if it is exact or nothing is known of its error.
        unit: Unit, printed behind it.
        form: How it is printed, as in format specifications.
    """

    value: float
    error: float | None = None
    unit: str = ""
    form: str = ".3g"

    def __post_init__(self) -> None:
        if not isfinite(self.value) or not (self.error is None or isfinite(self.error)):
            raise ValueError(f"a table shows finite numbers, not {self.value} ± {self.error}; say it in words")

    @classmethod
    def of(cls, found: Mapping[str, Any], unit: str = "", form: str = ".3g", times: float = 1.0) -> Number:
        """From a `mean` and its `standard_error`, as records hold them, in another unit if `times` is not 1."""
        error = found["standard_error"]
        return cls(times * found["mean"], None if error is None else times * error, unit, form)

    def __str__(self) -> str:
        """Value, error and unit.

        >>> print(Number(26.4, 0.3, "meV/Å"), Number(589, 38.7, form=".0f"), sep=", ")
        26.4 ± 0.3 meV/Å, 589 ± 40
        """
        error = "" if self.error is None else f" ± {float(f'{self.error:.1g}'):g}"  # one digit, 20 rather than 2e+01
        return f"{self.value:{self.form}}{error}{' ' if self.unit else ''}{self.unit}"

    def agrees(self, other: Number) -> bool:
        """Whether two measurements of one thing differ by no more than three standard errors, or 1e-6 relatively."""
        allowed = max(3 * hypot(self.error or 0.0, other.error or 0.0), 1e-6 * abs(self.value))
        return abs(self.value - other.value) <= allowed


@dataclass(frozen=True)
class Row:
    """A line of the table of a finding.

    Attributes:
        what: What is compared.
        paper: What the paper says; empty if it says nothing.
        here: What was found.
    """

    what: str
    paper: Number | str
    here: Number | str


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        outcome: Verified, refuted, qualified or undecided.
        strength: What that rests on; None exactly if it is undecided.
        sentence: Why, in one sentence.
        table: The deciding numbers beside the paper's.
        caveat: What the reader must know besides; empty if nothing.

    Raises:
        ValueError: A decided outcome without a strength or an undecided one with one, or a sentence that is too long.
    """

    outcome: Outcome
    strength: Strength | None
    sentence: str
    table: tuple[Row, ...] = ()
    caveat: str = ""

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.UNDECIDED) != (self.strength is None):
            raise ValueError(f"{self.outcome} with strength {self.strength}: exactly the undecided have none")
        if len(self.sentence) > LONGEST_SENTENCE:
            raise ValueError(
                f"the sentence has {len(self.sentence)} characters, at most {LONGEST_SENTENCE} are read; numbers "
                f"belong into the table: {self.sentence}"
            )

    def as_json(self) -> dict[str, Any]:
        """The finding as a JSON object, which `from_json` reads."""

        def cell(content: Number | str) -> Any:
            return content if isinstance(content, str) else dict(vars(content))

        return {
            "outcome": self.outcome.value,
            "strength": None if self.strength is None else self.strength.value,
            "sentence": self.sentence,
            "table": [{"what": row.what, "paper": cell(row.paper), "here": cell(row.here)} for row in self.table],
            "caveat": self.caveat,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Finding:
        """The finding that `as_json` wrote."""

        def cell(content: Any) -> Number | str:
            return content if isinstance(content, str) else Number(**content)

        return cls(
            Outcome(content["outcome"]),
            None if content["strength"] is None else Strength(content["strength"]),
            content["sentence"],
            tuple(Row(row["what"], cell(row["paper"]), cell(row["here"])) for row in content["table"]),
            content["caveat"],
        )

    def differences(self, other: Finding) -> list[str]:
        """What another finding on the same claim says otherwise: outcome, strength, numbers beyond their errors."""
        found = [
            f"{mine} here, {theirs} there"
            for mine, theirs in ((self.outcome, other.outcome), (self.strength, other.strength))
            if mine != theirs
        ]
        known = {row.what: row.here for row in other.table}
        for row in self.table:
            before = known.get(row.what)
            if isinstance(row.here, Number) and isinstance(before, Number) and not row.here.agrees(before):
                found.append(f"{row.what}: {row.here} here, {before} there")
        return found
