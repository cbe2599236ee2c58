"""Entries of the atlas proven a second time from their stored files, by interval Newton and exact arithmetic.

Written from the definitions: the equations of a decomposition with the exact coefficients of `so3.exact`, those of a
cubature rule with the exact moments of monomials, the bilinear map of a matrix algorithm on unit matrices. Nothing of
`cp/certificate.py` is used.
"""

from fractions import Fraction
from itertools import pairwise
from math import factorial, prod

import numpy as np
import pytest

from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.cubature import CubatureRule
from tdn_theory.cp.constructions.matrix_multiplication import FOLDER
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3 import exact
from tdn_theory.so3.irreps import Path
from tests.cp.krawczyk import contains_a_zero, fractions

ENTRIES = atlas.entries()


TIES = {"C1": {}, "C1*t": {0: 1}, "C1*Z2": {2: 1}, "C1*S3": {1: 0, 2: 0}}
"""Symmetries that leave each term alone, and the factors (A, B, C as 0, 1, 2) that are another's up to signs."""


def decomposed(factors, paths, where, tied=None):
    """Whether exact factors with all weights 1 lie within 1e-8 of these.

    Args:
        factors: A, B, C, their zero rows left out.
        paths: Degrees (l1, l2, l3) and where their blocks are in the tensor.
        where: Index arrays (k, i, j) of the equations.
        tied: Which factors are to stay others up to the sign of each column, as in `TIES`.
    """
    shape, rank = tuple(map(len, factors)), factors[0].shape[1]
    sizes = [d * rank for d in shape]
    tied = tied or {}
    free = [mode for mode in range(3) if mode not in tied]
    starts = dict(zip(free, np.cumsum([0, *(sizes[mode] for mode in free)])[:-1].tolist(), strict=True))
    Lambda = np.zeros((sum(sizes), sum(sizes[mode] for mode in free)))
    for mode, rows in enumerate(np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:2])):
        source = tied.get(mode, mode)
        signs = np.sign(np.sum(factors[mode] * factors[source], axis=0))
        Lambda[rows, starts[source] + np.arange(sizes[mode])] = np.tile(signs, shape[mode])
    point = np.concatenate([factors[mode].ravel() for mode in free])
    return near_a_solution(Lambda, point, shape, where, exact_tensor(shape, paths), [])


def exact_tensor(shape, paths):
    """The sum of path tensors as fractions, right to 45 digits."""
    target = np.full(shape, Fraction(0), dtype=object)
    for degrees, block in paths:
        part = target[block]
        for index, value in exact.clebsch_gordan(*degrees).items():
            part[index] = Fraction(str(value.evalf(45)))
    return target


def near_a_solution(Lambda, point, shape, where, target, directions):
    """Whether factors `Lambda phi` and weights w of `T = target + sum_c w_c D_c` lie within 1e-8 of a point (phi, w).

    Args:
        Lambda: From the unknowns phi to A, B and C, one after the other.
        point: phi, then the weights.
        shape: Components of A, B and C.
        where: Index arrays (k, i, j) of the equations.
        target: Fractions.
        directions: The D_c, fractions; none if the target is given.
    """
    k, i, j = where
    rank, count = len(Lambda) // sum(shape), Lambda.shape[1]
    sizes = [d * rank for d in shape]
    columns = np.array([[float(D[p, q, s]) for D in directions] for p, q, s in zip(k, i, j, strict=True)])
    columns = columns.reshape(len(k), len(directions))

    def split(x):
        parts = np.split(Lambda @ x[:count], np.cumsum(sizes)[:2])
        return [f.reshape(d, rank) for f, d in zip(parts, shape, strict=True)]

    def value(x):
        a, b, c = (fractions(f) for f in split(x))
        w = fractions(x[count:])
        wanted = target + sum((weight * D for weight, D in zip(w, directions, strict=True)), start=0 * target)
        return np.array([float(sum(a[p] * b[q] * c[s]) - wanted[p, q, s]) for p, q, s in zip(k, i, j, strict=True)])

    def blocks(a, b, c):
        J = np.zeros((len(k), sum(sizes)))
        starts = np.cumsum([0, *sizes])
        for start, index, entry in zip(starts, (k, i, j), (b[i] * c[j], a[k] * c[j], a[k] * b[i]), strict=False):
            for r in range(rank):
                J[np.arange(len(k)), start + index * rank + r] = entry[:, r]
        return J

    def jacobian(x):
        return np.hstack([blocks(*split(x)) @ Lambda, -columns])

    def spread(x, width):
        sizes_now = [np.abs(f) for f in split(x)]
        wide = [np.abs(f) for f in split(width)]
        before = blocks(*sizes_now)
        after = blocks(*(f + w for f, w in zip(sizes_now, wide, strict=True)))
        return np.hstack([(after - before) @ np.abs(Lambda), np.zeros_like(columns)])

    return contains_a_zero(value, jacobian, spread, point, 1e-8)


