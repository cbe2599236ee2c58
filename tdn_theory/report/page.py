"""The report: one HTML file that needs nothing else, on a screen, on a phone, in print."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tdn_theory.paper import NOT_EXAMINED
from tdn_theory.provenance import provenance
from tdn_theory.report.explorer import TIMES, products
from tdn_theory.report.numbers import numbers
from tdn_theory.report.results import ID, Results
from tdn_theory.report.tables import tables
from tdn_theory.report.typography import maths, sentence

FOLDER = Path(__file__).parent

FINDINGS = (
    "Exactly equivariant products of low rank exist; M itself shows no sign of being one. With path weights of their "
    "own, {exact rank at L = 2} terms are exact at L = 2 and {exact rank at L = 4} at L = 4, below the paper's "
    "{paper's rank at L = 2} and {paper's rank at L = 4}; at L = 3, 5 and 6 the least ranks known, "
    "{exact rank at L = 3}, {exact rank at L = 5} and {exact rank at L = 6}, are above its {paper's rank at L = 3}, "
    "{paper's rank at L = 5} and {paper's rank at L = 6}. M itself is known to be exact with {rank of M at L = 1}, "
    "{rank of M at L = 2} and {rank of M at L = 3} terms at L = 1, 2, 3.",
    "Theorem 3.1 is true and empty: at the paper's rank R = 7L^2 its bound is {theorem over trivial bound} times "
    "the one that holds for nothing, since M's spectrum is flat.",
    "The speed is that of shared path weights. The exact product is {speed-up per path} times faster than e3nn's "
    "eager one if both have weights for every path, and {speed-up of the exact product} times if ours has one set for "
    "all, on one core of the record's processor (F3c); the paper claims {speed-up claimed} for CP, on a GPU.",
    "What CP costs in accuracy is open: the trainings recorded so far are too short or too few to tell (TAB1, TAB5, "
    "TAB8, O2).",
)
"""What the report says first, where the records give the numbers."""


def page(results: Results) -> str:
    """The report on `results`."""
    claims = [(name, verdict) for name, verdict in results.verdicts.items() if not verdict.statement.asked]
    questions = [(name, verdict) for name, verdict in results.verdicts.items() if verdict.statement.asked]
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "maths": maths,
        "linked": _linked,
        "sentence": sentence,
        "download": _download,
    }
    known = numbers(results)
    return environment.get_template("page.html").render(
        results=results,
        findings=[text for text in map(_filled(known), FINDINGS) if text],
        numbers=known,
        products=_json(products(results)),
        devices={
            study: part.format(results.results[study].record["provenance"]["device"])
            for study, part in TIMES.items()
            if study in results.results
        },
        tables=tables,
        claims=claims,
        questions=questions,
        not_examined=NOT_EXAMINED,
        without_picture=[result for result in results.results.values() if not result.picture],
        records=[result.record for result in results.results.values()],
        made=provenance(None),
        style=Markup((FOLDER / "page.css").read_text()),
        script=Markup((FOLDER / "page.js").read_text()),
    )


def _filled(known: Mapping[str, str]) -> Any:
    def fill(text: str) -> str | None:
        try:
            return text.format_map(known)
        except KeyError:  # a number has no record
            return None

    return fill


def _linked(html: Markup, results: Results) -> Markup:
    """`html` with the identifiers of claims and figures in it as links."""
    targets = {name: f"#result-{name}" for name in results.results}
    targets |= {claim: f"#{claim}" for claim in results.verdicts}

    def link(match: Any) -> str:
        target = targets.get(match[0])
        return f'<a href="{target}">{match[0]}</a>' if target else match[0]

    return Markup(ID.sub(link, str(html)))


def _download(record: Mapping[str, Any]) -> str:
    """A data URL of a record as its file has it, compressed."""
    packed = gzip.compress(json.dumps(record, indent=1).encode() + b"\n", mtime=0)
    return f"data:application/gzip;base64,{base64.b64encode(packed).decode()}"


def _json(value: Any) -> Markup:
    """JSON that may stand inside a script element."""
    return Markup(json.dumps(value, allow_nan=False).replace("<", "\\u003c"))
