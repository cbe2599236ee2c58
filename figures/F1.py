"""A CP term multiplies two numbers; no term is equivariant, the sum of seven is, exactly (E3).

Left: the exact product of seven terms at L = 1. A column is a term, and every map is a function of degree 0 and 1 on
the sphere, from blue (negative) over white to red: the one with which the term reads x, the one with which it reads
y, and the one that it adds to z as often as the product of the two numbers says. Right: equivariance error of each
term alone and of the first terms together, root mean square over rotations and inputs, relative to the output.
"""

from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from figures._style import COLUMN, error_axis, figure

PIXELS = 121
"""Width of a map."""

ROWS = {"B": "reads $x$", "C": "reads $y$", "A": "writes $z$"}


def mollweide(coefficients: np.ndarray) -> np.ndarray:
    """Map of `a_0 + sqrt(3) a_1 . q`, components in the order y, z, x, by Mollweide's projection; NaN outside.

    Snyder, Map Projections (1987), page 251: the point (u, v) of the ellipse `|u| <= 2, |v| <= 1` shows latitude
    `asin((2 t + sin 2t) / pi)` with `t = asin v`, and longitude `pi u / (2 cos t)`.
    """
    u, v = np.meshgrid(np.linspace(-2, 2, PIXELS), np.linspace(-1, 1, PIXELS // 2 + 1))
    t = np.arcsin(v)
    latitude = np.arcsin((2 * t + np.sin(2 * t)) / np.pi)
    longitude = np.pi * u / (2 * np.maximum(np.cos(t), 1e-9))
    q = np.stack([np.cos(latitude) * np.sin(longitude), np.sin(latitude), np.cos(latitude) * np.cos(longitude)])
    values = coefficients[0] + np.sqrt(3) * np.tensordot(coefficients[1:], q, 1)
    return np.where((u / 2) ** 2 + v**2 <= 1, values, np.nan)


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    terms = np.arange(1, values["R"] + 1)
    fig, _ = figure(2 * COLUMN + 0.2, 2.0, panels=2)
    fig.clear()
    grid = fig.add_gridspec(1, 2, width_ratios=(2.6, 1))
    left, right = fig.add_subplot(grid[0]), fig.add_subplot(grid[1])
    for row, name in enumerate(ROWS):
        for r in terms:
            shown = mollweide(np.array(values[name])[:, r - 1])
            place = (r - 0.46, r + 0.46, row + 0.4, row - 0.4)
            left.imshow(shown, cmap="RdBu_r", norm=Normalize(-2, 2), extent=place, origin="lower")
    left.set(xlim=(0.4, values["R"] + 0.6), ylim=(2.5, -0.5), aspect="auto", xticks=terms, xlabel="term $r$")
    left.set_yticks(range(len(ROWS)), ROWS.values())
    left.set_ylabel("function with which it")
    left.tick_params(length=0)
    left.spines[["left", "bottom"]].set_visible(False)
    exact = error_axis(right, 1e-2, 4)
    sums = values["errors_of_sums"]
    right.plot(terms, values["errors_of_terms"], "o", color="0.5", label="term alone")
    right.plot(terms, [e if e > 1e-12 else exact for e in sums], "k.-", label="sum up to it")
    right.set(xticks=terms, xlabel="term $r$", ylabel="equivariance error")
    right.legend(loc="center left")
    return fig
