"""Where a record comes from: versions, commit, machine, its vector code, seed and time."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

PACKAGES = ("tdn-theory", "numpy", "scipy", "sympy", "tensorly", "torch", "matplotlib")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make numbers; absent packages are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def commit() -> str:
    """Git commit of the checkout this package runs from, `+dirty` if its tracked code differs, else `unknown`.

    The `unknown` of an installed wheel is told by the package version in `versions()`.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return "unknown"

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        head = git("rev-parse", "HEAD")
        dirty = git("status", "--porcelain", "--untracked-files=no", "--", "tdn_theory", "paper_checks/*.py")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{head}{'+dirty' if dirty else ''}"


@lru_cache(maxsize=1)
def cpu() -> str:
    """Model name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def vector_code() -> dict[str, str]:
    """Which vector code the libraries run that make numbers in this process; last digits depend on it.

    That is what they chose for this processor, or what environment variables made them choose: the features that numpy
    looked for and found, or else those that it takes for granted; the kernels of OpenBLAS; the level of torch, if a
    module has imported it.
    """
    features = np.show_config(mode="dicts")["SIMD Extensions"]
    found = {"numpy": " ".join(features.get("found") or features["baseline"])}
    kernels = {library["architecture"] for library in threadpool_info() if library["internal_api"] == "openblas"}
    if kernels:
        found["openblas"] = " ".join(sorted(kernels))
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].backends.cpu.get_cpu_capability()
    return found


def _gpu(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device)


def provenance(seed: int | None, device: str = "cpu") -> dict[str, Any]:
    """Provenance of a result made now.

    Args:
        seed: Seed the result depends on; None if nothing in it is random.
        device: What computed it: `cpu`, `cuda` or `cuda:1`. The result names the model of the processor or GPU.
    """
    return {
        "seed": None if seed is None else int(seed),  # numpy's integers have no JSON form
        "device": cpu() if device == "cpu" else _gpu(device),
        "vector_code": vector_code(),
        "commit": commit(),
        "versions": versions(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
