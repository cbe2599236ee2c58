"""Equivariant products from fast matrix multiplication.

Let V be the irrep of SU(2) of dimension `n = L + 1`. Rotations act on the operators X of V by conjugation `X -> U X
U^-1`, which respects products: `(X, Y) -> X Y` is equivariant. The operators that commute with the real structure of V
(n odd) or its quaternionic structure (n even) are a real algebra of dimension `n^2 = (L+1)^2`, in which every degree
0..L occurs once:

    L even:  the real n x n matrices,                        R = rank of n x n matrix multiplication,
    L odd:   the (n/2) x (n/2) matrices of quaternions,      R = 8 times the rank of (n/2) x (n/2).

An orthonormal basis `u_k` of irreps turns an algorithm `X Y = sum_r <a_r, X> <b_r, Y> c_r` into factors of `T[k, i, j]
= <u_k, u_i u_j>`. Its path weights are, up to signs,

    |w_p| = s sqrt((2 l1+1)(2 l2+1)(2 l3+1)) |{l1 l2 l3; L/2 L/2 L/2}|,      s = 1 (L even), sqrt 2 (L odd),

with a 6j symbol. The factor s: u_0 is the identity over its length, sqrt n as a matrix of numbers, sqrt(n/2) as one of
quaternions, and `w_000 = <u_0, u_0 u_0>` is one over that length.

A path is missing exactly where the symbol vanishes. Up to L = 8 this happens three times, and no rule of SO(3) asks for
it. Twice a larger group does, of which the rotations of V are a part; no reason is known to us for the zeros at L = 8,
the six paths of degrees 5, 6, 7.

* L = 3, path 2x2->2. V has dimension 4 and rotations lie in Sp(4), the double cover of SO(5). The operators of degree
  2 are the vector of SO(5), that is, five gamma matrices: `X Y + Y X` is a multiple of the identity. The path is
  symmetric in X and Y (2+2+2 is even), so it sees that part alone, and finds degree 0.
* L = 6, the paths of degrees 3, 5, 5. V has dimension 7 and rotations lie in G2, a subgroup of SO(7). The antisymmetric
  operators are so(7), of degrees 1, 3, 5, and those of degrees 1 and 5 are the subalgebra g2. The path 5x5->3 is
  antisymmetric (5+5+3 is odd), so it sees `X Y - Y X` alone, which for X and Y in g2 lies in g2, and not in degree 3.
  The other two paths have the same 6j symbol.

The basis. `T^0 = 1`; `T^1_a` are the generators of rotations on V; `T^(l+1)_k = sum C_kij T^l_i T^1_j`, C the coupling
of `l x 1 -> l+1`. Real combinations of products stay in the algebra, couplings are equivariant, and the top coupling
does not vanish for `l < L`.

Quaternions in 8 multiplications. The product `sum_gh x_g y_h e_(g+h)` on the group Z2 x Z2 is diagonal in the Hadamard
basis: 4 multiplications. The quaternion product has the same terms with other signs; with the sign of its real part
reversed, all are equal but one in each component: `x_0 y_0, x_3 y_2, x_1 y_3, x_2 y_1`, which are subtracted twice.

Sources. The zero of {5 5 3; 3 3 3}, by G2: Racah, Phys. Rev. 76 (1949) 1352. Algorithms: 2x2, 7 multiplications
(Strassen, Numer. Math. 13 (1969) 354); 3x3, 23 (Laderman, Bull. AMS 82 (1976) 126). Others are files of the package:
4x4, 48 (Dumas, Pernet and Sedoglavic, hal-05112145, from github.com/jgdumas/plinopt; it divides by two, and needs no
commuting entries, so it serves for quaternions); 5x5, 93, found by `flip_graph.py`; 7x7, 249, from Sedoglavic's
catalogue (fmm.univ-lille.fr); 9x9, 486 (Perminov, github.com/dronperminov/FastMatrixMultiplication, MIT licence; the
Kronecker square of 3x3 has 529). Quaternions: Howell and Lafon (1975) prove that 8 is the real rank.
`MatrixAlgorithm.check` proves each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm, prod
from pathlib import Path as FilePath
from types import MappingProxyType

import numpy as np
from jaxtyping import Complex, Float, Int

from tdn_theory.cp.factors import CPFactors
from tdn_theory.extras import named
from tdn_theory.so3.clebsch_gordan import clebsch_gordan, real_basis
from tdn_theory.so3.irreps import Path, check_lmax, dim, paths

# Each line is a product of a combination of entries of X by one of entries of Y, and the entries of X Y it is added to;
# `-12/4`: a quarter of it is subtracted from entry (1, 2).
_STRASSEN = """
+11+22 | +11+22 | +11+22
+21+22 | +11    | +21-22
+11    | +12-22 | +12+22
+22    | +21-11 | +11+21
+11+12 | +22    | +12-11
+21-11 | +11+12 | +22
+12-22 | +21+22 | +11
"""
_LADERMAN = """
+11+12+13-21-22-32-33 | +22                     | +12
+11-21                | +22-12                  | +21+22
+22                   | -11+12+21-22-23-31+33   | +21
-11+21+22             | +11-12+22               | +12+21+22
+21+22                | -11+12                  | +12+22
+11                   | +11                     | +11+12+13+21+22+31+33
-11+31+32             | +11-13+23               | +13+31+33
-11+31                | +13-23                  | +31+33
+31+32                | -11+13                  | +13+33
+11+12+13-22-23-31-32 | +23                     | +13
+32                   | -11+13+21-22-23-31+32   | +31
-13+32+33             | +22+31-32               | +12+31+32
+13-33                | +22-32                  | +31+32
+13                   | +31                     | +11+12+13+21+23+31+32
+32+33                | -31+32                  | +12+32
-13+22+23             | +23+31-33               | +13+21+23
+13-23                | +23-33                  | +21+23
+22+23                | -31+33                  | +13+23
+12                   | +21                     | +11
+23                   | +32                     | +22
+21                   | +13                     | +23
+31                   | +12                     | +32
+33                   | +33                     | +33
"""
_TERM = re.compile(r"([+-])(\d)(\d)(?:/(\d+))?")
_TABLES = {1: "+11 | +11 | +11", 2: _STRASSEN, 3: _LADERMAN}

FOLDER = FilePath(__file__).parents[1] / "data" / "algorithms"
"""Further algorithms that come with the package, `<n>.txt` in the format above."""


@dataclass(frozen=True, eq=False)
class MatrixAlgorithm:
    """A bilinear algorithm for `X Y`: `D (X Y)_ac = sum_r C[ac, r] (A^T x)_r (B^T y)_r`, all integers.

    Attributes:
        size: n.
        left: A, shape (n, n, R), entry (a, b) of X.
        right: B, shape (n, n, R), entry (b, c) of Y.
        out: C, shape (n, n, R), entry (a, c) of the product.
        denominator: D.
    """

    size: int
    left: Int[np.ndarray, "n n R"]
    right: Int[np.ndarray, "n n R"]
    out: Int[np.ndarray, "n n R"]
    denominator: int = 1

    def __repr__(self) -> str:
        """Size and rank."""
        return f"MatrixAlgorithm({self.size}x{self.size}, R={self.rank})"

    @property
    def rank(self) -> int:
        """Number of multiplications R."""
        return self.left.shape[2]

    @property
    def table(self) -> str:
        """One line per multiplication: entries of X, entries of Y, entries of X Y, with signs and divisors.

        Raises:
            ValueError: A coefficient is none of 0, 1, 1/2, 1/3 and so on, nor minus one of these.

        >>> algorithm(1).table
        '+11 | +11 | +11'
        """

        def combination(matrix: Int[np.ndarray, "n n"], denominator: int) -> str:
            entries = []
            for i, j in np.argwhere(matrix):
                coefficient = Fraction(int(matrix[i, j]), denominator)
                if abs(coefficient.numerator) != 1:
                    raise ValueError(f"{self} has the coefficient {coefficient}, which a table cannot hold")
                divisor = "" if coefficient.denominator == 1 else f"/{coefficient.denominator}"
                entries.append(f"{'+' if coefficient > 0 else '-'}{i + 1}{j + 1}{divisor}")
            return "".join(entries)

        factors = ((self.left, 1), (self.right, 1), (self.out, self.denominator))
        return "\n".join(" | ".join(combination(f[:, :, r], d) for f, d in factors) for r in range(self.rank))

    def check(self) -> None:
        """Prove the Brent equations in integer arithmetic.

        Raises:
            ValueError: One does not hold.
        """
        n, unit = self.size, np.eye(self.size, dtype=np.int64)
        bound = self.rank * int(np.abs(self.left).max()) * int(np.abs(self.right).max()) * int(np.abs(self.out).max())
        if bound >= 2**62:
            raise ValueError(f"{self} has entries too large for 64-bit integers; divide out common factors")
        flat = [f.reshape(n * n, -1).astype(np.int64) for f in (self.out, self.left, self.right)]
        found = np.einsum("kr,ir,jr->kij", *flat, optimize=True).reshape((n,) * 6)
        # z_ac = sum_b x_ab y_bc: entry [(a, c), (a', b), (b', c')] is delta_aa' delta_bb' delta_cc'
        wrong = found != self.denominator * np.einsum("ad,ef,cg->acdefg", unit, unit, unit)
        if wrong.any():
            raise ValueError(f"{self} violates {int(wrong.sum())} of the {n**6} Brent equations")


@lru_cache(maxsize=8)
def algorithm(size: int) -> MatrixAlgorithm:
    """The best algorithm at hand for `size` x `size` matrices, not yet checked.

    Raises:
        ValueError: There is none of this size.

    >>> algorithm(3)
    MatrixAlgorithm(3x3, R=23)
    """
    file = FOLDER / f"{size}.txt"
    if size not in _TABLES and not file.exists():
        sizes = sorted({*_TABLES, *(int(path.stem) for path in FOLDER.glob("*.txt"))})
        raise ValueError(f"no algorithm for {size}x{size} matrices at hand; sizes are {sizes}")
    lines = (_TABLES[size] if size in _TABLES else file.read_text()).strip().splitlines()
    terms = [[_TERM.findall(part) for part in line.split("|")] for line in lines]
    denominator = lcm(*(int(divisor or 1) for line in terms for *_, divisor in line[2]))
    factors = np.zeros((3, size, size, len(lines)), dtype=np.int64)
    for r, line in enumerate(terms):
        for factor, part, scale in zip(factors, line, (1, 1, denominator), strict=True):
            for sign, row, column, divisor in part:
                factor[int(row) - 1, int(column) - 1, r] = int(f"{sign}1") * scale // int(divisor or 1)
    left, right, out = factors
    return MatrixAlgorithm(size, left, right, out, denominator)


_HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])


def quaternion_algorithm() -> tuple[Float[np.ndarray, "4 8"], Float[np.ndarray, "4 8"], Float[np.ndarray, "4 8"]]:
    """Factors (A, B, C) of the product of quaternions (1, i, j, k) in 8 multiplications: out, left, right."""
    unit, sign = np.eye(4), np.diag([-1.0, 1, 1, 1])
    left = np.hstack([_HADAMARD, unit[:, [0, 3, 1, 2]]])
    right = np.hstack([_HADAMARD, unit[:, [0, 2, 3, 1]]])
    return sign @ np.hstack([_HADAMARD / 4, -2 * unit]), left, right


def _generators(n: int) -> Complex[np.ndarray, "3 n n"]:
    """Rotations' generators on the n-dimensional irrep, axes in the order x, y, z of the real basis (polar axis y)."""
    j = (n - 1) / 2
    m = j - np.arange(n)
    raising = np.diag(np.sqrt(j * (j + 1) - m[1:] * (m[1:] + 1)), 1).astype(complex)
    x, y, z = (raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(m).astype(complex)
    return -1j * np.stack([y, z, x])  # the standard frame (x', y', z') is (z, x, y)


@lru_cache(maxsize=16)
def basis(lmax: int) -> Float[np.ndarray, "d rows columns parts"]:
    """Orthonormal basis `u_k` of the algebra of degree L, components in e3nn's order.

    Returns:
        Shape (d, n, n, 1) for even L: real matrices; (d, n/2, n/2, 4) for odd L: matrices of quaternions 1, i, j, k.

    Raises:
        TypeError: `lmax` is not an integer.
        ValueError: `lmax` is negative.
    """
    n = check_lmax(lmax) + 1
    generators = _generators(n)
    block = np.eye(n, dtype=complex)[None]
    blocks = []
    for l in range(lmax + 1):
        blocks.append(block / np.linalg.norm(block[0]))
        block = np.einsum("kij,iab,jbc->kac", clebsch_gordan(l, 1, l + 1), blocks[-1], generators, optimize=True)
    matrices = np.concatenate(blocks)
    if n % 2:
        # In the real basis of V, whose vectors are those of degree (n-1)/2, the generators are real.
        change = real_basis((n - 1) // 2)[::-1]  # rows m = j .. -j
        return np.ascontiguousarray(np.real(change.conj().T @ matrices @ change)[..., None])
    # e_m = |m>, e'_m = J|m> = (-1)^(j-m) |-m>: operators commuting with J have blocks [[a, -b*], [b, a*]] on (e_m,
    # e'_m), i.e. the quaternion Re a + Im a i + Re b j - Im b k. Length sqrt 2 of a unit quaternion's block.
    half = n // 2
    signs = np.array([(-1.0) ** k for k in range(half)])
    a = matrices[:, :half, :half]
    b = matrices[:, ::-1, :][:, :half, :half] * signs[:, None]
    return np.sqrt(2) * np.stack([np.real(a), np.imag(a), np.real(b), -np.imag(b)], axis=-1)


@lru_cache(maxsize=16)
def matrix_weights(lmax: int) -> Mapping[Path, float]:
    """`|w_p|` of the product of degree L in closed form (module docstring), for the paths whose weight is not zero.

    The symbol is computed exactly, so a path is left out if and only if its weight vanishes; the others are rounded to
    float64.

    >>> [tuple(path) for path in paths(3) if path not in matrix_weights(3)]
    [(2, 2, 2)]
    """
    with named():
        from sympy import Rational, sqrt
        from sympy.physics.wigner import wigner_6j

    j = Rational(check_lmax(lmax), 2)
    exact = {p: wigner_6j(*p, j, j, j) * sqrt((1 + lmax % 2) * prod(2 * l + 1 for l in p)) for p in paths(lmax)}
    return MappingProxyType({path: abs(float(weight)) for path, weight in exact.items() if weight != 0})


def matrix_multiplication(lmax: int) -> CPFactors:
    """Exact factors of the equivariant product of degree L that matrix multiplication gives.

    Raises:
        ValueError: No algorithm of the size needed is at hand.

    >>> [matrix_multiplication(lmax).rank for lmax in (1, 2, 3, 4, 5, 6, 7, 8)]
    [8, 23, 56, 93, 184, 249, 384, 486]
    """
    return factors_of(algorithm(lmax + 1 if lmax % 2 == 0 else (lmax + 1) // 2), lmax)


def factors_of(algorithm: MatrixAlgorithm, lmax: int) -> CPFactors:
    """Factors of the product of degree L made with `algorithm`, of size L+1 (L even) or (L+1)/2 (L odd).

    Raises:
        ValueError: The size is wrong.
    """
    change = basis(lmax)
    if algorithm.size != change.shape[1]:
        raise ValueError(f"{algorithm} does not fit L = {lmax}, whose matrices are {change.shape[1]}x{change.shape[1]}")
    scalars = [np.ones((1, 1))] * 3 if lmax % 2 == 0 else quaternion_algorithm()
    coefficients = (algorithm.out / algorithm.denominator, algorithm.left, algorithm.right)
    factors = [
        np.einsum("kabq,abr,qs->krs", change, f, s, optimize=True).reshape(dim(lmax), -1)
        for f, s in zip(coefficients, scalars, strict=True)
    ]
    return CPFactors(*factors)
