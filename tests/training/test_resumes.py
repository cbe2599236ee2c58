"""A run that is stopped goes on to the same bits, with one process and with two; `resumes.py` tries it many times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process, /proc")
@pytest.mark.parametrize(("processes", "ways"), [(1, ["kill -9", "full disk"]), (2, ["SIGTERM", "Ctrl-C"])])
def test_each_stop_is_followed_by_the_right_bits(processes: int, ways: list[str]):
    command = [sys.executable, "-m", "tests.training.resumes", "--times", "1", "--processes", str(processes)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    found = subprocess.run([*command, "--ways", *ways], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert [line.rpartition(": ")[2] for line in found.stdout.splitlines()] == ["1 of 1"] * len(ways), found.stdout
