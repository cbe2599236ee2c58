"""Calls of this package's functions in another process: by another interpreter, or with other variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def call_elsewhere(
    function: Callable[..., dict[str, Any]],
    arguments: Mapping[str, Any],
    python: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Call a function in another process.

    Args:
        function: At the top level of a module of this package; its result is JSON.
        arguments: Of the function, as JSON.
        python: Interpreter; None: this one.
        variables: Of the environment, beside those that are set here.

    Raises:
        RuntimeError: The function failed there; the message is what it said.
    """
    interpreter = str(python or sys.executable)
    module, name = function.__module__, function.__name__
    code = f"import json, sys; from {module} import {name}; print(json.dumps({name}(**json.load(sys.stdin))))"
    done = subprocess.run(
        [interpreter, "-c", code],
        input=json.dumps(arguments),
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} by {interpreter} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # other lines are those of packages
