"""The rules by which measurements decide, each with the case that it is there for."""

from dataclasses import replace

import pytest

from tdn_theory.evidence import FALL, ROUNDS, SEEDS, GivenNetworks, Timing, Training, Z, beyond, fall, measured, proven
from tdn_theory.finding import Finding, Outcome, Strength

GOOD = Training(seeds=SEEDS, fall=FALL, unseen=True)


def decided(
    *evidence: Training | Timing | GivenNetworks, outcome: Outcome = Outcome.VERIFIED
) -> tuple[Outcome, Strength | None]:
    found = measured(evidence, outcome, "so", ())
    return found.outcome, found.strength


@pytest.mark.parametrize("outcome", [Outcome.VERIFIED, Outcome.REFUTED, Outcome.QUALIFIED])
def test_good_evidence_decides(outcome: Outcome):
    assert decided(GOOD, outcome=outcome) == (outcome, Strength.SCALED)
    assert decided(Timing(ROUNDS), outcome=outcome) == (outcome, Strength.SCALED)


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"seeds": SEEDS - 1}, "seeds"),
        ({"seeds": 1}, "1 seed where"),
        ({"fall": None}, "no learning curve"),
        ({"fall": 2 * FALL}, "not converged"),
        ({"unseen": False}, "trained on"),
    ],
)
def test_each_doubt_alone_leaves_it_undecided_and_is_told(change: dict, doubt: str):
    found = measured([replace(GOOD, **change)], Outcome.VERIFIED, "so", ())
    assert (found.outcome, found.strength) == (Outcome.UNDECIDED, None)
    assert doubt in found.caveat


def test_too_few_rounds_decide_nothing():
    assert decided(Timing(ROUNDS - 1)) == (Outcome.UNDECIDED, None)


def test_given_networks_decide_if_there_are_enough():
    assert decided(GivenNetworks(SEEDS)) == (Outcome.VERIFIED, Strength.SCALED)
    found = measured([GivenNetworks(1)], Outcome.VERIFIED, "so", ())
    assert (found.outcome, found.caveat) == (Outcome.UNDECIDED, "1 sample where 3 make an error bar")


def run(seed: int, last: float = 1.0, **more: str) -> dict:
    """Whose curve falls from 1 to `last`."""
    return {"seed": seed, "validation": [2.0, 1.0, 1.0, 1.0, last], "split": "group", **more}


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run(0), run(1), run(2), run(2)], Training(3, 0.0, True)),
        ([run(0), run(1, last=0.5)], Training(2, 0.5, True)),  # the largest fall
        ([run(0), run(1, split="structure")], Training(2, 0.0, False)),
        ([{"seed": 0}], Training(1, None, False)),  # what is not recorded is not shown
        ([run(0), {"seed": 1, "split": "group"}], Training(2, None, True)),
        ([run(0), {"seed": 1, "split": "group", "validation": [1.0]}], Training(2, None, True)),
    ],
)
def test_runs_show_what_they_recorded(runs: list[dict], expected: Training):
    assert Training.of(runs) == expected
    assert Training.of(runs, papers_scale=True) == replace(expected, papers_scale=True)


def test_the_weakest_part_counts():
    assert decided(GOOD, Timing(ROUNDS - 1)) == (Outcome.UNDECIDED, None)
    full = replace(GOOD, papers_scale=True)
    assert decided(full, Timing(ROUNDS, papers_scale=True)) == (Outcome.VERIFIED, Strength.PAPERS_SCALE)
    assert decided(full, Timing(ROUNDS)) == (Outcome.VERIFIED, Strength.SCALED)


def test_what_the_numbers_leave_open_stays_open():
    assert decided(GOOD, outcome=Outcome.UNDECIDED) == (Outcome.UNDECIDED, None)


def test_a_caveat_of_its_own_stays_beside_the_doubts():
    found = measured([replace(GOOD, seeds=1)], Outcome.VERIFIED, "so", (), caveat="on one machine")
    assert found.caveat.endswith("; on one machine")


@pytest.mark.parametrize(
    ("difference", "error", "expected"),
    [(3.0, 1.0, True), (Z, 1.0, False), (1.0, 1.0, False), (-3.0, 1.0, False), (3.0, None, False)],
)
def test_an_effect_is_beyond_its_error(difference: float, error: float | None, expected: bool):
    assert beyond(difference, error) is expected


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([5.0, 4.0, 3.0, 2.0, 1.0], 0.5),  # still falling
        ([5.0, 4.0, 3.0, 3.0, 3.0], 0.0),
        ([5.0, 1.0, 3.0, 3.0, 3.0], 0.0),  # the best is kept, so what comes after it does not matter
        ([4.0] * 8 + [3.0, 2.0], 0.5),
        ([4.0, 3.0, 2.0, 1.0], None),
    ],
)
def test_the_fall_of_a_learning_curve(curve: list[float], expected: float | None):
    assert fall(curve) == expected


def test_a_proof_decides_if_all_its_steps_hold():
    """One that fails is named and refutes nothing; no steps are no proof."""
    steps = [{"claim": "a = b", "holds": True}, {"claim": "b = c", "holds": False}]
    assert proven(steps[:1], Outcome.REFUTED, "so", (), "but") == Finding(
        Outcome.REFUTED, Strength.PROOF, "so", (), "but"
    )
    for given, sentence, caveat in (
        (steps, "1 of 2 steps of the proof hold.", "b = c"),
        ([], "0 of 0 steps of the proof hold.", ""),
    ):
        assert proven(given, Outcome.VERIFIED, "so", ()) == Finding(Outcome.UNDECIDED, None, sentence, (), caveat)
