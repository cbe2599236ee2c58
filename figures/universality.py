"""At low rank path weights are not free: exact CP forms reach fewer dimensions than they have paths (T2, T3).

Left: the dimension reached nearby (filled), the number of paths used (open), and of all paths (dashes). Right: the
least rank found for every set of paths at L = 1, weights free, and a lower bound on it.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, DEGREE_COLOURS, DEGREE_MARKERS, figure, plain_ticks


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, middle, right) = figure(2 * COLUMN + 0.2, 2.9, panels=3)
    rows = [row for row in (*values["entries"], *values["starts"]) if "alive" in row]
    for lmax in sorted({row["L"] for row in rows}):
        own = [row for row in rows if row["L"] == lmax]
        colour, marker, ranks = DEGREE_COLOURS[lmax], DEGREE_MARKERS[lmax], [row["R"] for row in own]
        left.plot(ranks, [row["alive"] for row in own], marker, color=colour, markerfacecolor="none")
        left.plot(ranks, [row["dimension"] for row in own], marker, color=colour)
        left.axhline(own[0]["paths"], color=colour, linestyle="--", linewidth=0.8)
        left.annotate(
            f"$L={lmax}$: all {own[0]['paths']} paths",
            (0.99, own[0]["paths"]),
            (0, 4),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=colour,
            fontsize=7,
            ha="right",
        )
    left.set_xscale("log")
    plain_ticks(left.xaxis, (5, 10, 20, 50, 100))
    left.set_ylim(0, 1.15 * max(row["paths"] for row in rows))
    left.set_xlabel("rank $R$")
    left.set_ylabel("paths used, dimension reached")

    sets = sorted(values["sets"], key=lambda row: (row["found"], len(row["paths"])))
    paths = sorted({tuple(path) for row in sets for path in row["paths"]})
    for place, row in enumerate(sets):
        inside = [n for n, path in enumerate(paths) if list(path) in row["paths"]]
        middle.plot(range(len(paths)), [place] * len(paths), "o", color="0.87")
        middle.plot(inside, [place] * len(inside), "o-", color="0.2")
    middle.set_xticks(range(len(paths)), [rf"${a}\otimes{b}\to{c}$" for a, b, c in paths], rotation=90)
    middle.set_yticks([])
    middle.spines["left"].set_visible(False)
    middle.set_xlabel("paths used, $L=1$")
    middle.set_ylabel(" ")
    places = range(len(sets))
    right.barh(places, [row["found"] for row in sets], color="#0072B2", height=0.6)
    for place, row in enumerate(sets):
        right.plot([row["lower"]] * 2, [place - 0.4, place + 0.4], color="#D55E00", linewidth=1.5)
        right.annotate(str(row["found"]), (row["found"], place), (3, 0), textcoords="offset points", va="center")
    right.annotate(
        "lower bound", (sets[0]["lower"], 0), (14, 0), textcoords="offset points", color="#D55E00", va="center"
    )
    right.set_yticks([])
    right.set_xlabel("least rank $R$ found")
    right.set_ylabel(" ")
    for axis in (middle, right):
        axis.set_ylim(-0.7, len(sets) - 0.3)
    return fig
