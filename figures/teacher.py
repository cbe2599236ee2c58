"""Students of as many terms as theory asks learn any teacher exactly, and with fewer terms none did (T2, T3, O8).

Teachers have random equivariant products, of random path weights or such as a scaling of degrees gives. Mean
logarithms over seeds, bars are standard errors; coloured bars: the ranks by theory.
"""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures._style import COLUMN, error_axis, figure

KINDS = {
    "random": ("#0072B2", "o", "random weights"),
    "scaled": ("#D55E00", "s", "scaled, all paths"),
    "scaled, even": ("#009E73", "^", "scaled, even paths"),
    "SevenNet": ("#CC79A7", "D", "a pretrained SevenNet's"),
}
LEAST = 1e-5


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, axes = figure(2 * COLUMN + 0.2, 2.9, panels=2)
    labels: dict[str, Line2D] = {}
    for axis, lmax in zip(axes, (1, 2), strict=True):
        floor = error_axis(axis, LEAST, 3)
        for kind, (colour, marker, label) in KINDS.items():
            rows = [row for row in values["summary"] if row["L"] == lmax and row["kind"] == kind]
            if not rows:
                continue
            ranks = [row["R"] for row in rows]
            for key, style, face in (("log10_error_before", ":", "white"), ("log10_error", "-", colour)):
                heights, low, high = [], [], []
                for row in rows:
                    mean, error = row[key]["mean"], row[key]["standard_error"] or 0.0
                    shown = 10**mean > values["zero"]
                    heights.append(10**mean if shown else floor)
                    low.append(heights[-1] * (1 - 10**-error) if shown else 0.0)
                    high.append(heights[-1] * (10**error - 1) if shown else 0.0)
                axis.errorbar(ranks, heights, [low, high], color=colour, marker=marker, linestyle=style,
                              markerfacecolor=face, elinewidth=0.7)  # fmt: skip
            axis.axvline(rows[0]["predicted"], color=colour, linewidth=3, alpha=0.25, zorder=0)
            labels.setdefault(label, axis.plot([], [], color=colour, marker=marker)[0])
        shown = sorted({row["R"] for row in values["summary"] if row["L"] == lmax})
        axis.set_xticks(shown, list(map(str, shown)), fontsize=6)
        axis.set_xlabel("CP terms $R$ of the student (bars: theory)")
        axis.set_ylabel("relative error, held-out molecules")
        axis.set_title(f"$L={lmax}$", loc="left")
    labels["everything trained"] = axes[0].plot([], [], "o-", color="0.3")[0]
    labels["factors fitted, weights given"] = axes[0].plot([], [], "o:", color="0.3", markerfacecolor="white")[0]
    fig.legend(list(labels.values()), list(labels), loc="outside lower center", ncols=3)
    return fig
