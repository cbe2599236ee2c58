"""The rank frontier: equivariance error against rank, and the least exact ranks against L (E5, T2)."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, DEGREE_COLOURS, DEGREE_MARKERS, EXACT, error_axis, figure

OTHERS = {"AlternatingLeastSquares": "x", "pyttb": "1", "SampledAdamW": "+"}
"""Markers of solvers that are not ours."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.8, panels=2)
    exact = error_axis(left, 1e-5, 3)
    others = [*values["fitted"], *values["compared"]]
    for lmax, colour in DEGREE_COLOURS.items():
        best: dict[int, float] = {}
        for p in values["fitted"]:
            if p["L"] == lmax and p["solver"] == "LevenbergMarquardt" and p["R"] < (lmax + 1) ** 4:
                best[p["R"]] = min(best.get(p["R"], 10.0), p["rms_error"])
        ranks = sorted(best)
        heights = [best[r] if best[r] > EXACT else exact for r in ranks]
        left.plot(ranks, heights, color=colour, marker=DEGREE_MARKERS[lmax], markersize=2.5, label=f"$L={lmax}$")
        for solver, marker in OTHERS.items():
            points = [p for p in others if p["L"] == lmax and p["solver"] == solver]
            left.plot([p["R"] for p in points], [max(p["rms_error"], exact) for p in points], marker, color=colour)
        free = (*values["released"], *(p for p in others if p["solver"] == "EquivariantLevenbergMarquardt"))
        alive = [p for p in free if p["L"] == lmax and not p["dead"]]
        heights = [p["rms_error"] if p["rms_error"] > EXACT else exact for p in alive]
        left.plot([p["R"] for p in alive], heights, DEGREE_MARKERS[lmax], color=colour, markerfacecolor="none")
        left.axvline(7 * lmax**2, ymax=0.06, color=colour, linewidth=1.5)
        all_paths = [p["R"] for p in values["atlas"] if p["L"] == lmax and p["paths_alive"] == p["paths"]]
        left.plot(all_paths, [exact] * len(all_paths), "*", color=colour, markersize=7, markeredgecolor="white")
    made = {p["solver"] for p in others}
    for marker, label, shown in (
        ("x", "ALS (tensorly)", "AlternatingLeastSquares" in made),
        ("1", "ALS (pyttb)", "pyttb" in made),
        ("+", "released recipe", "SampledAdamW" in made),
        ("o", "equivariance only", True),
        ("*", "exact, proven", True),
    ):
        if shown:
            left.plot([], [], marker, color="0.2", markerfacecolor="none" if marker == "o" else None, label=label)
    left.set_xscale("log")
    left.set_xlabel("rank $R$ (bars: $7L^2$)")
    left.set_ylabel("relative equivariance error (rms)")
    left.set_title("all paths alive", loc="left")
    left.legend(fontsize=6, ncols=2, labelspacing=0.2, columnspacing=0.8, loc="center left", bbox_to_anchor=(0, 0.4))
    frontier = values["frontier"]
    degrees = [p["L"] for p in frontier]
    styles: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("outer_product", r"$(L+1)^4$ (T2)", {"color": "0.6", "linestyle": ":"}),
        ("generic", "generic tensor", {"color": "#56B4E9", "linestyle": "-."}),
        ("paper", r"paper, $7L^2$ (not exact)", {"color": "#D55E00", "linestyle": "--", "marker": "x"}),
        ("all", "exact, all paths", {"color": "#000000", "marker": "*", "markersize": 7}),
        ("even", "exact, even paths", {"color": "#009E73", "marker": "o"}),
    )
    for key, label, style in styles:
        right.plot(degrees, [p[key] for p in frontier], label=label, **style)
    for key, offset in (("all", (0, 5)), ("even", (0, -9))):
        for p in frontier:
            right.annotate(str(p[key]), (p["L"], p[key]), offset, textcoords="offset points", ha="center", fontsize=6.5)
    fewer = [p for p in frontier if p["most"] < p["all"]]
    degrees, ranks = [p["L"] for p in fewer], [p["most"] for p in fewer]
    right.plot(degrees, ranks, "*", color="#000000", markerfacecolor="none", label="exact, over 95% of paths")
    right.set_yscale("log")
    right.set_ylim(3.5, 4000)
    right.set_xticks([p["L"] for p in frontier])
    right.set_xlabel("maximal degree $L$")
    right.set_ylabel("rank $R$")
    right.set_title("least ranks known", loc="left")
    right.legend(loc="upper left")
    return fig
