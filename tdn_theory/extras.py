"""Extras of the package, and the imports that need them: one that fails says how to install what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

EXTRAS = {
    "ase": "nn",
    "hypothesis": "testing",
    "ipywidgets": "notebooks",
    "jinja2": "report",
    "matplotlib": "plots",
    "pytest": "testing",
    "safetensors": "nn",
    "sympy": "exact",
    "torch": "nn",
    "vesin": "nn",
}
"""Packages that the light installation leaves out -> the smallest extra that brings them."""


@contextmanager
def named() -> Iterator[None]:
    """Let an import that fails name the extra that it needs.

    Raises:
        ModuleNotFoundError: As raised inside; of a package in `EXTRAS`, it says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS or "pip install" in str(error):
            raise
        message = f"{package} is not installed: pip install 'tdn-theory[{EXTRAS[package]}]'"
        raise ModuleNotFoundError(message, name=error.name) from error
