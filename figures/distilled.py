"""Minutes of training give back little of what a low-rank product takes from a pretrained potential (T8).

Open: CP in the place of the products, best path weights. Filled: after training on what the potential said with its
own products, one mark for each seed. Means over kinds of structures, of formulas that were not trained on.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, DEGREE_COLOURS, figure, name_rows, plain_ticks

NAMES = {"CP": "best CP", "CP, released recipe": "released recipe"}
LABELS = {"energy": "energy changed by (meV/atom)", "forces": "forces changed by (meV/Å)"}
TICKS = {"energy": (0.5, 1, 2, 5, 10, 20), "forces": (10, 20, 50, 100, 200, 500)}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in values["rows"]:
        product, lmax = row["product"], values["degrees"][row["potential"]]
        rows.setdefault(f"$L={lmax}$, {NAMES[product['kind']]}, $R={product['rank']}$", []).append(row)
    fig, axes = figure(2 * COLUMN, 0.8 + 0.28 * len(rows), panels=2)
    for axis, quantity in zip(axes, LABELS, strict=True):
        axis.set_xscale("log")
        name_rows(axis, list(rows))
        for height, runs in enumerate(rows.values()):
            colour = DEGREE_COLOURS[values["degrees"][runs[0]["potential"]]]
            before = mean(runs[0]["before"], quantity)
            after = [mean(run["after"], quantity) for run in runs]
            axis.plot([before, min(after)], [height, height], color=colour, linewidth=0.7)
            axis.plot(before, height, "o", color=colour, markerfacecolor="white")
            axis.plot(after, [height] * len(after), "o", color=colour, alpha=0.6, markeredgewidth=0)
        plain_ticks(axis.xaxis, TICKS[quantity])
        axis.set_xlabel(LABELS[quantity])
        axis.set_ylabel("product" if axis is axes[0] else " ")
    axes[1].set_yticklabels([])
    return fig


def mean(kinds: dict[str, Any], quantity: str) -> float:
    """Mean over the kinds of structures; perfect crystals have no forces, by symmetry."""
    found = [kind[quantity]["mean"] for name, kind in kinds.items() if quantity == "energy" or name != "crystals"]
    return sum(found) / len(found)
