"""Lower bounds on the CP rank of coupling tensors by exact arithmetic, and what is known from above.

The tensor modulo a prime. Rank does not change under an invertible change of basis of a mode, so M may be taken in the
complex basis, where (van der Waerden's form, see `so3/clebsch_gordan.py`)

    M[m3, m1, m2] = w_p S sqrt(prod_i (l_i+m_i)! (l_i-m_i)!) / sqrt((J+1)! a! b! c!),      S an integer.

The first root factorises over the modes: rescaling the basis vectors removes it. Left over are integers, the path
weights (a float is a rational number), and one root per path, of a number whose primes are at most 3L + 1. Take a prime
p modulo which all of these are squares: the entries are then images under a ring homomorphism from a ring of algebraic
numbers (with a denominator prime to p) to the integers modulo p. It maps minors to minors, so a matrix with these
entries has at least the rank of its image: ranks modulo p are proven lower bounds, over the complex numbers too. The
reverse may fail, for unlucky p or unlucky random projections, which only makes a bound weaker.

The bounds below hold for the border rank, and hence for every sequence of approximations that converges to M, over the
real and the complex numbers. Koszul flattenings stay below 2d (p = 4 gives at most 1.8 d); border substitution goes on
from there by one term per step. Other Young flattenings are not tried: as for every
method by ranks of matrices, there is a barrier at 8d (Efremenko, Garg, Oliveira and Wigderson, ITCS 2018, 1). Bounds
on the real rank alone, which need no computation, are those of `real_path_bound`, and at L = 1 that of
`proofs.seven_terms`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, product
from math import comb, factorial

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor, Mode
from tdn_theory.cp.atlas import AtlasEntry
from tdn_theory.cp.store import Store
from tdn_theory.so3.irreps import Irreps, Path, check_degree, slot_slices
from tdn_theory.theory.pencils import least_rank

Matrix = Float[np.ndarray, "m n"]

_WHOLE = 3  # exterior powers up to which a mode is projected at random, and not by weights
_BLOCK = 128  # columns eliminated together; sums of that many products of residues below 2^22 are exact in float64
_LARGEST_ROOT_PRIME = 37  # roots of all primes up to here exist modulo the chosen prime: degrees up to 12


@lru_cache(maxsize=1)
def prime() -> int:
    """The largest prime below 2^22 modulo which every prime up to 37 is a square (so L <= 12 is served)."""
    small = [q for q in range(2, _LARGEST_ROOT_PRIME + 1) if all(q % r for r in range(2, q))]
    for p in range(2**22 - 1, 0, -2):
        if all(pow(q, (p - 1) // 2, p) == 1 for q in small) and all(p % r for r in range(3, 2048, 2)):
            return p
    raise ArithmeticError("no suitable prime below 2^22")  # 4176449 is one


@lru_cache(maxsize=256)
def modular_root(n: int) -> int:
    """A square root of n modulo the prime, multiplicative in n: the product of fixed roots of n's prime factors."""
    p, result = prime(), 1
    for q in range(2, _LARGEST_ROOT_PRIME + 1):
        while n % q == 0:
            n //= q
            result = result * _prime_root(q) % p
    if n != 1:
        raise ValueError(f"a prime factor above {_LARGEST_ROOT_PRIME} is left; degrees up to 12 are supported")
    return result


@lru_cache(maxsize=64)
def _prime_root(q: int) -> int:
    p = prime()
    return next(r for r in range(1, p) if r * r % p == q % p)


def modular_tensor(tensor: CouplingTensor) -> Float[np.ndarray, "d3 d1 d2"]:
    """Residues of M in the rescaled complex basis, index [k, i, j], components `m = -l..l` of each irrep.

    The normalisation of the blocks only rescales the output components, so it does not matter.

    Raises:
        ValueError: A degree is above 12.
    """
    coupling = tensor.coupling
    highest = max(irrep.l for irreps in coupling.modes for irrep in irreps)
    if highest > 12:
        raise ValueError(f"L is {highest}; it must be at most 12, where the roots needed exist modulo the prime")
    p = prime()
    result = np.zeros(coupling.shape)
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        if weight:
            fraction = Fraction(weight)
            scale = fraction.numerator * pow(fraction.denominator, -1, p) * pow(_path_root(path), -1, p) % p
            block = result[coupling.where(path)]
            l1, l2, l3 = path.degrees
            for m1 in range(-l1, l1 + 1):
                for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
                    block[l3 + m1 + m2, l1 + m1, l2 + m2] = _integer_coefficient(path, m1, m2) * scale % p
    return result


