"""Triton's kernels in the tests: on a GPU, and without one in Triton's interpreter."""

import os

import pytest
import torch

from tdn_theory.nn.kernels import gpu

# Run as programs: they set up Triton for a process of their own, which to look for doctests would do here.
collect_ignore = ["triton_for_gpus.py", "triton_in_graphs.py"]


@pytest.fixture
def triton_kernels(monkeypatch):
    """Kernels run wherever tensors are, and memory that they do not write is NaN."""
    pytest.importorskip("triton")
    if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("without a GPU, kernels need TRITON_INTERPRET=1")
    monkeypatch.setattr(gpu, "runs_on", lambda tensor: True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)
