"""The report: what it says comes from the records, and it works in a browser, for everybody, without a network."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from tdn_theory import checkout
from tdn_theory.cli.app import app
from tdn_theory.coupling import Coupling
from tdn_theory.cp import atlas
from tdn_theory.files import read_json
from tdn_theory.nn import TensorProduct
from tdn_theory.paper import STATEMENTS
from tdn_theory.report.explorer import products
from tdn_theory.report.numbers import main, numbers, refreshed
from tdn_theory.report.page import page
from tdn_theory.report.pictures import Picture
from tdn_theory.report.results import Results, read
from tdn_theory.report.tables import COLUMNS, ROWS, tables
from tdn_theory.report.typography import maths, sentence
from tdn_theory.theory.cost import CONNECTIONS, Channels, cost
from tests.browser import chromium, emulate, violations

LARGEST = 4_000_000
"""Bytes of the report of the committed records."""


@pytest.fixture(scope="module")
def results() -> Results:
    return read()


@pytest.fixture(scope="module")
def html(results) -> str:
    return page(results)


class Elements(HTMLParser):
    """Start tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def elements(html) -> Elements:
    return Elements(html)


def test_every_record_is_in_the_report(results, elements):
    files = {
        folder: {f.stem for f in (checkout.ROOT / folder).glob("*.json")} for folder in ("figures", "paper_checks")
    }
    assert set(results.results) == files["figures"]
    assert set(results.verdicts) == files["paper_checks"]
    ids = {a.get("id") for _, a in elements.found}
    assert {f"result-{name}" for name in files["figures"]} | files["paper_checks"] <= ids


def test_downloads_are_the_records(results, elements):
    links = [a for a in elements.named("a") if "download" in a]
    downloads = {a["download"]: a["href"] for a in links}
    assert len(downloads) == len(links)
    for name in results.results:
        packed = base64.b64decode((downloads[f"{name}.json.gz"] or "").split(",", 1)[1])
        assert gzip.decompress(packed) == (checkout.ROOT / "figures" / f"{name}.json").read_bytes()


def test_it_is_small_enough_to_be_sent(html):
    assert len(html.encode()) < LARGEST


def test_it_needs_no_network(elements):
    for tag, attributes in elements.found:
        for key in ("src", "srcset", "data", "poster"):
            assert (attributes.get(key) or "data:").startswith("data:"), tag
        if tag in ("link", "use"):
            assert (attributes.get("href") or "data:").startswith("data:"), tag
    policy = next(a["content"] for a in elements.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy or "")


def test_links_lead_somewhere(elements):
    ids = {a.get("id") for _, a in elements.found}
    inside = [a["href"][1:] for a in elements.named("a") if (a.get("href") or "").startswith("#")]  # type: ignore[index]
    assert inside
    assert set(inside) <= ids
    assert len([i for i in ids if i]) == len([a["id"] for _, a in elements.found if a.get("id")]), "an id is used twice"


def test_regions_have_names_of_their_own(elements):
    names = [attributes["aria-label"] for _, attributes in elements.found if attributes.get("role") == "region"]
    assert len(names) > 50
    assert len(set(names)) == len(names)


def test_headings_skip_no_level(elements):
    levels = [int(tag[1]) for tag, _ in elements.found if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_pictures_have_descriptions(elements):
    for image in elements.named("img"):
        assert len(image["alt"] or "") > 20


def test_claims_have_the_records_that_they_are_read_from(results):
    assert [result.study for result in results.evidence("T6")] == [
        p["study"] for p in results.verdicts["T6"].record["reads"]
    ]
    assert "T6" in results.results["cost"].claims


def test_a_run_is_shown_beside_the_committed_records(tmp_path):
    verdict = read_json(checkout.ROOT / "paper_checks" / "E2.json")
    (tmp_path / "paper_checks").mkdir()
    changed = verdict | {"outcome": "refuted", "sentence": "the counts differ"}
    (tmp_path / "paper_checks" / "E2.json").write_text(json.dumps(changed))
    shown = read(tmp_path).verdicts["E2"]
    assert shown.own
    assert (shown.finding.outcome, shown.committed.outcome) == ("refuted", "verified")
    assert not read(tmp_path).verdicts["E1"].own
    html = page(read(tmp_path))
    assert "The counts differ." in html
    article = html[html.index('<article id="E2"') :].split("</article>")[0]
    assert [mark in article for mark in ("verdict refuted", "verdict verified")] == [True, True]
    assert "Your run" in article
    assert "Your run" not in html.replace(article, "")


def test_a_picture_of_a_run_stands_beside_the_committed_one(tmp_path):
    (tmp_path / "figures").mkdir()
    for suffix in (".json", ".svg"):
        file = (checkout.ROOT / "figures" / "F3a").with_suffix(suffix)
        (tmp_path / "figures" / file.name).write_bytes(file.read_bytes())
    found = read(tmp_path).results["F3a"]
    assert found.own
    assert found.committed == found.picture
    html = page(read(tmp_path))
    assert html[html.index('<figure id="result-F3a"') :].split("</figure>")[0].count("<img") == 2


def test_of_few_records_it_makes_a_report(tmp_path):
    for name in ("paper_checks/E1.json", "paper_checks/T5.json"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((checkout.ROOT / name).read_bytes())
    html = page(read(committed=tmp_path))
    assert "refuted" in html
    assert "Figures and tables" not in html


def test_of_unknown_records_it_shows_the_numbers(tmp_path):
    (tmp_path / "figures").mkdir()
    record = read_json(checkout.ROOT / "figures" / "F3a.json")
    record |= {"id": "TAB99", "values": {"rows": [{"model": "A", "deep": {"mae": 0.1234567}, "parts": [{"x": 1}]}]}}
    (tmp_path / "figures" / "TAB99.json").write_text(json.dumps(record))
    html = page(read(committed=tmp_path))
    assert "0.123" in html
    assert "deep: mae" in html
    assert 'id="result-TAB99"' in html


def test_nothing_recorded_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="tdn-theory reproduce"):
        read(committed=tmp_path)


def test_the_command_writes_it(tmp_path):
    target = tmp_path / "paper_checks" / "E1.json"
    target.parent.mkdir()
    target.write_bytes((checkout.ROOT / "paper_checks" / "E1.json").read_bytes())
    result = CliRunner().invoke(app, ["report", "--results", str(tmp_path), "--out", str(tmp_path / "r.html")])
    assert result.exit_code == 0, result.output
    assert "your run" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_text_from_records_is_escaped():
    assert "<script" not in maths("<script>alert(1)</script>")
    (table,) = tables({"a b": "<b> x"})
    assert "<b>" not in str(table.rows)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.1e-16", "1.1\u00a0×\u00a010<sup>−16</sup>"),
        ("||Mhat|| <= eps", "‖<i>M\u0302</i>‖ ≤ ε"),
        ("sigma_k^(n)^2", "σ<sub><i>k</i></sub><sup>(<i>n</i>)</sup><sup>2</sup>"),
        ("M's", "<i>M</i>’s"),
        ("x (x) y", "<i>x</i> ⊗ <i>y</i>"),
        ("0x1->1, F3a, T1, a tensor", "0x1→1, F3a, T1, a tensor"),
        ("L = 1..6", "<i>L</i>\u00a0=\u00a01–\u20606"),
    ],
)
def test_mathematics_is_set(text, expected):
    assert maths(text) == expected


def test_sentences_begin_with_capitals_unless_they_begin_with_mathematics():
    assert [sentence(t) for t in ("all hold", "x = y.", "dim V")] == ["All hold.", "x = y.", "dim V."]


def test_tables_are_cut_and_say_so():
    rows = [{f"c{n}": n for n in range(COLUMNS + 2)}] * (ROWS + 3)
    (table,) = tables({"rows": rows})
    assert (len(table.rows), len(table.columns)) == (ROWS, COLUMNS)
    assert table.more == "3 rows and 2 columns more in the record"


def test_the_explorer_offers_the_atlas_and_the_store(results):
    offered = products(results)["couplings"]
    listed = [row for paths in offered.values() for rows in paths.values() for row in rows]
    assert sorted(row["terms"] for row in listed if row["proof"] and row["terms"]) == sorted(
        entry.rank for entry in atlas.entries()
    )
    fits = {(r["L"], r["R"]) for r in results.values["rank_frontier"]["fitted"]}
    assert len([row for row in listed if not row["proof"]]) == len(fits)
    assert {len(paths) for label, paths in offered.items() if label.startswith("L=")} == {2}


@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize(
    ("product", "order"), [(0, "y_first"), (0, "dense"), (1, "y_first"), (1, "sparse"), (2, "per_path")]
)
def test_polynomials_are_the_costs(results, connection, product, order):
    rows = products(results)["couplings"]
    for label, paths in (("L=3", "all"), ("L=4", "even"), ("0+1+2 x 0+1+2 -> 0+1", "all")):
        found = rows[label][paths][product]["costs"][connection][order]
        irreps = "+".join(f"{l}{'eo'[l % 2]}" for l in range(5)) if paths == "even" else label
        coupling = Coupling.of(3 if label == "L=3" else irreps)
        wanted = cost(order, coupling, Channels.of(connection, 96), 1000, shared=product == 0)
        adds, moved = (
            1000 * sum(a * 96**power for power, a in enumerate(found[key])) for key in ("multiply_adds", "bytes")
        )
        assert (adds, moved + found["constants"]) == (wanted.multiply_adds, wanted.bytes)


