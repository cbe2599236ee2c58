"""Findings: what they may be, how they are kept, and when two of them agree."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdn_theory.finding import LONGEST_SENTENCE, Finding, Number, Outcome, Row, Strength
from tests.assertions import refuses

numbers = st.builds(
    Number,
    st.floats(-1e6, 1e6),
    st.none() | st.floats(0, 10),
    st.sampled_from(["", "meV"]),
    st.sampled_from([".3g", ".1f"]),
)
cells = numbers | st.text(max_size=9)
rows = st.builds(Row, st.text(max_size=9), cells, cells)


@st.composite
def findings(draw) -> Finding:
    outcome = draw(st.sampled_from(Outcome))
    strength = None if outcome is Outcome.UNDECIDED else draw(st.sampled_from(Strength))
    table = tuple(draw(st.lists(rows, max_size=3)))
    return Finding(outcome, strength, draw(st.text(max_size=LONGEST_SENTENCE)), table, draw(st.text(max_size=9)))


@given(findings())
def test_a_finding_is_read_as_it_was_written(finding: Finding):
    assert Finding.from_json(json.loads(json.dumps(finding.as_json()))) == finding


@given(findings())
def test_a_finding_agrees_with_itself(finding: Finding):
    one_of_each = {row.what: row for row in finding.table}
    alone = Finding(finding.outcome, finding.strength, finding.sentence, tuple(one_of_each.values()))
    assert alone.differences(alone) == []


@pytest.mark.parametrize(("outcome", "strength"), [(Outcome.VERIFIED, None), (Outcome.UNDECIDED, Strength.SCALED)])
def test_exactly_the_undecided_have_no_strength(outcome: Outcome, strength: Strength | None):
    with refuses(ValueError, outcome.value, "exactly the undecided have none"):
        Finding(outcome, strength, "so")


def test_a_long_sentence_is_refused():
    with refuses(ValueError, str(LONGEST_SENTENCE + 1), "table"):
        Finding(Outcome.UNDECIDED, None, "x" * (LONGEST_SENTENCE + 1))


@pytest.mark.parametrize(("value", "error"), [(float("nan"), None), (1.0, float("inf"))])
def test_what_is_no_number_is_refused(value: float, error: float | None):
    with refuses(ValueError, "finite", "words"):
        Number(value, error)


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (Number(1.0, 0.1), False),
        (Number(1.2, 0.1), False),
        (Number(1.5, 0.1), True),
        (Number(1.5), True),
        ("1.5", False),  # words are not compared
    ],
)
def test_numbers_that_differ_by_more_than_their_errors_are_told(before: Number | str, told: bool):
    def finding(cell: Number | str) -> Finding:
        return Finding(Outcome.VERIFIED, Strength.SCALED, "so", (Row("ratio", "", cell),))

    differences = finding(Number(1.0, 0.1)).differences(finding(before))
    assert bool(differences) is told
    assert all("ratio" in difference for difference in differences)


def test_another_outcome_or_strength_is_told():
    mine = Finding(Outcome.VERIFIED, Strength.SCALED, "so")
    assert mine.differences(Finding(Outcome.REFUTED, Strength.SCALED, "so")) == ["verified here, refuted there"]
    assert mine.differences(Finding(Outcome.VERIFIED, Strength.PROOF, "so")) == ["scaled here, proof there"]


def test_a_number_from_a_record():
    """Mean and standard error, in another unit if asked for; one seed has no error."""
    found = {"mean": 0.0331, "standard_error": 0.002, "seeds": 3}
    assert str(Number.of(found, "%", ".2g", times=100)) == "3.3 ± 0.2 %"
    assert Number.of({**found, "standard_error": None}) == Number(0.0331)


def test_errors_are_written_out():
    assert str(Number(589.0, 38.7, form=".0f")) == "589 ± 40"
    assert str(Number(1e-14, 3e-16)) == "1e-14 ± 3e-16"
