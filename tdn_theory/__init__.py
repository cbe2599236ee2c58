"""Verify, sharpen and extend the theory of Tensor Decomposition Networks (arXiv:2507.01131)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tdn_theory.extras import named

if TYPE_CHECKING:
    from tdn_theory.panel import Panel

__version__ = "0.1.0"


def explore(product: Any, coupling: Any = None) -> Panel:
    """Try decompositions of a product by hand, in a notebook: rank, solver, seed, weights; error and cost at once.

    Args:
        product: A maximal degree L, irreps or a `Coupling`, for the product of all paths with weight 1; or any bilinear
            product: a `CouplingTensor`, `CPFactors`, an array (d3, d1, d2), a function (x, y) -> z, a torch module.
        coupling: Irreps of z, x, y, as `Coupling.of` reads them, where the product does not say them.

    Returns:
        A widget, which a notebook shows if it is the last value of a cell. Its `current` decomposition and its `tries`
        can be read.

    Raises:
        ImportError: ipywidgets is missing; the message says how to install it.
        TypeError: The product is none of these.
        ValueError: The product is not bilinear, not of the coupling's shape, or has no equivariant part.
    """
    with named():
        from tdn_theory.panel import Panel
    return Panel(product, coupling)