def equations(factors, tied=None):
    """All entries; of those that exchanges of tied modes permute, the ones with rising indices."""
    indices = np.indices([len(f) for f in factors]).reshape(3, -1)
    order = sorted({*(tied or {}), *(tied or {}).values()})
    kept = np.all([indices[a] <= indices[b] for a, b in pairwise(order)], axis=0) if order else ...
    return tuple(indices[:, kept])


FIXED = [
    "0e+1o x 0e+1o+2e+3o -> 0e+1o",
    "0+1 x 0+1+2+3 -> 0+1",
    "0+1+2 x 0+1+2 -> 0+1",
    "0+1+2 x 0+1+2+3 -> 0+1+2",
    "0+1+2+3 x 0+1+2+3 -> 0+1",
    "0+1 x 0+1 -> 0+1",
    "0+1+2 x 0+1+2 -> 0+1+2",
    "0e+1o+2e+0o+1e+2o x 0e+1o+2e -> 0e+1o",
    *(text for text, *_ in atlas.PATHS),
    *(e.coupling.label for e in ENTRIES if str(e.coupling).endswith("-> 0e")),
]


def kept(entry):
    """Factors without their zero rows, and the blocks of the paths among the others."""
    balanced = entry.factors.balance()
    masks = [np.any(f != 0, axis=1) for f in (balanced.A, balanced.B, balanced.C)]
    factors = [f[mask] for f, mask in zip((balanced.A, balanced.B, balanced.C), masks, strict=True)]
    paths = []
    for path in entry.alive:
        where = entry.coupling.where(path)
        moved = [slice(mask[: w.start].sum(), mask[: w.stop].sum()) for mask, w in zip(masks, where, strict=True)]
        paths.append((path.degrees, tuple(moved)))
    return factors, paths


@pytest.mark.parametrize("text", FIXED)
def test_decompositions_with_weights_all_one(text):
    entry = next(e for e in ENTRIES if str(e.coupling) == text and e.proof.get("fixed"))
    factors, paths = kept(entry)
    tied = TIES.get(entry.proof["symmetry"])
    assert decomposed(factors, paths, equations(factors, tied), tied)


def cyclic(factors):
    """Factors that the exchange (A, B, C) -> (B, C, A) of the modes leaves alone, as a linear map of representatives.

    Returns:
        The map, and the representatives: (a, b, c) of three terms, or one vector where the three are the same.
    """
    d, rank = factors[0].shape
    left, columns, point = list(range(rank)), [], []

    def unit(*entries):
        column = np.zeros((3, d, rank))
        for mode, component, term in entries:
            column[mode, component, term] = 1
        return column.ravel()

    while left:
        r = left.pop(0)
        a, b, c = (factor[:, r] for factor in factors)
        if np.allclose(a, b) and np.allclose(b, c):
            columns += [unit((0, n, r), (1, n, r), (2, n, r)) for n in range(d)]
            point.append(a)
            continue
        images = []
        for turned in ((b, c, a), (c, a, b)):
            (s,) = [s for s in left if all(np.allclose(f[:, s], v) for f, v in zip(factors, turned, strict=True))]
            left.remove(s)
            images.append(s)
        for mode in range(3):
            places = [((mode - shift) % 3, term) for shift, term in enumerate((r, *images))]
            columns += [unit(*((place, n, term) for place, term in places)) for n in range(d)]
            point.append(factors[mode][:, r])
    return np.array(columns).T, np.concatenate(point)


