"""Files that are whole or absent: atomic writes, checksums, JSON and npz without pickles."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` so that a reader, or a kill at any moment, sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files private; these are meant to be shared
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:  # as when the disk is full
            raise OSError(error.errno, f"{error.strerror}, writing {len(content)} bytes", str(path)) from error
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as readable JSON, atomically. NaN and infinity are refused, since JSON has neither.

    Raises:
        ValueError: A number is not finite.
        TypeError: A value has no JSON form.
    """
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a JSON object; the message names the file.
    """
    try:
        content = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is not valid JSON ({error}); delete it and let the command that made it run again"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; it must be a JSON object")
    return content


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The npz form of `arrays`; the same arrays always give the same bytes (numpy stamps no time)."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    return stream.getvalue()


def npz_arrays(content: bytes) -> dict[str, np.ndarray]:
    """Arrays of an npz file's bytes; object arrays (pickles) are refused."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def safetensors_bytes(tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    """The safetensors form of torch tensors; equal ones give equal bytes, whose header the library orders at random."""
    import safetensors.torch

    content = safetensors.torch.save(dict(tensors), dict(metadata))
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    ordered = json.dumps({"__metadata__": dict(sorted(header.pop("__metadata__", {}).items())), **header}).encode()
    ordered += b" " * (-len(ordered) % 8)  # data begin at a multiple of 8 bytes
    return len(ordered).to_bytes(8, "little") + ordered + content[8 + length :]


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()
