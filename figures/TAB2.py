"""Adsorption energies after equal training, by what is new in a test: nothing, adsorbate, catalyst, both (TAB2).

A row for each source: energies of effective medium theory (surfaces), and where they are at hand of DFT; the paper's
are of other data, and are not shown. Curves have the colours of the rows, and are of the part in distribution, which
chooses nothing.
Bars are standard errors, over seeds, of a single seed over systems.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._relaxed_energies import draw


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    return draw(record["values"])