def test_the_seven_terms_at_L_1():
    """Free weights, the same for the paths that a cyclic exchange of the modes exchanges, none of them near zero."""
    entry = atlas.best(1)
    balanced = entry.factors.balance()
    A, B, C = balanced.A.copy(), balanced.B.copy(), balanced.C.copy()
    for r in range(entry.rank):  # a term of three parallel vectors has them equal after a choice of signs
        if np.allclose(np.abs(A[:, r]), np.abs(B[:, r])):
            vector = A[:, r] * np.sign(A[:, r] @ B[:, r]) * np.sign(A[:, r] @ C[:, r])
            A[:, r] = B[:, r] = C[:, r] = vector
    assert np.abs(CPFactors(A, B, C).array - balanced.array).max() < 1e-14
    Lambda, point = cyclic((A, B, C))
    orbits = [[(0, 0, 0)], [(0, 1, 1), (1, 0, 1), (1, 1, 0)], [(1, 1, 1)]]
    weights = dict(zip(entry.tensor.paths, entry.tensor.weights, strict=True))
    directions = [
        exact_tensor((4, 4, 4), [(path, entry.coupling.where(Path(*path))) for path in orbit]) for orbit in orbits
    ]
    start = np.concatenate([point, [weights[Path(*orbit[0])] for orbit in orbits]])
    k, i, j = np.indices((4, 4, 4)).reshape(3, -1)
    once = [n for n, t in enumerate(zip(k, i, j, strict=True)) if t == min(t, t[1:] + t[:1], t[2:] + t[:2])]
    zero = np.full((4, 4, 4), Fraction(0), dtype=object)
    where = k[once], i[once], j[once]
    assert near_a_solution(Lambda, start, (4, 4, 4), where, zero, directions)
    assert min(map(abs, start[-3:])) > 0.5
    start[-1] += 1e-4
    assert not near_a_solution(Lambda, start, (4, 4, 4), where, zero, directions)


def test_the_three_paths_that_matrices_lack_at_L_6():
    entry = atlas.best(6)
    assert entry.rank == 345
    start, seen = 0, []
    for part in entry.proof["parts"]:
        terms = slice(start, start + part["terms"])
        start = terms.stop
        if part["kind"] == "newton":
            ((l1, l2, l3),) = part["paths"]
            whole = [f[:, terms] for f in (entry.factors.A, entry.factors.B, entry.factors.C)]
            factors = []
            for factor, l in zip(whole, (l3, l1, l2), strict=True):
                assert not np.delete(factor, np.s_[l * l : (l + 1) ** 2], axis=0).any()
                factors.append(factor[l * l : (l + 1) ** 2])
            assert decomposed(factors, [((l1, l2, l3), np.s_[:, :, :])], equations(factors))
            seen.append((l1, l2, l3))
    assert sorted(seen) == [(3, 5, 5), (5, 3, 5), (5, 5, 3)]
    assert start == 345


def test_the_second_check_can_fail():
    entry = next(e for e in ENTRIES if str(e.coupling) == "0+1+2 x 0+1+2 -> 0+1")
    factors, paths = kept(entry)
    rng = np.random.default_rng(0)
    moved = [f + 1e-6 * rng.normal(size=f.shape) for f in factors]
    assert not decomposed(moved, paths, equations(moved, False))  # no zero is within 1e-8
    assert not decomposed(factors, paths[:-1], equations(factors))  # another tensor
    seeds, weights = _half(atlas.best("0e+1o+2e x 0e+1o+2e+3o -> 0e+1o+2e"))
    assert not integrates(np.roll(seeds, 1, axis=0), weights, 7, even)


