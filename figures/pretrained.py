"""A product of low rank changes a pretrained potential, an exact one of the atlas does not (T8, O2).

Mean changes of energies and forces of SevenNet-0 and l3i5, trained with all paths, over kinds of structures. Below
single precision is `exact`; dotted: without odd paths.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, DEGREE_COLOURS, error_axis, figure, plain_ticks

NAMES = {"7net-0": "SevenNet-0, $L=2$", "7net-l3i5": "SevenNet l3i5, $L=3$"}
FLOOR = {"energy": 1e-3, "forces": 1e-2}
"""Below the rounding of single precision."""
HIGHEST = {"energy": 400, "forces": 2000}
LABELS = {"energy": "energy changed by [meV/atom]", "forces": "forces changed by [meV/Å]"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, axes = figure(2 * COLUMN + 0.2, 3.0, panels=2)
    for axis, quantity in zip(axes, FLOOR, strict=True):
        line = error_axis(axis, FLOOR[quantity], HIGHEST[quantity])

        def height(row: dict[str, Any], quantity: str = quantity, line: float = line) -> float:
            value = mean(row, quantity)
            return value if value > FLOOR[quantity] else line

        for potential, lmax in values["degrees"].items():
            colour, rank = DEGREE_COLOURS[lmax], values["paper_rank"][potential]
            rows = [row for row in values["rows"] if row["potential"] == potential]
            fits = {
                rescaled: sorted((r["rank"], height(r)) for r in rows if of(r, "CP", rescaled))
                for rescaled in (False, True)
            }
            axis.plot(*zip(*fits[False], strict=True), "o-", color=colour, label=NAMES[potential])
            axis.plot(*zip(*fits[True], strict=True), "o--", color=colour, markerfacecolor="none", linewidth=0.7)
            recipe = [(r["rank"], height(r)) for r in rows if of(r, "CP, released recipe", rescaled=False)]
            axis.plot(*zip(*recipe, strict=True), "x", color=colour, markersize=5)
            exact = [(r["rank"], height(r)) for r in rows if r["kind"].startswith("atlas, all")]
            axis.plot(*zip(*exact, strict=True), "*", color=colour, markersize=8)
            even = [height(r) for r in rows if r["kind"] == "M, even paths"]
            axis.axhline(even[0], color=colour, linewidth=0.7, linestyle=":")
            axis.axvline(rank, color=colour, linewidth=0.6, alpha=0.5)
            axis.text(rank, 1.01, "$7L^2$", color=colour, ha="center", transform=axis.get_xaxis_transform())
        explain(axis)
        axis.set(xscale="log", xlabel="rank $R$", ylabel=LABELS[quantity])
        plain_ticks(axis.xaxis, (5, 10, 20, 30, 60, 90))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def of(row: dict[str, Any], kind: str, rescaled: bool) -> bool:
    """Whether a row is of this kind of product."""
    return row["kind"] == kind and row["rescaled"] is rescaled


def mean(row: dict[str, Any], quantity: str) -> float:
    """Mean over the kinds of structures; perfect crystals have no forces, by symmetry."""
    kinds = [kind for name, kind in row["kinds"].items() if quantity == "energy" or name != "crystals"]
    found = [kind["error"][quantity]["mean"] for kind in kinds]
    return sum(found) / len(found)


def explain(axis: Axes) -> None:
    """Entries of the legend for what lines and markers mean."""
    for marker, label in (
        ("o-", "best CP fit of $M$"),
        ("o--", "the same, best path weights"),
        ("x", "released recipe"),
        ("*", "exact, of the atlas"),
        (":", "even paths only"),
    ):
        axis.plot([], [], marker, color="0.3", label=label, markerfacecolor="none" if "--" in marker else None)
