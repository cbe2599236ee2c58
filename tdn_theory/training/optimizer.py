"""The optimizer of a run."""

from __future__ import annotations

import torch

from tdn_theory.training.config import OptimizerConfig


def optimizer(model: torch.nn.Module, settings: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW of what asks for gradients, which is Adam where nothing decays; only matrices do.

    Args:
        model: Whose weights it changes.
        settings: Learning rate, betas and weight decay.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    matrices, others = [p for p in weights if p.ndim > 1], [p for p in weights if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, settings.learning_rate, settings.betas, fused=True)


def set_learning_rate(changed: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the steps from here on."""
    for group in changed.param_groups:
        group["lr"] = rate
