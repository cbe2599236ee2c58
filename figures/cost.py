"""The method decides with which power of L multiply-adds grow; one product for all paths reaches few maps (E3, T6).

Counted for each method, with the power of L in which it grows at the end of the line. Right: the dimension of the
space of bilinear maps that weights around a product can reach.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, label_ends

LOOKS = {
    "per_path": ("#000000", "D", "dense blocks (e3nn)"),
    "dense": ("#CC79A7", "v", "dense $M$"),
    "sparse": ("#D55E00", "s", "nonzeros of $M$"),
    "cp": ("#009E73", "o", "CP, $R=7L^2$"),
    "matrix": ("#E69F00", "P", "matrix product"),
    "y_first": ("#0072B2", "^", "$y$ first"),
    "rotated": ("#56B4E9", ">", "turned to the pole (eSCN)"),
    "grid": ("#999999", "x", "Gaunt on a grid"),
    "bracket": ("#666666", "+", "Gaunt and Poisson bracket"),
}
REACH = {
    "weights per path": ("#0072B2", "^", "weights per path: blocks,\nnonzeros, $y$ first, eSCN"),
    "one product": ("#009E73", "o", "one product: CP, matrices,\ngrids, and all with shared\nweights ($3L+1$)"),
}
TITLES = {"uvu": "one channel of harmonics in $y$", "uuu": "channels in $x$ and $y$"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (*axes, reach) = figure(2 * COLUMN + 0.2, 3.6, panels=3)
    degrees = [row["L"] for row in values["rows"]]
    for axis, connection in zip(axes, TITLES, strict=True):
        ends = []
        for method, (colour, marker, label) in LOOKS.items():
            points = [
                (r["L"], r[connection][method] / values["channels"]) for r in values["rows"] if method in r[connection]
            ]
            if points:
                axis.plot(*zip(*points, strict=True), color=colour, marker=marker, label=label)
                ends.append((points[-1][1], f"$L^{{{values['exponents'][connection][method]:.1f}}}$", colour))
        axis.set_yscale("log")
        label_ends(axis, ends, apart=0.055)
        axis.set_xticks(degrees[1::2])
        axis.set_xlabel("maximal degree $L$")
        axis.set_title(TITLES[connection], loc="left", fontsize=7)
        axis.set_ylabel("multiply-adds per edge and channel")
    for name, (colour, marker, label) in REACH.items():
        reach.plot(degrees, [row["reach"][name] for row in values["rows"]], color=colour, marker=marker, label=label)
    reach.set(yscale="log", xlabel="maximal degree $L$", ylabel="dimension of the maps reached", xticks=degrees[1::2])
    reach.set_title("what weights around a product reach", loc="left", fontsize=7)
    reach.legend(fontsize=5.5, loc="upper left")
    reach.set_ylim(top=reach.get_ylim()[1] * 20)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=6.5)
    return fig
