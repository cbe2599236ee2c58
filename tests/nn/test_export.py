"""What cannot be exported is refused. Programs are run in an interpreter of their own: see test_compile.py."""

import pytest
import torch

from tdn_theory.nn.export import export_gradient
from tests.assertions import refuses


@pytest.mark.parametrize("edges", [3, 1])
def test_lengths_that_torch_would_take_for_others_are_refused(edges):
    with refuses(ValueError, f"'edges': {edges}", "[3]", "differ"):
        export_gradient(torch.nn.Identity(), (torch.ones(edges, 3),), ({0: torch.export.Dim("edges")},))
