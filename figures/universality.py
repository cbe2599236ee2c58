"""Dimensions of path space that exact CP forms of rank R reach; least ranks of sets of paths at L = 1 (T2, T3)."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, DEGREE_COLOURS, DEGREE_MARKERS, figure


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.8, panels=2)
    rows = [row for row in (*values["entries"], *values["starts"]) if "alive" in row]
    for lmax in sorted({row["L"] for row in rows}):
        own = [row for row in rows if row["L"] == lmax]
        colour, marker = DEGREE_COLOURS[lmax], DEGREE_MARKERS[lmax]
        left.plot(
            [row["R"] for row in own], [row["alive"] for row in own], marker, color=colour, markerfacecolor="none"
        )
        left.plot(
            [row["R"] for row in own], [row["dimension"] for row in own], marker, color=colour, label=f"$L={lmax}$"
        )
        left.axhline(own[0]["paths"], color=colour, linestyle="--", linewidth=0.8)
    left.plot([], [], "o", color="0.3", markerfacecolor="none", label="paths alive")
    left.plot([], [], "o", color="0.3", label="dimension reached nearby")
    left.set_xscale("log")
    left.set_ylim(0, 1.5 * max(row["paths"] for row in rows))  # room for the legend
    left.set_xlabel("rank $R$ (dashes: all paths)")
    left.set_ylabel("number of paths")
    left.legend(loc="upper left", fontsize=6.5)
    sets = sorted(values["sets"], key=lambda row: (row["found"], len(row["paths"])))
    places = range(len(sets))
    right.barh(places, [row["found"] for row in sets], color="#0072B2", height=0.6)
    right.plot([row["lower"] for row in sets], places, "|", color="#D55E00", markersize=8, label="lower bound")
    right.legend(loc="lower right")
    right.set_yticks(places, [", ".join("".join(map(str, path)) for path in row["paths"]) for row in sets], fontsize=6)
    right.set_xlabel("least rank $R$ found, weights free")
    right.set_ylabel("paths $l_1 l_2 l_3$ alive, $L=1$")
    return fig
