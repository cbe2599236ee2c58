"""A run that is asked to stop saves first, and nobody else writes into its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from safetensors import safe_open

from tdn_theory.files import read_json
from tdn_theory.training import loop
from tdn_theory.training.folder import Interruption, locked
from tests.assertions import refuses


def weights(folder: Path) -> dict[str, list[float]]:
    with safe_open(folder / loop.MODEL, framework="np") as file:
        return {name: file.get_tensor(name).ravel().tolist() for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.parametrize("step", [0, 4])
def test_it_saves_and_goes_on_bit_for_bit(configure, tmp_path, monkeypatch, number, error, step):
    whole, stopped = (configure(out=str(tmp_path / name)) for name in ("whole", "stopped"))
    loop.train(whole)
    steps, plain = [], loop._Run._step

    def then_signal(run, *arguments):
        plain(run, *arguments)
        steps.append(run)
        if len(steps) == step + 1:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(loop._Run, "_step", then_signal)
    with pytest.raises(error) as caught:
        loop.train(stopped)
    if number == signal.SIGTERM:
        assert caught.value.code == 143
    assert len(steps) == step + 1, "it went on after the step"
    monkeypatch.setattr(loop._Run, "_step", plain)
    assert loop.train(stopped)["complete"]
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
    assert (tmp_path / "stopped" / loop.MODEL).read_bytes() == (tmp_path / "whole" / loop.MODEL).read_bytes()


def test_what_was_done_at_a_signal_is_done_again_afterwards():
    before = signal.default_int_handler  # a process that a shell starts in the background ignores Ctrl-C
    asked_before = signal.signal(signal.SIGINT, before)
    with Interruption() as interruption:
        assert not interruption.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)  # the second one is not waited for
    assert signal.getsignal(signal.SIGINT) is before
    signal.signal(signal.SIGINT, asked_before)


def test_a_folder_has_one_run(tmp_path):
    with locked(tmp_path / "run"):
        script = f"""
            from pathlib import Path
            from tdn_theory.training.folder import locked
            try:
                with locked(Path({str(tmp_path / "run")!r})):
                    print("free")
            except BlockingIOError as error:
                print(error)
        """
        command = [sys.executable, "-c", textwrap.dedent(script)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert f"process {os.getpid()} is training in" in found
        assert "--out" in found
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "free\n"


def test_a_process_that_is_killed_holds_no_lock(tmp_path):
    script = f"""
        import os, signal
        from pathlib import Path
        from tdn_theory.training.folder import locked
        with locked(Path({str(tmp_path)!r})):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == -signal.SIGKILL
    with locked(tmp_path):
        pass


def test_a_run_in_a_locked_folder_is_refused(configure):
    config = configure()
    with locked(Path(config.out)), refuses(BlockingIOError, "is training in", "--out"):
        loop.train(config)


def test_a_folder_that_cannot_be_written_is_found_before_the_first_step(configure, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(loop._Run, "_step", lambda *_: pytest.fail("it began"))
    with pytest.raises(OSError, match="file"):
        loop.train(configure(out=str(tmp_path / "file" / "run")))


def test_a_finished_run_can_be_trained_for_longer(configure, tmp_path):
    more = {"out": str(tmp_path / "more"), "schedule": {"kind": "constant"}}
    loop.train(configure(epochs=2, **more))
    found = loop.train(configure(epochs=3, **more))
    whole = loop.train(configure(epochs=3, out=str(tmp_path / "whole"), schedule={"kind": "constant"}))
    assert (found["epochs"], found["validation"]) == (3, whole["validation"])
    assert weights(tmp_path / "more") == weights(tmp_path / "whole")


def test_a_cosine_cannot(configure, tmp_path):
    schedule = {"kind": "cosine"}
    loop.train(configure(epochs=2, schedule=schedule))
    with refuses(ValueError, "epochs is 3, there 2"):
        loop.train(configure(epochs=3, schedule=schedule))


def test_the_model_is_there_even_if_the_test_fails(configure, monkeypatch):
    config, plain = configure(), loop._Run._evaluate

    def failing(run, model, graphs, title):
        if title == "testing":
            raise ValueError("no test today")
        return plain(run, model, graphs, title)

    monkeypatch.setattr(loop._Run, "_evaluate", failing)
    with pytest.raises(ValueError, match="no test today"):
        loop.train(config)
    assert (Path(config.out) / loop.MODEL).exists()
    monkeypatch.setattr(loop._Run, "_evaluate", plain)
    loop.train(config)
    assert "test" in read_json(Path(config.out) / loop.RESULT)


def test_it_stops_where_the_validation_loss_falls_no_more(configure):
    """At a learning rate that changes nothing, the first epoch is the only one with a new least loss."""
    still = {"optimizer": {"learning_rate": 1e-12}, "epochs": 20}
    found = loop.train(configure(stop_patience=2, **still))
    assert (found["epochs"], found["complete"]) == (3, True)
    assert loop.train(configure(stop_patience=2, **still))["epochs"] == 3
    assert loop.train(configure(stop_patience=3, **still))["epochs"] == 4, "with more patience it goes on"


@pytest.mark.parametrize("call", [1, 2, 3, 4], ids=["first epoch", "last epoch", "least loss", "test"])
def test_it_stops_in_an_evaluation_too(configure, tmp_path, monkeypatch, call):
    whole, stopped = (configure(out=str(tmp_path / name), epochs=2) for name in ("whole", "stopped"))
    loop.train(whole)
    calls, plain = [], loop.evaluate

    def asked(*arguments, **options):
        calls.append(call)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(*arguments, **options)

    monkeypatch.setattr(loop, "evaluate", asked)
    with pytest.raises(SystemExit):
        loop.train(stopped)
    monkeypatch.setattr(loop, "evaluate", plain)
    loop.train(stopped)
    assert (tmp_path / "stopped" / loop.MODEL).read_bytes() == (tmp_path / "whole" / loop.MODEL).read_bytes()
