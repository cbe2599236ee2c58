"""README and docs: their numbers come from records, their code runs, their commands exist, and the pages build."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tdn_theory import __version__
from tdn_theory.checkout import ROOT
from tdn_theory.cli.app import app
from tdn_theory.report.numbers import MARKER, NUMBERS, numbers, refreshed, texts
from tdn_theory.report.results import read
from tdn_theory.training.config import TrainConfig

PAGES = [*texts(), ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)

UNITS = r"%|times\b|[µmn]?s\b|seconds\b|minutes\b|hours\b|[kMG]i?B\b|m?eV\b"
MEASURED = re.compile(rf"\d+\.\d+(?:e-?\d+)?|\d+e-?\d+|\b\d+\s?(?:{UNITS})")
"""What a number looks like that somebody measured."""
NOT_MEASURED = re.compile(r"Python 3\.\d+|[Aa]r[Xx]iv[ :]\d{4}\.\d{5}|Theorem \d\.\d|version \d+\.\d+")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return [match["code"] for match in FENCE.finditer(page.read_text()) if match["language"] == language]


def typed_numbers(text: str) -> list[str]:
    """Numbers in the prose of a page that stand in no marker."""
    for part in (FENCE, MARKER, re.compile(r"`[^`]*`"), re.compile(r"\]\([^)]*\)"), NOT_MEASURED):
        text = part.sub(" ", text)
    return MEASURED.findall(text)


@pytest.mark.parametrize("page", texts(), ids=name)
def test_numbers_are_those_of_the_records(page):
    text = page.read_text()
    message = "the records have changed: run python -m tdn_theory.report.numbers"
    assert refreshed(text, numbers(read())) == text, message


@pytest.mark.parametrize("page", [p for p in texts() if p.stem != "bibliography"], ids=name)
def test_no_number_is_typed_by_hand(page):
    assert typed_numbers(page.read_text()) == []


@pytest.mark.parametrize(
    "text", ["an error of 0.012", "within 1e-6", "12 times faster", "it takes 3 minutes", "1.7 GB", "5 % of error"]
)
def test_a_typed_number_is_caught(text):
    assert typed_numbers(text)


def test_names_definitions_and_code_are_not():
    assert typed_numbers("L = 2, T1, R = 28 at `1e-6`, Theorem 3.1, [arXiv 2507.01131](https://x/2507.01131)") == []


def test_all_numbers_have_their_records():
    assert NUMBERS.keys() <= numbers(read()).keys()


@pytest.mark.parametrize("page", texts(), ids=name)
def test_every_marker_is_a_whole_one_inside_a_line(page):
    text = page.read_text()
    assert text.count("<!--=") == len(MARKER.findall(text)) == text.count("<!--/-->")
    assert not re.search(r"^\s*<!--", text, re.MULTILINE), "a comment that begins a line ends the paragraph"


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TDN_THEORY_STORE", str(tmp_path / "store"))
    if page.stem == "CONTRIBUTING":
        monkeypatch.setattr("tdn_theory.cp.store.SHIPPED", tmp_path / "shipped")
    scope: dict = {}
    for code in blocks(page, "python"):
        exec(compile(code, name(page), "exec"), scope)


def commands() -> list[str]:
    lines = [line for page in PAGES for block in blocks(page, "console") for line in block.splitlines()]
    return sorted({line.split("#")[0].strip() for line in lines} - {""})


@pytest.mark.parametrize("command", commands())
def test_commands_exist(command):
    program, *arguments = shlex.split(command)
    if program == "make":
        targets = re.findall(r"^([a-z -]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(arguments) <= {target for line in targets for target in line.split()}
    elif program.endswith("tdn-theory"):
        result = CliRunner().invoke(app, [*arguments, "--help"])  # parses the options, runs nothing
        assert result.exit_code == 0, result.output
    else:
        assert program in ("git", "cd")


def test_a_wrong_option_is_caught():
    assert CliRunner().invoke(app, ["reproduce", "--prest", "full", "--help"]).exit_code == 2


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "toml")], ids=name)
def test_configurations_are_read(page, tmp_path):
    for number, block in enumerate(blocks(page, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(block)
        assert TrainConfig.read(file).data.source == "extxyz"


@pytest.mark.parametrize("page", PAGES[:1] + PAGES[-1:], ids=name)
def test_links_of_the_readme_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == __version__
    assert "2507.01131" in citation["references"][0]["url"]


def test_every_part_of_the_package_has_its_reference():
    parts = {path.parent.name for path in (ROOT / "tdn_theory").glob("*/__init__.py")} - {"report", "cli"}
    assert parts <= {page.stem for page in (ROOT / "docs" / "api").glob("*.md")}


def test_the_pages_build(tmp_path):
    """Strictly: a broken link, or a docstring that is not Google style, is an error."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"?(https?:[^\" >]+)", page.read_text())
        assert loaded == [], page
    cp = (tmp_path / "site" / "api" / "cp" / "index.html").read_text()
    assert 'class="gp"' in cp, "doctests are not shown as code"
    assert 'id="tdn_theory.cp.solvers.levenberg_marquardt.LevenbergMarquardt.solve"' in cp
