"""Figures read their records and nothing else, and every committed picture has its record."""

from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest

from tdn_theory import checkout
from tdn_theory.experiments import studies
from tdn_theory.files import read_json
from tdn_theory.finding import Finding
from tdn_theory.paper import NOT_EXAMINED, STATEMENTS
from tdn_theory.records import Records
from tdn_theory.reproduction import draw, judge, reads
from tdn_theory.study import Cost

matplotlib.use("Agg")


RECORDED = sorted(file.stem for file in (checkout.ROOT / "figures").glob("*.json"))
DRAWN = [name for name in checkout.names("figures") if name in RECORDED]


@pytest.mark.parametrize("name", DRAWN)
def test_committed_record_draws(name):
    record = checkout.ROOT / "figures" / f"{name}.json"
    figure = checkout.load("figures", name).plot(read_json(record))
    width, _ = figure.get_size_inches()
    assert width <= 7.2, "wider than two journal columns"
    for axis in figure.axes:
        assert axis.get_xlabel()
        assert axis.get_ylabel()
    matplotlib.pyplot.close(figure)


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_is_committed_with_its_record(name):
    folder = checkout.ROOT / "figures"
    for kind in ("json", "png", "svg"):
        assert (folder / f"{name}.{kind}").exists()
    assert read_json(folder / f"{name}.json")["id"] == name


def test_a_figure_is_drawn_by_two_runs_at_once(tmp_path, monkeypatch):
    """The second run begins and ends while the first one saves its picture."""
    record, runs = tmp_path / "F.json", [1]
    record.write_text("{}")

    class Picture:
        def savefig(self, target, **_):
            if runs and runs.pop():
                draw(record)
            if isinstance(target, Path):
                target.write_bytes(b"picture")
            else:
                target.write(b"picture")

    monkeypatch.setattr(checkout, "load", lambda *_: SimpleNamespace(plot=lambda _: Picture()))
    assert draw(record).read_bytes() == b"picture"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["F.json", "F.png", "F.svg"]


def test_every_figure_has_a_study_of_its_name():
    assert set(checkout.names("figures")) <= studies().keys()


def test_what_is_computed_in_minutes_has_a_committed_record():
    assert {study.id for study in studies().values() if study.cost is Cost.COMPUTED} <= set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_a_committed_record_is_of_clean_code(name):
    record = read_json(checkout.ROOT / "figures" / f"{name}.json")
    assert (record["id"], record["title"]) == (name, studies()[name].title)
    assert "dirty" not in record["provenance"]["commit"]


def test_every_claim_has_a_check_and_every_other_statement_a_reason():
    assert set(checkout.names("paper_checks")) == STATEMENTS.keys()
    assert not STATEMENTS.keys() & NOT_EXAMINED.keys()


@pytest.mark.parametrize("name", checkout.names("paper_checks"))
def test_the_committed_verdict_is_what_its_check_finds_in_the_committed_records(name):
    assert set(reads(name)) <= studies().keys()
    records = Records(checkout.ROOT / "figures")
    committed = read_json(checkout.ROOT / "paper_checks" / f"{name}.json")
    assert committed["id"] == name
    assert Finding.from_json(committed) == judge(name, records)
    assert [part["study"] for part in committed["reads"]] == [study for study in reads(name) if study in records]
