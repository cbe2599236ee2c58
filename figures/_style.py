"""The look that all figures share: journal columns, one colour per meaning, safe for colour-blind readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

COLUMN = 3.4
"""Width of one journal column in inches; two are 7."""

DEGREE_COLOURS = {1: "#0072B2", 2: "#D55E00", 3: "#009E73", 4: "#CC79A7", 5: "#56B4E9", 6: "#000000"}
"""Okabe and Ito's palette, one colour per maximal degree."""

DEGREE_MARKERS = {1: "o", 2: "s", 3: "^", 4: "D", 5: "v", 6: "P"}

SCHEDULE_COLOURS = {"(L+1)^4": "#000000", "16 ln^2(L+1)": "#D55E00", "7L": "#56B4E9", "7L^2": "#009E73"}
SCHEDULE_MARKERS = {"(L+1)^4": "D", "16 ln^2(L+1)": "s", "7L": "^", "7L^2": "o"}
SCHEDULE_LABELS = {
    "(L+1)^4": r"$R=(L+1)^4$",
    "16 ln^2(L+1)": r"$R=16\,\ln^2(L+1)$",
    "7L": r"$R=7L$",
    "7L^2": r"$R=7L^2$",
}

EXACT = 1e-12
"""Errors below this are roundoff, and drawn on the line `exact`."""


def figure(width: float, height: float, panels: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of rows of `panels` panels side by side, row by row, sizes in inches, with small type."""
    plt.rcParams.update(
        {
            "font.size": 8,
            "axes.labelsize": 8,
            "axes.titlesize": 8,
            "legend.fontsize": 7,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "lines.linewidth": 1.0,
            "lines.markersize": 3.5,
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "svg.fonttype": "none",
        }
    )
    fig, axes = plt.subplots(rows, panels, figsize=(width, height), layout="constrained", squeeze=False)
    return fig, list(axes.flat)


def plain_ticks(axis: Axis, places: Sequence[float]) -> None:
    """Ticks at those of the places that are in view, written as plain numbers; no minor ticks."""
    low, high = axis.get_view_interval()
    shown = [place for place in places if low <= place <= high]
    axis.set_ticks(shown, [f"{place:g}" for place in shown])
    axis.set_ticks([], minor=True)


def error_axis(axis: Axes, lowest: float, highest: float, along: Literal["x", "y"] = "y") -> float:
    """Logarithmic error axis from `lowest` on, with a line `exact` before it; returns the place of that line."""
    line = lowest / 3
    axis.set(**{f"{along}scale": "log", f"{along}lim": (line / 1.6, highest)})
    (axis.axhline if along == "y" else axis.axvline)(
        lowest / 1.5, color="0.7", linewidth=0.6, linestyle=(0, (1, 2)), zorder=0
    )
    decades = [k for k in range(-16, 6) if lowest <= 10.0**k <= highest]
    step = -(-len(decades) // (6 if along == "y" else 3))  # as many labels as there is room for
    scale = axis.yaxis if along == "y" else axis.xaxis
    shown = [k for k in decades[::-step] if along == "y" or 10.0**k > 2 * lowest]
    scale.set_ticks([line, *(10.0**k for k in shown)], ["exact", *(f"$10^{{{k}}}$" for k in shown)])
    minor = [m * 10.0**k for k in decades for m in range(2, 10)] if step == 1 else [10.0**k for k in decades]
    scale.set_ticks([place for place in minor if place <= highest], minor=True)
    axis.tick_params(axis=along, which="minor", labelleft=False, labelbottom=False)
    return line


def label_ends(axis: Axes, ends: Sequence[tuple[float, str, str]], apart: float = 0.065) -> None:
    """Names of lines to the right of the axis, each at the height where its line ends, moved apart where too near.

    Args:
        axis: The axis; its limits in y stay what they are.
        ends: (height, name, colour) of each line.
        apart: Least distance of two names, as a share of the height of the axis.
    """
    axis.set_ylim(axis.get_ylim())
    transform = axis.transScale + axis.transLimits  # to shares of the axis
    places = sorted((float(transform.transform((1.0, height))[1]), name, colour) for height, name, colour in ends)
    heights = [place for place, _, _ in places]
    for _ in range(100):
        for n in range(len(heights) - 1):
            overlap = apart - (heights[n + 1] - heights[n])
            if overlap > 0:
                heights[n], heights[n + 1] = heights[n] - overlap / 2, heights[n + 1] + overlap / 2
    for height, (_, name, colour) in zip(heights, places, strict=True):
        axis.text(1.02, height, name, color=colour, fontsize=7, va="center", transform=axis.transAxes)


def name_rows(axis: Axes, names: Sequence[str]) -> None:
    """Rows from top to bottom, with these names at the left; thin lines guide the eye."""
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_yticks(range(len(names)), names)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    for row in range(len(names)):
        axis.axhline(row, color="0.9", linewidth=0.5, zorder=0)
