"""Pickled objects of torch_geometric, as OC20 and OC22 are released, read and written without that package.

They are read as plain data (`plain_pickle`): a `Data` becomes the dictionary of its attributes, a tensor a numpy array.
A tensor's numbers lie in a pickle of its own inside, which torch reads as weights only; here as well nothing is run.

In version 1 of torch_geometric the attributes are the state of the object itself, in version 2 they are in
`state["_store"]`, a `GlobalStorage`, under `_mapping`.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from tdn_theory.data import plain_pickle
from tdn_theory.data.plain_pickle import Token, Unfinished, UnsafePickleError

FIELDS = {
    *("pos", "pos_relaxed", "cell", "atomic_numbers", "natoms", "tags", "fixed"),
    *("sid", "fid", "y", "y_init", "y_relaxed", "force"),
}
"""Attributes that are read. Others, edges for instance, are passed over: they are found again, by the own cutoff."""


def loads(content: bytes) -> Any:
    """Read a pickle of `Data`, or of containers of them; attributes that are not among `FIELDS` are left out.

    Raises:
        UnsafePickleError: The pickle names anything else than `Data`, tensors and what `plain_pickle` reads, a tensor
            is not what its bytes hold, or the pickle is damaged.
    """
    return plain_pickle.loads(content, TOKENS)


def dumps(attributes: Mapping[str, Any]) -> bytes:
    """A pickle of a `Data` of torch_geometric 2 with these attributes: numbers, strings, and arrays, which get tensors.

    It is put together from the pickles of its parts, since the classes that it names are not here. A part has protocol
    3, whose memo is numbered explicitly, so that the next part may begin again at 0.
    """
    import torch

    values = {name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in attributes.items()}
    kind, storage = b"ctorch_geometric.data.data\n", b"ctorch_geometric.data.storage\nGlobalStorage\n"
    parent = (2**12).to_bytes(4, "little")  # a number of the memo that no part reaches
    mapping = b"}(" + _part("_mapping") + _part(values) + _part("_parent") + b"j" + parent + b"ub"
    state = [
        *(_part("_edge_attr_cls"), kind, b"DataEdgeAttr\n"),
        *(_part("_tensor_attr_cls"), kind, b"DataTensorAttr\n"),
        *(_part("_store"), storage, b")\x81", mapping),
    ]
    return b"\x80\x03" + kind + b"Data\n)\x81r" + parent + b"}(" + b"".join(state) + b"ub."


def _part(value: Any) -> bytes:
    return pickle.dumps(value, protocol=3)[2:-1]  # without the mark of the protocol and the end


class _Storage(Unfinished):
    """The numbers of a tensor, as torch saves them."""

    __slots__ = ("_content",)

    def __init__(self, content: Any):
        self._content = content

    def finished(self) -> np.ndarray:
        import torch

        if not isinstance(self._content, bytes):
            raise UnsafePickleError("the pickle has a tensor that is not made of bytes")
        storage = torch.load(io.BytesIO(self._content), map_location="cpu", weights_only=True)
        if not isinstance(storage, torch.storage.TypedStorage):
            raise UnsafePickleError(f"the pickle has a {type(storage).__name__} where the numbers of a tensor must be")
        return torch.empty(0, dtype=storage.dtype).set_(storage).numpy()  # pyright: ignore[reportArgumentType]


class _Tensor(Unfinished):
    """A tensor: where in its storage its numbers are."""

    __slots__ = ("_offset", "_shape", "_storage", "_strides")

    def __init__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any):
        self._storage, self._offset, self._shape, self._strides = storage, offset, shape, strides

    def finished(self) -> np.ndarray:
        shape, strides = tuple(self._shape), tuple(self._strides)
        whole = all(type(number) is int and number >= 0 for number in (self._offset, *shape, *strides))
        if not isinstance(self._storage, _Storage) or not whole or len(shape) != len(strides):
            raise UnsafePickleError("the pickle has a tensor of no shape")
        numbers = self._storage.finished()
        last = self._offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if math.prod(shape) and (math.prod(shape) > len(numbers) or last >= len(numbers)):
            raise UnsafePickleError("the pickle has a tensor that is larger than its storage")
        numbers = numbers[self._offset :]
        steps = [stride * numbers.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(numbers, shape, steps).copy() if numbers.size else np.empty(shape)


class _Store(Unfinished):
    """A `GlobalStorage`, of which only the attributes matter: it also holds its owner, which holds it."""

    __slots__ = ("_state",)

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def finished(self) -> Any:
        return self._state["_mapping"]


class _Data(_Store):
    """A `Data` of version 1 or 2."""

    __slots__ = ()

    def finished(self) -> Any:
        store = self._state.get("_store")
        mapping = store.finished() if isinstance(store, _Store) else self._state
        return {name: value for name, value in mapping.items() if name in FIELDS}


TOKENS = {
    ("torch_geometric.data.data", "Data"): _Data,
    ("torch_geometric.data.data", "DataEdgeAttr"): Token(),
    ("torch_geometric.data.data", "DataTensorAttr"): Token(),
    ("torch_geometric.data.storage", "GlobalStorage"): _Store,
    ("torch._utils", "_rebuild_tensor_v2"): Token(_Tensor),
    ("torch.storage", "_load_from_bytes"): Token(_Storage),
    ("collections", "OrderedDict"): Token(lambda: {}),
}