def moment(alpha):
    """Mean of `x^a y^b z^c` over the sphere: `(a-1)!! (b-1)!! (c-1)!! / (a+b+c+1)!!`, zero for an odd exponent."""
    if any(a % 2 for a in alpha):
        return Fraction(0)
    return Fraction(prod(prod(range(1, a, 2)) for a in alpha), prod(range(1, sum(alpha) + 2, 2)))


def integrates(points, weights, degree, invariant=lambda a, b, c: True):
    """Whether a rule exact to this degree lies within 1e-13 of this one, in every coordinate and weight.

    On the sphere the polynomials of degree <= t are the homogeneous ones of degrees t and t - 1. The points and weights
    may be those of one of each orbit of a group, the weights times the length of the orbit, and `invariant` says of
    exponents whether the group leaves the monomial alone; of the others the mean over an orbit is zero. A point on an
    axis, whose orbit would grow if it moved, stays there: its monomials do not change to first order when it leaves the
    axis, and unknowns that change nothing are not among those that count.
    """
    N = len(points)
    exponents = ((a, b, d - a - b) for d in (degree, degree - 1) for a in range(d + 1) for b in range(d - a + 1))
    alphas = np.array([alpha for alpha in exponents if invariant(*alpha)])
    scale = np.array([np.sqrt(factorial(sum(a)) / prod(factorial(x) for x in a)) for a in alphas.tolist()])
    point = np.concatenate([weights, points.ravel()])
    one = 1 << 120  # a multiple of the spacing of every float above 2^-67

    def value(x):
        w, q = x[:N], x[N:].reshape(N, 3)
        assert np.all((np.abs(x) > 2.0**-67) | (x == 0))
        whole = [[int(Fraction(float(v)) * one) for v in row] for row in q]
        powers = np.array([[[v**n for n in range(degree + 1)] for v in row] for row in whole], dtype=object)
        shares = np.array([int(Fraction(float(v)) * one) for v in w], dtype=object)
        found = []
        for (a, b, c), s in zip(alphas.tolist(), scale, strict=True):
            total = int(np.sum(shares * powers[:, 0, a] * powers[:, 1, b] * powers[:, 2, c]))
            found.append(s * float(Fraction(total, one ** (a + b + c + 1)) - moment((a, b, c))))
        lengths = [float(Fraction(sum(v * v for v in row), one**2) - 1) for row in whole]
        return np.array(found + lengths)

    def jacobian(x):
        w, q = x[:N], x[N:].reshape(N, 3)
        powers = q[..., None] ** np.arange(degree + 1)
        a, b, c = alphas.T
        px, py, pz = powers[:, 0, a], powers[:, 1, b], powers[:, 2, c]
        J = np.zeros((len(alphas) + N, 4 * N))
        J[: len(alphas), :N] = (px * py * pz).T * scale[:, None]
        for axis, (rest, n) in enumerate(((py * pz, a), (px * pz, b), (px * py, c))):
            slope = n * powers[:, axis, np.maximum(n - 1, 0)] * rest * w[:, None]
            J[: len(alphas), N + axis :: 3] = slope.T * scale[:, None]
        for n in range(N):
            J[len(alphas) + n, N + 3 * n : N + 3 * n + 3] = 2 * q[n]
        return J

    def spread(x, width):
        # monomials with positive coefficients grow with every coordinate
        return jacobian(np.abs(x) + width) - jacobian(np.abs(x))

    return contains_a_zero(value, jacobian, spread, point, 1e-13)


def even(a, b, c):
    """Monomials that the inversion leaves alone."""
    return (a + b + c) % 2 == 0


def half_turns(a, b, c):
    """Monomials that the half turns about the three axes leave alone."""
    return a % 2 == b % 2 == c % 2


def _rule(entry):
    proof = entry.proof
    rule = CubatureRule(proof["degree"], proof["group"], entry.arrays["rule_seeds"], entry.arrays["rule_weights"])
    return rule.points, rule.weights


def _half(entry):
    """One of each pair of antipodes, where the points come in such pairs."""
    points, weights = _rule(entry)
    first = [n for n, p in enumerate(points) if tuple(p) > tuple(-p)]
    assert all(np.abs(points + points[n]).max(axis=1).min() < 1e-15 for n in first)
    assert 2 * len(first) == len(points)
    return points[first], 2 * weights[first]


