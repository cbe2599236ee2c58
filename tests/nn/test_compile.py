"""torch.compile and torch.export, in interpreters of their own: the checks of annotations are no part of a graph."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_one_graph_for_any_number_of_edges():
    run("tests.nn.compile_and_export")


@pytest.mark.slow
@pytest.mark.parametrize("package", ["nequip", "mace", "sevenn"])
def test_converted_networks_are_exported(package):
    """In the environments of their packages: make test-networks."""
    if find_spec(package) is None:
        pytest.skip(f"needs {package}")
    run("tests.nn.exported_networks", package)
