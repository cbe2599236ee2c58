"""Proofs that run: statements about the exact tensors, checked in exact arithmetic step by step (T1 to T4, T7, rank).

Nothing here is a float. Entries are sums of terms `rational * sqrt(squarefree)`; they are converted once from sympy's
form into dictionaries {squarefree: rational}, in which sums and products are cheap. Square roots of different
squarefree integers are linearly independent over the rationals, so a number is zero exactly when its dictionary is
empty.

Every function returns `Step`s: what is claimed, in words and as LaTeX for a report to print, and whether it came out
true. A proof is complete when all its steps hold; where a step rests on an argument rather than on a computation, the
docstring gives the argument.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import sympy

from tdn_theory.so3 import exact
from tdn_theory.so3.irreps import admissible, check_lmax, component_slice, dim, paths
from tdn_theory.theory.rank import modular_rank

Surd = dict[int, Fraction]
"""`sum_n coefficient sqrt(n)`, n squarefree; no coefficient is zero."""

Index = tuple[int, ...]
Tensor = Mapping[Index, Surd]
"""Nonzero entries by index."""


@dataclass(frozen=True)
class Step:
    """One step of a proof.

    Attributes:
        claim: What is claimed, in plain text.
        latex: The same as a formula, without dollar signs, in the subset of LaTeX that matplotlib prints, too.
        holds: Whether it came out true.
        cases: How many instances were checked.
    """

    claim: str
    latex: str
    holds: bool
    cases: int


def surd(expression: sympy.Expr) -> Surd:
    """A sympy number as a surd.

    Raises:
        ValueError: It is not a sum of rational multiples of square roots of integers.

    >>> surd(sympy.sqrt(6) / 3 - 1)
    {1: Fraction(-1, 1), 6: Fraction(1, 3)}
    """
    result: Surd = {}
    for term in sympy.Add.make_args(sympy.expand(expression)):
        coefficient, root = term.as_coeff_Mul()
        square = sympy.expand(root**2)
        if not coefficient.is_Rational or not square.is_Integer or square <= 0:
            raise ValueError(f"{term} is not a rational multiple of a square root of a positive integer")
        if coefficient != 0:
            _add(result, int(square), Fraction(int(coefficient.p), int(coefficient.q)))
    return result


def _add(target: Surd, root: int, value: Fraction) -> None:
    total = target.get(root, Fraction(0)) + value
    if total:
        target[root] = total
    else:
        target.pop(root, None)


@lru_cache(maxsize=65536)
def _product_of_roots(a: int, b: int) -> tuple[int, int]:
    """`sqrt(a) sqrt(b) = factor sqrt(root)` for squarefree a, b: the factor is their greatest common divisor."""
    common = int(np.gcd(a, b))
    return common, a // common * (b // common)


def _accumulate(target: Surd, left: Surd, right: Surd, sign: int = 1) -> None:
    """`target += sign * left * right`."""
    for a, p in left.items():
        for b, q in right.items():
            factor, root = _product_of_roots(a, b)
            _add(target, root, sign * factor * p * q)


@lru_cache(maxsize=8)
def coupling(lmax: int) -> Tensor:
    """The exact M of E2 as surds, indexed (k, i, j)."""
    return {index: surd(value) for index, value in exact.coupling_tensor(check_lmax(lmax)).items()}


@lru_cache(maxsize=8)
def generator_matrices(lmax: int) -> tuple[Tensor, Tensor, Tensor]:
    """The exact generators X_x, X_y, X_z on all degrees up to L as surds, indexed (row, column)."""
    result: tuple[dict[Index, Surd], ...] = ({}, {}, {})
    for l in range(check_lmax(lmax) + 1):
        start = component_slice(l).start
        for matrix, target in zip(exact.generators(l), result, strict=True):
            for row in range(2 * l + 1):
                for column in range(2 * l + 1):
                    if matrix[row, column] != 0:
                        target[start + row, start + column] = surd(matrix[row, column])
    return result[0], result[1], result[2]


def _by_row(matrix: Tensor) -> dict[int, list[tuple[int, Surd]]]:
    rows: dict[int, list[tuple[int, Surd]]] = defaultdict(list)
    for (row, column), value in matrix.items():
        rows[row].append((column, value))
    return rows


def commutator(tensor: Tensor, generator: Tensor) -> dict[Index, Surd]:
    """`X T - T (X (x) 1 + 1 (x) X)` and so on for any number of inputs; the output mode comes first.

    X is antisymmetric, so `-(T X)_..i.. = sum_a X_ia T_..a..`: every mode is acted on alike, and the commutator is the
    action of the Lie algebra on the tensor.
    """
    columns = _by_row({(column, row): value for (row, column), value in generator.items()})
    result: dict[Index, Surd] = defaultdict(dict)
    for index, value in tensor.items():
        for mode, component in enumerate(index):
            for row, entry in columns[component]:
                moved = (*index[:mode], row, *index[mode + 1 :])
                _accumulate(result[moved], entry, value)
    return {index: value for index, value in result.items() if value}


def equivariance(lmax: int) -> list[Step]:
    """E1, E2: M commutes with the three generators, hence with every rotation.

    SO(3) is connected: every D(R) is a product of exponentials of generators, and what commutes with the generators
    commutes with these.
    """
    generators, degree = generator_matrices(lmax), f"L = {lmax}"
    antisymmetric = all(
        generator.get((column, row)) == {root: -c for root, c in value.items()}
        for generator in generators
        for (row, column), value in generator.items()
    )
    brackets = all(
        _matrix_commutator(generators[a], generators[(a + 1) % 3]) == dict(generators[(a + 2) % 3]) for a in range(3)
    )
    commuting = [not commutator(coupling(lmax), generator) for generator in generators]
    return [
        Step(
            f"X_a^T = -X_a, a = x, y, z ({degree})",
            rf"X_a^T = -X_a,\quad a = x, y, z \quad ({degree})",
            antisymmetric,
            3,
        ),
        Step(
            f"[X_x, X_y] = X_z, cyclically ({degree})",
            rf"[X_x, X_y] = X_z,\; [X_y, X_z] = X_x,\; [X_z, X_x] = X_y \quad ({degree})",
            brackets,
            3,
        ),
        Step(
            f"X_a M = M (X_a (x) 1 + 1 (x) X_a) ({degree})",
            rf"X_a M = M (X_a \otimes 1 + 1 \otimes X_a) \quad ({degree})",
            all(commuting),
            3,
        ),
    ]


def _matrix_commutator(first: Tensor, second: Tensor) -> dict[Index, Surd]:
    result: dict[Index, Surd] = defaultdict(dict)
    for sign, (left, right) in ((1, (first, second)), (-1, (second, first))):
        rows = _by_row(right)
        for (row, middle), value in left.items():
            for column, entry in rows[middle]:
                _accumulate(result[row, column], value, entry, sign)
    return {index: value for index, value in result.items() if value}


def gram(tensor: Tensor, mode: int) -> dict[Index, Surd]:
    """`M_(n) M_(n)^T` of the mode-n unfolding."""
    fibres: dict[Index, list[tuple[int, Surd]]] = defaultdict(list)
    for index, value in tensor.items():
        fibres[(*index[:mode], *index[mode + 1 :])].append((index[mode], value))
    result: dict[Index, Surd] = defaultdict(dict)
    for fibre in fibres.values():
        for row, left in fibre:
            for column, right in fibre:
                _accumulate(result[row, column], left, right)
    return {index: value for index, value in result.items() if value}


def orthogonality(lmax: int) -> list[Step]:
    """E1: `sum_ij C^p_kij C^p'_k'ij = delta_pp' delta_kk' / (2 l3 + 1)`, and likewise for the other modes."""
    steps = []
    for mode, letters in enumerate(("ij", "kj", "ki")):
        holds, cases = True, 0
        for p in paths(lmax):
            size = 2 * (p.l3, p.l1, p.l2)[mode] + 1
            block = {index: surd(value) for index, value in exact.clebsch_gordan(*p).items()}
            holds &= gram(block, mode) == {(c, c): {1: Fraction(1, size)} for c in range(size)}
            cases += 1
        name = ("l3", "l1", "l2")[mode]
        claim = (
            f"sum_{letters} C_kij C_kij = 1 / (2 {name} + 1), and 0 between components, for every path of L = {lmax}"
        )
        free, other, degree = "kij"[mode], "kij"[mode] + "'", f"l_{name[1]}"
        moved = "C_{" + "kij".replace(free, other) + "}"
        sums = rf"\sum_{{{letters[0]},{letters[1]}}}"
        latex = rf"{sums} C_{{kij}} {moved} = \delta_{{{free}{other}}} / (2 {degree} + 1) \quad (L = {lmax})"
        steps.append(Step(claim, latex, holds, cases))
    inputs = {(p.l1, p.l2) for p in paths(lmax)}
    complete = True
    for l1, l2 in sorted(inputs):
        stacked: dict[Index, Surd] = {}
        for l3 in range(abs(l1 - l2), l1 + l2 + 1):
            for (k, i, j), value in exact.clebsch_gordan(l1, l2, l3).items():
                stacked[l3 * l3 + k, i, j] = surd(sympy.sqrt(2 * l3 + 1) * value)
        rows = range((l1 - l2) ** 2, (l1 + l2 + 1) ** 2)
        complete &= gram(stacked, 0) == {(row, row): {1: Fraction(1)} for row in rows}
        complete &= len(rows) == (2 * l1 + 1) * (2 * l2 + 1)
    claim = f"sqrt(2 l3 + 1) C, l3 = |l1-l2| .. l1+l2, is an orthogonal matrix for every l1, l2 <= {lmax}"
    latex = (
        r"U U^T = U^T U = 1,\quad U_{(l_3 k),(ij)} = \sqrt{2 l_3 + 1}\, C_{kij},\quad "
        rf"|l_1 - l_2| \leq l_3 \leq l_1 + l_2 \quad (l_1, l_2 \leq {lmax})"
    )
    return [*steps, Step(claim, latex, complete, len(inputs))]


def spectrum(lmax: int) -> list[Step]:
    """`M_(n) M_(n)^T = diag(N_l / (2l+1))` for all modes, N_l the number of paths through degree l."""
    steps = []
    for mode, name in enumerate("kij"):
        counts = [sum((p.l3, p.l1, p.l2)[mode] == l for p in paths(lmax)) for l in range(lmax + 1)]
        wanted = {
            (c, c): {1: Fraction(counts[l], 2 * l + 1)}
            for l in range(lmax + 1)
            for c in range(l * l, (l + 1) * (l + 1))
        }
        values = ", ".join(str(Fraction(count, 2 * l + 1)) for l, count in enumerate(counts))
        claim = f"M_({name}) M_({name})^T = diag(N_l / (2l+1)) = ({values}) on l = 0..{lmax}"
        latex = rf"M_{{({name})}} M_{{({name})}}^T = \mathrm{{diag}}(N_l / (2l+1)) = \mathrm{{diag}}({values})"
        steps.append(Step(claim, latex, gram(coupling(lmax), mode) == wanted, 1))
    return steps


def intertwiner_dimension(l1: int, l2: int, l3: int) -> int:
    """Upper bound on dim Hom(V_l1 (x) V_l2, V_l3) by linear algebra alone; it is 0 if and only if no map exists.

    In the complex basis T commutes with J_z exactly if `T[m3, m1, m2] = 0` unless m3 = m1 + m2; the other entries are
    the unknowns t(m1, m2). With basis vectors rescaled by sqrt((l+m)! (l-m)!) the ladder operators have integer
    entries, `J_+ e_m = (l - m) e_(m+1)` and `J_- e_m = (l + m) e_(m-1)`, and commuting with them is an integer linear
    system. Its rank modulo a prime is at most its rank, so unknowns minus that is at least the dimension; an explicit
    map shows equality.
    """
    unknowns = {
        (m1, m2): n
        for n, (m1, m2) in enumerate(
            (m1, m2) for m1 in range(-l1, l1 + 1) for m2 in range(-l2, l2 + 1) if abs(m1 + m2) <= l3
        )
    }
    if not unknowns:
        return 0
    rows = []
    for step in (1, -1):
        for m1 in range(-l1, l1 + 1):
            for m2 in range(-l2, l2 + 1):
                if abs(m1 + m2 + step) > l3:
                    continue
                row = np.zeros(len(unknowns))
                if (m1, m2) in unknowns:
                    row[unknowns[m1, m2]] += l3 - step * (m1 + m2)
                if (m1 + step, m2) in unknowns:
                    row[unknowns[m1 + step, m2]] -= l1 - step * m1
                if (m1, m2 + step) in unknowns:
                    row[unknowns[m1, m2 + step]] -= l2 - step * m2
                rows.append(row)
    return len(unknowns) - modular_rank(np.array(rows).reshape(-1, len(unknowns)))


def schur(lmax: int) -> list[Step]:
    """T3: the equivariant maps V_l1 (x) V_l2 -> V_l3 are the multiples of one path tensor, or zero, for all l <= L.

    The dimension is at most what `intertwiner_dimension` gives, and at least one on every path, by `equivariance`.
    """
    triples = [(a, b, c) for a in range(lmax + 1) for b in range(lmax + 1) for c in range(lmax + 1)]
    dimensions = {triple: intertwiner_dimension(*triple) for triple in triples}
    holds = all(dimension == admissible(*triple) for triple, dimension in dimensions.items())
    total = sum(dimensions.values())
    return [
        Step(
            f"dim Hom(V_l1 (x) V_l2, V_l3) = 1 if |l1-l2| <= l3 <= l1+l2, else 0, for l <= {lmax}",
            r"\dim \mathrm{Hom}(V_{l_1} \otimes V_{l_2}, V_{l_3}) = 1 \;\mathrm{if}\; "
            rf"|l_1 - l_2| \leq l_3 \leq l_1 + l_2,\;\mathrm{{else}}\; 0 \quad (l_1, l_2, l_3 \leq {lmax})",
            holds,
            len(triples),
        ),
        Step(
            f"dim Hom(V (x) V, V) = {total} = number of paths of L = {lmax}",
            rf"\dim \mathrm{{Hom}}(V \otimes V, V) = {total} \quad (V = V_0 + \cdots + V_{lmax})",
            total == len(paths(lmax)),
            1,
        ),
        *equivariance(lmax)[2:],
    ]


def outer_product(lmax: int) -> list[Step]:
    """T2: `M[k,i,j] = sum_(a,b) M[k,a,b] delta_ia delta_jb`, d^2 terms at most, as an exact identity.

    Terms whose column M[:, a, b] is zero can be left out, and any two of the modes can play the part of (a, b).
    """
    d, M = dim(lmax), coupling(lmax)
    rebuilt: dict[Index, Surd] = {}
    columns = {(i, j) for _, i, j in M}
    for a, b in columns:
        for k in range(d):
            if (k, a, b) in M:
                rebuilt[k, a, b] = M[k, a, b]
    terms = [len({(*index[:mode], *index[mode + 1 :]) for index in M}) for mode in range(3)]
    return [
        Step(
            f"sum_(a,b) M[:,a,b] (x) e_a (x) e_b = M (L = {lmax})",
            rf"M = \sum_{{a,b}} M_{{:ab}} \otimes e_a \otimes e_b \quad (L = {lmax})",
            rebuilt == dict(M),
            1,
        ),
        Step(
            f"R = number of nonzero columns = {min(terms)} <= d1 d2 = {d**2} (L = {lmax})",
            rf"R = \#\{{(a, b) : M_{{:ab}} \neq 0\}} = {min(terms)} \leq d_1 d_2 = {d**2} \quad (L = {lmax})",
            min(terms) <= d**2,
            3,
        ),
    ]


def theorem_3_1(lmax: int) -> list[Step]:
    """T1, inequality by inequality.

    1. D is orthogonal and M commutes with it, so `eps = |D E(x, y) - E(Dx, Dy)|` with `E = Mhat - M` (and any other
       equivariant map added): the two differ by `D M - M (D (x) D)`, whatever Mhat is.
    2. `|a - b| <= |a| + |b|`: the difference of the squares is `2 (|a| |b| + a.b)`, not negative by 3.
    3. Cauchy and Schwarz: `|a|^2 |b|^2 - (a.b)^2 = sum_(m<n) (a_m b_n - a_n b_m)^2` (Lagrange). Applied to the rows of
       E it gives `|E(x, y)| <= ||E|| |x (x) y| = ||E|| |x| |y|`.
    4. 1 to 3 together, with |Dx| = |x|: `eps <= 2 ||E|| |x| |y|`.
    5. Truncation. Let Q_n project mode n on the leading singular vectors; M_(n) M_(n)^T is diagonal (`spectrum`), so
       these are coordinate vectors and Q_n keeps some components. `||M - Q1 Q2 Q3 M||^2 = ||(1-Q1) M||^2 + ||Q1 (1-Q2)
       M||^2 + ||Q1 Q2 (1-Q3) M||^2` is at most the sum of the tails. Checked for all numbers of components kept, equal
       in the modes as in T1.
    6. The truncated tensor has at most `R_T^2 <= R_T^3` nonzero columns, hence terms (`outer_product`, on the core), so
       a best approximation of rank R is at least as close.
    """
    M, d = coupling(lmax), dim(lmax)
    rotations = [exact.rational_rotation(*q) for q in ((1, 1, 0, 0), (2, 1, 0, -1), (1, 2, 3, 1))]
    matrices = [exact.wigner_D(lmax, rotation) for rotation in rotations]
    orthogonal = all((D * D.T).expand() == sympy.eye(d) for D in matrices)
    commutes = all(_rotated(M, D) == dict(M) for D in matrices[:1])
    a, b = sympy.symbols("a:4"), sympy.symbols("b:4")
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    lengths = sum(p**2 for p in a) * sum(q**2 for q in b)
    squares = sum((a[m] * b[n] - a[n] * b[m]) ** 2 for m in range(4) for n in range(m + 1, 4))
    lagrange = sympy.expand(lengths - dot**2 - squares) == 0
    s, t = sympy.symbols("s t", nonnegative=True)  # |a|, |b|
    c = sympy.Symbol("c")  # a.b
    triangle = sympy.expand((s + t) ** 2 - (s**2 + t**2 - 2 * c) - 2 * (s * t + c)) == 0

    # (D Mhat - Mhat (D (x) D)) - (D E - E (D (x) D)) = D M - M (D (x) D), linear in Mhat, which drops out
    cancels = commutes and _rotated(M, matrices[1]) == dict(M)
    x, y, row = sympy.symbols("x:2"), sympy.symbols("y:2"), sympy.symbols("e:4")
    pairs = [p * q for p in x for q in y]
    value = sum(e * pair for e, pair in zip(row, pairs, strict=True))
    rest = sum((row[m] * pairs[n] - row[n] * pairs[m]) ** 2 for m in range(4) for n in range(m + 1, 4))
    lengths_2 = sum(e**2 for e in row) * sum(p**2 for p in x) * sum(q**2 for q in y)
    tensor_length = sympy.expand(lengths_2 - value**2 - rest) == 0

    order = _components_by_singular_value(lmax)
    pythagoras = truncation = few = True
    for kept in range(d + 1):
        lost = set(order[kept:])
        parts = [Fraction(0)] * 3
        tails = [Fraction(0)] * 3
        residual = Fraction(0)
        for index, value in M.items():
            square: Surd = {}
            _accumulate(square, value, value)
            size = square[1]
            cut = [component in lost for component in index]
            residual += size if any(cut) else 0
            if any(cut):
                parts[cut.index(True)] += size
            for mode in range(3):
                tails[mode] += size if cut[mode] else 0
        pythagoras &= residual == sum(parts)
        truncation &= residual <= sum(tails)
        few &= len({(i, j) for k, i, j in M if not {k, i, j} & lost}) <= kept**2 <= max(kept**3, 1)
    return [
        Step(
            f"D D^T = 1 for rational rotations (L = {lmax})",
            rf"D D^T = 1 \quad (L = {lmax},\; \mathrm{{rational}}\; R)",
            orthogonal,
            len(matrices),
        ),
        Step(
            f"D M = M (D (x) D) for a rational rotation (L = {lmax})",
            rf"D M = M (D \otimes D) \quad (L = {lmax},\; \mathrm{{rational}}\; R)",
            commutes,
            1,
        ),
        Step(
            f"D E(x, y) - E(Dx, Dy) is the same for E = Mhat and for E = Mhat - M (L = {lmax})",
            r"\varepsilon = |D E(x, y) - E(Dx, Dy)|,\quad E = \hat M - M",
            cancels,
            d**2,
        ),
        Step(
            "(|a| + |b|)^2 - |a - b|^2 = 2 (|a| |b| + a.b) >= 0",
            r"(|a| + |b|)^2 - |a - b|^2 = 2 (|a| |b| + a \cdot b) \geq 0",
            triangle,
            1,
        ),
        Step(
            "|a|^2 |b|^2 - (a.b)^2 = sum_(m<n) (a_m b_n - a_n b_m)^2 >= 0",
            r"|a|^2 |b|^2 - (a \cdot b)^2 = \sum_{m<n} (a_m b_n - a_n b_m)^2 \geq 0",
            lagrange,
            1,
        ),
        Step(
            "||E||^2 |x (x) y|^2 - |E(x, y)|^2 >= 0, row by row, and |x (x) y|^2 = |x|^2 |y|^2",
            r"|E(x, y)| \leq ||E|| \, |x \otimes y|,\quad |x \otimes y|^2 = |x|^2 |y|^2",
            tensor_length,
            1,
        ),
        Step(
            "eps <= |D E(x, y)| + |E(Dx, Dy)| <= 2 ||E|| |x| |y| <= 2 C^2 ||M - Mhat||",
            r"\varepsilon \leq |D E(x, y)| + |E(Dx, Dy)| \leq 2 ||E|| \, |x| \, |y| \leq 2 C^2 ||M - \hat M||",
            orthogonal and triangle and lagrange and tensor_length,
            1,
        ),
        Step(
            f"||M - Q1 Q2 Q3 M||^2 = sum_n ||Q_1 .. Q_(n-1) (1 - Q_n) M||^2 (L = {lmax})",
            rf"||M - Q_1 Q_2 Q_3 M||^2 = \sum_n ||Q_1 \cdots Q_{{n-1}} (1 - Q_n) M||^2 \quad (L = {lmax})",
            pythagoras,
            d + 1,
        ),
        Step(
            f"||M - Q1 Q2 Q3 M||^2 <= sum_n sum_(k > R_T) sigma_k^2 (L = {lmax}, every R_T)",
            r"||M - Q_1 Q_2 Q_3 M||^2 \leq \sum_n \sum_{k > R_T} (\sigma_k^{(n)})^2 \quad "
            rf"(L = {lmax},\; R_T = 0, \ldots, {d})",
            truncation,
            d + 1,
        ),
        Step(
            f"rank of Q1 Q2 Q3 M <= R_T^2 <= R_T^3 <= R (L = {lmax}, every R_T)",
            rf"\mathrm{{rank}}\, Q_1 Q_2 Q_3 M \leq R_T^2 \leq R_T^3 \leq R \quad (L = {lmax},\; R_T = 0, \ldots, {d})",
            few,
            d + 1,
        ),
    ]


def _components_by_singular_value(lmax: int) -> list[int]:
    """Components by falling N_l / (2l+1), which all modes share: M is invariant under cyclic exchanges of them."""
    counts = [Fraction(sum(p.l3 == l for p in paths(lmax)), 2 * l + 1) for l in range(lmax + 1)]
    components = [(counts[l], c) for l in range(lmax + 1) for c in range(l * l, (l + 1) * (l + 1))]
    return [c for _, c in sorted(components, key=lambda pair: -pair[0])]


def _rotated(tensor: Tensor, D: sympy.MatrixBase) -> dict[Index, Surd]:
    """`D T (D (x) D)^T`: every mode turned."""
    columns = _by_row({(c, r): surd(D[r, c]) for r in range(D.rows) for c in range(D.cols) if D[r, c] != 0})
    for mode in range(3):
        turned: dict[Index, Surd] = defaultdict(dict)
        for index, value in tensor.items():
            for row, entry in columns[index[mode]]:
                _accumulate(turned[(*index[:mode], row, *index[mode + 1 :])], entry, value)
        tensor = {index: value for index, value in turned.items() if value}
    return dict(tensor)


def three_inputs(lmax: int) -> list[Step]:
    """T4 for N = 3: `M4[k,i,j,m] = sum_a M[k,a,m] M[a,i,j]` is equivariant, and a CP form of at most d^3 terms."""
    M = coupling(lmax)
    inner: dict[int, list[tuple[Index, Surd]]] = defaultdict(list)
    for (a, i, j), value in M.items():
        inner[a].append(((i, j), value))
    entries: dict[Index, Surd] = defaultdict(dict)
    for (k, a, m), left in M.items():
        for (i, j), right in inner[a]:
            _accumulate(entries[k, i, j, m], left, right)
    M4 = {index: value for index, value in entries.items() if value}
    commuting = all(not commutator(M4, generator) for generator in generator_matrices(lmax))
    columns: dict[Index, dict[int, Surd]] = defaultdict(dict)
    for (k, *rest), value in M4.items():
        columns[tuple(rest)][k] = value
    rebuilt = {(k, *rest): value for rest, column in columns.items() for k, value in column.items()}
    d = dim(lmax)
    return [
        Step(
            f"X M4 = M4 (X (x) 1 (x) 1 + 1 (x) X (x) 1 + 1 (x) 1 (x) X) (L = {lmax})",
            r"X M^{(4)} = M^{(4)} (X \otimes 1 \otimes 1 + 1 \otimes X \otimes 1 + 1 \otimes 1 \otimes X)"
            rf"\quad (L = {lmax})",
            commuting,
            3,
        ),
        Step(
            f"sum M4[:,i,j,m] (x) e_i (x) e_j (x) e_m = M4, {len(columns)} <= d^3 = {d**3} terms (L = {lmax})",
            r"M^{(4)} = \sum_{i,j,m} M^{(4)}_{:ijm} \otimes e_i \otimes e_j \otimes e_m,\quad "
            rf"R = {len(columns)} \leq d^3 = {d**3} \quad (L = {lmax})",
            rebuilt == M4 and len(columns) <= d**3,
            1,
        ),
    ]


def weight_sharing(lmax: int) -> list[Step]:
    """T7: shared weights commute with D, for any weights: channels and components are different tensor factors.

    `(W (x) 1)(1 (x) D) = W (x) D = (1 (x) D)(W (x) 1)` for the channel mixing of PS-Linear; scaling a channel of the
    product by w is the case of a diagonal W; a bias is left alone by every rotation exactly on l = 0, where all
    generators vanish, and nowhere else, since the generators of a degree l > 0 have no common kernel. An approximate
    product gets no worse: eps of `w Mhat` is |w| eps of Mhat.
    """
    W = sympy.Matrix(2, 2, sympy.symbols("w:4"))
    one = sympy.eye(2)
    D = exact.wigner_D(lmax, exact.rational_rotation(1, 2, 3, 1))
    left = sympy.kronecker_product(W, sympy.eye(dim(lmax))) * sympy.kronecker_product(one, D)
    right = sympy.kronecker_product(one, D) * sympy.kronecker_product(W, sympy.eye(dim(lmax)))
    kernels = [sympy.Matrix.vstack(*exact.generators(l)).nullspace() for l in range(lmax + 1)]
    return [
        Step(
            f"(W (x) 1)(1 (x) D) = (1 (x) D)(W (x) 1) for symbolic W, 2 channels (L = {lmax})",
            rf"(W \otimes 1)(1 \otimes D) = (1 \otimes D)(W \otimes 1) \quad (L = {lmax})",
            left == right,
            1,
        ),
        Step(
            f"X_a b = 0 for a = x, y, z has the solutions l = 0 alone (L = {lmax})",
            rf"X_x b = X_y b = X_z b = 0 \;\Rightarrow\; b \in V_0 \quad (L = {lmax})",
            [len(kernel) for kernel in kernels] == [1] + [0] * lmax,
            lmax + 1,
        ),
        *equivariance(lmax)[2:],
    ]


def seven_terms() -> list[Step]:
    """At L = 1, an equivariant product with all five paths alive has real rank at least 7 (and 7 is reached).

    Let `M(x, y) = sum_(r=1)^R a_r (b_r . x) (c_r . y)` and L_x the matrix of `y -> M(x, y)`.

    1. `det L_x = q(x) p(x)` with `q = w000 w011 x0^2 / sqrt 3 - w110 w101 |x|^2 / 3` and `p = w011^2 x0^2 / 3 + w111^2
       |x|^2 / 6`, and p(x) > 0 unless x = 0. Where q(x) = 0 the rank is 3: rotate x to the axis z; then L_x has a 2 x 2
       block of determinant p(x) and one of determinant q(x) whose entries do not all vanish.
    2. M is concise, so the b_r span R^4. Take four that are a basis, and its dual basis u_1 .. u_4: `L_(u_i)` is a sum
       of `1 + (R - 4)` terms. Suppose R <= 6 (R = 6, with zero terms if need be). Then rank L_(u_i) <= 3, so q(u_i) = 0
       and the rank is exactly 3. Hence `b_r . u_i != 0` for both r left over: exchanging b_i for b_r makes a basis
       again, of which the same holds, and so all fifteen sets of four are bases.
    3. The plane `W = {b_1 = b_2 = 0}` holds the four directions `{b_1 = b_2 = b_r = 0}`, r = 3 .. 6, which are
       different, since a common one would be annihilated by a basis. They are dual vectors, so q vanishes on them: a
       quadratic form on a plane with more than two zero directions is zero.
    4. But W holds some x != 0 with x0 = 0, and there `q = -w110 w101 |x|^2 / 3 != 0`. So R >= 7.

    The matrix-multiplication case (quaternions) has no zero directions at all. The derivation is ours; R = 7 is the
    atlas entry of L = 1. Whether the paper's weights, all 1, need 8 terms is open.
    """
    names = {tuple(path): sympy.Symbol("w" + "".join(map(str, path)), real=True) for path in paths(1)}
    x, rho = sympy.symbols("x:4", real=True), sympy.Symbol("rho", real=True)
    L = sympy.zeros(4)
    for (k, i, j), value in exact.coupling_tensor(1).items():
        l3, l1, l2 = (int(component > 0) for component in (k, i, j))
        L[k, j] += names[l1, l2, l3] * value * x[i]
    w000, w011, w101, w110, w111 = (names[p] for p in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)))
    length = x[1] ** 2 + x[2] ** 2 + x[3] ** 2
    q = w000 * w011 * x[0] ** 2 / sympy.sqrt(3) - w110 * w101 * length / 3
    p = w011**2 * x[0] ** 2 / 3 + w111**2 * length / 6
    on_axis = {x[1]: 0, x[2]: 0, x[3]: rho}
    turned = L.subs(on_axis)
    blocks = [turned.extract(rows, rows) for rows in ([0, 3], [1, 2])]
    split = turned.extract([0, 3], [1, 2]).is_zero_matrix and turned.extract([1, 2], [0, 3]).is_zero_matrix
    factors = [sympy.expand(b.det() - f.subs(on_axis)) == 0 for b, f in zip(blocks, (q, p), strict=True)]
    third = sympy.sqrt(3) / 3
    whole = sympy.Matrix([[w000 * x[0], w110 * rho * third], [w101 * rho * third, w011 * x[0] * third]])
    on_plane = sympy.expand(q.subs(x[0], 0) + w110 * w101 * length / 3) == 0
    return [
        Step(
            "det L_x = (w000 w011 x0^2/sqrt 3 - w110 w101 |x|^2/3) (w011^2 x0^2/3 + w111^2 |x|^2/6)",
            r"\det L_x = q\, p,\quad q = w_{000} w_{011} x_0^2 / \sqrt{3} - w_{110} w_{101} |x|^2 / 3,"
            r"\quad p = w_{011}^2 x_0^2 / 3 + w_{111}^2 |x|^2 / 6",
            sympy.expand(L.det(method="berkowitz") - q * p) == 0,
            1,
        ),
        Step(
            "x on the axis z: L_x has blocks of determinants q and p, and the first is not zero",
            r"L_{(x_0, 0, 0, \rho)} = L_q + L_p,\quad \det L_q = q,\; \det L_p = p > 0,\; L_q \neq 0",
            split and all(factors) and blocks[0] == whole,
            1,
        ),
        Step(
            "R <= 6: rank L_(u_i) <= 3 for the dual vectors of any four b_r, so q(u_i) = 0, and any four are a basis",
            r"R \leq 6 \;\Rightarrow\; \mathrm{rank}\, L_{u_i} \leq 1 + (R - 4) \leq 3 \;\Rightarrow\; q(u_i) = 0",
            all(1 + (R - 4) <= 3 for R in range(4, 7)),
            3,
        ),
        Step(
            "q has four zero directions on the plane b_1 = b_2 = 0, so it vanishes there; at x0 = 0 it does not",
            r"q|_{b_1 = b_2 = 0} = 0,\quad \mathrm{but}\quad q(0, x) = -w_{110} w_{101} |x|^2 / 3 \neq 0",
            on_plane,
            1,
        ),
    ]


def failed(steps: Iterable[Step]) -> list[str]:
    """Claims of the steps that do not hold."""
    return [step.claim for step in steps if not step.holds]
