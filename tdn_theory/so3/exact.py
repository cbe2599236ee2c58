"""The group exactly, as algebraic numbers (sympy): real basis, generators, Clebsch-Gordan, Wigner matrices.

Nothing here is computed as the float64 modules compute it, so that one checks the other: the coefficients are sympy's
(Racah's formula), the generators come from the ladder operators and the Wigner matrices from the action of SU(2) on
binary forms. Basis, signs and axes are those of `clebsch_gordan.py` and `rotation.py`.

Every number is a sum of terms `rational * sqrt(squarefree integer)`, a form into which sympy brings products and sums
of square roots by itself. Square roots of different squarefree integers are linearly independent over the rationals, so
two such numbers are equal exactly when sympy's `==` says so: no simplification, no floats. Products of sums need
`sympy.expand` first.

The standard frame (x', y', z') of the complex basis, in which J_z' is diagonal, is the frame (z, x, y) of the real one:
the polar axis is y, and the components of degree 1 are (x, y, z).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import factorial
from numbers import Integral
from types import MappingProxyType

from tdn_theory.extras import named
from tdn_theory.so3.irreps import admissible, check_degree, check_lmax, paths

with named():
    import sympy
    from sympy import I, ImmutableMatrix, Integer, Poly, Rational, sqrt
    from sympy.physics import wigner

SparseTensor = Mapping[tuple[int, int, int], sympy.Expr]
"""Nonzero entries by index (k, i, j), read-only."""


@lru_cache(maxsize=64, typed=True)
def real_basis(l: int) -> ImmutableMatrix:
    """Unitary `Q`, `Q[m, n] = <n|l,m>` of the real basis vectors `|n>`: `Q^T` takes complex components to real ones.

    Args:
        l: Degree.

    Returns:
        Matrix of shape (2l+1, 2l+1), rows `m = -l..l`, columns `n = -l..l`; the exact `clebsch_gordan.real_basis(l)`.

    >>> real_basis(1)[:, 1].T
    Matrix([[0, -I, 0]])
    """
    l = check_degree(l)

    def entry(m: int, n: int) -> sympy.Expr:
        if abs(m) != abs(n):
            return Integer(0)
        if n == 0:
            return (-I) ** l
        sign = (-1) ** m if m > 0 else (1 if n > 0 else -1)
        return (-I) ** l * sign * (1 if n > 0 else I) / sqrt(2)

    orders = range(-l, l + 1)
    return ImmutableMatrix([[entry(m, n) for n in orders] for m in orders])


@lru_cache(maxsize=64, typed=True)
def generators(l: int) -> tuple[ImmutableMatrix, ImmutableMatrix, ImmutableMatrix]:
    """Infinitesimal rotations of degree `l` about the axes x, y, z, in the real basis.

    From `J_z' |l,m> = m |l,m>` and `J_+- |l,m> = sqrt(l(l+1) - m(m+-1)) |l,m+-1>` in the standard frame, as
    `-i Q^T J Q^*`.

    Args:
        l: Degree (the float64 `rotation.generators` stacks all degrees up to its argument).

    Returns:
        Real antisymmetric matrices of shape (2l+1, 2l+1) with `[X_x, X_y] = X_z` cyclically.

    >>> generators(1)[2]
    Matrix([
    [0, -1, 0],
    [1,  0, 0],
    [0,  0, 0]])
    """
    l = check_degree(l)
    size, basis = 2 * l + 1, real_basis(l)
    raising = sympy.zeros(size, size)
    for m in range(-l, l):
        raising[l + m + 1, l + m] = sqrt(l * (l + 1) - m * (m + 1))
    standard_x, standard_y = (raising + raising.T) / 2, (raising - raising.T) / (2 * I)
    standard_z = sympy.diag(*range(-l, l + 1))
    x, y, z = (
        ImmutableMatrix((basis.T * (-I * standard) * basis.C).expand())
        for standard in (standard_y, standard_z, standard_x)
    )
    return x, y, z


@lru_cache(maxsize=4096, typed=True)
def _ascending_block(l1: int, l2: int, l3: int) -> SparseTensor:
    """Block of `l1 <= l2 <= l3`, modes in the order (l1, l2, l3), from sympy's complex coefficients."""
    first, second, third = real_basis(l1).C, real_basis(l2).C, real_basis(l3)
    block: dict[tuple[int, int, int], sympy.Expr] = {}
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            m3 = m1 + m2
            coefficient = wigner.clebsch_gordan(l1, l2, l3, m1, m2, m3) / sqrt(2 * l3 + 1)
            if coefficient == 0:
                continue
            for i in {l1 + m1, l1 - m1}:
                for j in {l2 + m2, l2 - m2}:
                    for k in {l3 + m3, l3 - m3}:
                        term = coefficient * first[l1 + m1, i] * second[l2 + m2, j] * third[l3 + m3, k]
                        block[i, j, k] = block.get((i, j, k), Integer(0)) + term
    return MappingProxyType({index: block[index] for index in sorted(block) if block[index] != 0})


