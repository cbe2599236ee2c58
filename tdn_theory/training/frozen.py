"""Weights that training leaves as they are, for fine-tuning."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import torch


def freeze(model: torch.nn.Module, names: Sequence[str]) -> None:
    """Ask for no gradients of some weights.

    Args:
        model: Whose weights.
        names: Names of modules or parameters, e.g. `blocks.0` or `elements.weight`.

    Raises:
        ValueError: There is no such name; the message names the nearest one. Or nothing is left to train.

    >>> from torch.nn import Linear, Sequential
    >>> freeze(Sequential(Linear(2, 2), Linear(2, 1)), ["2"])
    Traceback (most recent call last):
    ...
    ValueError: frozen has '2', but nothing has that name; the potential is made of 0, 1
    """
    parameters = dict(model.named_parameters())
    known = [*(name for name, _ in model.named_modules() if name), *parameters]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            advice = f", did you mean {close[0]!r}?" if close else ""
            parts = ", ".join(part for part, module in model.named_children() if list(module.parameters()))
            raise ValueError(
                f"frozen has {name!r}, but nothing has that name{advice}; the potential is made of {parts}"
            )
        for own, parameter in parameters.items():
            if own == name or own.startswith(f"{name}."):
                parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ValueError(f"frozen is {list(names)}: nothing is left to train; name fewer")