def _path_root(path: Path) -> int:
    l1, l2, l3 = path.degrees
    a, b, c = l1 + l2 - l3, l1 - l2 + l3, -l1 + l2 + l3
    return modular_root(factorial(l1 + l2 + l3 + 1) * factorial(a) * factorial(b) * factorial(c))


def _integer_coefficient(path: Path, m1: int, m2: int) -> int:
    """The integer S of van der Waerden's form."""
    l1, l2, l3 = path.degrees
    a, b, c = l1 + l2 - l3, l1 - l2 + l3, -l1 + l2 + l3
    first, last = max(0, l1 - m1 - b, l2 + m2 - c), min(a, l1 - m1, l2 + m2)
    return sum((-1) ** t * comb(a, t) * comb(b, l1 - m1 - t) * comb(c, l2 + m2 - t) for t in range(first, last + 1))


def modular_rank(matrix: Matrix) -> int:
    """Rank of a matrix of residues modulo `prime()`, by blocked elimination, exact in float64.

    Residues are below 2^22, products below 2^44, and sums of at most 2^9 of them below 2^53.

    >>> modular_rank(np.array([[1.0, 2.0], [2.0, 4.0]]))
    1
    """
    p = prime()
    A = np.array(matrix, dtype=float) % p
    rows, columns = A.shape
    rank = 0
    for start in range(0, columns, _BLOCK):
        if rank == rows:
            break
        panel = A[rank:, start : start + _BLOCK]
        trailing = A[rank:, start + _BLOCK :]
        multipliers = np.zeros((rows - rank, min(_BLOCK, columns - start)))
        found = 0
        for column in range(panel.shape[1]):
            candidates = np.flatnonzero(panel[found:, column])
            if candidates.size == 0:
                continue
            pivot = found + int(candidates[0])
            if pivot != found:
                for part in (panel, trailing, multipliers):
                    part[[found, pivot]] = part[[pivot, found]]
            inverse = pow(int(panel[found, column]), -1, p)
            factors = _reduce(panel[found + 1 :, column] * inverse, p)
            multipliers[found + 1 :, found] = factors
            panel[found + 1 :, column:] = _reduce(
                panel[found + 1 :, column:] - factors[:, None] * panel[found, column:], p
            )
            found += 1
            if found == len(panel):
                break
        for row in range(1, found):  # forward substitution: the pivot rows of the trailing columns
            trailing[row] = _reduce(trailing[row] - multipliers[row, :row] @ trailing[:row], p)
        if trailing.size:
            trailing[found:] = _reduce(trailing[found:] - multipliers[found:, :found] @ trailing[:found], p)
        rank += found
    return rank


def _reduce(values: np.ndarray, p: int) -> np.ndarray:
    """Residues of integers below 2^53 in magnitude; the float quotient may be off by one, which the end mends."""
    values = values - np.floor(values / p) * p
    values[values < 0] += p
    values[values >= p] -= p
    return values


