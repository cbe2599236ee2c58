"""README and docs: their numbers come from records, their code runs, their commands exist, and the pages build."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from markdown import Markdown
from typer.testing import CliRunner

from tdn_theory import __version__
from tdn_theory.checkout import ROOT, load
from tdn_theory.cli.app import app
from tdn_theory.cp import atlas
from tdn_theory.paper import STATEMENTS
from tdn_theory.report.numbers import MARKER, NUMBERS, numbers, refreshed, texts
from tdn_theory.report.results import read
from tdn_theory.training.config import TrainConfig
from tests.browser import chromium, emulate, violations

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
    elif program == "pip":
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(arguments[-1].removeprefix(".").strip("[]").split(",")) <= {"", *known}
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


def test_every_claim_has_its_verdict_in_a_chapter():
    chapters = "".join(page.read_text() for page in (ROOT / "docs" / "theory").glob("*.md"))
    assert {
        name.removeprefix("verdict ") for name, _ in MARKER.findall(chapters) if name.startswith("verdict ")
    } == set(STATEMENTS)


def test_a_verdict_is_told_with_what_it_rests_on_and_what_limits_it():
    known, claims = numbers(read()), read().verdicts
    for claim, verdict in claims.items():
        found = verdict.finding
        text = known[f"verdict {claim}"]
        rests = f" ({found.strength})" if found.strength else ""
        assert text.startswith(f"{found.outcome}{rests}. {found.sentence}")
        assert text.endswith(f"{found.caveat}." if found.caveat else found.sentence)


def test_every_module_has_its_page_once():
    api = load("docs/hooks", "api")
    files = (file.relative_to(ROOT / "tdn_theory") for file in (ROOT / "tdn_theory").rglob("*.py"))
    wanted = {
        file.with_suffix(".md").as_posix()
        for file in files
        if not file.name.startswith("_") and file.parts[0] not in ("cli", "report")
    }
    pages = [place.removeprefix("api/") for place, _ in api.pages()]
    assert sorted(page for page in pages if not page.endswith("index.md")) == sorted(wanted)
    reached = re.findall(r"'api/([^']*)'", str(api.contents()))
    assert sorted(reached) == sorted(pages)


def test_every_entry_of_the_atlas_is_in_the_catalogue():
    made = load("docs/hooks", "atlas")
    entries = made.known()
    page = made.catalogue(entries)
    for entry in atlas.entries():
        row = entries[entry.stem]["measured"]
        d3, d1, d2 = entry.tensor.array.shape
        (line,) = [line for line in page.splitlines() if f"({entry.stem}.md)" in line]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1:3] == [str(entry.rank), str(min(d1 * d2, d1 * d3, d2 * d3))]
        assert cells[3].split()[0] == f"{len(entry.alive)}/{len(entry.tensor.paths)}"
        assert row["R"] == entry.rank
        own = made.page(entry.stem, entries[entry.stem])
        assert f'atlas.load("{entry.stem}")' in own
        for path, weight in zip(entry.tensor.paths, entry.tensor.weights, strict=True):
            assert f"| {path.x} × {path.y} → {path.z} | {weight:.6g} |" in own


@pytest.mark.parametrize(("degree", "points"), [(3, 6), (5, 14), (6, 26), (12, 86), (18, 146), (21, 170), (24, 302)])
def test_known_before_are_the_rules_of_lebedev_with_positive_weights(degree, points):
    """The table of `constructions/cubature.py`; the rules of 74, 230 and 266 points have negative weights."""
    assert load("docs/hooks", "atlas").lebedev_points(degree) == points


def test_the_steps_of_a_sum_name_its_parts():
    made = load("docs/hooks", "atlas")
    newton = {"terms": 10, "kind": "newton", "paths": [[2, 2, 2]]}
    steps = made.steps({"kind": "sum", "parts": [{"terms": 56, "kind": "matrix multiplication"}, newton]})
    assert [step.split(":")[0] for step in steps[:2]] == ["56 terms", "10 terms for 2 × 2 → 2"]
    assert len(steps) == 3


@pytest.mark.parametrize(
    ("text", "formulas"),
    [("$x_1$ and $y$", 2), ("$$ x_1 * y_1 * z $$", 1), ("`$x$`", 0), ("from $5 to $6", 0), ("cost: $", 0)],
)
def test_mathematics_is_set(text, formulas):
    page = Markdown(extensions=[load("docs/hooks", "mathematics").Mathematics()]).convert(text)
    assert page.count("<math") == page.count("</math>") == formulas
    assert "<em>" not in page
    assert ("$" in page) == (formulas == 0)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built strictly: a broken link, or a docstring that is not Google style, is an error."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    return site


def test_the_pages_build(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"?(https?:[^\" >]+)", page.read_text())
        assert loaded == [], page
    solver = (site / "api" / "cp" / "solvers" / "levenberg_marquardt" / "index.html").read_text()
    assert 'id="tdn_theory.cp.solvers.levenberg_marquardt.LevenbergMarquardt.solve"' in solver
    tensor = (site / "api" / "coupling" / "index.html").read_text()
    assert 'class="gp"' in tensor, "doctests are not shown as code"
    assert "<math" in (site / "theory" / "tensor" / "index.html").read_text()
    gallery = (site / "gallery" / "index.html").read_text()
    for study in read().pictures:
        for suffix in ("svg", "json", "py"):
            assert f"figures/{study}.{suffix}" in gallery
            assert (site / "figures" / f"{study}.{suffix}").exists()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert "<img" in (site / "notebooks" / path.stem / "index.html").read_text()
        assert (site / "notebooks" / path.name).read_bytes() == path.read_bytes()
    assert load("docs", "links").broken(site) == []
    for entry in atlas.entries():
        served = site / "atlas" / f"{entry.stem}.npz"
        assert served.read_bytes() == (atlas.FOLDER / served.name).read_bytes()


KINDS = ("index", "theory/error/index", "gallery/index", "notebooks/06_into_your_own_model/index", "api/cp/store/index")
"""Pages of each kind; the report has tests of its own."""


@pytest.mark.slow
def test_pages_are_accessible(site, tmp_path):
    """In the colours that the system asks for, and no wider than a phone."""
    entry = next(f"atlas/{path.parent.name}/index" for path in sorted(site.glob("atlas/L2-R23-*/index.html")))
    with chromium(tmp_path / "profile") as browser:
        for page in (*KINDS, entry):
            for scheme, colours in (("light", "default"), ("dark", "slate")):
                emulate(browser, 390, scheme)
                browser.get((site / f"{page}.html").as_uri())
                assert browser.execute_script("return document.body.dataset.mdColorScheme") == colours
                assert browser.execute_script("return document.documentElement.scrollWidth") == 390, page
                assert violations(browser) == [], f"{page}, {scheme}"


def test_broken_links_are_found(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "index.html").write_text(
        '<a id="here" href="#here"></a><a href="inner/">in</a><img src="no.png"><a href="#nowhere"></a>'
    )
    (tmp_path / "inner" / "index.html").write_text(
        '<a href="../index.html#here">up</a><a href="/index.html#lost">up</a><a href="https://example.org/none">out</a>'
    )
    found = load("docs", "links").broken(tmp_path)
    assert sorted(found) == ["index.html: #nowhere", "index.html: no.png", "inner/index.html: /index.html#lost"]


def test_a_notebook_becomes_a_page():
    made = load("docs/hooks", "notebooks")
    text = {"cell_type": "markdown", "source": ["# Title\n", "See `02_b.ipynb`."]}
    outputs = [{"text": ["R = 7\n"]}, {"data": {"image/png": "", "text/plain": ["<Figure>"]}}]
    code = {"cell_type": "code", "source": ["print(R)"], "outputs": outputs}
    page = made.page("01_a", {"cells": [text, code]})
    assert page.startswith("# Title\nSee [02_b](02_b.md).")
    assert page.endswith("```python\nprint(R)\n```\n\n```text\nR = 7\n```\n\n![Title](01_a_1.png){ loading=lazy }\n")
