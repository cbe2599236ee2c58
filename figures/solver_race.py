"""Where an exact decomposition exists, Levenberg-Marquardt finds it and ALS does not; elsewhere they end alike.

Both from the same starts and for the same time, given as the mean per start. Faint: single starts; ring: the best.
"""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from figures._style import COLUMN, figure, name_rows

ROUNDOFF = 1e-16
SOLVERS = (
    ("als", "ALS (tensorly)", "s", "#D55E00", -0.17),
    ("levenberg_marquardt", "Levenberg-Marquardt", "o", "#0072B2", 0.17),
)


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    fig, (axis,) = figure(COLUMN, 2.8)
    best = sorted(record["values"]["best"], key=lambda problem: (problem["L"], problem["R"], problem["seconds"]))
    names = [f"$L={p['L']}$, $R={p['R']}$, {p['seconds'] / p['starts']:.2g} s" for p in best]
    name_rows(axis, names)
    axis.set_xscale("log")
    for height, (key, label, marker, colour, shift) in zip((-1.0, -1.6), SOLVERS, strict=True):
        for place, problem in enumerate(best):
            starts = [s for s in record["values"]["starts"] if all(s[k] == problem[k] for k in ("L", "R", "stall"))]
            found = [max(s[key], ROUNDOFF) for s in starts]
            axis.plot(found, [place + shift] * len(found), marker, color=colour, alpha=0.35, markeredgewidth=0)
            axis.plot(
                max(problem[key], ROUNDOFF), place + shift, marker, color=colour, markersize=5, markerfacecolor="none"
            )
        across = blended_transform_factory(axis.transAxes, axis.transData)
        axis.text(0.02, height, label, color=colour, fontsize=7, transform=across, va="center")
    axis.set_xticks([1e-16, 1e-12, 1e-8, 1e-4, 1])
    axis.set_xlabel(r"residual $\|M-\hat M\|\,/\,\|M\|$")
    axis.set_ylabel("problem, time per start")
    return fig
