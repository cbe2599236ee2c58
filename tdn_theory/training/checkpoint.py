"""Everything that training goes on from, in one file that is whole or absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tdn_theory.files import safetensors_bytes, write_bytes

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What Adam keeps of each parameter."""

Model = TypeVar("Model", bound=torch.nn.Module)


@dataclass
class State(Generic[Model]):
    """Where training stands.

    Attributes:
        model: What is trained.
        average: The same with averaged weights; None where nothing is averaged.
        optimizer: Its parameters are those of `model`, in their order.
        epoch: Epochs finished.
        step: Steps of the current epoch done, which is also the place in its list of batches.
        sums: Sums of the loss over the steps of the current epoch, (2, terms).
        history: One row of numbers per finished epoch.
        seconds: Time trained.
    """

    model: Model
    average: Model | None
    optimizer: torch.optim.Optimizer
    sums: Tensor
    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def save(self, path: Path, what: Mapping[str, Any]) -> None:
        """Write a checkpoint: tensors as safetensors, the rest as JSON in their header.

        Args:
            path: The file.
            what: What the run is (JSON); `restore` wants the same.
        """
        tensors = {f"model.{name}": value.detach() for name, value in self.model.named_parameters()}
        if self.average is not None:
            tensors |= {f"average.{name}": value.detach() for name, value in self.average.named_parameters()}
        for name, value in self.model.named_parameters():
            moments = self.optimizer.state.get(value, {})
            tensors |= {f"{moment}.{name}": moments[moment] for moment in MOMENTS if moment in moments}
        tensors |= {"sums": self.sums, "generator": torch.get_rng_state()}
        if torch.cuda.is_initialized():
            tensors["generator_cuda"] = torch.cuda.get_rng_state()
        rest = {
            "what": dict(what),
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history,
            "seconds": self.seconds,
        }
        header = {"training": json.dumps(rest, allow_nan=False)}
        content = {name: value.contiguous().cpu() for name, value in tensors.items()}
        write_bytes(path, safetensors_bytes(content, header))

    def restore(self, path: Path, what: Mapping[str, Any]) -> None:
        """Continue from a checkpoint: this state becomes, bit for bit, the one that was saved.

        Raises:
            ValueError: The file is damaged, or belongs to another run than `what`; the message names the difference.
        """
        advice = f"delete {path} to start again, or give another folder with --out"
        try:
            with safe_open(path, framework="pt") as file:
                rest = json.loads((file.metadata() or {})["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except (SafetensorError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is not a checkpoint of training ({error}); {advice}") from error
        differences = [
            f"{key} is {what.get(key)!r}, there {rest['what'].get(key)!r}"
            for key in sorted(what.keys() | rest["what"].keys())
            if json.dumps(what.get(key)) != json.dumps(rest["what"].get(key))
        ]
        if differences:
            raise ValueError(f"{path} is of another run: {'; '.join(differences)}. {advice}")
        with torch.no_grad():
            for name, value in self.model.named_parameters():
                value.copy_(tensors[f"model.{name}"])
                moments = {m: tensors[f"{m}.{name}"] for m in MOMENTS if f"{m}.{name}" in tensors}
                if moments:
                    self.optimizer.state[value] = {m: tensor.to(value.device) for m, tensor in moments.items()}
            for name, value in [] if self.average is None else self.average.named_parameters():
                value.copy_(tensors[f"average.{name}"])
        self.sums = tensors["sums"].to(self.sums.device)
        torch.set_rng_state(tensors["generator"])
        if "generator_cuda" in tensors and torch.cuda.is_initialized():
            torch.cuda.set_rng_state(tensors["generator_cuda"])
        self.epoch, self.step = rest["epoch"], rest["step"]
        self.history, self.seconds = rest["history"], rest["seconds"]
