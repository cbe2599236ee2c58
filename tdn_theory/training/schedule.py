"""The learning rate as a pure function of how far training is: nothing to save, nothing to restore."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tdn_theory.training.config import ScheduleConfig

THRESHOLD = 1e-4
"""Relative fall of the validation loss that counts as one, as in torch's `ReduceLROnPlateau`."""


def learning_rate_factor(
    config: ScheduleConfig, epoch: float, epochs: int, validation_losses: Sequence[float]
) -> float:
    """What the full learning rate is multiplied with.

    With warm-up over `w` epochs, at epoch `t` (not necessarily whole): `a + (1 - a) t/w` for `t < w`, where `a` is
    `warmup_factor`; times, for `cosine`, `(1 + cos(pi (t - w)/(T - w)))/2` for `t >= w`; for `plateau`, `factor^k`
    after `k` stalls, each of more than `patience` epochs in a row without a new least validation loss, as in torch's
    `ReduceLROnPlateau`. Never below `floor` once warm.

    It depends on steps, not on the time that they took: a schedule by the clock would give other weights in every run.

    Args:
        config: Kind and parameters.
        epoch: Epochs trained, the fraction of the current one included.
        epochs: Epochs planned, `T`.
        validation_losses: After each finished epoch.
    """
    if epoch < config.warmup:
        return config.warmup_factor + (1 - config.warmup_factor) * epoch / config.warmup
    if config.kind == "cosine":
        along = (epoch - config.warmup) / max(epochs - config.warmup, 1e-9)
        return max(config.floor, (1 + math.cos(math.pi * min(along, 1.0))) / 2)
    if config.kind == "plateau":
        return max(config.floor, config.factor ** stalls(validation_losses, config.patience))
    return 1.0


def stalls(losses: Sequence[float], patience: int) -> int:
    """How often more than `patience` epochs in a row had no new least validation loss.

    Args:
        losses: Validation loss of each epoch; a fall by less than `THRESHOLD` of it is none.
        patience: Epochs that are endured.
    """
    least, waited, stalls = math.inf, 0, 0
    for loss in losses:
        if loss < least * (1 - THRESHOLD):
            least, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            stalls, waited = stalls + 1, 0
    return stalls
