"""Constants that keep double precision."""

from __future__ import annotations

import torch


class DoubleBuffers(torch.nn.Module):
    """A module whose own floating-point buffers stay float64 when it moves to another dtype.

    So a model that went through float32 is exact again in double, and energies of thousands of eV keep their digits.
    """

    def _apply(self, fn, recurse: bool = True):
        kept = {name: value for name, value in self._buffers.items() if value is not None and value.is_floating_point()}
        super()._apply(fn, recurse)
        for name, value in kept.items():
            moved = self._buffers[name]
            if moved is not None and moved.dtype != value.dtype:
                self._buffers[name] = value.to(moved.device)
        return self