def any_weights_bound(coupling: CouplingLike) -> int:
    """A lower bound for every tensor of a coupling whose weights are all nonzero: `d + L` for the paper's.

    The other bounds of this module are of one tensor each, and those of the paper's weights, all 1, say nothing of
    other weights; this one may stand beside ranks that were found with free weights. It holds for the border rank.

    In a mode where no irrep occurs twice, and each has a path, the unfolding has full rank (the closed form of
    `CouplingTensor.singular_values`), so R is at least its dimension d. If no degree occurs twice either, leave out
    all but one component: by border substitution (`border_substitution_bound`),

        R >= d - 1 + min rank(M(e)),

    e running over the lines that the Borel group fixes, which are the vectors of highest weight m = l, one for each
    slot, and M(e) being the matrix on the two other modes. Its entries are at `m1 + m2 = l`, so its rank is the sum of
    those of blocks, one for each m1. A path through the slot has one entry of its own in the blocks with `|m1| <= l1`
    and `|l - m1| <= l2`, which is not zero: no coefficient of the state of highest weight is. So the rank is at least
    the number of m1 that some path has. For one path l1 x l2 -> l3 that makes `R >= l1 + l2 + l3 + 1`.

    At L = 1, with all paths alive, R >= 7 over the real numbers (`proofs.seven_terms`).

    >>> [any_weights_bound(lmax) for lmax in (0, 1, 2, 6)]
    [1, 5, 11, 55]
    >>> any_weights_bound("0e+1o x 0e+1o+2e -> 0e+1o"), any_weights_bound("2 x 2 -> 2")
    (9, 7)
    """
    coupling = Coupling.of(coupling)
    bounds = [1]
    for mode, (irreps, d) in enumerate(zip(coupling.modes, coupling.shape, strict=True)):
        blocks = [set[int]() for _ in irreps]
        for path in coupling.paths:
            slot = (path.z, path.x, path.y)[mode]
            l1, l2 = (l for other, l in enumerate((path.l3, path.l1, path.l2)) if other != mode)
            blocks[slot] |= set(range(max(-l1, irreps[slot].l - l2), l1 + 1))
        if len(set(irreps)) == len(irreps) and all(blocks):
            distinct = len({irrep.l for irrep in irreps}) == len(irreps)
            bounds.append(d - 1 + (min(map(len, blocks)) if distinct else 1))
    return max(bounds)


def real_path_bound(l1: int, l2: int, l3: int) -> int:
    """A lower bound on the rank of a single path over the real numbers, of which border ranks may fall short.

    `any_weights_bound` gives J + 1, J = l1 + l2 + l3. Let one degree be the sum of the others, which are not 0, say l3.
    Then `M(z)_ij`, z in the mode of l3, is a Hankel matrix in the components of z, the catalecticant of the binary form
    z of degree 2 l3: its rank is 1 only for a power of a linear form, which has one root. The roots of a real z come in
    pairs of antipodes, so its M(z) has rank 2 at least. Now substitution of all but one component, which over the real
    numbers needs no closure, makes `R >= 2 l3 + 2 = J + 2`. Over the complex numbers the rank is J + 1: powers of
    linear forms span all z.

    >>> real_path_bound(1, 1, 2), real_path_bound(1, 1, 1), real_path_bound(0, 2, 2)
    (6, 4, 5)
    """
    small, middle, large = sorted((l1, l2, l3))
    return l1 + l2 + l3 + 1 + (small > 0 and large == small + middle)


def scalar_bound(coupling: CouplingLike) -> int:
    """A lower bound on the rank with any weights that are not 0, by leaving a scalar of one mode alone.

    Take a mode whose irreps are different, each with a path, and which has a scalar. Its slices are linearly
    independent, so substitution leaves out all d - 1 others, at the price of multiples that nobody chooses:

        R >= d - 1 + min rank(M_0 + sum_k lambda_k M_k),      lambda real or complex numbers.

    Let a slot of each of the two other modes have the same degree l, and a path into the scalar but no other. That
    block of `M_0 + sum_k lambda_k M_k` is a multiple of the identity, not 0 whatever lambda is. So `R >= d + 2l`.

    At L = 1 the even paths are such a case, by vectors: R >= 6, and six terms are known, so six is the rank. Unlike the
    other bounds, this one is of the rank alone: lambda may diverge where only the border rank is asked for.

    >>> scalar_bound("0e+1o"), scalar_bound(1)
    (6, 4)
    """
    coupling = Coupling.of(coupling)
    bounds = [1]
    for mode, (irreps, d) in enumerate(zip(coupling.modes, coupling.shape, strict=True)):
        met = [(path.z, path.x, path.y) for path in coupling.paths]
        if len(set(irreps)) < len(irreps) or {slots[mode] for slots in met} != set(range(len(irreps))):
            continue
        through = Counter((slots[mode - 1], slots[mode - 2]) for slots in met)
        bounds += [
            d + 2 * coupling.modes[mode - 1][slots[mode - 1]].l
            for slots in met
            if irreps[slots[mode]].l == 0 and through[slots[mode - 1], slots[mode - 2]] == 1
        ]
    return max(bounds)


