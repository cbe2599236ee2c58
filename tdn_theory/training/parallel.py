"""Training by several processes, as started by torchrun; alone, everything here is the identity."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """The processes that train together.

    Attributes:
        rank: Number of this one.
        count: How many there are.
        device: Device of this one.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and talks."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum of everybody's `value`, which is left as it was; without a derivative."""
        value = value.detach().clone()
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def sum_with_own_derivative(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The sum of everybody's `value`, with the derivative of one's own.

        For a loss `f(sum_p s_p)` it gives each process `f' ds_p`; `sum_gradients` then adds them up to `df`.
        """
        return value if self.count == 1 else value + (self.sum(value) - value.detach())

    def sum_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Replace gradients by their sums over the processes, in one message.

        Not torch's `DistributedDataParallel`: its mean over processes is not the derivative of a loss that is no mean,
        such as a root mean square.
        """
        if self.count == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        pieces = flat.split([p.numel() for p in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true for anybody."""
        return flag if self.count == 1 else bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()


def existing(device: str) -> torch.device:
    """The device of this name.

    Args:
        device: `cpu`, `cuda` or `cuda:1`.

    Raises:
        ValueError: The device does not exist.
    """
    try:
        place = torch.device(device)
    except RuntimeError:
        place = None
    if place is None or place.type not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}; allowed are cpu, cuda and cuda:0, cuda:1, ...")
    if place.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"device is {device!r}, but torch {torch.__version__} finds no GPU; use --device cpu")
        count = torch.cuda.device_count()
        if (place.index or 0) >= count:
            raise ValueError(f"device is {device!r}, but torch finds {count} GPU, counted from cuda:0")
    return place


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """The processes of this run, by the environment that torchrun sets; gloo connects CPUs, nccl GPUs.

    Args:
        device: `cpu`, `cuda` (each process takes the one of its local rank) or `cuda:1`.

    Raises:
        ValueError: The device does not exist.
    """
    count, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    place = existing(device)
    if place.type == "cuda":
        place = existing(f"cuda:{local if place.index is None else place.index}")
        torch.cuda.set_device(place)
    if count == 1:
        yield Processes(device=place)
        return
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), count, place)
    finally:
        distributed.destroy_process_group()
