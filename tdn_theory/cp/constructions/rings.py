"""The even paths at L = 2 with 17 terms: two vectors on an axis, and three rings of five. Proof below.

**Statement.** With weights 1 for the paths of (0, 0, 0), (0, 1, 1) and (0, 2, 2), in any order, and certain others for
(1, 1, 2) and (2, 2, 2), the sum of the eleven even path tensors at L = 2 is a sum of 17 real terms `v o v o v`.

**Proof.** A symmetric tensor T has entries `T(a, b, c)`. Let vectors have components (p; q0, q1; s0, s1, s2), of
degree 0, 1 and 2, the last digit being the weight m about an axis; q1, s1 and s2 are those of a cosine. A ring is such
a vector, turned by multiples of 72 degrees. Summed over a ring, a product of components stays if their weights +-m can
add to 0 or 5. With three rings o, and vectors a on the axis, which have p, q0 and s0 only, an equivariant T asks for

    sum_o s2^2 (q1, s1) = 0,                                                                        5 = 2 + 2 + 1
    5 sum_o s2 (q1^2, q1 s1, s1^2) = (c1, 0, c2),                                                   2 = 1 + 1
    5 sum_o (p, q0, s0) (q1^2, q1 s1, s1^2) = ((g1, 0, g2), (0, c1/2, 0), (-c1, 0, c2) / sqrt 12),  1 = 0 + 1
    5 sum_o (p, q0, s0) s2^2 = (g2, 0, -c2 / sqrt 3),                                               2 = 0 + 2
    sum_a x^3 + 5 sum_o x^3 = G(x),    x = (p, q0, s0),                                             0 = 0 + 0

where g1, g2, c1, c2 stand for the weights of (0, 1, 1), (0, 2, 2), (1, 1, 2) and (2, 2, 2), all factors are ratios of
Clebsch-Gordan coefficients, and G has the entries `ppp = w, p q0 q0 = g1/2, p s0 s0 = g2/2, q0 q0 s0 = c1 / sqrt 12,
s0 s0 s0 = c2 / sqrt 12`, w being free. With the golden ratio phi, let `k = phi^-2, c2 = 5, c1 = 5 phi, g2 = 1` and
`g1 = 1 + k`.

Write `s1 = r q1, s2 = z q1, x = y q1` in each ring, and let the three r be the zeros of `f = r^3 - e1 r^2 + e2 r - e3`.
By Lagrange, `sum_o h(r) / f'(r)` is the coefficient of r^2 in h modulo f. So

    h_A = A0 (r^2 - e1 r + e2) + A1 (r - e1) + A2    has    sum_o h_A (1, r, r^2) / f' = (A0, A1, A2),

and the second and third line hold if

    q1^3 z = h_(phi, 0, 1) / f',
    q1^3 y = (h_(g1, 0, g2) / 5, h_(0, phi/2, 0), h_(-phi, 0, 1) / sqrt 12) / f'.

If also `q1^3 z^2 = l / f'` and `z^2 = 1 - k r^2`, the first line is `sum_o (1, r) / f' = 0`, and the fourth holds,
since there `A0 - k A2` is 1/5, 0 and `-2 / sqrt 12`: `g1 - k g2 = 1` and `phi + k = 2`. Both are so with
`z = l / h_(phi, 0, 1)` if modulo f

    h_(phi, 0, 1)^2 (1 - k r^2) = l^2,

and that is true (`check`) for

    e1^2 = (195 - 87 sqrt 5) / 10,  e2 = (9 - 5 sqrt 5) / 2,  e3 = e1 (5 - sqrt 5) / 10,  l^2 = 8 (3 sqrt 5 - 5) / 25.

The zeros are real and simple (`check`); q1 is a real cube root. Last, `q1^3 y^3 = (q1^3 y)^3 (1 - k r^2)^2 f'^2 / l^2`,
a polynomial over f', so what the rings leave of G is known from coefficients modulo f, too. For
`w = (459 sqrt 5 - 1023) / 100` its three derivatives are linearly dependent (`check`: all minors vanish), so it is a
cubic in two variables, and its Hessian is indefinite (`check`), so it is a sum of two real cubes: of the vectors on the
axis. QED. Scaling a degree scales weights; here those of (0, 0, 0), (0, 1, 1) and (0, 2, 2) become 1.

Source: ours. A search that began with a cubature's form less one term found it (study `shortened_forms`); its numbers
were recognised.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, combinations_with_replacement, permutations
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float

from tdn_theory import extras
from tdn_theory.coupling import Coupling
from tdn_theory.cp.certificate import ProofError
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3.irreps import Path

# differences of the statement that cancel are written as quotients: (a - b) = (a^2 - b^2) / (a + b)
RING = 5
PHI = (1 + sqrt(5)) / 2
K = PHI**-2
E1 = sqrt(18 / (195 + 87 * sqrt(5)))
E2, E3 = -22 / (9 + 5 * sqrt(5)), E1 * (5 - sqrt(5)) / 10
SQUARE = 8 * (3 * sqrt(5) - 5) / 25
"""l^2."""
WEIGHTS = {
    (0, 0, 0): 68.76 / (459 * sqrt(5) + 1023),
    (0, 1, 1): sqrt(3) * (1 + K) / 2,
    (0, 2, 2): sqrt(5) / 2,
    (1, 1, 2): 5 * PHI * sqrt(10) / 4,
    (2, 2, 2): 5 * sqrt(210) / 12,
}
"""Of the paths with these degrees, in any order, before degrees are scaled."""


def ring_weights() -> Mapping[Path, float]:
    """Path weights of `rings`, in closed form."""
    scale = _scales()
    return {
        path: WEIGHTS[first, second, third] * scale[first] * scale[second] * scale[third]
        for path in Coupling.of(2).paths
        if path.even
        for first, second, third in [sorted(path.degrees)]
    }


def rings() -> CPFactors:
    """The factors, 17 terms, in float64."""
    r = np.roots([1, -E1, E2, -E3]).real
    slope = (3 * r - 2 * E1) * r + E2
    square = r**2 - E1 * r + E2
    z = sqrt(SQUARE) / (PHI * square + 1)
    cubes = sqrt(SQUARE) / (slope * z**2)  # q1^3
    y = np.array([((1 + K) * square + 1) / 5, PHI / 2 * (r - E1), (1 - PHI * square) / sqrt(12)]) / (slope * cubes)
    G = np.zeros((3, 3, 3))
    for entry, value in _axis_entries().items():
        for order in permutations(entry):
            G[order] = value
    axis = _two_cubes(G - RING * np.einsum("o,io,jo,ko->ijk", cubes, y, y, y))
    vectors = np.zeros((9, 2 + 3 * RING))
    vectors[[0, 2, 6], :2] = axis
    angles = 2 * np.pi * np.arange(RING) / RING
    for number in range(3):
        q1 = np.cbrt(cubes[number])
        at = slice(2 + RING * number, 2 + RING * (number + 1))
        vectors[[0, 2, 6], at] = q1 * y[:, number, None]
        for sine, cosine, m, part in ((1, 3, 1, 1.0), (5, 7, 1, r[number]), (4, 8, 2, z[number])):
            vectors[cosine, at], vectors[sine, at] = q1 * part * np.cos(m * angles), q1 * part * np.sin(m * angles)
    vectors *= np.repeat(_scales(), (1, 3, 5))[:, None]
    return CPFactors(vectors, vectors, vectors)


def check() -> None:
    """The identities of the proof, in exact arithmetic, with `r = e1 u, q0 = e1 q0', s0 = s0' / sqrt 3`.

    Raises:
        ProofError: One does not hold.
        ModuleNotFoundError: sympy is missing; the message names the extra.
    """
    with extras.named():
        import sympy as sp

    root = sp.sqrt(5)
    u, field = sp.symbols("u"), sp.QQ.algebraic_field(root)
    phi, k, square = (1 + root) / 2, (3 - root) / 2, (195 - 87 * root) / 10
    e2, ratio, l2 = (9 - 5 * root) / 2, (5 - root) / 10, 8 * (3 * root - 5) / 25

    def of(expression: Any) -> Any:
        return sp.Poly(expression, u, domain=field)

    f = of(u**3 - u**2 + sp.radsimp(e2 / square) * u - sp.radsimp(ratio / square))
    if not f.discriminant() > 0:
        raise ProofError("the three zeros are not real and simple")
    D, turned = square * (u**2 - u) + e2, of(1 - k * square * u**2)
    if not (of(phi * D + 1) ** 2 * turned - of(l2)).rem(f).is_zero:
        raise ProofError("the two equations for z do not agree")
    y = of(((1 + k) * D + 1) / 5), of(phi / 2 * (u - 1)), of((1 - phi * D) / 2)
    G = {
        (0, 0, 0): (459 * root - 1023) / 100,
        (0, 1, 1): (1 + k) / (2 * square),
        (0, 2, 2): sp.Rational(3, 2),
        (1, 1, 2): 5 * phi / (2 * square),
        (2, 2, 2): sp.Rational(15, 2),
    }
    H = {}
    for i, j, m in combinations_with_replacement(range(3), 3):
        sum_over_rings = (y[i] * y[j] * y[m] * turned**2).rem(f).coeff_monomial(u**2) / square
        H[i, j, m] = sp.radsimp(G.get((i, j, m), 0) - RING * sum_over_rings / l2)

    pairs = list(combinations_with_replacement(range(3), 2))
    derivatives = sp.Matrix(3, 6, lambda i, n: H[tuple(sorted((i, *pairs[n])))])
    if any(sp.radsimp(sp.expand(derivatives[:, list(three)].det())) != 0 for three in combinations(range(6), 3)):
        raise ProofError("what the rings leave is no form in two variables")
    a, b, c, d = H[1, 1, 1], H[1, 1, 2], H[1, 2, 2], H[2, 2, 2]
    if not (a * d - b * c) ** 2 - 4 * (a * c - b**2) * (b * d - c**2) > 0:
        raise ProofError("what the rings leave is no sum of two real cubes")


def _axis_entries() -> dict[tuple[int, int, int], float]:
    """Entries of G, in the order (p, q0, s0)."""
    c = 5 / sqrt(12)
    return {(0, 0, 0): WEIGHTS[0, 0, 0], (0, 1, 1): (1 + K) / 2, (0, 2, 2): 0.5, (1, 1, 2): PHI * c, (2, 2, 2): c}


def _scales() -> Float[np.ndarray, "3"]:
    """Of each degree, so that paths with a scalar have weight 1."""
    first = WEIGHTS[0, 0, 0] ** (-1 / 3)
    return np.array([first, (WEIGHTS[0, 1, 1] * first) ** -0.5, (WEIGHTS[0, 2, 2] * first) ** -0.5])


def _two_cubes(H: Float[np.ndarray, "3 3 3"]) -> Float[np.ndarray, "3 2"]:
    """The two vectors whose cubes have the sum H."""
    plane = np.linalg.svd(H.reshape(3, 9))[0][:, :2]
    h = np.einsum("ijk,ia,jb,kc->abc", H, plane, plane, plane)
    a, b, c, d = h[0, 0, 0], h[0, 0, 1], h[0, 1, 1], h[1, 1, 1]
    # a form killed by the quadratic form n of derivatives is a sum of cubes of (t, 1), t being its zeros
    zeros = np.roots([b * d - c * c, b * c - a * d, a * c - b * b])
    forms = np.array([zeros, np.ones(2)])
    cubes = np.linalg.lstsq(np.einsum("an,bn,cn->abcn", forms, forms, forms).reshape(8, 2), h.ravel(), rcond=None)[0]
    return plane @ (forms * np.cbrt(cubes))
