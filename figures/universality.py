"""How many paths, and how many dimensions of path space, exact CP forms of rank R reach."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    degrees = sorted({row["L"] for row in values["rows"]})
    fig, axes = figure(COLUMN * max(len(degrees), 1.3), 2.6, panels=len(degrees))
    for axis, lmax in zip(axes, degrees, strict=True):
        rows = [row for row in values["rows"] if row["L"] == lmax and "alive" in row]
        ranks = [row["R"] for row in rows]
        axis.plot(ranks, [row["alive"] for row in rows], color="#0072B2", marker="o", label="paths alive")
        axis.plot(ranks, [row["dimension"] for row in rows], color="#D55E00", marker="s", label="dimension reached")
        axis.axhline(rows[0]["paths"], color="0.5", linestyle="--", linewidth=0.8)
        axis.text(ranks[0], rows[0]["paths"], "all paths", color="0.35", fontsize=7, va="bottom", ha="left")
        maps = [row for row in values["random_maps"] if row["L"] == lmax]
        if maps:
            shares = [row["exact"] / row["maps"] * rows[0]["paths"] for row in maps]
            axis.bar(
                [row["R"] for row in maps], shares, color="0.85", width=0.6, label="share of random maps", zorder=0
            )
        axis.set_ylim(0, rows[0]["paths"] * 1.6)  # room for the legend
        axis.set_xlabel("rank $R$")
        axis.set_ylabel("number of paths")
        axis.set_title(f"$L={lmax}$", loc="left")
    axes[0].legend(loc="upper left")
    return fig
