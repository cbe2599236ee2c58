"""Forces on catalysts spread over orientations with a truncated CP product; with the exact one they do not (O7).

Atoms and cells are turned together. Left: spread of forces on frames of systems that were not trained on, relative to
the forces. Right: at the worst rotation found. Means over seeds, bars are standard errors.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, error_axis, figure, name_rows

LOOK = {"direct": ("#D55E00", "o", -0.15), "conservative": ("#0072B2", "s", 0.15)}
ROUNDOFF = 1e-7
"""Relative: below it all is roundoff."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    summary = values["summary"]
    rows = list(dict.fromkeys((row["source"], row["method"]) for row in summary))
    fig, axes = figure(2 * COLUMN, 0.9 + 0.24 * len(rows), panels=2)
    product = {"cp": f"CP, $R={values['paper_rank']}$", "exact": "exact"}
    panels = (
        ("relative", "spread of forces", "relative, rms", 1e-4, 1.0),
        ("worst", "worst rotation found", "change of forces (meV/Å)", 1e-2, 1e4),
    )
    for axis, (key, title, unit, lowest, highest) in zip(axes, panels, strict=True):
        name_rows(axis, [f"{source}: {product[method]}" if axis is axes[0] else "" for source, method in rows])
        axis.set_title(title, loc="left")
        axis.set_xlabel(unit)
        axis.set_ylabel(f"product, $L={values['L']}$" if axis is axes[0] else " ")
        line = error_axis(axis, lowest, highest, "x")
        for row in summary:
            colour, marker, shift = LOOK[row["forces"]]
            place = rows.index((row["source"], row["method"])) + shift
            exact = row["relative"]["mean"] < ROUNDOFF
            where = line if exact else row[key]["mean"]
            bar = 0.0 if exact else min(row[key]["standard_error"] or 0.0, 0.9 * where)
            axis.errorbar(where, place, xerr=bar, marker=marker, color=colour, elinewidth=0.8)
    for forces, (colour, marker, _) in LOOK.items():
        axes[1].plot([], [], marker, color=colour, label=forces)
    axes[1].legend(fontsize=6, loc="upper right", handletextpad=0.2)
    return fig
