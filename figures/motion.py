"""With a low-rank product a free molecule sets itself turning within 5 ps; its total energy hardly drifts (T8).

Left: slope of the total energy, per atom, of a molecule and two crystals from 300 K. Right: largest change of the
free molecule's angular momentum, over its thermal size; an equivariant potential keeps it, but for roundoff. One run
each.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, name_rows

BODIES = {"CH3OH": ("#0072B2", "o", "CH$_3$OH"), "NaCl": ("#D55E00", "s", "NaCl"), "Cu": ("#009E73", "^", "Cu")}
NAMES = {"CP": "best CP", "CP, released recipe": "released recipe"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    rows = values["rows"]
    fig, (drift, turning) = figure(2 * COLUMN, 0.9 + 0.28 * len(rows), panels=2)
    for axis in (drift, turning):
        axis.set_xscale("log")
        name_rows(axis, [f"$L={values['degrees'][row['potential']]}$, {name(row['product'])}" for row in rows])
    for height, row in enumerate(rows):
        for body, (colour, marker, label) in BODIES.items():
            slope = abs(row["bodies"][body]["drift"])
            drift.plot(slope, height, marker, color=colour, label=label if height == 0 else None)
        turning.plot(row["angular_momentum"], height, "o", color=BODIES["CH3OH"][0])
    drift.set_xlabel("drift of the energy [meV/(atom ps)], absolute")
    turning.set_xlabel("change of angular momentum / thermal")
    turning.set_yticklabels([])
    drift.set_ylabel("product")
    turning.set_ylabel(" ")
    fig.legend(*drift.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def name(product: dict[str, Any] | None) -> str:
    """What stands in for the potential's own products."""
    return "its own" if product is None else f"{NAMES[product['kind']]}, $R={product['rank']}$"
