"""Fast matrix multiplication found from nothing: walks on the flip graph modulo 2, then signs.

An algorithm for n x n matrices with R multiplications is a sum of R rank-one terms that makes the trilinear form `tr X
Y Z`, with n x n matrices a, b, c in a term `a (x) b (x) c`. The form is invariant under the cyclic exchange of X, Y, Z,
and so are the algorithms here: they consist of orbits `(a, b, c), (b, c, a), (c, a, b)`, three terms each, and of cubes
`(a, a, a)`. Modulo 2 a matrix is a set of entries, kept as the bits of an integer; sums are exclusive ors.

Moves. Two terms with a common matrix can be rewritten, and likewise their orbits,

    flip:   a b c + a b' c'  =  a (b + b') c + a b' (c + c'),

and when a matrix becomes zero, three terms are saved. A walk at random over flips drifts through algorithms of equal R;
where it finds no reduction for long, R is raised for a while:

    plus:   a b c + a' b' c'  =  a (b + b') c + a b' (c + c') + (a + a') b' c'.

The start is the definition, `n^3 = n + 3 (n^3 - n) / 3` terms. Flips leave the number of cubes alone, and with it R
modulo 3; it is changed by

    merge:  a a a + c c c  =  (a + c)(a + c)(a + c) + {a a c} + {a c c},        {..} an orbit,

from left to right in the start, and from right to left (a cube is split) to get away from a scheme that no walk
improves.

Signs. An algorithm modulo 2 is one modulo 4 if `-1 = 1 + 2` is allowed for its ones: `x -> x + 2 s` changes the form by
twice the derivative along s, so the signs s solve a linear system modulo 2, the first step of Hensel's lifting. Not
every scheme has a solution. With coefficients -1, 0, 1, what is right modulo 4 is nearly always right;
`MatrixAlgorithm.check` decides.

What it found. 7 and 23 terms for n = 2, 3 in a second. The shipped 5 x 5 algorithm, 93 terms, was found by the same
walk written in C, whose steps take 0.1 us (here some 5 us): from the definition with two cubes to 95 terms in 4e7
steps, one cube split at random (102 terms), and from there to 93 in 2e8 steps. With one and three cubes in the start,
walks of that length ended at 100 and 102. Larger n need other starts than the definition: from there, 1e8 steps ended
at 201 terms for n = 6 and at 345 for n = 7. Splitting 7 into 4 + 3 keeps the cyclic symmetry and gave 279 terms: 49 for
4 x 4 (Strassen's, twice), 23 for 3 x 3, and the two mixed products in three orders each, 3 (40 + 29) terms, whose
algorithms the walk found without symmetry: (3 x 3)(3 x 4) in 29 terms, (3 x 4)(4 x 2) in 20, and 40 is twice 20. Walks
from there ended where they began. So the shipped 7 x 7 algorithm is a published one, of 249 terms; it has coefficients
1/8 and cannot be reduced modulo 2. The 5 x 5 algorithm has the least published rank.

Sources: Kauers and Moosbauer, ISSAC 2023, 381 (flip graphs); Arai, Ichikawa and Hukushima, ISSAC 2024, 98 (plus);
Moosbauer and Poole, ISSAC 2025 (cyclic symmetry).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from random import Random

import numpy as np
from jaxtyping import Bool

from tdn_theory.cp.constructions.matrix_multiplication import MatrixAlgorithm
from tdn_theory.so3.irreps import check_degree

Bits = tuple[int, ...]


@dataclass(frozen=True)
class BinaryScheme:
    """An algorithm for `size` x `size` matrices modulo 2, invariant under the cyclic exchange.

    Attributes:
        size: n.
        orbits: Three matrices for each orbit of three terms; bit `n i + j` is entry (i, j).
        cubes: The matrix of each cube.
    """

    size: int
    orbits: tuple[Bits, ...]
    cubes: Bits

    def __repr__(self) -> str:
        """Size, rank and how it is made up."""
        return f"BinaryScheme({self.size}x{self.size}, R={self.rank}, {len(self.cubes)} cubes)"

    @property
    def rank(self) -> int:
        """Number of multiplications R."""
        return 3 * len(self.orbits) + len(self.cubes)


def standard(size: int, cubes: int, random: Random) -> BinaryScheme:
    """The definition of the product, with pairs of cubes merged until `cubes` are left.

    Raises:
        ValueError: `cubes` is not in 1..size.

    >>> standard(3, 3, Random(0))
    BinaryScheme(3x3, R=27, 3 cubes)
    """
    if not 1 <= check_degree(cubes, "number of cubes") <= size:
        raise ValueError(f"number of cubes is {cubes}; it must be in 1..{size}")
    unit = [[1 << size * i + j for j in range(size)] for i in range(size)]
    orbits = [
        (unit[i][j], unit[j][k], unit[k][i])
        for i, j, k in product(range(size), repeat=3)
        if (i, j, k) < min((j, k, i), (k, i, j))
    ]
    left = [unit[i][i] for i in range(size)]
    while len(left) > cubes:
        random.shuffle(left)
        a, c = left.pop(), left.pop()
        orbits += [(a, a, c), (a, c, c)]
        left.append(a ^ c)
    return BinaryScheme(size, tuple(orbits), tuple(left))


def split(scheme: BinaryScheme, cube: int, random: Random) -> BinaryScheme:
    """One cube split into two with two orbits: seven terms more, and another R modulo 3 to walk from.

    Args:
        scheme: Any scheme.
        cube: Index of the cube.
        random: Divides the ones of its matrix into two halves.

    Raises:
        ValueError: The cube's matrix has a single one.
    """
    matrix = scheme.cubes[cube]
    ones = [1 << n for n in range(scheme.size**2) if matrix >> n & 1]
    if len(ones) < 2:
        raise ValueError(f"cube {cube} of {scheme} has a single one and cannot be split; take another cube")
    a = sum(random.sample(ones, len(ones) // 2))
    c = matrix ^ a
    cubes = (*scheme.cubes[:cube], *scheme.cubes[cube + 1 :], a, c)
    return BinaryScheme(scheme.size, (*scheme.orbits, (a, a, c), (a, c, c)), cubes)


def walk(start: BinaryScheme, random: Random, flips: int, patience: int) -> BinaryScheme:
    """The scheme of least R on a random walk.

    Args:
        start: Where it starts.
        random: Source of randomness.
        flips: The walk ends after this many steps without a new least R.
        patience: Steps after which R is raised, by at most two orbits above the least.

    Returns:
        The first scheme of that R.
    """
    matrices = [matrix for orbit in start.orbits for matrix in orbit]
    best, size = list(matrices), len(matrices)
    since = 0
    while since < flips and matrices:
        since += 1
        if since % patience == 0 and len(matrices) < size + 6:
            _plus(matrices, random)
        first = random.randrange(len(matrices))
        shared = matrices[first]
        others = [n for n, m in enumerate(matrices) if m == shared and n // 3 != first // 3]
        if not others:
            continue
        second = random.choice(others)
        matrices[_next(first)] ^= matrices[_next(second)]
        matrices[_next(_next(second))] ^= matrices[_next(_next(first))]
        for orbit in sorted((first // 3, second // 3), reverse=True):
            if 0 in matrices[3 * orbit : 3 * orbit + 3]:
                matrices[3 * orbit : 3 * orbit + 3] = matrices[-3:]
                del matrices[-3:]
        if len(matrices) < size:
            best, size, since = list(matrices), len(matrices), 0
    orbits = tuple((best[n], best[n + 1], best[n + 2]) for n in range(0, size, 3))
    return BinaryScheme(start.size, orbits, start.cubes)


def _next(place: int) -> int:
    """The next matrix of the same term, cyclically."""
    return place - 2 if place % 3 == 2 else place + 1


def _plus(matrices: list[int], random: Random) -> None:
    """Replace two orbits without a common matrix by three."""
    first, second = random.randrange(len(matrices)), random.randrange(len(matrices))
    if first // 3 == second // 3:
        return
    places = [(_next(p), _next(_next(p)), p) for p in (first, second)]
    (b1, c1, a1), (b2, c2, a2) = ([matrices[p] for p in triple] for triple in places)
    if a1 == a2 or b1 == b2 or c1 == c2:
        return
    for place, new in zip((*places[0], *places[1]), (b1 ^ b2, c1, a1, b2, c1 ^ c2, a1), strict=True):
        matrices[place] = new
    matrices += [a1 ^ a2, b2, c2]


def search(size: int, cubes: int, seed: int, flips: int, patience: int, walks: int) -> BinaryScheme:
    """The best of several walks, most of which start from the best so far.

    Args:
        size: n.
        cubes: Number of cubes, which is R modulo 3.
        seed: Seed.
        flips: Steps of a walk without success, see `walk`.
        patience: Steps before R is raised, see `walk`.
        walks: Number of walks.

    Raises:
        ValueError: `cubes` is not in 1..size.

    >>> search(2, 1, 0, flips=2000, patience=100, walks=5)
    BinaryScheme(2x2, R=7, 1 cubes)
    """
    random = Random(seed)
    pool = [standard(size, cubes, random)]
    for _ in range(walks):
        start = standard(size, cubes, random) if random.random() < 0.1 else random.choice(pool)
        found = walk(start, random, flips, patience)
        if found.rank < pool[0].rank:
            pool = []
        if not pool or found.rank == pool[0].rank:
            pool.append(found)
    return pool[0]


def with_signs(scheme: BinaryScheme) -> MatrixAlgorithm:
    """An algorithm over the integers with coefficients -1, 0, 1 that is `scheme` modulo 2.

    Raises:
        ValueError: The scheme does not multiply matrices modulo 2, or its signs cannot be chosen in this way.
    """
    n, d = scheme.size, scheme.size**2
    vectors = [*(m for orbit in scheme.orbits for m in orbit), *scheme.cubes]
    values = np.array([[v >> bit & 1 for bit in range(d)] for v in vectors], dtype=np.int64)
    inner = np.arange(3 * len(scheme.orbits)).reshape(-1, 3)
    outer = np.repeat(np.arange(3 * len(scheme.orbits), len(vectors))[:, None], 3, axis=1)
    terms = np.concatenate([inner, np.roll(inner, -1, axis=1), np.roll(inner, -2, axis=1), outer])
    one = np.eye(n, dtype=np.int64)
    form = np.einsum("id,je,kf->ijekfd", one, one, one).reshape(d, d, d)  # x_ij y_ek z_fd: j = e, k = f, i = d
    error = form - np.einsum("ri,rj,rk->ijk", *(values[terms[:, m]] for m in range(3)), optimize=True)
    if np.any(error % 2):
        raise ValueError(f"{scheme} does not multiply matrices modulo 2; start from standard()")
    # cyclic exchange permutes the equations as it permutes the terms: one equation of each orbit is enough
    i, j, k = np.indices((d, d, d))
    place = np.minimum(np.minimum((i * d + j) * d + k, (j * d + k) * d + i), (k * d + i) * d + j)
    equations, place = np.unique(place, return_inverse=True)
    place = place.reshape(d, d, d)
    ones, columns = [], []
    for first, second, third in [*inner, *np.roll(inner, -1, axis=1), *np.roll(inner, -2, axis=1), *outer[:, :3]]:
        block = np.ix_(np.flatnonzero(values[second]), np.flatnonzero(values[third]))
        for bit in np.flatnonzero(values[first]):
            column = np.zeros(len(equations), dtype=bool)
            np.logical_xor.at(column, place[bit][block].ravel(), True)
            ones.append((first, bit))
            columns.append(column)
    chosen = _solve_modulo_2(np.array(columns), (error.ravel()[equations] // 2 % 2).astype(bool))
    if chosen is None:
        raise ValueError(f"the signs of {scheme} have no solution modulo 4; take another scheme of this rank")
    for (vector, bit), negative in zip(ones, chosen, strict=True):
        values[vector, bit] = -1 if negative else 1
    left, right, out = (values[terms[:, m]].T.reshape(n, n, -1) for m in range(3))
    found = MatrixAlgorithm(n, left, right, out.transpose(1, 0, 2))  # z_ki multiplies entry (i, k) of X Y
    found.check()
    return found


def _solve_modulo_2(
    columns: Bool[np.ndarray, "unknowns equations"], right: Bool[np.ndarray, " equations"]
) -> Bits | None:
    """A sum of rows of `columns` that is `right`, by elimination on packed bits; None if there is none."""
    packed, wanted = np.packbits(columns, axis=1), np.packbits(right)
    made = np.packbits(np.eye(len(columns), dtype=bool), axis=1)
    solution, live = np.zeros(made.shape[1], np.uint8), np.ones(len(columns), dtype=bool)
    for byte, mask in _bits(columns.shape[1]):
        rows = np.flatnonzero(live & (packed[:, byte] & mask > 0))
        if rows.size:
            pivot, others = rows[0], rows[1:]
            packed[others] ^= packed[pivot]
            made[others] ^= made[pivot]
            live[pivot] = False
            if wanted[byte] & mask:
                wanted ^= packed[pivot]
                solution ^= made[pivot]
        elif wanted[byte] & mask:
            return None
    return tuple(np.unpackbits(solution)[: len(columns)].tolist())


def _bits(count: int) -> Iterator[tuple[int, int]]:
    """Byte and mask of each packed bit."""
    return ((n >> 3, 128 >> (n & 7)) for n in range(count))
