"""What it costs to evaluate an equivariant product: multiply-adds, bytes and parameters of every method (T6, E4).

One edge (sample) has x with U channels, y with V, z with W, of the irreps of a coupling, with d1, d2 and d3 components;
for the paper's features all are d. The channels are connected in e3nn's ways:

* `uvu`: y has one channel (edge harmonics), each of the U channels of x meets it; W = U.
* `uuu`: channel u of x meets channel u of y; U = V = W.
* `uvw`: every pair (u, v), mixed into W channels by weights.

Weights are per path, or shared by all paths (E4): then one number per channel (`uvu`, `uuu`) or per triple (`uvw`).

The methods, with one multiply-add per multiplication (the addition that goes with it is free), and pairs n = U, U, UV:

* `dense`: outer product x_i y_j, then M as a d3 x d1 d2 matrix: `n (d1 d2 + d1 d2 d3)`.
* `per_path`: the same block by block, `n sum_p [(2l1+1)(2l2+1) + (2l1+1)(2l2+1)(2l3+1)]`, what e3nn does: O(L^6).
* `sparse`: two multiplications per nonzero coefficient, `2 n nnz(M)`: O(L^5).
* `y_first`: the matrix `Y_ki = sum_j M_kij y_j` per channel of y, `nnz(M)` each, then `n d1 d3` (per path `n sum_p
  (2l1+1)(2l3+1)`).
* `cp`: `R d` for every channel of x, y and z, each with its own d, and R per pair.
* `cubature`: `cp` with the nodes of a rule of degree 3L as R; even paths only.
* `matrix`: to (L+1) x (L+1) matrices and back, d^2 per channel, and `(L+1)^3` per pair (the paper's features, even L;
  other path weights than M).
* `rotated`: for y the harmonics of a direction (`uvu`). In a frame with the direction at the pole only m = 0 is left of
  y, and M couples m and -m alone: E entries. `sum_l (2l+1)^2` per channel of x and of z to turn them; matrices
  `D_l = J Z(b) J^T Z(a)` of every edge, `(2l+1)^3 + 8 l (2l+1)` each, Z turning about the pole and J a constant. O(L^3)
  per channel (eSCN: Passaro and Zitnick, arXiv:2302.03655).
* `grid`: the Gaunt tensor on `T x F` points, T = floor((l1+l2+l3)/2) + 1 latitudes (Gauss) and F = l1+l2+l3+1
  longitudes, l the largest degrees. To them `T d + T F (2l+1)`, a Legendre and a Fourier transform; one product per
  point. O(L^3), without fast transforms; even paths only (Luo, Chen and Krishnapriyan, arXiv:2401.10216).
* `bracket`: the Gaunt tensor and the Poisson bracket, which has the odd paths, on the same points: x and y with their
  two derivatives, `2 T d + T (2l+1) + 3 T F (2l+1)`, and three products per point (arXiv:2605.15073).

Weights: shared ones multiply the output, `U d3` or `UVW d3` (for `uvw`, `cp` and `matrix` mix before they transform
back: `UVW R`, `UVW d`); those per path multiply the path outputs, `U sum_p (2l3+1)` or `UVW sum_p (2l3+1)`. Only
methods that see single paths can have them.

The derivations are the lines above; tests count the multiplications of naive programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from tdn_theory.coupling import Coupling, CouplingLike
from tdn_theory.cp.solvers.solver import check_rank
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import check_degree

Method = Literal["dense", "per_path", "sparse", "y_first", "cp", "cubature", "matrix", "rotated", "grid", "bracket"]
Connection = Literal["uvu", "uuu", "uvw"]

METHODS: tuple[Method, ...] = get_args(Method)
CONNECTIONS: tuple[Connection, ...] = ("uvu", "uuu", "uvw")
UNSHARED: tuple[Method, ...] = ("per_path", "sparse", "y_first")
"""Methods that can weight every path on its own."""


@dataclass(frozen=True)
class Channels:
    """Channels of x, y and z and how they meet.

    Attributes:
        connection: `"uvu"`, `"uuu"` or `"uvw"`.
        u: Channels of x.
        v: Channels of y.
        w: Channels of z.

    Raises:
        TypeError: A number of channels is not an integer.
        ValueError: A number of channels is below 1, or the connection is unknown.

    >>> Channels.of("uvu", 128)
    Channels(connection='uvu', u=128, v=1, w=128)
    """

    connection: Connection
    u: int
    v: int
    w: int

    @classmethod
    def of(cls, connection: Connection, u: int, v: int | None = None, w: int | None = None) -> Channels:
        """The channels that `connection` allows; v and w only matter for `uvw`, where they are u if left out."""
        if connection not in CONNECTIONS:
            raise ValueError(f"connection is {connection!r}; it must be one of {CONNECTIONS}")
        for name, count in (("u", u), ("v", v), ("w", w)):
            if count is not None and check_degree(count, f"number of channels {name}") < 1:
                raise ValueError(f"number of channels {name} is {count}; it must be at least 1")
        if connection == "uvw":
            return cls(connection, u, u if v is None else v, u if w is None else w)
        if v is not None or w is not None:
            raise ValueError(f"v and w are given, but {connection!r} derives them from u: give them for 'uvw' only")
        return cls(connection, u, 1 if connection == "uvu" else u, u)

    @property
    def pairs(self) -> int:
        """Number of products of one channel of x with one of y."""
        return self.u * self.v if self.connection == "uvw" else self.u

    @property
    def mixings(self) -> int:
        """Weights per path: how many numbers one path output meets per component."""
        return self.u * self.v * self.w if self.connection == "uvw" else self.u


@dataclass(frozen=True)
class PathSums:
    """What the formulas need to know about the paths; orders are those of degrees 0..L.

    Attributes:
        paths: Their number, O(L^3).
        inputs: `sum_p (2l1+1)(2l2+1)`, the entries of outer products. O(L^5).
        matrices: `sum_p (2l1+1)(2l3+1)`, the entries of matrices that take x to z; the same for the paper's features.
        blocks: `sum_p (2l1+1)(2l2+1)(2l3+1)`, O(L^6).
        outputs: `sum_p (2l3+1)`, O(L^4).
        nonzeros: Nonzero entries of M in the real basis, O(L^5).
        aligned: Entries of the matrix from x to z that M and the components m = 0 of y make, O(L^3).
    """

    paths: int
    inputs: int
    matrices: int
    blocks: int
    outputs: int
    nonzeros: int
    aligned: int


def path_sums(coupling: CouplingLike) -> PathSums:
    """Sums over the paths of a coupling.

    >>> path_sums(1)
    PathSums(paths=5, inputs=25, matrices=25, blocks=55, outputs=11, nonzeros=16, aligned=8)
    """
    return _path_sums(Coupling.of(coupling))


@lru_cache(maxsize=32)
def _path_sums(coupling: Coupling) -> PathSums:
    sizes = np.array([[2 * l + 1 for l in path.degrees] for path in coupling.paths])
    return PathSums(
        len(coupling.paths),
        int((sizes[:, 0] * sizes[:, 1]).sum()),
        int((sizes[:, 0] * sizes[:, 2]).sum()),
        int(sizes.prod(axis=1).sum()),
        int(sizes[:, 2].sum()),
        sum(int(np.count_nonzero(clebsch_gordan(*path.degrees))) for path in coupling.paths),
        _aligned(coupling),
    )


def _aligned(coupling: Coupling) -> int:
    matrix = np.zeros((coupling.dims[2], coupling.dims[0]), bool)
    for path in coupling.paths:
        k, i, _ = coupling.where(path)
        matrix[k, i] |= clebsch_gordan(*path.degrees)[:, :, path.l2] != 0
    return int(matrix.sum())


@dataclass(frozen=True)
class Cost:
    """Cost of one product over many edges.

    Attributes:
        multiply_adds: Multiplications, each with its addition.
        bytes: Traffic that no fusion avoids: x, y and the weights in, z out, and the constants once.
        intermediate_bytes: Written and read back in addition if every step is a kernel of its own.
        parameters: Weights, if they are learnt directly.
    """

    multiply_adds: int
    bytes: int
    intermediate_bytes: int
    parameters: int

    @property
    def intensity(self) -> float:
        """Multiply-adds per byte of unavoidable traffic: below a machine's balance, memory is what counts."""
        return self.multiply_adds / self.bytes


def cost(
    method: Method,
    coupling: CouplingLike,
    channels: Channels,
    edges: int = 1,
    rank: int | None = None,
    shared: bool = True,
    bytes_per_number: int = 4,
) -> Cost:
    """Cost of `method` (module docstring).

    Args:
        method: One of `METHODS`.
        coupling: The irreps and paths, as `Coupling.of` reads them: L for the paper's features.
        channels: Channels and how they meet.
        edges: Number of edges.
        rank: R, for `"cp"` (terms) and `"cubature"` (nodes) only.
        shared: Whether one set of weights serves all paths (E4).
        bytes_per_number: 4 for float32.

    Raises:
        TypeError: A number is not an integer.
        ValueError: An unknown method, a rank where none belongs or none where one does, weights per path for a method
            that does not see paths, other features than the paper's or an odd L for `"matrix"`, channels in y for
            `"rotated"`, or a number out of range.

    >>> cost("cp", 2, Channels.of("uvu", 128), rank=28).multiply_adds
    69500
    >>> cost("y_first", 2, Channels.of("uvu", 128)).multiply_adds
    11657
    """
    coupling, edges = Coupling.of(coupling), check_degree(edges, "number of edges")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {METHODS}")
    if not shared and method not in UNSHARED:
        raise ValueError(f"{method!r} sees no single paths, so its weights must be shared; use one of {UNSHARED}")
    if (rank is not None) != (method in ("cp", "cubature")):
        raise ValueError(f"rank is {rank} for {method!r}; give one for 'cp' and 'cubature', and for no other method")
    if method == "matrix" and coupling.lmax % 2:
        raise ValueError(f"L is {coupling.lmax}; degrees 0..L are the real (L+1) x (L+1) matrices for even L only")
    if rank is not None:
        check_rank(rank)
    if method == "rotated" and channels.connection != "uvu":
        raise ValueError(f"connection is {channels.connection!r}; 'rotated' needs y to be harmonics: use 'uvu'")
    (d1, d2, d3), sums = coupling.dims, path_sums(coupling)
    n, mixed = channels.pairs, channels.mixings
    every = channels.u * d1 + channels.v * d2 + channels.w * d3
    mixing = mixed * (d3 if shared else sums.outputs)
    outputs = n * (d3 if shared else sums.outputs)  # numbers between the product and the weights

    if method == "dense":
        work, kept, constants = n * (d1 * d2 + d1 * d2 * d3) + mixing, n * d1 * d2 + outputs, d1 * d2 * d3
    elif method == "per_path":
        work, kept, constants = n * (sums.inputs + sums.blocks) + mixing, n * sums.inputs + outputs, sums.blocks
    elif method == "sparse":
        work, kept, constants = 2 * n * sums.nonzeros + mixing, n * sums.nonzeros + outputs, sums.nonzeros
    elif method == "y_first":
        entries = d1 * d3 if shared else sums.matrices
        work = channels.v * sums.nonzeros + n * entries + mixing
        kept, constants = channels.v * entries + outputs, sums.nonzeros
    elif method == "rotated":
        work, kept, constants = _rotated(coupling, channels.u)
        work, kept = work + n * sums.aligned + mixing, kept + outputs
        constants += sums.aligned
    elif method in ("grid", "bracket"):
        work, kept, constants = _on_grid(coupling, channels, derivatives=method == "bracket")
        work, kept = work + mixing, kept + outputs
    else:
        inner = d3 if method == "matrix" else rank or 0
        pair = (coupling.lmax + 1) ** 3 if method == "matrix" else inner
        late = channels.connection == "uvw"
        work = inner * every + n * pair + (mixed * inner if late else mixing)
        kept = inner * (channels.u + channels.v) + n * inner + (channels.w * inner if late else outputs)
        constants = inner * (d1 + d2 + d3)
    parameters = mixed * (1 if shared else sums.paths)
    compulsory = edges * (every + parameters) + constants
    return Cost(edges * work, bytes_per_number * compulsory, 2 * bytes_per_number * edges * kept, parameters)