@lru_cache(maxsize=4096, typed=True)
def clebsch_gordan(l1: int, l2: int, l3: int) -> SparseTensor:
    """Unit-norm coupling tensor of the path `l1 x l2 -> l3` in the real basis (E1), exactly.

    Every entry is `+-sqrt(p/q)`: the terms which meet in one entry belong to (m1, m2) and (-m1, -m2), and have equal
    magnitude. Orderings of the same three degrees share one block, with the sign `(-1)^(l1+l2+l3)` for odd
    permutations.

    Args:
        l1: Degree of x.
        l2: Degree of y.
        l3: Degree of z.

    Returns:
        Nonzero entries by index (k, i, j); the exact `clebsch_gordan.clebsch_gordan(l1, l2, l3)`.

    Raises:
        TypeError: A degree is not an integer.
        ValueError: A degree is negative, or the path violates the selection rule.

    >>> clebsch_gordan(1, 1, 1)[2, 0, 1]
    sqrt(6)/6
    """
    degrees = check_degree(l1), check_degree(l2), check_degree(l3)
    if not admissible(*degrees):
        raise ValueError(
            f"path {l1}x{l2}->{l3} is not admissible: |l1-l2| <= l3 <= l1+l2 is required, "
            f"so l3 must be in {abs(l1 - l2)}..{l1 + l2}"
        )
    order = sorted(range(3), key=lambda mode: degrees[mode])  # order[n]: which of (i, j, k) is the block's mode n
    inversions = sum(order[a] > order[b] for a in range(3) for b in range(a + 1, 3))
    sign = (-1) ** (inversions * sum(degrees))
    result = {}
    for index, value in _ascending_block(*(degrees[mode] for mode in order)).items():
        i, j, k = (index[order.index(mode)] for mode in range(3))
        result[k, i, j] = sign * value
    return MappingProxyType(dict(sorted(result.items())))


@lru_cache(maxsize=16, typed=True)
def coupling_tensor(lmax: int) -> SparseTensor:
    """The full Clebsch-Gordan tensor `M[k, i, j]` of E2, exactly.

    Args:
        lmax: Maximal degree.

    Returns:
        Nonzero entries by index (k, i, j), all components of all degrees.

    >>> sum(value**2 for value in coupling_tensor(1).values())
    5
    """
    result = {}
    for l1, l2, l3 in paths(check_lmax(lmax)):
        for (k, i, j), value in clebsch_gordan(l1, l2, l3).items():
            result[l3 * l3 + k, l1 * l1 + i, l2 * l2 + j] = value
    return MappingProxyType(dict(sorted(result.items())))


def rational_rotation(a: int, b: int, c: int, d: int) -> ImmutableMatrix:
    """Rotation matrix of the quaternion `a + b i + c j + d k`, of any length: all entries are rational.

    Args:
        a: Real part.
        b: Component along x.
        c: Component along y.
        d: Component along z.

    Raises:
        TypeError: A component is not an integer.
        ValueError: All four are zero.

    >>> rational_rotation(1, 1, 0, 0)  # a quarter turn about x
    Matrix([
    [1, 0,  0],
    [0, 0, -1],
    [0, 1,  0]])
    """
    a, b, c, d = (_integer(component) for component in (a, b, c, d))
    norm = a * a + b * b + c * c + d * d
    if norm == 0:
        raise ValueError("quaternion is 0 + 0i + 0j + 0k, which is no rotation: give one that is not zero")
    rows = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a - b * b + c * c - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a - b * b - c * c + d * d],
    ]
    return ImmutableMatrix(3, 3, lambda row, column: Rational(rows[row][column], norm))


