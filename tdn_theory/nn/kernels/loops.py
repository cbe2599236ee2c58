"""The compiled loops of the product on CPU: matrices of every edge applied to features, and sparse tensors."""

from __future__ import annotations

import ctypes
import os
import warnings
from functools import cache
from importlib.resources import files
from struct import pack

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn import kernels
from tdn_theory.nn.kernels import compiler

C_TYPES = {torch.float32: "float", torch.float64: "double"}
LANES = {dtype: (1, *(size // dtype.itemsize for size in (16, 32, 64))) for dtype in C_TYPES}
"""Channels of a vector: one, or as many as the 16, 32 or 64 bytes of SSE2 and NEON, AVX, AVX-512 hold."""

NO_MEMORY = 1
"""What a loop gives back that found no memory."""

BYTES_PER_THREAD = 1 << 20
"""Least work that is worth another thread: waking one takes as long as reading a hundred kilobytes."""

_PROCESS = os.getpid()


def source() -> str:
    """The C source of all loops, for every dtype and every vector of the processor that the compiler sees."""
    names = "vector.h", "threads.h", "convolution.h", "scaled_matrices.c", "sparse.c", "convolution.c"
    texts = [files(kernels).joinpath(name).read_text() for name in names]
    header = "".join(texts[:3])
    for dtype, name in C_TYPES.items():
        for lanes in LANES[dtype]:
            before = f"#define real {name}\n#define LANES {lanes}\n#if {lanes * dtype.itemsize} <= WIDEST\n"
            header += "".join([before, *texts[3:], "#endif\n#undef LANES\n#undef real\n"])
    return header


def library(march: str = "native") -> ctypes.CDLL:
    """The loops, which run on torch's threads if these are OpenMP's.

    Args:
        march: As of `compiler.library`.

    Raises:
        RuntimeError: See `compiler.library`.
    """
    found = compiler.library(source(), march)
    parallel = getattr(ctypes.CDLL(None), "GOMP_parallel", None)  # torch has loaded it for all to see
    ctypes.c_void_p.in_dll(found, "parallel").value = ctypes.cast(parallel, ctypes.c_void_p).value if parallel else None
    return found


_library = cache(library)


@cache
def failure() -> str | None:
    """Why the loops do not run here; None if they do."""
    try:
        _library()
    except RuntimeError as error:
        return str(error)
    return None


@cache
def usable() -> bool:
    """Whether products run as loops by default: where there is a C compiler. A warning tells why one does not work."""
    reason = failure() if compiler.available() else ""
    if reason:
        warnings.warn(f"plain torch operations run instead of compiled loops: {reason}", stacklevel=2)
    return reason is None


@cache
def _function(library: ctypes.CDLL, name: str, dtype: torch.dtype, channels: int) -> ctypes._NamedFuncPointer:
    """The function for the widest vectors that the processor has and the channels fill."""
    filled = min(ctypes.c_int32.in_dll(library, "widest").value // dtype.itemsize, channels)
    lanes = max(lanes for lanes in LANES[dtype] if lanes <= max(filled, 1))
    return getattr(library, f"{name}_{C_TYPES[dtype]}{lanes}")


def function(name: str, dtype: torch.dtype, channels: int) -> ctypes._NamedFuncPointer:
    """The loop of this name for a dtype, for the widest vectors that the processor has and the channels fill."""
    return _function(_library(), name, dtype, channels)


def call(function: ctypes._NamedFuncPointer, sizes: tuple[int, ...], tensors: tuple[Tensor, ...]) -> None:
    """Call `function(threads, sizes, pointers)`, with one of torch's threads or several.

    Threads share no result, so results do not depend on their number. There is one after a fork, where OpenMP would
    wait for threads that only the other process has.

    Args:
        function: C function whose result says whether it failed, see `threads.h`.
        sizes: Integers, handed through as an array of int64.
        tensors: Tensors, handed through as an array of pointers.

    Raises:
        MemoryError: There is no memory for what the function writes down in between.
        IndexError: A row that is named does not exist.
    """
    if function.argtypes is None:
        function.argtypes = (ctypes.c_int64, ctypes.c_char_p, ctypes.c_char_p)
    threads = torch.get_num_threads() if os.getpid() == _PROCESS else 1
    if threads > 1:
        threads = max(1, min(threads, sum([tensor.nbytes for tensor in tensors]) // BYTES_PER_THREAD))
    # packed: ctypes takes a quarter of a microsecond for each argument
    pointers = [tensor.data_ptr() for tensor in tensors]
    failed = function(threads, pack(f"{len(sizes)}q", *sizes), pack(f"{len(tensors)}P", *pointers))
    if failed == NO_MEMORY:
        raise MemoryError("a compiled loop found no memory for its matrices; take smaller irreps, or free some")
    if failed:
        raise IndexError("a row that is named does not exist")


def scaled_matrices(
    G: Float[Tensor, "e d3 d1"], x: Float[Tensor, "e d1 u"], w: Float[Tensor, "#e 1 u"]
) -> Float[Tensor, "e d3 u"]:
    """`z_ku = w_u sum_i G_ki x_iu` for every edge, each number of x and z touched once in memory."""
    (edges, d3, d1), c = G.shape, x.shape[2]
    (G, G_edge, G_row), (x, x_edge), (w, w_edge) = _with_whole_rows(G), _with_whole_edges(x), _with_whole_edges(w)
    z = x.new_empty(edges, d3, c)
    sizes = (edges, d3, d1, c, G_edge, G_row, x_edge, w_edge)
    call(function("forward", x.dtype, c), sizes, (G, x, w, z))
    return z


def scaled_matrices_backward(
    G: Float[Tensor, "e d3 d1"], x: Float[Tensor, "e d1 u"], w: Float[Tensor, "#e 1 u"], g: Float[Tensor, "e d3 u"]
) -> tuple[Float[Tensor, "e d1 u"], Float[Tensor, "e 1 u"]]:
    """Gradients of `scaled_matrices` for x and, edge by edge, w, given that for z."""
    (edges, d3, d1), c = G.shape, x.shape[2]
    (G, G_edge, G_row), (x, x_edge), (w, w_edge) = _with_whole_rows(G), _with_whole_edges(x), _with_whole_edges(w)
    g, g_edge = _with_whole_edges(g)
    dx, dw = x.new_empty(edges, d1, c), x.new_empty(edges, 1, c)
    sizes = (edges, d3, d1, c, G_edge, G_row, x_edge, w_edge, g_edge)
    call(function("backward", x.dtype, c), sizes, (G, x, w, g, dx, dw))
    return dx, dw


def _with_whole_rows(G: Tensor) -> tuple[Tensor, int, int]:
    """Matrices, which may be parts of larger ones as long as each row lies in one piece; steps to edges and rows."""
    edge, row, column = G.stride()
    return (G, edge, row) if column == 1 else _with_whole_rows(G.clone(memory_format=torch.contiguous_format))


def _with_whole_edges(x: Tensor) -> tuple[Tensor, int]:
    """Features, which may be part of others as long as those of an edge lie in one piece; the step to the next edge."""
    edges, rows, channels = x.shape
    edge, row, channel = x.stride()
    if (channel != 1 and channels > 1) or (row != channels and rows > 1):
        return _with_whole_edges(x.clone(memory_format=torch.contiguous_format))
    return x, edge if edges > 1 else 0


class SparseTensor:
    """The nonzeros of `M[k, i, j]`, listed by k, then i, then j.

    Attributes:
        shape: (d3, d1, d2).
    """

    def __init__(self, M: Float[np.ndarray, "d3 d1 d2"]) -> None:
        self.shape = M.shape
        rows, pairs, first, second = [0], [0], [], []
        for matrix in M:
            for i, row in enumerate(matrix):
                if row.any():
                    first.append(i)
                    second.extend(np.flatnonzero(row))
                    pairs.append(len(second))
            rows.append(len(first))
        self._lists = tuple(torch.tensor(np.array(part, dtype=np.int32)) for part in (rows, pairs, first, second))
        values = M[M != 0]
        self._values = {dtype: torch.tensor(values, dtype=dtype) for dtype in C_TYPES}

    def product(self, x: Float[Tensor, "e d1 u"], y: Float[Tensor, "e d2 u"]) -> Float[Tensor, "e d3 u"]:
        """`z_ku = M_kij x_iu y_ju`."""
        (edges, _, c), (d3, d1, d2) = x.shape, self.shape
        x, y = x.contiguous(), y.contiguous()
        z = x.new_empty(edges, d3, c)
        tensors = (*self._lists, self._values[x.dtype], x, y, z)
        call(function("product", x.dtype, c), (edges, d1, d2, d3, c), tensors)
        return z