def _rotated(coupling: Coupling, channels: int) -> tuple[int, int, int]:
    """Multiply-adds, kept numbers and constants of turning x and z of an edge (module docstring)."""
    degrees = {irrep.l for irrep in (*coupling.x, *coupling.z)}
    matrices = sum((2 * l + 1) ** 2 for l in degrees)
    made = sum((2 * l + 1) ** 3 + 8 * l * (2 * l + 1) for l in degrees)
    turned = sum(irrep.dim**2 for irrep in (*coupling.x, *coupling.z))
    kept = matrices + channels * (coupling.dims[0] + coupling.dims[2])
    return made + channels * turned, kept, matrices


def _on_grid(coupling: Coupling, channels: Channels, derivatives: bool) -> tuple[int, int, int]:
    """Multiply-adds, kept numbers and constants of products on a grid (module docstring)."""
    (d1, d2, d3), tops = (
        coupling.dims,
        [max(irrep.l for irrep in mode) for mode in (coupling.x, coupling.y, coupling.z)],
    )
    latitudes, longitudes = sum(tops) // 2 + 1, sum(tops) + 1
    points = latitudes * longitudes

    def transform(d: int, top: int, functions: int) -> int:
        legendre = latitudes * (d + (d + 2 * top + 1 if functions == 3 else 0))
        return legendre + functions * points * (2 * top + 1)

    functions = 3 if derivatives else 1
    work = channels.u * transform(d1, tops[0], functions) + channels.v * transform(d2, tops[1], functions)
    work += channels.pairs * (functions * points + transform(d3, tops[2], 1))
    kept = functions * points * (channels.u + channels.v) + channels.pairs * points
    constants = (
        latitudes * (functions // 2 + 1) * (d1 + d2) + latitudes * d3 + longitudes * sum(2 * l + 1 for l in tops)
    )
    return work, kept, constants


def growth(values: dict[int, int], lowest: int) -> float:
    """Exponent of L+1 in `values[L]`, from the two ends of L >= lowest.

    >>> growth({3: 4**6, 7: 8**6}, 3)
    6.0
    """
    ends = min(l for l in values if l >= lowest), max(values)
    return float(np.log(values[ends[1]] / values[ends[0]]) / np.log((ends[1] + 1) / (ends[0] + 1)))


def crossover(cheaper: dict[int, int], than: dict[int, int]) -> int | None:
    """Least L from which on `cheaper[L] < than[L]` for every L given, or None.

    >>> crossover({1: 9, 2: 8, 3: 7}, {1: 5, 2: 10, 3: 20})
    2
    """
    degrees = sorted(set(cheaper) & set(than))
    losses = [l for l in degrees if cheaper[l] >= than[l]]
    later = [l for l in degrees if not losses or l > max(losses)]
    return later[0] if later else None
