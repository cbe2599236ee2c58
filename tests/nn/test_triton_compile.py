"""The Triton kernels in graphs of torch, and compiled for a GPU that is not here, in interpreters of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
ROOT = Path(__file__).parents[2]


def _run(module: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-m", module], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_one_graph_under_torch_compile_and_export():
    done = _run("tests.nn.triton_in_graphs")
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_kernels_compile_for_gpus_that_are_not_here():
    done = _run("tests.nn.triton_for_gpus")
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout
