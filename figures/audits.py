"""Audits tell roundoff from broken symmetry, each beside its floor.

Largest errors of forces under rotation and inversion, over the size of forces; a model is symmetric as far as its
marks lie before the line of their colour. What is broken without such a mark fails other checks.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    rows = record["values"]["rows"][::-1]
    fig, (axis,) = figure(2 * COLUMN, 0.8 + 0.26 * len(rows))
    for check, colour, marker in (("rotation", "#0072B2", "o"), ("inversion", "#D55E00", "s")):
        for height, row in enumerate(rows):
            for found in row["findings"]:
                if (found["check"], found["quantity"]) == (check, "forces") and found["size"]:
                    relative = max(found["error"] / found["size"], 1e-17)
                    axis.semilogx(relative, height, marker, color=colour, label=check if height == 0 else None)
                    axis.semilogx(found["floor"] / found["size"], height, "|", color=colour, markersize=9)
    axis.set_yticks(range(len(rows)), [f"{row['name']}: {row['grade']}" for row in rows])
    axis.set_xlabel("error of forces / forces (bars: floor of roundoff)")
    axis.set_ylabel("model: grade")
    axis.legend(loc="best")
    return fig
