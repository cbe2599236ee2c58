"""What two solvers reach from the same starts in the same time."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure

ROUNDOFF = 1e-16


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    fig, (axis,) = figure(COLUMN, 2.6)
    best = record["values"]["best"]
    solvers = (
        ("als", "tensorly ALS", "s", "#D55E00", -0.12),
        ("levenberg_marquardt", "Levenberg-Marquardt", "o", "#0072B2", 0.12),
    )
    for key, label, marker, colour, shift in solvers:
        for place, problem in enumerate(best):
            starts = [s for s in record["values"]["starts"] if all(s[k] == problem[k] for k in ("L", "R", "stall"))]
            values = [max(s[key], ROUNDOFF) for s in starts]
            axis.plot([place + shift] * len(values), values, marker, color=colour, alpha=0.35, markeredgewidth=0)
        places = [place + shift for place in range(len(best))]
        values = [max(problem[key], ROUNDOFF) for problem in best]
        axis.plot(places, values, marker, color=colour, markersize=5, markerfacecolor="none", label=f"{label}, best")
    axis.set_yscale("log")
    axis.set_ylabel(r"residual $\|M-\hat M\|\,/\,\|M\|$")
    labels = [f"$L={p['L']}$\n$R={p['R']}$\n{p['seconds'] / p['starts']:.3g} s" for p in best]
    axis.set_xticks(range(len(best)), labels, fontsize=5.5)
    axis.set_xlabel("problem, and mean time per start")
    axis.legend(loc="center right")
    return fig
