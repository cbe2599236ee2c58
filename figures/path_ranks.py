"""Ranks of single paths: between a proven lower bound and the least exact decomposition known.

Bounds are of the rank over the real numbers. Grey bars span what is open; where a blue line and a square meet, the
rank is known. An open square is exact to roundoff and not proven. A cross: with one term less, fits come near while
their terms diverge, as at a border rank. A dot: what counting parameters expects of a generic tensor of the size.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, name_rows

DIVERGED = 1e3
"""Condition from which on terms diverge."""
NEAR = 0.01
"""Relative residual that counts as near."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    rows = record["values"]["rows"]
    fig, (axis,) = figure(2 * COLUMN, 0.19 * len(rows) + 1.0)
    name_rows(axis, [row["coupling"].replace(" x ", r" $\times$ ").replace("->", r"$\to$") for row in rows])
    for place, row in enumerate(rows):
        axis.plot([row["lower"], row["found"]], [place, place], color="0.85", linewidth=5, solid_capstyle="butt")
        axis.plot(row["generic"], place, ".", color="0.5")
    places = range(len(rows))
    proven = [row["proven"] == row["found"] for row in rows]
    below = [
        row["below"]["R"] if row["below"]["residual"] < NEAR and row["below"]["condition"] > DIVERGED else None
        for row in rows
    ]
    shown: list[tuple[list[int | None], dict[str, Any]]] = [
        (
            [row["lower"] for row in rows],
            {"marker": "|", "markersize": 10, "markeredgewidth": 2, "color": "#0072B2", "label": "proven lower bound"},
        ),
        (
            [row["found"] if p else None for row, p in zip(rows, proven, strict=True)],
            {"marker": "s", "color": "#D55E00", "label": "least known, proven"},
        ),
        (
            [None if p else row["found"] for row, p in zip(rows, proven, strict=True)],
            {"marker": "s", "color": "#D55E00", "fillstyle": "none", "label": "least known, numerical"},
        ),
        (below, {"marker": "x", "color": "#D55E00", "label": "near, terms diverge"}),
    ]
    for ranks, look in shown:
        known = [(r, place) for r, place in zip(ranks, places, strict=True) if r is not None]
        axis.plot([r for r, _ in known], [place for _, place in known], linestyle="", **look)
    axis.plot([], [], ".", color="0.5", label="generic tensor")
    axis.set(xlabel="CP rank $R$", ylabel="path", xlim=(3, None))
    axis.legend(loc="upper right", ncols=1)
    return fig
