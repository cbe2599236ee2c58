"""The study of searches: counts from the definition, and rows that say what was tried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tdn_theory.cp.symmetry import group
from tdn_theory.experiments.decompositions.searches import STUDY, TARGETS, counted, followed, tried
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import Irrep
from tdn_theory.so3.rotation import representation


def invariants(symmetry: str) -> int:
    """Dimension of the tensors at L = 1 that every element leaves alone, by the rank of their mean."""
    total = np.zeros((64, 64))
    for Q, permutation in group(symmetry).elements:
        D = representation((Irrep(0, 1), Irrep(1, -1)), Q)
        moved = np.eye(64).reshape(64, 4, 4, 4).transpose(0, *(1 + m for m in permutation))
        total += np.einsum("ka,ib,jc,nabc->nkij", D, D, D, moved, optimize=True).reshape(64, 64)
    return int(np.linalg.matrix_rank(total / len(group(symmetry)), tol=1e-9))


@pytest.mark.parametrize(("symmetry", "weights"), [("C1", 5), ("C2", 5), ("C1*Z3", 3), ("D2*S3", 3), ("C1*Z2", 4)])
def test_equations_are_counted(symmetry: str, weights: int) -> None:
    assert counted(1, "all", 7, symmetry)[0] == invariants(symmetry) - weights


def test_unknowns_are_counted() -> None:
    """Without symmetry each term has d + d + d - 2, and three rotations change nothing."""
    assert counted(1, "all", 7, "C1")[1] == 7 * (12 - 2) - 3
    assert counted(2, "even", 17, "C1")[1] == 17 * 25 - 3
    assert counted(2, "all", 21, "D2*S3")[1] is None


def test_a_row_says_what_was_tried() -> None:
    row = tried(1, "all", 7, "C1", starts=2, seed=0)
    assert (row["starts"], row["exact"] <= row["alive"] <= 2) == (2, True)
    assert row["exact"]
    assert row["residual"] < 1e-12
    assert tried(2, "all", 21, "D2*S3", starts=2, seed=0)["starts"] == 0


def test_smallest_run(tmp_path: Path) -> None:
    record = STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path))
    assert [row["symmetry"] for row in record["values"]["rows"]] == TARGETS[0].groups(("C1",))
    assert all(row["starts"] == 1 for row in record["values"]["rows"])
    assert len(record["values"]["followed"]["points"]) == 2


def test_a_path_that_is_followed_to_an_exact_form_keeps_its_condition() -> None:
    exact = followed("1 x 1 -> 1", 5, seed=0, iterations=(20, 40, 100))["points"]
    assert exact[-1]["residual"] < 1e-12
    assert exact[-1]["condition"] < 2 * exact[0]["condition"]
