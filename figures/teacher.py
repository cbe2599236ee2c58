"""Students of as many terms as theory asks learn any teacher exactly, and with fewer terms none did (T2, T3, O8).

Teachers have random equivariant products, of random path weights or such as a scaling of degrees gives. Mean
logarithms over seeds, bars are standard errors; coloured bars: the ranks by theory.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, error_axis, figure

KINDS = {
    "random": ("#0072B2", "o", "random weights"),
    "scaled": ("#D55E00", "s", "scaled, all paths"),
    "scaled, even": ("#009E73", "^", "scaled, even paths"),
}
LEAST = 1e-5


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, axes = figure(2 * COLUMN + 0.2, 2.9, panels=2)
    for axis, lmax in zip(axes, (1, 2), strict=True):
        floor = error_axis(axis, LEAST, 3)
        for kind, (colour, marker, label) in KINDS.items():
            rows = [row for row in values["summary"] if row["L"] == lmax and row["kind"] == kind]
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
            axis.plot([], [], color=colour, marker=marker, label=label if axis is axes[0] else None)
        shown = sorted({row["R"] for row in values["summary"] if row["L"] == lmax})
        axis.set_xticks(shown, list(map(str, shown)), fontsize=6)
        axis.set_xlabel("CP terms $R$ of the student (bars: theory)")
        axis.set_ylabel("relative error, held-out molecules")
        axis.set_title(f"$L={lmax}$", loc="left")
    axes[0].plot([], [], "o-", color="0.3", label="everything trained")
    axes[0].plot([], [], "o:", color="0.3", markerfacecolor="white", label="factors fitted, weights given")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig
