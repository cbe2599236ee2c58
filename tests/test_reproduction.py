"""What a reproduction runs, where it reads, and what it says about that."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tdn_theory import checkout, reproduction
from tdn_theory.finding import Finding, Number, Outcome, Row, Strength
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.reproduction import Reproduction, Selection
from tdn_theory.study import Cost, Study
from tests.assertions import refuses


def run(size: dict, seed: int, jobs: Jobs) -> dict:
    return {"n": size["n"] + seed, "device": jobs.device}


def study(name: str, cost: Cost, any_device: bool = False) -> Study:
    order = (Preset.SMALLEST, Preset.QUICK, Preset.FULL, Preset.HOURS)
    return Study(name, f"{name}, counted", cost, {preset: {"n": n} for n, preset in enumerate(order)}, run, any_device)


STUDIES = {
    s.id: s for s in (study("F9", Cost.COMPUTED), study("TAB8", Cost.TRAINED, True), study("race", Cost.TIMED, True))
}


def judge(records) -> Finding:
    n = records["TAB8"].values["n"]
    return Finding(
        Outcome.VERIFIED if n < 5 else Outcome.REFUTED, Strength.SCALED, f"n is {n}", (Row("n", "", Number(n)),)
    )


CHECKS = {
    "TAB8": SimpleNamespace(READS=("TAB8",), judge=judge),
    "T1": SimpleNamespace(READS=("TAB8", "F9"), judge=judge),
}


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of three studies and two claims; a record of TAB8 is committed."""
    monkeypatch.setattr(reproduction, "studies", lambda: STUDIES)
    monkeypatch.setattr(checkout, "names", lambda folder: sorted(CHECKS) if folder == "paper_checks" else [])
    monkeypatch.setattr(checkout, "load", lambda folder, name: CHECKS[name])
    root = tmp_path / "checkout"
    monkeypatch.setattr(checkout, "ROOT", root)
    (root / "figures").mkdir(parents=True)
    committed = STUDIES["TAB8"].record(Preset.FULL, 0, Jobs(tmp_path))
    committed["provenance"] |= {"time": "2026-01-02T03:04:05+00:00", "device": "an old machine"}
    (root / "figures" / "TAB8.json").write_text(json.dumps(committed))
    return root


@pytest.mark.parametrize(
    ("ids", "device", "studies", "claims"),
    [
        ([], "cpu", ("F9",), ("T1", "TAB8")),
        ([], "cuda", ("TAB8", "race"), ()),
        (["f9"], "cpu", ("F9",), ()),
        (["t1"], "cpu", ("F9",), ("T1",)),  # what it reads and takes no time is computed
        (["tab8"], "cpu", ("TAB8",), ("TAB8",)),  # what is named is run, whatever it takes
    ],
)
def test_selection(ids: list[str], device: str, studies: tuple, claims: tuple):
    assert Selection.of(ids, device) == Selection(studies, claims)


def test_what_is_not_examined_has_its_answer():
    for name in ("TAB9", "tab9"):
        assert Selection.of([name]).not_examined == ("TAB9",)


def test_a_data_set_stands_for_its_table(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tdn_theory.reproduction.OTHER_NAMES", {"n-body": "TAB8"})
    assert Selection.of(["N-body"]) == Selection.of(["TAB8"])


def test_an_unknown_id_names_the_nearest():
    with refuses(LookupError, "'TAB88'", "the nearest: TAB8"):
        Selection.of(["TAB88"])


def test_a_verdict_reads_the_run_that_it_belongs_to(tmp_path: Path):
    """The committed record says one thing, the run's own another."""
    out = tmp_path / "out"
    before = Reproduction(out).check("TAB8")
    assert before.finding.sentence == "n is 2"
    assert before.origins == {"TAB8": "record of 2026-01-02 on an old machine, full"}
    own = Reproduction(out, seed=7)
    own.run("TAB8")
    after = own.check("TAB8")
    assert (after.finding.outcome, after.finding.sentence) == (Outcome.REFUTED, "n is 8")
    assert after.origins == {"TAB8": "recomputed here"}
    assert json.loads((out / "paper_checks" / "TAB8.json").read_text())["reads"][0]["preset"] == "quick"


def test_a_later_run_does_not_call_it_recomputed(tmp_path: Path):
    Reproduction(tmp_path / "out").run("TAB8")
    verdict = Reproduction(tmp_path / "out").check("TAB8")
    assert verdict.finding.sentence == "n is 1"
    assert verdict.origins["TAB8"].startswith("record of ")


def test_what_was_not_measured_is_undecided(house: Path, tmp_path: Path):
    verdict = Reproduction(tmp_path / "out").check("T1")
    assert verdict.finding.outcome is Outcome.UNDECIDED
    assert "F9" in verdict.finding.sentence
    assert "tdn-theory reproduce F9" in verdict.finding.caveat


def test_the_smallest_size_decides_nothing(tmp_path: Path):
    run = Reproduction(tmp_path, Preset.SMALLEST)
    run.run("TAB8")
    finding = run.check("TAB8").finding
    assert (finding.outcome, finding.strength) == (Outcome.UNDECIDED, None)
    assert "smallest" in finding.caveat


def test_differences_from_the_committed_verdict_are_told(house: Path, tmp_path: Path):
    committed = Reproduction(house).check("TAB8")
    assert committed.differences is None
    assert Reproduction(tmp_path / "same").check("TAB8").differences == []
    other = Reproduction(tmp_path / "other", seed=7)
    other.run("TAB8")
    assert other.check("TAB8").differences == ["refuted here, verified there", "n: 8 here, 2 there"]


def test_a_record_says_what_was_run(tmp_path: Path):
    record = json.loads(Reproduction(tmp_path, Preset.SMALLEST, seed=3).run("F9").read_text())
    assert (record["id"], record["preset"], record["size"]) == ("F9", "smallest", {"n": 0})
    assert record["title"] == "F9, counted"
    assert record["provenance"]["seed"] == 3
    assert record["values"]["n"] == 3


def test_jobs_of_hours_are_kept_beside_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    monkeypatch.setattr(reproduction, "Jobs", lambda *given: kept.append(given[-1]) or Jobs(*given))
    for preset in (Preset.HOURS, Preset.QUICK):
        Reproduction(tmp_path, preset).run("TAB8")
    assert kept == [tmp_path / "figures" / "units" / "TAB8", None]


def test_a_size_that_a_study_lacks_is_refused(tmp_path: Path) -> None:
    short = Study("F9", "counted", Cost.COMPUTED, {Preset.QUICK: {"n": 1}}, run)
    with refuses(LookupError, "F9", "'hours'", "quick"):
        short.record(Preset.HOURS, 0, Jobs(tmp_path))
