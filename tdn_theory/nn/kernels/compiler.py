"""C libraries made at run time: compiled once for this processor, and kept.

A compiler takes several seconds for the loops of this package; its output is kept in the user's cache folder under
a name that holds the source, the command and the processor's features, so that another machine that shares the folder
makes its own, and the checksum of the file, so that a damaged one is made anew. Where nothing can be kept or run there,
a process makes its own in a temporary folder.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from tdn_theory.files import sha256, write_bytes

FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC")


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
def processor() -> str:
    """The features that `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def library(source: str, march: str = "native") -> ctypes.CDLL:
    """The loaded library of a C source, compiled if need be.

    Args:
        source: C source with GNU vector extensions (gcc and clang have them).
        march: Processor to compile for, as the compiler names it, unless CC has a flag that says so.

    Raises:
        RuntimeError: There is no compiler, or it fails, or what it makes cannot be loaded; the message says what to do.
    """
    compiler = _compiler()
    if compiler is None:
        raise RuntimeError(
            "compiled loops (fused=True) need a C compiler, and neither CC, cc, gcc nor clang was found; install one, "
            "or make the product with fused=False"
        )
    asked = [part for part in compiler if part.startswith("-")]  # of two flags the compiler follows the last
    command = [*compiler, *FLAGS, f"-march={march}", *asked]
    key = sha256("\n".join([*command, shutil.which(command[0]) or "", processor(), source]).encode())[:32]
    kept = _kept(key)
    if kept is not None:
        return kept
    try:
        with tempfile.TemporaryDirectory() as temporary:
            source_file, made = Path(temporary) / "kernel.c", Path(temporary) / "kernel.so"
            source_file.write_text(source)
            done = subprocess.run([*command, source_file, "-o", made], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(
                    f"the C compiler failed: {shlex.join(command)}\n{done.stderr[-1000:]}\n"
                    "Set CC to gcc >= 9 or clang >= 11, or make the product with fused=False"
                )
            loaded, content = ctypes.CDLL(str(made)), made.read_bytes()
    except OSError as error:
        raise RuntimeError(
            f"compiled loops (fused=True) could not be made or loaded: {error}. Set TMPDIR to a folder with space, "
            "from which programs may run, or make the product with fused=False"
        ) from error
    with suppress(OSError):  # the next process makes its own, then
        write_bytes(cache_folder() / _name(key, content), content)
    return loaded


def cache_folder() -> Path:
    """Where what is made once for this machine is kept.

    Raises:
        OSError: The user has no home folder.
    """
    folder = user_cache_path("tdn-theory")
    if not folder.is_absolute():
        raise FileNotFoundError(f"the user's cache folder {folder} is not absolute; set HOME or XDG_CACHE_HOME")
    return folder / "kernels"


def _kept(key: str) -> ctypes.CDLL | None:
    """The library kept under this key, if it is whole and may run from its folder or from that of temporary files."""
    with suppress(OSError):
        for path in sorted(cache_folder().glob(f"{key}-*.so")):
            content = path.read_bytes()
            if path.name != _name(key, content):
                continue  # damaged
            with suppress(OSError):
                return ctypes.CDLL(str(path))
            with tempfile.TemporaryDirectory() as temporary:
                return ctypes.CDLL(shutil.copy(path, temporary))
    return None


def _name(key: str, content: bytes) -> str:
    return f"{key}-{sha256(content)[:32]}.so"
