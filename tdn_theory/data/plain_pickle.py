"""Pickles read as plain data: containers, strings, numbers and numpy arrays of numbers. Nothing in them can run code.

A pickle is a program for a stack machine. Whatever it runs it must first name, and here names lead nowhere: those that
pickled numpy numbers need stand for tokens of this module, which rebuild the numbers from their bytes; any other name
is an error. Tokens have no attributes that a pickle could set, and are not classes that it could instantiate. A pickle
can still exhaust the memory.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np


class UnsafePickleError(ValueError):
    """A pickle is damaged, or holds something else than plain data."""


def loads(content: bytes) -> Any:
    """Read a pickle (protocol 3 or later) of containers, strings, bytes, bool, int, float, None and numpy numbers.

    Raises:
        UnsafePickleError: The pickle names anything else, or is damaged.
    """
    try:
        unpickler = _Unpickler(io.BytesIO(content))
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
    named = False

    def find_class(self, module: str, name: str) -> Any:
        self.named = True
        token = TOKENS.get((module.replace("numpy._core", "numpy.core"), name))
        if token is None:
            raise UnsafePickleError(
                f"the pickle names {module}.{name}; only containers, strings, numbers and arrays of numbers are read, "
                "since anything else could run code"
            )
        return token


class _Token:
    """What a name stands for: a function that may be called, or only a mark; it cannot be changed."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any] | None = None):
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
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


class _Array:
    """A numpy array in the making: its state holds version, shape, type, order and bytes."""

    __slots__ = ("value",)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise UnsafePickleError("the pickle has an array of objects; only numbers are read")
        self.value = kind.read(content, shape, "F" if fortran else "C")


def _frombuffer(content: bytes | bytearray, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", bytes(content)))
    return array


def _scalar(kind: _Type, content: bytes) -> Any:
    return kind.read(content, (), "C").item()


TOKENS = {
    ("numpy", "ndarray"): _Token(),
    ("numpy", "dtype"): _Token(_Type),
    ("numpy.core.multiarray", "_reconstruct"): _Token(lambda *_: _Array()),
    ("numpy.core.multiarray", "scalar"): _Token(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _Token(_frombuffer),
}


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """`value` with finished arrays in the place of those in the making; `done` has what was converted, by identity."""
    if id(value) in done:
        return done[id(value)]
    if value is None or isinstance(value, bool | int | float | str | bytes | bytearray):
        return value
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        found: Any = {_plain(key, done): _plain(item, done) for key, item in value.items()}
    elif isinstance(value, list | tuple | set | frozenset):
        found = type(value)(_plain(item, done) for item in value)
    else:
        raise UnsafePickleError(f"the pickle holds a {type(value).__name__.strip('_')}, which is not plain data")
    done[id(value)] = found
    return found