CUBATURE = [e for e in ENTRIES if e.proof["kind"] == "cubature"]


@pytest.mark.parametrize("entry", [e for e in CUBATURE if e.proof["group"].endswith("*i")], ids=repr)
def test_rules_of_antipodal_pairs(entry):
    points, weights = _half(entry)
    assert integrates(points, weights, entry.proof["degree"], even)


@pytest.mark.parametrize("entry", [e for e in CUBATURE if e.proof["group"] == "C1"], ids=repr)
def test_rules_without_symmetry(entry):
    points, weights = _rule(entry)
    assert integrates(points, weights, entry.proof["degree"])


@pytest.mark.parametrize("entry", [e for e in CUBATURE if e.proof["group"] == "D2"], ids=repr)
def test_rules_with_half_turns(entry):
    seeds, weights = entry.arrays["rule_seeds"], entry.arrays["rule_weights"]
    lengths = np.where(np.count_nonzero(seeds, axis=1) == 1, 2, 4)
    assert lengths.sum() in (entry.rank, entry.rank / 3)
    assert integrates(seeds, lengths * weights, entry.proof["degree"], half_turns)


def test_every_rule_is_checked_again():
    assert {e.proof["group"] for e in CUBATURE} <= {"O*i", "T*i", "C1*i", "C1", "D2"}


@pytest.mark.parametrize("lmax", [1, 2])
def test_both_parities_are_selected_from_a_product_for_rotations(lmax):
    """In rational arithmetic: blocks allowed by parity are those of the entry for rotations, and the others zero."""

    def tensor(factors):
        A, B, C = (fractions(f) for f in (factors.A, factors.B, factors.C))
        return np.array([[(A[k] * B[i]) @ C.T for i in range(len(B))] for k in range(len(A))], dtype=object)

    single = tensor(atlas.best(lmax).factors)
    entry = next(e for e in ENTRIES if e.proof["kind"] == "both parities" and e.factors.dims[1] == (lmax + 1) ** 2)
    whole = tensor(entry.factors)
    d = len(single)
    parity = np.concatenate([np.full(2 * l + 1, (-1) ** l) for l in range(lmax + 1)])
    even = (parity[:, None, None] * parity[:, None] * parity == 1).astype(int)
    for z, x in np.ndindex(2, 2):
        block = whole[z * d : (z + 1) * d, x * d : (x + 1) * d]
        assert np.array_equal(block, single * (even if z == x else 1 - even))


@pytest.mark.parametrize("size", [4, 9])
def test_matrix_algorithms_on_unit_matrices(size):
    """Both sides are bilinear, so equality for all pairs of unit matrices is equality; the file is read anew here."""
    terms = []
    for line in (FOLDER / f"{size}.txt").read_text().split("\n")[:-1]:
        parts = []
        for part in line.split("|"):
            matrix = np.full((size, size), Fraction(0), dtype=object)
            for token in part.replace("+", " +").replace("-", " -").split():
                entry, _, divisor = token[1:].partition("/")
                matrix[int(entry[0]) - 1, int(entry[1]) - 1] = Fraction(int(f"{token[0]}1"), int(divisor or 1))
            parts.append(matrix)
        terms.append(parts)
    left, right, out = (np.array([term[m] for term in terms]) for m in range(3))
    sixteenths = np.array([[int(16 * x) for x in row] for row in out.reshape(len(terms), -1)])
    assert all(Fraction(int(n), 16) == x for n, x in zip(sixteenths.ravel(), out.ravel(), strict=True))
    left, right = left.astype(int), right.astype(int)
    for a, b in np.ndindex(size, size):
        for c, d in np.ndindex(size, size):
            found = (left[:, a, b] * right[:, c, d]) @ sixteenths
            expected = np.zeros((size, size), dtype=int)
            if b == c:
                expected[a, d] = 16
            assert np.array_equal(found.reshape(size, size), expected)
