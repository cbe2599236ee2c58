"""Shared path weights save the time; what they cost in accuracy is open, and CP loses equivariance.

Time per epoch: median and range of rounds, crosses are the paper's ratios on its GPU. Errors: of molecules not
trained on, bars are standard errors (over seeds, of a single seed over molecules). No circle: not trained. The
paper's errors are of other data and are not shown.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._exchanged import draw


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    return draw(record["values"])
