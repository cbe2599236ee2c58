"""Figures read their records and nothing else, and every committed picture has its record."""

from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest
from tdn_theory.verdict import Outcome

from tdn_theory import checkout
from tdn_theory.files import read_json
from tdn_theory.reproduction import BENCHMARKS, TRAINED, draw

matplotlib.use("Agg")


def measured() -> list[str]:
    """Figures with a record; only those that a plain reproduction leaves out may still wait for their machine."""
    aside, folder = {*BENCHMARKS.values(), *TRAINED}, checkout.ROOT / "figures"
    return [n for n in checkout.names("figures") if n not in aside or (folder / f"{n}.json").exists()]


@pytest.mark.parametrize("name", measured())
def test_committed_record_draws(name):
    record = checkout.ROOT / "figures" / f"{name}.json"
    figure = checkout.load("figures", name).plot(read_json(record))
    width, _ = figure.get_size_inches()
    assert width <= 7.2, "wider than two journal columns"
    for axis in figure.axes:
        assert axis.get_xlabel()
        assert axis.get_ylabel()
    matplotlib.pyplot.close(figure)


@pytest.mark.parametrize("name", measured())
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
                draw("F", record)
            if isinstance(target, Path):
                target.write_bytes(b"picture")
            else:
                target.write(b"picture")

    monkeypatch.setattr(checkout, "load", lambda *_: SimpleNamespace(plot=lambda _: Picture()))
    assert draw("F", record).read_bytes() == b"picture"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["F.json", "F.png", "F.svg"]


@pytest.mark.parametrize("name", checkout.names("paper_checks"))
def test_every_claim_has_a_statement_and_a_recorded_verdict(name):
    module = checkout.load("paper_checks", name)
    record = read_json(checkout.ROOT / "paper_checks" / f"{name}.json")
    assert record["statement"] == module.STATEMENT
    assert record["claim"] == name
    assert Outcome(record["outcome"])
    assert record["evidence"]
