"""How much faster than e3nn products are hardly depends on the width of vectors; what is compared matters more (F3c).

Solid: vector code of AVX-512; dashed: of AVX2, on the same processor. Left: products alone. Right: gather, product with
weights for every path, and sum, in one loop, against e3nn's eager and compiled. Medians of rounds on one thread.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, label_ends, plain_ticks

STYLES = {"AVX-512": "-", "AVX2": "--"}
PRODUCTS = {
    "exact, fused": ("#009E73", "exact, shared"),
    "cp, released order": ("#D55E00", "CP $7L^2$, shared"),
    "per path": ("#0072B2", "exact, per path"),
}
RIVALS = {"e3nn": ("#0072B2", "over eager"), "e3nn compiled": ("#CC79A7", "over compiled")}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    rows = record["values"]["rows"]
    fig, (left, right) = figure(2 * COLUMN, 2.6, panels=2)
    ends: tuple[list, list] = [], []
    for vectors, style in STYLES.items():
        own = [row for row in rows if row["vectors"] == vectors]
        for method, (colour, label) in PRODUCTS.items():
            found = [{name: m["forward"]["median"] for name, m in row["product"]["methods"].items()} for row in own]
            _line(left, ends[0], own, [one["e3nn"] / one[method] for one in found], style, colour, label)
        for rival, (colour, label) in RIVALS.items():
            found = [{name: t["median"] for name, t in row["convolution"]["forward"].items()} for row in own]
            if all(rival in one for one in found):
                _line(right, ends[1], own, [one[rival] / one["ours"] for one in found], style, colour, label)
    for axis, labels, title in ((left, ends[0], "products"), (right, ends[1], "convolutions, weights per path")):
        axis.set_yscale("log")
        axis.set_ylim(1, 200)
        plain_ticks(axis.yaxis, (1, 3, 10, 30, 100))
        plain_ticks(axis.xaxis, sorted({row["L"] for row in rows}))
        axis.set_xlabel("maximal degree $L$")
        axis.set_ylabel("times faster than e3nn" if axis is left else " ")
        axis.set_title(title, loc="left")
        label_ends(axis, labels)
    return fig


def _line(axis: Any, ends: list, rows: list, ratios: list[float], style: str, colour: str, label: str) -> None:
    axis.plot([row["L"] for row in rows], ratios, style, marker="o", color=colour)
    if ratios and label not in [name for _, name, _ in ends]:
        ends.append((ratios[-1], label, colour))