def least_terms(coupling: CouplingLike) -> int:
    """The best lower bound here on the rank over the real numbers with any weights that are not 0.

    The largest of `any_weights_bound`, `scalar_bound`, `real_path_bound` for a single path, and the seven of
    `proofs.seven_terms` at L = 1 with all paths.

    >>> [least_terms(lmax) for lmax in (0, 1, 2)], least_terms("0e+1o"), least_terms("1 x 1 -> 2")
    ([1, 7, 11], 6, 6)
    """
    coupling = Coupling.of(coupling)
    bounds = [any_weights_bound(coupling), scalar_bound(coupling)]
    if len(coupling.paths) == 1:
        bounds.append(real_path_bound(*coupling.paths[0].degrees))
    if coupling == Coupling.of(1):
        bounds.append(7)
    return max(bounds)


def flattening_bound(tensor: CouplingTensor) -> int:
    """The largest rank of the three unfoldings (each is at most the border rank).

    That is the largest dimension, unless degrees lack paths or copies of an irrep meet alike.
    """
    return max(_unfolding_ranks(modular_tensor(tensor)))


def _unfolding_ranks(T: Float[np.ndarray, "a b c"]) -> list[int]:
    return [modular_rank(np.moveaxis(T, mode, 0).reshape(d, -1)) for mode, d in enumerate(T.shape)]


def koszul_bound(tensor: CouplingTensor, p: int, seed: int = 0, mode: Mode = 0) -> int:
    """Koszul flattening: `R >= rank(M^(wedge p)) / binom(2p, p)`.

    Project one mode, e.g. the output, on a space A of dimension 2p + 1 and take the map

        Lambda^p A (x) B*  ->  Lambda^(p+1) A (x) C,      w (x) b  ->  sum_a (e_a ^ w) (x) M(a, b, .).

    For a rank-one tensor `a (x) b (x) c` it is `w -> a ^ w` times b (x) c, of rank binom(2p, p); ranks add at most. The
    bound is at most `(2p+1) / (p+1)` times the smaller one of the two other dimensions: 1.8 d for p = 4.

    Source: Landsberg and Ottaviani, Theory of Computing 11 (2015) 285, section 2.

    M is invariant under rotations about the axis z, and so is the map if A is spanned by vectors of definite weight.
    Let the weights be m for inputs and -m for outputs, so that `M(a, b, c) = 0` unless `m_a + m_b + m_c = 0`. Then
    `e_I (x) b` is mapped to those `e_J (x) c` with `m_J + m_c = m_I - m_b`: the matrix falls into one block for each
    value, and its rank is the sum of theirs. That serves from p = 4 on; for smaller p the matrix is small, and a random
    A gives as much rank as any.

    Args:
        tensor: M.
        p: Exterior power, `2p + 1` at most the dimension of the mode.
        seed: Seed of the projection; any gives a valid bound.
        mode: The mode that is projected: 0 (k), 1 (i) or 2 (j).

    Raises:
        ValueError: `2p + 1` is above the dimension of the mode.
    """
    return _koszul(*_turned(modular_tensor(tensor), _weights(tensor.coupling, p), mode), p, seed)


