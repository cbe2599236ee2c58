"""C functions made at run time: compiled once for this processor, kept, and called without Python objects.

A compiler takes a quarter of a second for the loops of `scaled_matrices.c`; its output is kept in the user's cache
folder under a name that holds the source, the command and the processor's features, so that another machine that shares
the folder makes its own.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import torch
from platformdirs import user_cache_path
from torch import Tensor

from tdn_theory.files import sha256, write_bytes

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-shared", "-fPIC")
C_TYPES = {torch.float32: "float", torch.float64: "double"}

BYTES_PER_THREAD = 1 << 20
"""Least work that is worth another thread: starting one takes as long as reading some hundred kilobytes."""


def available() -> bool:
    """Whether there is a C compiler (the one named by the environment variable CC, else cc, gcc or clang)."""
    return platform.system() in ("Linux", "Darwin") and _compiler() is not None


@cache
def _compiler() -> tuple[str, ...] | None:
    named = shlex.split(os.environ.get("CC", ""))
    for command in (named, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return tuple(command)
    return None


@cache
def _processor() -> str:
    """The features that `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


@lru_cache(maxsize=512)
def library(source: str, dtype: torch.dtype) -> ctypes.CDLL:
    """The loaded library of a C source in which `real` stands for the dtype, compiled if need be.

    Args:
        source: C source with GNU vector extensions (gcc and clang have them).
        dtype: float32 or float64.

    Raises:
        RuntimeError: There is no compiler, or it fails; the message says what to do.
    """
    compiler = _compiler()
    if compiler is None:
        raise RuntimeError(
            "compiled loops (fused=True) need a C compiler, and neither CC, cc, gcc nor clang was found; install one, "
            "or make the product with fused=False"
        )
    command = [*compiler, *FLAGS, f"-Dreal={C_TYPES[dtype]}"]
    key = sha256("\n".join([*command, shutil.which(command[0]) or "", _processor(), source]).encode())[:32]
    path = user_cache_path("tdn-theory") / "kernels" / f"{key}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            source_file, made = Path(folder) / "kernel.c", Path(folder) / "kernel.so"
            source_file.write_text(source)
            done = subprocess.run([*command, source_file, "-o", made], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(
                    f"the C compiler failed: {shlex.join(command)}\n{done.stderr[-1000:]}\n"
                    "Set CC to gcc >= 9 or clang >= 11, or make the product with fused=False"
                )
            write_bytes(path, made.read_bytes())
    return ctypes.CDLL(str(path))


def call(function: ctypes._NamedFuncPointer, edges: int, sizes: tuple[int, ...], tensors: tuple[Tensor, ...]) -> None:
    """Call `function(start, stop, sizes..., pointers...)` on ranges of edges, one for each of torch's threads.

    Edges are independent of each other, so results do not depend on the number of threads.

    Args:
        function: C function without a result.
        edges: Number of edges.
        sizes: Integers handed through (int64).
        tensors: Contiguous tensors, handed through as pointers.
    """
    if function.argtypes is None:
        function.argtypes = [ctypes.c_int64] * (2 + len(sizes)) + [ctypes.c_void_p] * len(tensors)
    pointers = [tensor.data_ptr() for tensor in tensors]
    bytes_moved = sum([tensor.nbytes for tensor in tensors])
    threads = max(1, min(torch.get_num_threads(), bytes_moved // BYTES_PER_THREAD, edges))
    if threads == 1:
        function(0, edges, *sizes, *pointers)
        return
    bounds = [edges * k // threads for k in range(threads + 1)]
    others = [threading.Thread(target=function, args=(*part, *sizes, *pointers)) for part in pairwise(bounds[1:])]
    for other in others:
        other.start()
    function(*bounds[:2], *sizes, *pointers)
    for other in others:
        other.join()
