"""The checks of theory, decompositions and products judge what is in the records, each outcome both ways.

Every case is the committed record, edited: what must flip an outcome flips it.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tdn_theory import checkout
from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments import measuring, studies
from tdn_theory.files import write_json
from tdn_theory.finding import Finding, Outcome, Strength
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.records import Record, Records

VERIFIED, REFUTED, QUALIFIED, UNDECIDED = Outcome.VERIFIED, Outcome.REFUTED, Outcome.QUALIFIED, Outcome.UNDECIDED
PROOF, PAPERS_SCALE, SCALED = Strength.PROOF, Strength.PAPERS_SCALE, Strength.SCALED

CLAIMS = ("E1", "E2", "E3", "E4", "E5", "E6", "T1", "T2", "T3", "T4", "T5", "T6", "T7", "F3c", "O6")

Values = dict[str, Any]
Edit = Callable[[dict[str, Values]], None]
COMMITTED = Records(checkout.ROOT / "figures")


def as_committed(values: dict[str, Values]) -> None:
    """Change nothing."""


def edited(claim: str, edit: Edit = as_committed) -> dict[str, Record]:
    """The committed records that a check reads, and no others, with changed values."""
    read = {study: COMMITTED[study] for study in checkout.load("paper_checks", claim).READS}
    values = {study: copy.deepcopy(dict(record.values)) for study, record in read.items()}
    edit(values)
    return {study: replace(record, values=values[study]) for study, record in read.items()}


def judged(claim: str, edit: Edit = as_committed) -> Finding:
    return checkout.load("paper_checks", claim).judge(edited(claim, edit))


def put(study: str, *path: Any, value: Any) -> Edit:
    """Set one entry, e.g. `put("E1", "rows", 0, "paths", value=4)`."""

    def edit(values: dict[str, Values]) -> None:
        *way, last = path
        place: Any = values[study]
        for step in way:
            place = place[step]
        place[last] = value

    return edit


def scale(study: str, where: Callable[[Values], list[dict[str, Any]]], key: str, factor: float) -> Edit:
    """Multiply a number in some rows."""

    def edit(values: dict[str, Values]) -> None:
        for row in where(values[study]):
            row[key] *= factor

    return edit


def together(*edits: Edit) -> Edit:
    def edit(values: dict[str, Values]) -> None:
        for each in edits:
            each(values)

    return edit


def rows(values: Values) -> list[dict[str, Any]]:
    return values["rows"]


def points(schedule: str) -> Callable[[Values], list[dict[str, Any]]]:
    return lambda values: [point for point in values["points"] if point["schedule"] == schedule]


def times(*methods: str) -> Callable[[Values], list[dict[str, Any]]]:
    """Forward times in F3c of methods with weights shared or not, at every shape of products with harmonics."""
    return lambda values: [u["methods"][m]["forward"] for u in values["units"] if u["mode"] == "uvu" for m in methods]


def path_parameters(shared: bool) -> Callable[[Values], list[dict[str, Any]]]:
    return lambda values: [
        entry
        for row in values["rows"]
        for entry in row["table"]
        if (entry["connection"], entry["method"], entry["shared"]) == ("uvu", "per_path", shared)
    ]


def connection(name: str) -> Callable[[Values], list[dict[str, Any]]]:
    return lambda values: [row[name] for row in values["rows"]]


def kind(name: str, above: bool | None = None) -> Callable[[Values], list[dict[str, Any]]]:
    """Rows of `cancellation`, of one kind; only those above or up to 7 L^2 if `above` is given."""
    return lambda values: [
        row
        for row in values["rows"]
        if row["kind"] == name and (above is None or (row["R"] > quadratic(row["L"])) == above)
    ]


last_step_fails = {claim: put(claim, "proof", -1, "holds", value=False) for claim in CLAIMS}

CASES = [
    ("E1", as_committed, VERIFIED, PROOF),
    ("E1", last_step_fails["E1"], UNDECIDED, None),
    ("E1", put("E1", "proof", value=[]), UNDECIDED, None),
    ("E2", as_committed, VERIFIED, PROOF),
    ("E2", last_step_fails["E1"], UNDECIDED, None),
    ("E2", put("E1", "rows", 5, "paths", value=174), REFUTED, PROOF),
    ("E2", put("E1", "rows", 0, "norm_squared", value=5.001), REFUTED, PROOF),
    ("E3", as_committed, VERIFIED, PAPERS_SCALE),
    ("E3", put("E3", "rows", 3, "relative_difference", value=1e-9), REFUTED, PAPERS_SCALE),
    ("E4", as_committed, VERIFIED, PROOF),
    ("E4", scale("cost", path_parameters(shared=False), "parameters", 2), REFUTED, PROOF),
    ("E4", scale("cost", path_parameters(shared=True), "parameters", 2), REFUTED, PROOF),
    ("E5", as_committed, QUALIFIED, PAPERS_SCALE),
    ("E5", scale("rank_table", rows, "free_weights", 2), VERIFIED, PAPERS_SCALE),
    ("E5", scale("F3a", points("7L^2"), "frobenius_error", 20), UNDECIDED, None),
    ("E6", as_committed, VERIFIED, PAPERS_SCALE),
    ("E6", scale("F3b", points("7L"), "rms_error", 1.5), UNDECIDED, None),
    ("E6", scale("F3b", points("7L"), "rms_error", 0.7), UNDECIDED, None),
    ("E6", scale("F3b", points("(L+1)^4"), "sampled_mean_square", 1e3), VERIFIED, PAPERS_SCALE),  # exact: left out
    ("T1", as_committed, QUALIFIED, PROOF),
    ("T1", last_step_fails["T1"], UNDECIDED, None),
    ("T1", put("T1", "rows", 2, "largest_error_found", value=100.0), REFUTED, PAPERS_SCALE),
    ("T1", put("T1", "rows", 1, "first_rank_below_trivial", value=64), VERIFIED, PROOF),
    ("T1", scale("T1", rows, "theorem_bound", 0.5), VERIFIED, PROOF),
    ("T2", as_committed, VERIFIED, PROOF),
    ("T2", last_step_fails["T2"], UNDECIDED, None),
    ("T2", put("T2", "lower_bound", 0, "holds", value=False), UNDECIDED, None),
    ("T3", as_committed, VERIFIED, PROOF),
    ("T3", last_step_fails["T3"], UNDECIDED, None),
    ("T4", as_committed, QUALIFIED, PROOF),
    ("T4", last_step_fails["T4"], UNDECIDED, None),
    ("T5", as_committed, REFUTED, PROOF),
    ("T5", put("rank_table", "rows", 0, "kruskal_limit", value=7), UNDECIDED, None),
    ("T6", as_committed, QUALIFIED, PROOF),
    ("T6", put("cost", "exponents", "uuu", "per_path", value=5.0), REFUTED, PROOF),
    ("T6", put("cost", "exponents", "uuu", "cp", value=5.0), REFUTED, PROOF),
    ("T6", put("cost", "rows", 4, "uvu", "y_first", value=10**9), VERIFIED, PROOF),
    ("T7", as_committed, VERIFIED, PROOF),
    ("T7", last_step_fails["T7"], UNDECIDED, None),
    ("F3c", as_committed, QUALIFIED, SCALED),
    ("F3c", scale("F3c", times("e3nn"), "median", 0.1), REFUTED, SCALED),
    ("F3c", scale("F3c", times("e3nn"), "median", 0.3), UNDECIDED, None),
    ("F3c", put("F3c", "units", 0, "methods", "e3nn", "forward", "rounds", value=8), UNDECIDED, None),
    ("O6", as_committed, QUALIFIED, PAPERS_SCALE),
    ("O6", scale("cancellation", kind("atlas"), "float32", 100), UNDECIDED, None),
    ("O6", scale("cancellation", kind("stored", above=True), "condition", 1e3), VERIFIED, PAPERS_SCALE),
]


@pytest.mark.parametrize(("claim", "edit", "outcome", "strength"), CASES)
def test_outcome_and_strength(claim: str, edit: Edit, outcome: Outcome, strength: Strength | None) -> None:
    found = judged(claim, edit)
    assert (found.outcome, found.strength) == (outcome, strength)


def test_every_check_is_tried_and_can_find_something_else() -> None:
    found = {claim: {outcome for name, _, outcome, _ in CASES if name == claim} for claim in CLAIMS}
    assert all(len(outcomes) > 1 for outcomes in found.values())


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_judgement_changes_no_record_and_comes_back_from_its_file(claim: str) -> None:
    records = edited(claim)
    before = copy.deepcopy({study: record.values for study, record in records.items()})
    found = checkout.load("paper_checks", claim).judge(records)
    assert {study: record.values for study, record in records.items()} == before
    assert Finding.from_json(found.as_json()) == found


def cell(claim: str, what: str, edit: Edit = as_committed) -> str:
    """What the table says on the first row whose name contains `what`."""
    return next(str(row.here) for row in judged(claim, edit).table if what in row.what)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """Records of the smallest size of all studies that these checks read."""
    folder, found = tmp_path_factory.mktemp("smallest"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDN_THEORY_STORE", str(folder / "store"))
        patch.setattr(measuring, "keep_memory", lambda: False)  # the test session keeps its own settings
        for study in {study for claim in CLAIMS for study in checkout.load("paper_checks", claim).READS}:
            write_json(folder / "record.json", studies()[study].record(Preset.SMALLEST, 0, Jobs(folder)))
            found[study] = Record.read(folder / "record.json")
    return found


@pytest.mark.parametrize("claim", CLAIMS)
def test_records_of_the_smallest_size_can_be_judged(smallest: dict[str, Record], claim: str) -> None:
    assert checkout.load("paper_checks", claim).judge(smallest).sentence


def test_ranks_are_quoted_where_they_lose_too() -> None:
    assert cell("E5", "exact, some path weights") == "7, 23, 66, 93, 184, 345"
    assert "need more terms than 7L^2 at L = 3, 5, 6" in judged("E5").caveat
    assert "at L = 2, 4 exact" in judged("E5").sentence


def test_bounds_stand_beside_what_they_bound() -> None:
    """Slices in pairs at L = 2 give 61 terms; a bound for weights 1 is no bound for other weights."""
    assert cell("T2", "any tensor").startswith("12, 61, 192")
    below = dict(
        zip(
            cell("T2", "any weights, all paths, lower").split(", "),
            cell("T2", "some weights, all paths, least").split(", "),
            strict=True,
        )
    )
    assert all(int(low) <= int(high) for low, high in below.items())


def test_kruskal_does_not_apply_but_terms_are_locally_unique() -> None:
    assert "locally unique, at L = 2 and 3" in judged("T5").sentence
    none = together(*(put("T5", "rows", n, "unique", value=False) for n in range(4)))
    assert "unique" not in judged("T5", none).sentence


def test_errors_found_are_upper_bounds() -> None:
    assert "bound those of best approximations from above" in judged("T6").caveat


def test_speed_ups_like_for_like() -> None:
    """Shared and per-path weights have rows of their own, named."""
    assert cell("F3c", "weights per path as in e3nn") == "2.1 to 3.3"
    assert cell("F3c", "CP, weights shared, L = 6").startswith("71.8")
    assert "freed memory kept" in judged("F3c").caveat
    slower = scale("F3c", times("exact"), "median", 100)
    assert "faster than CP at 0 of 6 L" in judged("F3c", slower).sentence


def test_judging_computes_nothing() -> None:
    """Neither torch nor sympy nor matplotlib is loaded."""
    code = (
        "import sys\nfrom tdn_theory import checkout\nfrom tdn_theory.records import Records\n"
        "records = Records(checkout.ROOT / 'figures')\n"
        f"for claim in {CLAIMS}: checkout.load('paper_checks', claim).judge(records)\n"
        "print(*{'torch', 'sympy', 'matplotlib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=checkout.ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
