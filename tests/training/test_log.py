"""The course of training: pictures that come often enough, and at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib import rc_context

from tdn_theory.training import log, loop
from tdn_theory.training.curves import draw_curves
from tdn_theory.training.log import Log

PNG = b"\x89PNG\r\n\x1a\n"


def rows(count: int, **changes: float) -> list[dict[str, float]]:
    names = ("training_loss", "validation_loss", "learning_rate", "validation_energy_mae", "validation_energy_rmse")
    return [{"epoch": k + 1, **dict.fromkeys(names, 1 / (k + 1)), **changes} for k in range(count)]


def test_a_picture_a_minute_and_one_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now, drawn = [0.0], []
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(log, "draw_curves", lambda path, history, labels: drawn.append((path.name, len(history))))
    found = Log(tmp_path, ["energy"])
    for count, at in ((1, 10.0), (2, 61.0), (3, 100.0), (4, 130.0), (4, 300.0), (5, 310.0)):
        now[0] = at
        found.write(rows(count))
    found.close()
    assert drawn == [("curves.png", 2), ("curves.png", 4), ("curves.png", 5)]
    again = Log(tmp_path, ["energy"])
    again.close()
    assert len(drawn) == 3, "nothing is drawn where there is nothing"


@pytest.mark.parametrize("history", [rows(1), rows(30), rows(3, training_loss=0.0), rows(3, learning_rate=1e-3)])
@pytest.mark.parametrize("constrained", [False, True])
def test_any_course_can_be_drawn(tmp_path: Path, history: list[dict[str, float]], constrained: bool):
    with rc_context({"figure.constrained_layout.use": constrained}):
        draw_curves(tmp_path / "a.png", history, ["energy", "forces"])
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)


def test_a_run_that_is_stopped_has_its_picture(configure, monkeypatch):
    plain = loop._Run._step

    def interrupted(run, *arguments):
        if run.state.epoch == 1:
            raise KeyboardInterrupt
        plain(run, *arguments)

    monkeypatch.setattr(loop._Run, "_step", interrupted)
    config = configure()
    with pytest.raises(KeyboardInterrupt):
        loop.train(config)
    assert (Path(config.out) / "curves.png").read_bytes().startswith(PNG)
