"""The running average of weights, which is what is evaluated."""

from __future__ import annotations

import torch


def follow(average: torch.nn.Module, model: torch.nn.Module, limit: float, done: int) -> None:
    """Move averaged weights on after a step: `a <- d a + (1 - d) w`, `d = min(limit, (1 + done)/(10 + done))`.

    Args:
        average: The averaged weights, changed in place.
        model: The weights after the step.
        limit: Largest factor d; while the average is young, it forgets the initial weights faster.
        done: Steps before this one.
    """
    decay = min(limit, (1 + done) / (10 + done))
    with torch.no_grad():
        for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
