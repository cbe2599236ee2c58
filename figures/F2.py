"""Errors fall slowly with the rank, then at once; Theorem 3.1 promises less than the trivial bound (T1, T2).

Left: best decompositions found of M; stars are at R = 7L^2, open markers at R = d^2, where T2 makes any tensor
exact. Right: bounds on the distance from M, over its norm: of the theorem, and the least that cores of CP rank R
allow.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, DEGREE_COLOURS, DEGREE_MARKERS, EXACT, error_axis, figure


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.7, panels=2)
    exact = error_axis(left, 1e-5, 1.5)
    for lmax, colour in DEGREE_COLOURS.items():
        points = sorted((p for p in record["values"]["points"] if p["L"] == lmax), key=lambda p: p["R"])
        if not points:
            continue
        ranks = [p["R"] for p in points]
        errors = [p["sampled_error"] if p["frobenius_error"] > EXACT else exact for p in points]
        spread = [p["sampled_error_se"] if p["frobenius_error"] > EXACT else 0.0 for p in points]
        # the last point, R = d^2, is exact by T2 at every L, however far it lies from what was searched
        left.errorbar(
            ranks[:-1], errors[:-1], spread[:-1], color=colour, marker=DEGREE_MARKERS[lmax], label=f"$L={lmax}$"
        )
        left.plot(ranks[-1], exact, DEGREE_MARKERS[lmax], color=colour, markerfacecolor="none")
        paper = [(r, e) for r, e in zip(ranks, errors, strict=True) if r == 7 * lmax**2]
        left.plot(*zip(*paper, strict=True), "*", color="#F0E442", markeredgecolor=colour, markersize=9, zorder=5)
        right.plot(ranks, [p["theorem_bound"] for p in points], color=colour, marker=DEGREE_MARKERS[lmax])
        right.plot(ranks, [p["truncation_bound"] for p in points], color=colour, linestyle=":")
    left.plot([], [], "*", color="#F0E442", markeredgecolor="0.2", markersize=9, linestyle="", label="$R=7L^2$")
    left.plot([], [], "o", color="0.2", markerfacecolor="none", linestyle="", label="$R=d^2$ (T2)")
    left.set_xscale("log")
    left.set_xlabel("rank $R$")
    left.set_ylabel("approximation error (E6)")
    left.legend(loc="upper right", fontsize=6.5, labelspacing=0.2)
    left.set_title("best decompositions found", loc="left")
    right.axhline(1, color="0.5", linewidth=0.8, linestyle="--")
    right.text(3000, 1.01, "trivial bound", color="0.35", fontsize=7, va="bottom", ha="right")
    right.plot([], [], color="0.2", marker="o", label=r"Theorem 3.1, $R_T=\lfloor R^{1/3}\rfloor$")
    right.plot([], [], color="0.2", linestyle=":", label=r"best core of CP rank $\leq R$")
    right.set_xscale("log")
    right.set_ylim(0, 2.2)
    right.set_xlabel("rank $R$")
    right.set_ylabel(r"bound on $\|M-\hat M\|\,/\,\|M\|$")
    right.set_title("what the bounds promise", loc="left")
    right.legend(loc="upper right")
    return fig
