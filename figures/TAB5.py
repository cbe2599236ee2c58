"""TAB5: TDN and NequIP with and without CP and shared path weights: time per epoch, accuracy, equivariance."""

from typing import Any

from matplotlib.figure import Figure

from figures._exchanged import draw


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    return draw(record["values"])
