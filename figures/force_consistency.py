"""Consistency of forces under rotations, of relaxations and of dynamics of rotated copies, against rank (O3)."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, error_axis, figure

KINDS = {
    "relaxation": ("relaxations", "#0072B2", "o", -0.22),
    "rattled": ("rattled", "#D55E00", "s", 0.0),
    "dynamics": ("dynamics", "#009E73", "^", 0.22),
}
ROUNDOFF = 1e-6
"""Below this, in meV, meV/Angstrom, mAngstrom, hbar or meV/atom/ps, everything is roundoff."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record: the lowest degree of it, conservative forces filled, direct ones open."""
    values = record["values"]
    lmax = min(row["lmax"] for row in values["summary"])
    rows = sorted(
        (row for row in values["summary"] if row["lmax"] == lmax),
        key=lambda row: (row["forces"], row["terms"], row["method"]),
    )
    fig, axes = figure(2 * COLUMN + 0.2, 3.4, panels=3)
    lines = [error_axis(axis, 1e-5, 1e4) for axis in axes]
    _errors(axes[0], lines[0], rows)
    _quantities(
        axes[1],
        lines[1],
        rows,
        (
            ("relaxed_energy_spread", 1.0, "energy spread (meV)", "#0072B2", "o"),
            ("relaxed_distance", 1e3, "distance (mÅ)", "#D55E00", "s"),
            ("relaxed_steps_spread", 1.0, "spread of steps", "#009E73", "^"),
        ),
    )
    _quantities(
        axes[2],
        lines[2],
        rows,
        (
            ("angular_momentum", 1.0, r"angular momentum ($\hbar$)", "#0072B2", "o"),
            ("drift", 1.0, "energy drift (meV/atom/ps)", "#D55E00", "s"),
            ("dynamics_distance", 1e3, "distance (mÅ)", "#009E73", "^"),
        ),
    )
    for axis, name in zip(axes, ("change of forces (meV/Å)", "relaxed copies", "copies in dynamics"), strict=True):
        axis.set_ylabel(name)
        axis.set_xlabel(f"product, $L={lmax}$")
        axis.set_xticks(range(len(rows)), [_name(row) for row in rows], fontsize=5.5, rotation=60, ha="right")
        axis.set_xlim(-0.6, len(rows) - 0.4)
        axis.legend(fontsize=5.5, loc="lower center", bbox_to_anchor=(0.5, 1))  # there is no room among the data
    return fig


def _name(row: dict[str, Any]) -> str:
    product = f"$R={row['rank']}$" if row["method"] == "cp" else row["method"]
    return product if row["forces"] == "conservative" else f"{product}, direct"


def _errors(axis: Axes, line: float, rows: list[dict[str, Any]]) -> None:
    """Median with the range from 5 to 95 %, and the worst found."""
    for kind, (label, colour, marker, shift) in KINDS.items():
        places = [place + shift for place in range(len(rows))]
        low, middle, high = (
            [_height(row[f"{kind}_{name}"]["mean"], line) for row in rows] for name in ("low", "median", "high")
        )
        axis.vlines(places, low, high, color=colour, linewidth=1)
        axis.plot(places, middle, marker, color=colour, label=f"{label}, 5-50-95 %")
    worst = [_height(row["worst"]["mean"], line) for row in rows]
    axis.plot(range(len(rows)), worst, "v", color="#000000", markerfacecolor="none", label="worst found")


def _quantities(
    axis: Axes, line: float, rows: list[dict[str, Any]], quantities: tuple[tuple[str, float, str, str, str], ...]
) -> None:
    """Means over seeds with standard errors."""
    for number, (name, scale, label, colour, marker) in enumerate(quantities):
        for place, row in enumerate(rows):
            value, bar = scale * row[name]["mean"], scale * (row[name]["standard_error"] or 0)
            height = _height(value, line)
            bars = [[min(bar, 0.9 * height)], [bar]] if height == value else None
            axis.errorbar(
                place + 0.2 * (number - 1),
                height,
                bars,
                marker=marker,
                color=colour,
                markerfacecolor=colour if row["forces"] == "conservative" else "white",
                elinewidth=0.7,
                linestyle="",
                label=label if place == 0 else None,
            )


def _height(value: float, line: float) -> float:
    return value if value > ROUNDOFF else line
