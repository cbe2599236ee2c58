"""Multiply-adds of every method against L, for the network's product and with channels in both inputs (E3, T6)."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure

LOOKS = {
    "per_path": ("#000000", "D", "dense blocks (e3nn)"),
    "dense": ("#CC79A7", "v", "dense $M$"),
    "sparse": ("#D55E00", "s", "nonzeros of $M$"),
    "cp": ("#009E73", "o", "CP, $R=7L^2$"),
    "matrix": ("#E69F00", "P", "matrix product"),
    "y_first": ("#0072B2", "^", "$y$ first"),
}
TITLES = {"uvu": "one harmonics channel in $y$ (uvu)", "uuu": "channels in $x$ and $y$ (uuu)"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, axes = figure(2 * COLUMN + 0.2, 2.8, panels=2)
    for axis, connection in zip(axes, TITLES, strict=True):
        for method, (colour, marker, label) in LOOKS.items():
            points = [
                (r["L"], r[connection][method] / values["channels"]) for r in values["rows"] if method in r[connection]
            ]
            exponent = values["exponents"][connection][method]
            axis.plot(*zip(*points, strict=True), color=colour, marker=marker, label=f"{label}: $L^{{{exponent:.1f}}}$")
        axis.set_yscale("log")
        axis.set_xticks([row["L"] for row in values["rows"]])
        axis.set_xlabel("maximal degree $L$")
        axis.set_ylabel("multiply-adds per edge and channel")
        axis.set_title(TITLES[connection], loc="left")
        axis.legend(loc="upper left", fontsize=6.5, ncols=2)
    lowest = min(work for r in values["rows"] for work in (*r["uvu"].values(), *r["uuu"].values()))
    highest = max(work for r in values["rows"] for work in (*r["uvu"].values(), *r["uuu"].values()))
    for axis in axes:
        axis.set_ylim(lowest / values["channels"] / 1.5, highest / values["channels"] * 20)  # room for the legend
    return fig
