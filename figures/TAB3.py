"""Total energies of oxides after equal training, of known compositions (ID) and of new ones (OOD-cat) (TAB3).

Energies of GFN1-xTB; the paper's are of other data, and are not shown. Bars are standard errors, over seeds, of a
single seed over systems.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._relaxed_energies import draw


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    return draw(record["values"])