def test_pictures_follow_the_colour_scheme_and_keep_their_shapes():
    drawn = (
        '<?xml version="1.0"?>\n<svg width="72pt"><metadata>who</metadata><defs><style>*{a: b}</style></defs>'
        '<path d="M 1.23456 2.000 L 3.5 4" style="fill: #ffffff; stroke: #0072b2"/><text>0.0075</text></svg>'
    )
    shown = Picture(drawn).adaptive
    assert shown.startswith("<svg")
    assert "who" not in shown
    assert 'd="M 1.23 2 L 3.5 4"' in shown
    assert '[style*="fill: #ffffff"]{fill:#15171a!important}' in shown
    assert '[style*="stroke: #0072b2"]{stroke:#40baff!important}' in shown
    assert "<text>0.0075</text>" in shown
    assert Picture(drawn).width == 7.5
    with pytest.raises(ValueError, match="width in points"):
        _ = Picture("<svg/>").width


def test_numbers_without_their_record_are_left_out(tmp_path):
    target = tmp_path / "paper_checks" / "E1.json"
    target.parent.mkdir()
    target.write_bytes((checkout.ROOT / "paper_checks" / "E1.json").read_bytes())
    found = numbers(read(committed=tmp_path))
    assert found["claims verified"] == "1"
    assert "exact rank at L = 2" not in found


def test_an_unknown_number_is_told():
    with pytest.raises(LookupError, match=r"no number 'n'.*best"):
        refreshed("<!--=n-->1<!--/-->", {"best": "7"})


def test_the_numbers_of_a_text_are_refreshed(tmp_path, monkeypatch, capsys, results):
    stale, right = tmp_path / "stale.md", tmp_path / "right.md"
    stale.write_text("of <!--=claims-->?<!--/--> claims")
    right.write_text(f"of <!--=claims-->{sum(not s.asked for s in STATEMENTS.values())}<!--/--> claims")
    monkeypatch.setattr("tdn_theory.report.numbers.texts", lambda: [stale, right])
    main()
    assert stale.read_text() == right.read_text()
    assert capsys.readouterr().out == f"{stale}\n"


# In a browser.


@pytest.fixture(scope="module")
def browser(html, tmp_path_factory) -> Iterator:
    folder = tmp_path_factory.mktemp("browser")
    (folder / "report.html").write_text(html)
    with chromium(folder / "profile") as browser:
        browser.get((folder / "report.html").as_uri())
        yield browser


def run(browser, script: str, *arguments):
    return browser.execute_script(script, *arguments)


