"""Forces of networks with a truncated CP product change with the orientation; with an exact one they do not (O3).

Left: change of forces on an atom, median (marker), 5 to 95 % of atoms (bar), and the worst found by search
(triangle). Middle and right: rotated copies that should stay equal, after relaxation and in dynamics; means over
seeds, bars are standard errors.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, error_axis, figure, name_rows

KINDS = {"relaxation": ("#0072B2", "o", -0.3), "rattled": ("#D55E00", "s", -0.1), "dynamics": ("#009E73", "^", 0.1)}
ROUNDOFF = 1e-6
"""Below this, in meV, meV/Angstrom or mAngstrom, everything is roundoff."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record: the lowest degree of it."""
    values = record["values"]
    lmax = min(row["lmax"] for row in values["summary"])
    rows = [row for row in values["summary"] if row["lmax"] == lmax]
    rows.sort(key=lambda row: (row["forces"], row["method"] != "cp", row["terms"]))
    fig, axes = figure(2 * COLUMN + 0.2, 2.7, panels=3)
    for axis, title, unit in zip(
        axes,
        ("forces, rotated back", "energies of relaxed copies", "copies after dynamics"),
        ("change of forces (meV/Å)", "spread of energies (meV)", "distance (mÅ)"),
        strict=True,
    ):
        name_rows(axis, [_name(row) for row in rows] if axis is axes[0] else [""] * len(rows))
        axis.set_title(title, loc="left")
        axis.set_xlabel(unit)
        axis.set_ylabel(f"product, $L={lmax}$" if axis is axes[0] else " ")
    lines = [error_axis(axis, 1e-2, 1e4, "x") for axis in axes]
    _changes(axes[0], lines[0], rows)
    for axis, line, name, scale in (
        (axes[1], lines[1], "relaxed_energy_spread", 1.0),
        (axes[2], lines[2], "dynamics_distance", 1e3),
    ):
        for place, row in enumerate(rows):
            value, bar = scale * row[name]["mean"], scale * (row[name]["standard_error"] or 0.0)
            where = _place(value, line)
            bars = [[min(bar, 0.9 * where)], [bar]] if where == value else None
            axis.errorbar(where, place, xerr=bars, marker="o", color="#000000", elinewidth=0.8)
    return fig


def _name(row: dict[str, Any]) -> str:
    product = f"CP, $R={row['rank']}$" if row["method"] == "cp" else row["method"]
    return product if row["forces"] == "conservative" else f"{product}, direct forces"


def _changes(axis: Axes, line: float, rows: list[dict[str, Any]]) -> None:
    for kind, (colour, marker, shift) in KINDS.items():
        places = [place + shift for place in range(len(rows))]
        low, middle, high = (
            [_place(row[f"{kind}_{name}"]["mean"], line) for row in rows] for name in ("low", "median", "high")
        )
        axis.hlines(places, low, high, color=colour, linewidth=1)
        label = {"relaxation": "on relaxations", "rattled": "rattled", "dynamics": "at 300 K"}[kind]
        axis.plot(middle, places, marker, color=colour, label=label)
    worst = [_place(row["worst"]["mean"], line) for row in rows]
    places = [place + 0.3 for place in range(len(rows))]
    axis.plot(worst, places, ">", color="#000000", markerfacecolor="none", label="worst found")
    axis.legend(fontsize=6, loc="center", bbox_to_anchor=(0.6, 0.45), handletextpad=0.2, labelspacing=0.2)


def _place(value: float, line: float) -> float:
    return value if value > ROUNDOFF else line
