"""The command line as a user meets it."""

import json
import re
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tdn_theory import __version__, checkout
from tdn_theory.cli.app import app
from tdn_theory.cli.atlas import COLUMNS
from tdn_theory.cli.common import console
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.store import Store
from tdn_theory.paper import STATEMENTS
from tdn_theory.provenance import provenance

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("TDN_THEORY_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(console, "width", 200)  # tables are not cut


def run(*arguments: object, code: int = 0) -> str:
    result = runner.invoke(app, [str(a) for a in arguments])
    output = re.sub(r"\s+", " ", result.output)
    assert result.exit_code == code, output
    return output


def test_help_names_the_commands():
    output = run("--help")
    for command in ("reproduce", "check", "info", "cp"):
        assert command in output


def test_info():
    output = run("info")
    assert "shipped solutions" in output
    assert "vector code" in output


def test_fit_show_and_list():
    output = run("cp", "fit", "--lmax", 1, "--rank", 8, "--starts", 2, "--ridge", 0.001)
    assert "seed 1" in output
    assert "converged" in output
    assert len(Store(also=()).entries(CouplingTensor(1), 8)) == 2
    assert "seed 1: kept" in run("cp", "fit", "--lmax", 1, "--rank", 8, "--starts", 3, "--ridge", 0.001)
    assert len(Store(also=()).entries(CouplingTensor(1), 8)) == 3
    assert "LevenbergMarquardt" in run("cp", "show", "--lmax", 1, "--rank", 8)
    assert "LevenbergMarquardt" in run("cp", "list", "--lmax", 1)


def test_fit_of_other_irreps():
    coupling = "0e+1o x 1o -> 0e+1o"
    assert "converged" in run("cp", "fit", coupling, "--rank", 6, "--starts", 1)
    assert Store(also=()).entries(CouplingTensor(coupling), 6)
    assert coupling in run("cp", "list")
    assert coupling in run("info")


def test_version():
    assert run("--version").strip() == __version__


def test_reproduce_writes_record_pictures_and_verdict(tmp_path):
    output = run("reproduce", "f3a", "e2", "--out", tmp_path)
    record = json.loads((tmp_path / "figures" / "F3a.json").read_text())
    assert record["id"] == "F3a"
    assert record["provenance"].keys() == {"seed", "versions", "commit", "device", "vector_code", "time"}
    assert len(record["values"]["points"]) == 24
    assert (tmp_path / "figures" / "F3a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "figures" / "F3a.svg").read_text()
    assert json.loads((tmp_path / "paper_checks" / "E2.json").read_text())["outcome"] == "verified"
    assert "verified, " in output
    assert "recomputed here" in output
    assert "1 of 1 verdicts agree with the committed ones" in output


def test_a_record_names_the_device_that_computed(tmp_path, monkeypatch):
    """F3a is made by the processor, whatever was asked for."""
    monkeypatch.setattr("tdn_theory.training.parallel.processes", nullcontext)  # there may be no such device
    run("reproduce", "F3a", "--out", tmp_path, "--device", "cuda")
    record = json.loads((tmp_path / "figures" / "F3a.json").read_text())
    assert record["provenance"]["device"] == provenance(0)["device"]
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    assert provenance(0, "cuda:1")["device"] == "GPU cuda:1"


def test_all_verdicts_fit_a_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr(console, "width", 80)
    result = runner.invoke(app, ["check", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 120
    for claim in STATEMENTS:
        assert any(line.startswith(claim) for line in lines)


def test_what_is_not_examined_says_why():
    assert "O1 is not examined: " in run("reproduce", "o1")


def test_atlas_list():
    output = run("atlas", "list", "--lmax", 1)
    assert "newton" in output
    assert "cubature" in output


TABLES = (("info",), ("data", "list"), ("atlas", "list"), ("cp", "list"), ("cp", "show", "--lmax", "2", "--rank", "28"))


@pytest.mark.parametrize("command", TABLES, ids=" ".join)
def test_tables_fit_a_terminal_and_paths_are_whole(command, monkeypatch):
    monkeypatch.setattr(console, "width", 80)
    result = runner.invoke(app, list(command))
    assert result.exit_code == 0, result.output
    paths = f"{re.escape(str(Path.home()))}|store|structures"
    lines = [line for line in result.output.splitlines() if not re.search(paths, line)]
    assert max(map(len, lines)) <= 80
    assert "…" not in result.output
    if command == ("info",):
        assert str(Store().folder) in result.output


@pytest.mark.parametrize("command", [*TABLES, ("check", "E2")], ids=" ".join)
def test_tables_are_json_too(command, tmp_path):
    out = ("--out", str(tmp_path)) if command[0] == "check" else ()
    result = runner.invoke(app, [*command, *out, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)


def test_a_table_explains_its_columns():
    output = run("atlas", "list", "--lmax", 1)
    for column in COLUMNS:
        assert f"{column.name} {column.meaning}" in output


def test_fit_says_where_it_keeps_what_it_finds():
    assert (
        str(Store().folder) in runner.invoke(app, ["cp", "fit", "--lmax", "1", "--rank", "3", "--starts", "1"]).output
    )


def test_the_nearest_command_is_named():
    assert "Did you mean 'atlas'" in run("atls", code=2)


def test_check_writes_its_record(tmp_path):
    assert "E2" in run("check", "E2", "--out", tmp_path)
    assert (tmp_path / "paper_checks" / "E2.json").exists()


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("reproduce", "F99"), ("unknown id 'F99'", "F2", "T1")),
        (("reproduce", "TAB88"), ("the nearest: TAB8",)),
        (("check", "F2"), ("no check of F2", "E1")),
        (("check", "Kruskal"), ("the nearest: T5;",)),
        (("cp", "fit", "--lmax", -1, "--rank", 3), ("-1", ">= 0")),
        (("cp", "fit", "--lmax", 1, "--rank", 0), ("rank is 0", ">= 1")),
        (("cp", "fit", "--rank", 3), ("irreps", "--lmax")),
        (("cp", "fit", "0e+1o", "--lmax", 1, "--rank", 3), ("irreps", "--lmax")),
        (("cp", "show", "--lmax", 1, "--rank", 99), ("R=99", "cp fit")),
        (("reproduce", "E2", "--seed", "-1"), ("Invalid value", "--seed")),
        (("reproduce", "E2", "--preset", "huge"), ("huge", "quick", "smallest")),
    ],
)
def test_bad_input_is_told_without_a_traceback(arguments, fragments):
    output = run(*arguments, code=2)
    assert "Traceback" not in output
    for fragment in fragments:
        assert fragment in output


def test_brackets_of_messages_are_no_markup(monkeypatch):
    def refuse(*_):
        raise ImportError("pip install 'tdn-theory[gfn2]', or see [model]")

    monkeypatch.setattr("tdn_theory.reproduction.Selection.of", refuse)
    assert "pip install 'tdn-theory[gfn2]', or see [model]" in run("reproduce", "E2", code=2)


def test_a_damaged_store_is_told():
    run("cp", "fit", "--lmax", 1, "--rank", 3, "--starts", 1)
    (entry,) = Store(also=()).entries(CouplingTensor(1), 3)
    entry.path.write_text("{}")
    assert "is damaged" in run("cp", "list", code=2)


def test_away_from_the_checkout_the_message_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    assert "pip install --editable" in run("reproduce", "F2", code=2)
