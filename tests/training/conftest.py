"""Small structures with exact labels, and a small run that is over in a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tdn_theory.data.structure import Structure
from tdn_theory.training import loop
from tdn_theory.training.config import TrainConfig
from tdn_theory.training.sources import Splits

ENERGIES = {1: -13.6, 6: -1030.0, 8: -2040.0}
"""Of single atoms, eV; about those of H, C and O."""


def atoms(numbers: Sequence[int], positions: Sequence[Sequence[float]], **labels: Any) -> Structure:
    """A structure from lists."""
    arrays = {
        name: value if isinstance(value, float | str) else np.array(value, float) for name, value in labels.items()
    }
    return Structure(np.array(numbers), np.array(positions, float), **arrays)


def springs(count: int, seed: int = 0, group: str = "molecule", size: int = 4) -> list[Structure]:
    """Atoms joined by springs of rest length 1.5 A: energies, their exact forces, dipoles of charges by element."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        elements = rng.choice(list(ENERGIES), size=size - number % 2)
        n = len(elements)
        positions = 1.5 * np.stack((np.arange(n), np.arange(n) % 2, np.zeros(n)), axis=1)
        positions = positions + 0.1 * rng.standard_normal((n, 3))
        steps = positions[1:] - positions[:-1]
        lengths = np.linalg.norm(steps, axis=1)
        pull = 2.0 * (lengths - 1.5)[:, None] * steps / lengths[:, None]
        forces = np.zeros((n, 3))
        forces[:-1] += pull
        forces[1:] -= pull
        energy = sum(ENERGIES[z] for z in elements.tolist()) + float(np.square(lengths - 1.5).sum())
        charges = 0.1 * elements - 0.1 * elements.mean()
        labels: dict[str, Any] = {"energy": energy, "forces": forces, "dipole": charges @ positions}
        found.append(Structure(elements, positions, **labels, group=f"{group} {number}"))
    return found


SPLITS = Splits(springs(12, 0, "train"), springs(5, 1, "validation"), springs(4, 2, "test"))


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainConfig]:
    """Configurations of a small run on springs; arguments replace entries of its top level."""
    monkeypatch.setattr(loop, "load", lambda config, say: SPLITS)

    def configuration(**changes: Any) -> TrainConfig:
        model = {"channels": 4, "layers": 1, "heads": 2, "basis_size": 4, "cutoff": 4.0, "elements": [1, 6, 8]}
        table = {"data": {"source": "relaxations"}, "model": model, "epochs": 3, "batch_size": 4}
        return TrainConfig.from_dict({**table, "out": str(tmp_path / "run"), **changes})

    return configuration
