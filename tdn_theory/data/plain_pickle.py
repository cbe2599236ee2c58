"""Pickles read as plain data: containers, strings, numbers and numpy arrays of numbers. Nothing in them can run code.

A pickle is a program for a stack machine. Whatever it runs it must first name, and here names lead nowhere: those that
pickled numpy numbers need stand for tokens of this module, which rebuild the numbers from their bytes; any other name
is an error. Tokens have no attributes that a pickle could set; those that are classes make what is `Unfinished`, which
holds data and does nothing. A pickle can still exhaust the memory.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class UnsafePickleError(ValueError):
    """A pickle is damaged, or holds something else than plain data."""


class Unfinished:
    """Something in the making while a pickle is read; what it becomes is asked for at the end."""

    __slots__ = ()

    def finished(self) -> Any:
        """Plain data, or what contains more that is unfinished."""
        raise NotImplementedError


def loads(content: bytes, more: Mapping[tuple[str, str], Any] | None = None) -> Any:
    """Read a pickle (protocol 3 or later) of containers, strings, bytes, bool, int, float, None and numpy numbers.

    Args:
        content: The pickle.
        more: Further names that it may use, as module and name, and the tokens that they stand for.

    Raises:
        UnsafePickleError: The pickle names anything else, or is damaged.
    """
    try:
        unpickler = _Unpickler(io.BytesIO(content), {**TOKENS, **(more or {})})
        value = unpickler.load()
        return _plain(value, {}) if unpickler.named else value
    except UnsafePickleError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise UnsafePickleError(f"damaged pickle ({type(error).__name__}: {error})") from error


def dumps(value: Any) -> bytes:
    """Write plain data as a pickle (protocol 4), for programs that want one."""
    return pickle.dumps(value, protocol=4)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, tokens: Mapping[tuple[str, str], Any]):
        super().__init__(stream)
        self.tokens, self.named = tokens, False

    def find_class(self, module: str, name: str) -> Any:
        self.named = True
        token = self.tokens.get((module.replace("numpy._core", "numpy.core"), name))
        if token is None:
            raise UnsafePickleError(
                f"the pickle names {module}.{name}; only containers, strings, numbers and arrays of numbers are read, "
                "since anything else could run code"
            )
        return token


class Token:
    """What a name stands for: a function that may be called, or only a mark; it cannot be changed.

    Args:
        function: What a call does; None for a mark.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any] | None = None):
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function, if there is one."""
        if self._function is None:
            raise UnsafePickleError("the pickle calls something that is not a function")
        return self._function(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise UnsafePickleError("the pickle sets an attribute")


class _Type:
    """A numpy dtype in the making: its kind and size, then the byte order in its state."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: str, *_: Any):
        if not re.fullmatch("[biuf][1248]", code):
            raise UnsafePickleError(f"the pickle has an array of type {code[:20]!r}; only numbers are read")
        self._code, self._order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|"):
            raise UnsafePickleError("the pickle has an array of unknown byte order")
        self._order = state[1]

    def read(self, content: bytes, shape: tuple[int, ...], order: str) -> np.ndarray:
        array = np.frombuffer(bytes(content), self._order + self._code).reshape(shape, order=order)  # pyright: ignore
        return array.astype(array.dtype.newbyteorder("="))


class _Array(Unfinished):
    """A numpy array in the making: its state holds version, shape, type, order and bytes."""

    __slots__ = ("value",)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise UnsafePickleError("the pickle has an array of objects; only numbers are read")
        self.value = kind.read(content, shape, "F" if fortran else "C")

    def finished(self) -> np.ndarray:
        return self.value


def _frombuffer(content: bytes | bytearray, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", bytes(content)))
    return array


def _scalar(kind: _Type, content: bytes) -> Any:
    return kind.read(content, (), "C").item()


TOKENS = {
    ("numpy", "ndarray"): Token(),
    ("numpy", "dtype"): Token(_Type),
    ("numpy.core.multiarray", "_reconstruct"): Token(lambda *_: _Array()),
    ("numpy.core.multiarray", "scalar"): Token(_scalar),
    ("numpy.core.numeric", "_frombuffer"): Token(_frombuffer),
}


def _plain(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """`value` with what is unfinished finished; `done` has what was converted, by identity, and keeps it alive."""
    if id(value) in done:
        return done[id(value)][1]
    if value is None or isinstance(value, bool | int | float | str | bytes | bytearray | np.ndarray):
        return value
    if isinstance(value, Unfinished):
        found: Any = _plain(value.finished(), done)
    elif isinstance(value, dict):
        found = {_plain(key, done): _plain(item, done) for key, item in value.items()}
    elif isinstance(value, list | tuple | set | frozenset):
        found = type(value)(_plain(item, done) for item in value)
    else:
        raise UnsafePickleError(f"the pickle holds a {type(value).__name__.strip('_')}, which is not plain data")
    done[id(value)] = value, found
    return found
