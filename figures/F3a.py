"""Of the cheap rank schedules only R = 7L^2 keeps the approximation error below a tenth (E5).

Errors of the best decompositions found of M, means over random inputs, bars are standard errors; (L+1)^4 is exact.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, EXACT, SCHEDULE_COLOURS, SCHEDULE_LABELS, SCHEDULE_MARKERS, error_axis, figure


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    fig, (axis,) = figure(COLUMN, 2.7)
    exact = error_axis(axis, 1e-2, 1.5)
    for name, colour in SCHEDULE_COLOURS.items():
        points = [p for p in record["values"]["points"] if p["schedule"] == name]
        errors = [p["sampled_error"] if p["frobenius_error"] > EXACT else exact for p in points]
        spread = [p["sampled_error_se"] if p["frobenius_error"] > EXACT else 0.0 for p in points]
        degrees = [p["L"] for p in points]
        axis.errorbar(degrees, errors, spread, color=colour, marker=SCHEDULE_MARKERS[name], label=SCHEDULE_LABELS[name])
    axis.set_xticks(range(1, 7))
    axis.set_xlabel("maximal degree $L$")
    axis.set_ylabel("approximation error (E6)")
    fig.legend(loc="outside upper center", ncols=2)
    return fig
