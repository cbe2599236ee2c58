"""Constants that keep double precision, and code that autocast leaves in single precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor


def without_autocast(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method of a module that runs outside of autocast, which would round its operands one by one.

    The device is that of its first argument. In bfloat16, harmonics and coupling tensors are equivariant to three
    digits only; and our kernels read tensors in the types that they are given.
    """

    @wraps(method)
    def run(self: Any, first: Tensor, *others: Any, **options: Any) -> Tensor:
        kind = first.device.type
        if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
            return method(self, first, *others, **options)
        with torch.autocast(kind, enabled=False):
            return method(self, first, *others, **options)

    return run


class DoubleBuffers(torch.nn.Module):
    """A module whose own floating-point buffers stay float64 when it moves to another dtype.

    So a model that went through float32 is exact again in double, and energies of thousands of eV keep their digits.

    Raises:
        ValueError: It leaves the meta device, where constants that are in no checkpoint had no values.
    """

    def _apply(self, fn, recurse: bool = True):
        kept = {name: value for name, value in self._buffers.items() if value is not None and value.is_floating_point()}
        constants = [name for name in self._non_persistent_buffers_set if self._is_meta(name)]
        super()._apply(fn, recurse)
        if lost := [name for name in constants if not self._is_meta(name)]:
            raise ValueError(
                f"{type(self).__name__} was made on the meta device, so its constants {', '.join(sorted(lost))} have "
                "no values, and no state dict holds them; make it on a real device, e.g. by Potential.load"
            )
        for name, value in kept.items():
            moved = self._buffers[name]
            if moved is not None and moved.dtype != value.dtype:
                self._buffers[name] = value.to(moved.device)
        return self

    def _is_meta(self, name: str) -> bool:
        buffer = self._buffers[name]
        return buffer is not None and buffer.is_meta


class Constants(torch.nn.Module):
    """Constants that are made anew from float64, in at least float32, when the module moves to another dtype.

    So they are when it leaves the meta device, where they had no values.

    Args:
        **masters: The constants, which become buffers of these names.
    """

    def __init__(self, **masters: np.ndarray) -> None:
        super().__init__()
        self._masters = masters
        dtype = torch.promote_types(torch.get_default_dtype(), torch.float32)
        for name, master in masters.items():
            self.register_buffer(name, torch.tensor(master, dtype=dtype), persistent=False)

    def _apply(self, fn, recurse: bool = True):
        before = {name: getattr(self, name) for name in self._masters}
        super()._apply(fn, recurse)
        for name, master in self._masters.items():
            moved = getattr(self, name)
            if moved.dtype != before[name].dtype or (before[name].is_meta and not moved.is_meta):
                dtype = torch.promote_types(moved.dtype, torch.float32)
                setattr(self, name, torch.tensor(master, dtype=dtype, device=moved.device))
        return self
