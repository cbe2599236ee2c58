"""A few of the shipped relaxations, and networks that take milliseconds, for the experiments that train potentials."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.structure import Structure
from tdn_theory.training import sources


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Settings of a small network."""
    return {"channels": 4, "layers": 1, "heads": 2, "basis_size": 4}


@lru_cache
def _chosen() -> list[Structure]:
    small = [s for s in relaxations() if s.polarizability is not None and len(s) < 6]
    return small[:: len(small) // 12][:12]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen of the smaller structures with a polarizability, of several molecules."""
    monkeypatch.setattr(sources, "relaxations", _chosen)