_Weights = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Weights of the components of three modes; a tensor is zero where they do not add to zero."""


def _weights(coupling: Coupling, p: int) -> _Weights:
    """Weights of modes k, i, j; all zero, which is always right, where the whole map is small."""
    if p <= _WHOLE:
        z, x, y = (np.zeros(d, int) for d in coupling.shape)
        return z, x, y
    z, x, y = (np.concatenate([np.arange(-irrep.l, irrep.l + 1) for irrep in irreps]) for irreps in coupling.modes)
    return -z, x, y


def _turned(
    T: Float[np.ndarray, "k i j"], weights: _Weights, mode: Mode
) -> tuple[Float[np.ndarray, "a b c"], _Weights]:
    """A tensor and its weights with one mode first."""
    order = (mode, *(other for other in (0, 1, 2) if other != mode))
    first, second, third = (weights[other] for other in order)
    return T.transpose(order), (first, second, third)


def _koszul(T: Float[np.ndarray, "a b c"], weights: _Weights, p: int, seed: int) -> int:
    size = 2 * check_degree(p, "exterior power p") + 1
    if size > len(T):
        raise ValueError(f"exterior power p is {p}; 2p + 1 must be at most the dimension {len(T)} of the mode")
    slices, weights_of_A = _project(T, weights[0], size, seed)
    return _terms(sum(map(modular_rank, _flattening(slices, weights_of_A, weights[1:], p))), p)


def _terms(rank: int, p: int) -> int:
    """Least number of terms of a tensor whose Koszul flattening has this rank."""
    return -(-rank // comb(2 * p, p))


def _flattening(
    slices: Sequence[Float[np.ndarray, "b c"]], weights_of_A: Sequence[int], weights: Sequence[np.ndarray], p: int
) -> Iterator[Matrix]:
    """Blocks of the Koszul flattening of slices of definite weight; `weights` are those of the modes b and c."""
    size = len(slices)
    columns, rows = defaultdict[int, list[tuple[int, int]]](list), defaultdict[int, dict[tuple[int, int], int]](dict)
    sources = list(combinations(range(size), p))
    for n, subset in enumerate(sources):
        for b, weight in enumerate(weights[0].tolist()):
            columns[sum(weights_of_A[a] for a in subset) - weight].append((n, b))
    images = {subset: n for n, subset in enumerate(combinations(range(size), p + 1))}
    for subset, n in images.items():
        for c, weight in enumerate(weights[1].tolist()):
            block = rows[sum(weights_of_A[a] for a in subset) + weight]
            block[n, c] = len(block)
    reached = [[np.flatnonzero(row) for row in matrix] for matrix in slices]
    for label, members in columns.items():
        block = rows[label]
        matrix = np.zeros((len(block), len(members)))
        for column, (n, b) in enumerate(members):
            for a in set(range(size)) - set(sources[n]):
                image = tuple(sorted((*sources[n], a)))
                row, c = slices[a][b], reached[a][b]
                where = [block[images[image], index] for index in c.tolist()]
                matrix[where, column] = row[c] if image.index(a) % 2 == 0 else (prime() - row[c]) % prime()
        yield matrix


def _project(
    T: Float[np.ndarray, "a b c"], weights: np.ndarray, size: int, seed: int
) -> tuple[list[Float[np.ndarray, "b c"]], list[int]]:
    """Slices at random vectors of definite weight, and their weights.

    Weights m and -m are taken in pairs, and by turns: with as many of both the rank is largest of those tried.
    """
    left, count = Counter(weights.tolist()), Counter[int]()
    while missing := size - count.total():
        spare = left - count
        units = [(0,) * (2 - missing % 2), *((m, -m) for m in sorted(left) if m > 0)]
        fitting = [unit for unit in units if len(unit) <= missing and not Counter(unit) - spare]
        count.update(min(fitting, key=lambda unit: count[unit[0]], default=(min(spare, key=abs),)))
    rng, slices = np.random.default_rng(seed), list[np.ndarray]()
    for weight, n in count.items():
        part = T[weights == weight]
        projection = rng.integers(0, prime(), (n, len(part))).astype(float)
        slices += list(_reduce(projection @ part.reshape(len(part), -1), prime()).reshape(n, *T.shape[1:]))
    return slices, [weight for weight, n in count.items() for _ in range(n)]


def border_substitution_bound(tensor: CouplingTensor, p: int, steps: int = 1, seed: int = 0, mode: Mode = 0) -> int:
    """Border substitution, then Koszul: `R >= steps + min_W koszul(M without the components in W)`.

    For a concise tensor, `R(M) >= k + min R(M restricted to the annihilator of W)`, over all k-dimensional subspaces W
    of the output mode. A connected solvable group of symmetries has a fixed point on every closed set of subspaces it
    preserves, so those it fixes suffice. M is invariant under SL_2(C); let W be fixed by its Borel group, that is,
    `W = sum_m W_m` by weights and `J_+ W_m` lies in W_(m+1). Let D_m hold the leading degrees of W_m, the leading
    degree of `sum_l c_l e^l_m` being the largest l with c_l != 0; there are dim W_m of them. J_+ keeps the leading
    degree l if m < l, so l in D_m implies l in D_(m+1): the D_m are given by numbers h_l of weights m = l, l-1, ..,
    l - h_l + 1 with l in D_m, whose sum is k. And W_m lies in the span of the e^l_m with `|m| <= l <= max D_m`.
    Leaving out all those components instead of W alone only makes the bound weaker, and is one of finitely many cases.
    For k = 1 nothing is lost: the cases are the highest-weight vectors, one for each degree of the output. All this
    takes each degree at most once in the output, where leading degrees are compared.

    For k = 2, where the output is projected too, nothing need be lost either. W is spanned by two highest-weight
    vectors, or by `e^l_l` and a vector of weight l - 1, `e^l_(l-1) + t e^(l-1)_(l-1)`, where t is any number, and
    infinity stands for the highest-weight vector. M without W has the other components, and one that is linear in t, so
    the flattening is linear in t as well, and its rank at all t is bounded at once (`pencils.least_rank`).

    A step raises the bound by one as long as enough components are left for the Koszul flattening to keep its rank.

    Source: Landsberg and Michalek, SIAM J. Appl. Algebra Geometry 1 (2017) 2, corollary 3.2 and lemma 3.3; Bläser and
    Lysikov, MFCS 2016, 19. The finite cover of the fixed subspaces is ours, and so are the families at k = 2.

    Args:
        tensor: M.
        p: Exterior power of the Koszul flattening.
        steps: k, at least 1.
        seed: Seed of the projections; any gives a valid bound.
        mode: The mode that is projected, as in `koszul_bound`.

    Raises:
        ValueError: `steps` is below 1, too few components are left for it or for p, M is not concise (a degree has no
            path, or copies of an irrep meet alike), or a degree occurs twice in the output.
    """
    degrees = [irrep.l for irrep in tensor.coupling.z]
    if len(set(degrees)) < len(degrees):
        raise ValueError(f"{tensor} has a degree twice in the output; border substitution takes each at most once")
    T = modular_tensor(tensor)
    if _unfolding_ranks(T) != list(T.shape):
        raise ValueError(f"{tensor} is not concise: every degree must occur in every mode; give more paths a weight")
    if check_degree(steps, "number of steps") < 1:
        raise ValueError(f"number of steps is {steps}; it must be at least 1")
    spans = _fixed_spans(tensor.coupling.z, steps)
    families = [span for span in spans if len(span) > steps] if (steps, mode) == (2, 0) else []
    most = max((steps if span in families else len(span) for span in spans), default=len(T))
    left = (len(T) - most, *T.shape[1:])
    if left[0] < 1 or left[mode] < 2 * p + 1:
        raise ValueError(
            f"{steps} steps may leave {left[0]} components of the output, and {left[mode]} of the mode that is "
            f"projected; 1 and 2p + 1 = {2 * p + 1} are needed: take fewer steps"
        )
    weights = _weights(tensor.coupling, p)
    bounds = []
    for span in sorted(spans, key=lambda span: span in families):
        kept = [k for k in range(len(T)) if k not in span]
        found = 0
        if mode or len(kept) >= 2 * p + 1:
            found = _koszul(*_turned(T[kept], (weights[0][kept], *weights[1:]), mode), p, seed)
        if span in families and found < min(bounds, default=found + 1):  # it is worth while to leave out W alone
            found = max(found, _family_bound(T, weights, tensor.coupling.z, span, p, seed))
        bounds.append(found)
    return steps + min(bounds)


def _family_bound(
    T: Float[np.ndarray, "k i j"], weights: _Weights, irreps: Irreps, span: frozenset[int], p: int, seed: int
) -> int:
    """The least bound over all t, 0 and infinity included, of the family that this span holds."""
    middle = _middles(irreps)
    l = next(l for l in middle if middle[l] + l in span and middle[l] + l - 1 in span and l - 1 in middle)
    same, below = middle[l] + l - 1, middle[l - 1] + l - 1
    bounds = []
    for out in (same, below):
        kept = [k for k in range(len(T)) if k not in (middle[l] + l, out)]
        bounds.append(_koszul(T[kept], (weights[0][kept], *weights[1:]), p, seed))
    kept = [k for k in range(len(T)) if k not in span]
    ends = np.append(weights[0][kept], weights[0][same])
    # without W the components of both vectors of weight l - 1 are seen as `below - t same`
    still = np.concatenate([T[kept], T[[below]]])
    moving = np.concatenate([np.zeros_like(T[kept]), (prime() - T[[same]]) % prime()])
    (fixed, of_A), (slope, _) = (_project(part, ends, 2 * p + 1, seed) for part in (still, moving))
    pencils = zip(*(_flattening(slices, of_A, weights[1:], p) for slices in (fixed, slope)), strict=True)
    bounds.append(_terms(least_rank(pencils, prime(), seed), p))
    return min(bounds)


def _middles(irreps: Irreps) -> dict[int, int]:
    """Component m = 0 of each degree."""
    return {irrep.l: part.start + irrep.l for irrep, part in zip(irreps, slot_slices(irreps), strict=True)}


def _fixed_spans(irreps: Irreps, k: int) -> list[frozenset[int]]:
    """Sets of components, one of which spans each k-dimensional subspace that the Borel group fixes; maximal ones.

    Each degree occurs at most once.
    """
    middle = _middles(irreps)
    degrees = sorted(middle)
    spans = set[frozenset[int]]()
    for depths in product(*(range(min(k, 2 * l + 1) + 1) for l in degrees)):
        if sum(depths) == k:
            leading = {  # the largest l wins
                m: l for l, h in zip(degrees, depths, strict=True) for m in range(l - h + 1, l + 1)
            }
            spans.add(frozenset(middle[l] + m for m, top in leading.items() for l in degrees if abs(m) <= l <= top))
    return [span for span in spans if not any(span < other for other in spans)]


def kruskal_limit(d: int) -> int:
    """Largest R for which Kruskal's condition `k_A + k_B + k_C >= 2R + 2` can hold for d x R factors: `(3d - 2) // 2`.

    The Kruskal ranks are at most min(d, R). The condition is sufficient for the terms to be unique up to scalings and
    order; where it fails nothing follows, see `uniqueness.py` for what can be said there (T5). Kruskal, Linear Algebra
    Appl. 18 (1977) 95.

    >>> [kruskal_limit(d) for d in (4, 9, 16)]
    [5, 12, 23]
    """
    return (3 * d - 2) // 2


def pair_bound(*dims: int) -> int:
    """Upper bound for every tensor of these three dimensions (one stands for three equal ones), from slices in pairs.

    An m x n x 2 tensor over the real numbers, m <= n, has rank at most `m + floor(n / 2)` if n <= 2m, and 2m else
    (Ja'Ja', SIAM J. Comput. 8 (1979) 443); a single slice left over is an m x n matrix, of rank at most m. Any of the
    three modes may count the slices. For d x d x d that is `floor(d/2) floor(3d/2)`, and d more for odd d; about 3/4 of
    T2's d^2.

    (Not `ceil(d/2) floor(3d/2)`: the slice left over is a matrix, not a pair.)

    Raises:
        ValueError: Neither one nor three dimensions are given.

    >>> [pair_bound(d) for d in (4, 9, 16)]
    [12, 61, 192]
    >>> pair_bound(4, 9, 1)
    4
    """
    if len(dims) not in (1, 3):
        raise ValueError(f"{len(dims)} dimensions given; give d, or d1, d2, d3")
    dims = dims if len(dims) == 3 else dims * 3
    bounds = []
    for mode, slices in enumerate(dims):
        m, n = sorted(dims[:mode] + dims[mode + 1 :])
        bounds.append(slices // 2 * min(m + n // 2, 2 * m) + slices % 2 * m)
    return min(bounds)


@dataclass(frozen=True)
class UpperBound:
    """An upper bound on the rank.

    Attributes:
        rank: Number of terms.
        source: Theorem, kind of proof of an atlas entry, or `"numerical"`.
        proven: Whether exact factors are proven to exist; else stored ones reach the tensor up to roundoff.
    """

    rank: int
    source: str
    proven: bool


def best_known(tensor: CouplingTensor, store: Store, entries: Sequence[AtlasEntry]) -> list[UpperBound]:
    """Upper bounds on the rank of `tensor`, falling: theorem, atlas, and what is stored and exact to roundoff.

    Args:
        tensor: M.
        store: Decompositions of residual at most `EXACT` count as numerical bounds.
        entries: Entries of the atlas; those proven for exactly the weights of `tensor` count, in either normalisation,
            which only scales the output. A proof with free
            weights, or by a theorem whose weights are roots, is of a tensor that floats only come near.
    """
    found = [UpperBound(pair_bound(*tensor.dims), "slices in pairs", True)]
    found += [
        UpperBound(entry.rank, entry.proof["kind"], True)
        for entry in entries
        if entry.proof.get("fixed")
        and (entry.tensor.coupling, entry.tensor.weights) == (tensor.coupling, tensor.weights)
    ]
    found += [UpperBound(e.rank, "numerical", False) for e in store.entries(tensor) if e.exact]
    return sorted(found, key=lambda bound: (bound.rank, not bound.proven))
