"""The look that all figures share: journal columns, one colour per meaning, safe for colour-blind readers."""

from __future__ import annotations

from collections.abc import Sequence

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


def figure(width: float, height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of `panels` panels side by side, sizes in inches, with small type."""
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
    fig, axes = plt.subplots(1, panels, figsize=(width, height), layout="constrained", squeeze=False)
    return fig, list(axes[0])


def plain_ticks(axis: Axis, places: Sequence[float]) -> None:
    """Ticks at those of the places that are in view, written as plain numbers; no minor ticks."""
    low, high = axis.get_view_interval()
    shown = [place for place in places if low <= place <= high]
    axis.set_ticks(shown, [f"{place:g}" for place in shown])
    axis.set_ticks([], minor=True)


def error_axis(axis: Axes, lowest: float, highest: float) -> float:
    """Logarithmic error axis from `lowest` up, with a line `exact` below it; returns the height of that line."""
    line = lowest / 3
    axis.set_yscale("log")
    axis.set_ylim(line / 1.6, highest)
    axis.axhline(lowest / 1.5, color="0.7", linewidth=0.6, linestyle=(0, (1, 2)))
    ticks = [10.0**k for k in range(-16, 6) if lowest <= 10.0**k <= highest]
    axis.set_yticks([line, *ticks], ["exact", *(f"$10^{{{round_log(t)}}}$" for t in ticks)])
    axis.set_yticks([m * t for t in ticks for m in range(2, 10) if m * t <= highest], minor=True)
    axis.tick_params(axis="y", which="minor", labelleft=False)
    return line


def round_log(value: float) -> int:
    """Exponent of a power of ten."""
    return len(f"{value:.0f}") - 1 if value >= 1 else -(len(f"{1 / value:.0f}") - 1)