def becomes_true(browser, script: str) -> bool:
    """Whether `script` returns true at some time: what it asks for may need an event of the browser first."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 120).until(lambda driver: driver.execute_script(script))


def test_it_renders_without_complaints(browser):
    emulate(browser, 1200)
    assert run(browser, "return document.querySelectorAll('#products tbody tr').length") > 5
    assert run(browser, "return [...document.images].every((i) => i.complete && i.naturalWidth > 100)")
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", [360, 768, 1200])
def test_no_page_is_wider_than_its_screen(browser, width):
    emulate(browser, width)
    assert becomes_true(browser, f"return document.documentElement.scrollWidth <= {width}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(browser, scheme):
    emulate(browser, 1200, scheme)
    run(browser, "document.querySelector('figure details').open = true")  # one for all: they are made by one macro
    assert violations(browser) == []
    assert run(browser, "return document.querySelectorAll('h1').length") == 1


def test_what_is_not_accessible_is_caught(browser):
    emulate(browser, 1200)
    run(browser, "document.querySelector('h1').style.color = 'rgb(170, 170, 170)'")
    found = violations(browser, "h1")
    run(browser, "document.querySelector('h1').style.color = ''")
    assert [line.split(":")[0] for line in found] == ["color-contrast"]


def test_verdicts_are_filtered(browser, results):
    visible = (
        "return [...document.querySelectorAll('.claim')].filter((claim) => !claim.hidden).map((claim) => claim.id)"
    )
    run(browser, "document.querySelector('.filter [data-outcome=refuted]').click()")
    refuted = [claim for claim, verdict in results.verdicts.items() if verdict.finding.outcome == "refuted"]
    assert sorted(run(browser, visible)) == sorted(refuted)
    run(browser, "document.querySelector('.filter [data-outcome=\"\"]').click()")
    assert sorted(run(browser, visible)) == sorted(results.verdicts)


def test_a_link_to_a_record_opens_it(browser):
    run(browser, "document.getElementById('result-T1').open = false")
    run(browser, "document.querySelector('#T1 [href=\\'#result-T1\\']').click()")
    assert becomes_true(browser, "return document.getElementById('result-T1').open")


def choose(browser, **choices) -> list[dict]:
    """The rows that the explorer shows then, the best one first."""
    return run(
        browser,
        """const form = document.getElementById("controls");
        for (const [name, value] of Object.entries(arguments[0])) form.elements.namedItem(name).value = value;
        form.dispatchEvent(new Event("input", { bubbles: true }));
        return [...document.querySelectorAll("#products tbody tr")].map((row) => ({
            cells: [...row.cells].map((cell) => cell.textContent), fits: !row.classList.contains("excluded") }));""",
        {"connection": "uvu", "paths": "all", "channels": 128, "edges": 1024, "error": "1e-6", **choices},
    )


@pytest.mark.parametrize(
    ("choices", "nth"),
    [
        ({"coupling": "L=2"}, 0),
        ({"coupling": "L=2", "connection": "uuu", "channels": 16}, 2),
        ({"coupling": "L=4", "paths": "even", "channels": 8}, 1),
        ({"coupling": "L=2", "error": "9", "channels": 8}, 1),
        ({"coupling": "0e+1o x 0e+1o+2e+3o -> 0e+1o", "connection": "uvw", "channels": 4}, 2),
    ],
)
def test_the_code_of_the_explorer_runs(browser, choices, nth):
    rows = choose(browser, **choices)
    run(browser, f"document.getElementById('product-{nth}').click()")
    scope: dict = {}
    exec(run(browser, "return document.querySelector('#answer code').textContent"), scope)
    layer = scope["layer"]
    assert isinstance(layer, TensorProduct)
    assert layer.mode == choices.get("connection", "uvu")
    assert layer.channels[0] == choices.get("channels", 128)
    terms = rows[nth]["cells"][2]
    assert terms == ("–" if layer.factors is None else str(layer.factors.rank))


def test_the_explorer_orders_what_fits_by_multiply_adds(browser):
    rows = choose(browser, coupling="L=2", error="0")
    assert [row["fits"] for row in rows] == sorted((row["fits"] for row in rows), reverse=True)
    assert all(row["cells"][3] == "roundoff" for row in rows if row["fits"])
    assert not all(row["fits"] for row in rows)


def test_the_explorer_shows_recorded_times(browser, results):
    unit = next(
        u
        for u in results.values["F3c"]["units"]
        if (u["L"], u["mode"], u["channels"], u["edges"]) == (3, "uvu", 128, 1024)
    )
    (row,) = [r for r in choose(browser, coupling="L=3") if "e3nn" in r["cells"][1]]
    shown = float(row["cells"][-1].removesuffix(" ms").replace(",", ""))
    assert shown == pytest.approx(1e3 * unit["methods"]["e3nn"]["forward"]["median"], rel=6e-3)
    assert {r["cells"][-1] for r in choose(browser, coupling="L=3", channels=77)} == {"–"}


def test_the_address_keeps_what_is_chosen(browser):
    rows = choose(browser, coupling="L=3", channels=48, error="1e-2")
    run(browser, "document.getElementById('controls').reset(); location.hash = '#verdicts'")
    address = "#explorer?" + "coupling=L%3D3&paths=all&connection=uvu&channels=48&edges=1024&error=1e-2"
    run(browser, "location.hash = arguments[0]", address)
    assert becomes_true(browser, "return document.getElementById('controls').elements.channels.value === '48'")
    adds = "return [...document.querySelectorAll('#products tbody tr')].map((row) => row.cells[6].textContent)"
    assert run(browser, adds) == [row["cells"][6] for row in rows]


def test_the_explorer_is_used_by_keyboard(browser):
    from selenium.webdriver.common.keys import Keys

    choose(browser, coupling="L=2")
    first = browser.find_element("id", "product-0")
    first.send_keys(Keys.ARROW_DOWN)
    assert run(browser, "return document.querySelector('#products input:checked').value") == "1"
    assert "per path" in run(browser, "return document.getElementById('answer').innerText")


def test_it_prints(browser):
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    pages = len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed["data"])))
    assert pages >= 4
