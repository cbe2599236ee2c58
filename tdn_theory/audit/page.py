"""The page of an audit: the answer, a picture of all errors over their floors, the degrees of the rotation errors."""

from __future__ import annotations

import io
from collections.abc import Mapping
from html import escape
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tdn_theory.audit.verdict import ROUNDOFF, UNITS, Grade

COLORS = {Grade.ROUNDOFF: "#4c9f70", Grade.APPROXIMATE: "#e3a008", Grade.BROKEN: "#c0392b"}

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: left; border-bottom: 1px solid #ccc; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } svg { max-width: 100%; height: auto; }
"""


def page(record: Mapping[str, Any]) -> str:
    """A page of HTML that needs no network and no other file.

    Args:
        record: What `potential.audit` returns.
    """
    rows = "".join(
        f"<tr><td>{escape(row['check'])}</td><td>{row['quantity']}</td><td class=number>{row['error']:.2e}</td>"
        f"<td>{row['unit']}</td><td class=number>{row['floor']:.1e}</td><td class=number>{_relative(row)}</td>"
        f"<td style='color:{COLORS[Grade(row['grade'])]}'>{row['grade']}</td><td>{escape(row['hint'])}</td></tr>"
        for row in record["findings"]
    )
    refused = "".join(
        f"<li>{escape(name)}: {escape(part['refused'])}</li>"
        for name, part in record["structures"].items()
        if "refused" in part
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Audit of {escape(record['calculator'])}</title>"
        f"<style>{STYLE}</style><h1>Audit of <code>{escape(record['calculator'])}</code></h1>"
        f"<p><strong>{escape(record['answer'])}</strong></p>"
        f"<p>{len(record['structures'])} structures; rotations by a quadrature exact to degree {record['degree']}; "
        f"{escape(record['provenance']['device'])}, {record['provenance']['time'][:10]}.</p>"
        f"<h2>Errors over their floors</h2>{_svg(_bars(record))}"
        f"<h2>Errors under rotations</h2><p>Farthest from the mean: {escape(record['worst'])}.</p>"
        f"{_svg(_degrees(record))}"
        f"<h2>All numbers</h2><table><tr><th>check<th>property<th>error<th>unit<th>floor<th>relative<th>grade<th></tr>"
        f"{rows}</table>" + (f"<h2>Left out</h2><ul>{refused}</ul>" if refused else "") + "</html>"
    )


def _relative(row: Mapping[str, Any]) -> str:
    return "" if row["relative"] is None else f"{row['relative']:.1e}"


def _bars(record: Mapping[str, Any]) -> Figure:
    """Error over floor of each finding; the line is where roundoff ends."""
    rows = record["findings"][::-1]
    figure = Figure(figsize=(8, 0.8 + 0.24 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    ratios = [max(row["error"] / row["floor"], 1e-2) for row in rows]
    axes.barh(range(len(rows)), ratios, color=[COLORS[Grade(row["grade"])] for row in rows], left=1e-2)
    axes.set_yticks(range(len(rows)), [f"{row['check']}, {row['quantity']}" for row in rows], fontsize=8)
    axes.axvline(ROUNDOFF, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("error / floor; roundoff ends at the line")
    return figure


def _degrees(record: Mapping[str, Any]) -> Figure:
    """Share of each degree l in the variance over SO(3), mean over structures; the rest has higher degrees."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.add_subplot()
    parts = [part["rotations"] for part in record["structures"].values() if "rotations" in part]
    for name in UNITS:
        powers = [part["powers"][name] for part in parts if name in part["powers"]]
        total = sum(part["squares"][name] for part in parts if name in part["squares"])
        if powers and total:
            shares = [sum(column) / total for column in zip(*powers, strict=True)]
            axes.plot(range(1, len(shares) + 1), shares, "o-", label=name)
    axes.set_ylim(0, 1.05)
    axes.set_xticks(range(1, record["degree"] // 2 + 1))
    axes.set_xlabel("degree l")
    axes.set_ylabel("share of the variance")
    if axes.lines:
        axes.legend()
    return figure


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    FigureCanvasSVG(figure).print_svg(stream)
    text = stream.getvalue()
    return text[text.index("<svg") :]