def wigner_d(l: int, rotation: sympy.MatrixBase) -> ImmutableMatrix:
    """Wigner matrix `D^l(R)` of a rational rotation, in the real basis, exactly.

    The quaternion q of R, up to a rational factor, gives the matrix U = q0 - i (q . sigma), `|q|` times one of SU(2).
    It acts on the binary forms `|l,m> = u^(l+m) v^(l-m) / sqrt((l+m)! (l-m)!)` by substitution, u -> U_11 u + U_21 v
    and v -> U_12 u + U_22 v, and D is the matrix of that, divided by `|q|^(2l)`.

    Args:
        l: Degree.
        rotation: Rotation matrix of rational entries, e.g. `rational_rotation(1, 2, 0, -1)`.

    Returns:
        Orthogonal matrix of shape (2l+1, 2l+1).

    Raises:
        TypeError: `l` is not an integer.
        ValueError: `l` is negative, or `rotation` is not a rational rotation matrix.

    >>> wigner_d(1, rational_rotation(1, 1, 0, 0)) == rational_rotation(1, 1, 0, 0)
    True
    """
    l = check_degree(l)
    w, x, y, z = _quaternion(rotation)
    norm = w * w + x * x + y * y + z * z
    # standard frame: x' = z, y' = x, z' = y
    top, bottom = (w - I * y, -x - I * z), (x - I * z, w + I * y)
    t = sympy.Symbol("t")
    u = Poly([bottom[0], top[0]], t, domain=sympy.QQ_I)  # the form u -> U_11 + U_21 t, with t = v / u
    v = Poly([bottom[1], top[1]], t, domain=sympy.QQ_I)
    matrix = sympy.zeros(2 * l + 1, 2 * l + 1)
    for m in range(-l, l + 1):
        image = u ** (l + m) * v ** (l - m)
        for n in range(-l, l + 1):
            ratio = Rational(factorial(l + n) * factorial(l - n), factorial(l + m) * factorial(l - m))
            matrix[l + n, l + m] = image.nth(l - n) * sqrt(ratio) / norm**l
    basis = real_basis(l)
    return ImmutableMatrix((basis.T * matrix.expand() * basis.C).expand())


def wigner_D(lmax: int, rotation: sympy.MatrixBase) -> ImmutableMatrix:
    """Block-diagonal action `D(R)` of a rational rotation on the `(lmax+1)^2` components of a feature (E2), exactly.

    Args:
        lmax: Maximal degree.
        rotation: Rotation matrix of rational entries.

    Returns:
        Matrix of shape (d, d); the exact `rotation.wigner_D(lmax, rotation)`.

    Raises:
        TypeError: `lmax` is not an integer.
        ValueError: `lmax` is negative, or `rotation` is not a rational rotation matrix.
    """
    lmax = check_lmax(lmax)
    return ImmutableMatrix(sympy.diag(*(wigner_d(l, rotation) for l in range(lmax + 1))))


def _integer(component: int) -> int:
    if isinstance(component, bool) or not isinstance(component, Integral):
        raise TypeError(
            f"quaternion component is {component!r}; it must be an integer: scale the quaternion, its length is free"
        )
    return int(component)


def _quaternion(rotation: sympy.MatrixBase) -> tuple[Rational, Rational, Rational, Rational]:
    """Quaternion of a rational rotation up to a rational factor: a nonzero row of `4 q q^T`, which is linear in R."""
    if rotation.shape != (3, 3):
        raise ValueError(f"rotation has shape {rotation.shape}; it must be (3, 3): use rational_rotation(a, b, c, d)")
    r = ImmutableMatrix(rotation)
    if not all(entry.is_Rational for entry in r):
        raise ValueError(
            f"rotation has entries that are not rational: {r}; use rational_rotation(a, b, c, d), "
            "or rotation.wigner_D for floats"
        )
    if r * r.T != sympy.eye(3) or r.det() != 1:
        raise ValueError(
            f"rotation is {r}, not a rotation: R R^T = 1 and det R = 1 are required; use rational_rotation(a, b, c, d)"
        )
    skew = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
    rows = [(1 + r.trace(), *skew)]
    for a in range(3):
        rows.append((skew[a], *((1 - r.trace() if a == b else 0) + r[a, b] + r[b, a] for b in range(3))))
    return next(row for row in rows if any(row))
