"""Exact CP products keep NequIP and MACE equivariant, and are no faster than exact ones with weights per path (T8).

Time per epoch: median and range of rounds, the cross is the paper's ratio on its GPU. Errors: of molecules not
trained on, bars are standard errors (over seeds, of a single seed over molecules). No circle: not trained. The
paper's errors are of other data and are not shown.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._exchanged import draw


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    return draw(record["values"])
