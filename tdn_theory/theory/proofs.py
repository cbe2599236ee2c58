"""Proofs that run: statements about the exact tensors, checked in exact arithmetic step by step (T1 to T4, T7, rank).

Nothing here is a float. Entries are sums of terms `rational * sqrt(squarefree)`; they are converted once from sympy's
form into dictionaries {squarefree: rational}, in which sums and products are cheap. Square roots of different
squarefree integers are linearly independent over the rationals, so a number is zero exactly when its dictionary is
empty.

Every proof takes a coupling, as `Coupling.of` reads it (L for the paper's features), and the tensor it is about, by
default the exact sum of the coupling's path tensors, which is the M of E2, and returns `Step`s: what is claimed, in
words and as LaTeX for a report to print, and whether it came out true of that tensor. A proof is
complete when all its steps hold; where a step rests on an argument rather than on a computation, the docstring gives
the argument. `tests/meta/test_wrong_tensors.py` says which steps fail on which wrong tensors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import lcm

import numpy as np

from tdn_theory.coupling import Coupling, CouplingLike
from tdn_theory.extras import named
from tdn_theory.so3 import exact
from tdn_theory.so3.irreps import Irreps, Path, paths, slot_slices
from tdn_theory.theory.rank import modular_rank

with named():
    import sympy

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


def exact_tensor(coupling: CouplingLike) -> Tensor:
    """The exact `M = sum_p C_p` (E2) as surds, indexed (k, i, j)."""
    return _exact_tensor(Coupling.of(coupling))


@lru_cache(maxsize=8)
def _exact_tensor(coupling: Coupling) -> Tensor:
    return {index: value for path in coupling.paths for index, value in _path_tensor(coupling, path).items()}


@lru_cache(maxsize=16)
def generator_matrices(irreps: Irreps) -> tuple[Tensor, Tensor, Tensor]:
    """The exact generators X_x, X_y, X_z on a list of irreps as surds, indexed (row, column)."""
    result: tuple[dict[Index, Surd], ...] = ({}, {}, {})
    for irrep, part in zip(irreps, slot_slices(irreps), strict=True):
        for matrix, target in zip(exact.generators(irrep.l), result, strict=True):
            for row, column in product(range(irrep.dim), repeat=2):
                if matrix[row, column] != 0:
                    target[part.start + row, part.start + column] = surd(matrix[row, column])
    return result[0], result[1], result[2]


def _generators(coupling: Coupling) -> list[tuple[Tensor, ...]]:
    """X_x, X_y and X_z, each on the modes k, i, j."""
    return list(zip(*(generator_matrices(irreps) for irreps in coupling.modes), strict=True))


def _words(coupling: Coupling) -> str:
    return f"L = {coupling.lmax}" if coupling.cube else str(coupling)


def _formula(coupling: Coupling) -> str:
    """The same as LaTeX."""
    if coupling.cube:
        return f"L = {coupling.lmax}"
    x, y, z = (rf"\mathrm{{{'+'.join(map(str, irreps))}}}" for irreps in (coupling.x, coupling.y, coupling.z))
    return rf"{x} \times {y} \to {z}"


def _check_simple(coupling: Coupling, what: str) -> None:
    """Raise unless every irrep occurs at most once in a mode, so that components are singular vectors."""
    if any(len(set(irreps)) < len(irreps) for irreps in coupling.modes):
        raise ValueError(f"{coupling} has an irrep twice in a mode; {what} is proven for couplings without copies")


def _by_row(matrix: Tensor) -> dict[int, list[tuple[int, Surd]]]:
    rows: dict[int, list[tuple[int, Surd]]] = defaultdict(list)
    for (row, column), value in matrix.items():
        rows[row].append((column, value))
    return rows


def commutator(tensor: Tensor, generators: Sequence[Tensor]) -> dict[Index, Surd]:
    """`X T - T (X (x) 1 + 1 (x) X)` and so on for any number of inputs; X on each mode, the output mode first.

    X is antisymmetric, so `-(T X)_..i.. = sum_a X_ia T_..a..`: every mode is acted on alike, and the commutator is the
    action of the Lie algebra on the tensor.
    """
    columns = [_by_row({(column, row): value for (row, column), value in X.items()}) for X in generators]
    result: dict[Index, Surd] = defaultdict(dict)
    for index, value in tensor.items():
        for mode, component in enumerate(index):
            for row, entry in columns[mode][component]:
                moved = (*index[:mode], row, *index[mode + 1 :])
                _accumulate(result[moved], entry, value)
    return {index: value for index, value in result.items() if value}


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


def inner_product(left: Tensor, right: Tensor) -> Surd:
    """`<S, T> = sum S_kij T_kij`."""
    result: Surd = {}
    for index in left.keys() & right.keys():
        _accumulate(result, left[index], right[index])
    return result


def _rational(number: int | Fraction) -> Surd:
    return {1: Fraction(number)} if number else {}


def _path_tensor(coupling: Coupling, path: Path) -> dict[Index, Surd]:
    """The exact C_p in its place."""
    k0, i0, j0 = (part.start for part in coupling.where(path))
    block = exact.clebsch_gordan(*path.degrees)
    return {(k0 + k, i0 + i, j0 + j): surd(value) for (k, i, j), value in block.items()}


def _blocks(tensor: Tensor, coupling: Coupling) -> dict[Index, dict[Index, Surd]]:
    """Entries by the slots (x, y, z) of their components, indexed inside these slots."""
    places = [[(slot, c) for slot, irrep in enumerate(irreps) for c in range(irrep.dim)] for irreps in coupling.modes]
    result: dict[Index, dict[Index, Surd]] = defaultdict(dict)
    for index, value in tensor.items():
        (z, k), (x, i), (y, j) = (place[component] for place, component in zip(places, index, strict=True))
        result[x, y, z][k, i, j] = value
    return result


def definition(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """E2: `M = sum_p C_p`, every path once, with weight 1.

    The C_p lie in different blocks and have norm 1, so `||M - sum_p C_p||^2 = ||M||^2 - 2 sum_p <M, C_p> + N` with N
    the number of paths. It is zero if all `<M, C_p> = 1` and `||M||^2 = N`.
    """
    coupling = Coupling.of(coupling)
    M = exact_tensor(coupling) if M is None else M
    found = [inner_product(M, _path_tensor(coupling, path)) for path in coupling.paths]
    n, one = len(found), _rational(1)
    return [
        Step(
            f"<M, C_p> = 1 for every path, and ||M||^2 = {n}, their number: M = sum_p C_p ({_words(coupling)})",
            rf"\langle M, C_p \rangle = 1,\quad ||M||^2 = {n} \;\Rightarrow\; M = \sum_p C_p \quad "
            rf"({_formula(coupling)})",
            all(value == one for value in found) and inner_product(M, M) == _rational(n),
            n + 1,
        )
    ]


def commuting(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """E1: M commutes with the three generators, hence with every rotation; and with inversion, if there is parity.

    SO(3) is connected: every D(R) is a product of exponentials of generators, and what commutes with the generators
    commutes with these. Inversion multiplies a component by its parity p, and an entry M[k, i, j] by p_k p_i p_j.
    """
    coupling = Coupling.of(coupling)
    M = exact_tensor(coupling) if M is None else M
    steps = [
        Step(
            f"X_a M = M (X_a (x) 1 + 1 (x) X_a) ({_words(coupling)})",
            rf"X_a M = M (X_a \otimes 1 + 1 \otimes X_a) \quad ({_formula(coupling)})",
            all(not commutator(M, generators) for generators in _generators(coupling)),
            3,
        )
    ]
    if coupling.parity:
        slots = [(coupling.x[x], coupling.y[y], coupling.z[z]) for x, y, z in _blocks(M, coupling)]
        steps.append(
            Step(
                f"p_k p_i p_j = 1 wherever M[k, i, j] is not zero: M commutes with inversion ({_words(coupling)})",
                rf"M_{{kij}} \neq 0 \;\Rightarrow\; p_k p_i p_j = 1 \quad ({_formula(coupling)})",
                all(first.parity * second.parity == third.parity for first, second, third in slots),
                len(slots),
            )
        )
    return steps


def antisymmetry(coupling: CouplingLike) -> list[Step]:
    """The generators are antisymmetric, so all `D = exp(X)`, and the products of these, are orthogonal."""
    coupling = Coupling.of(coupling)
    antisymmetric = all(
        generator.get((column, row)) == {root: -c for root, c in value.items()}
        for generators in _generators(coupling)
        for generator in generators
        for (row, column), value in generator.items()
    )
    return [
        Step(
            f"X_a^T = -X_a, a = x, y, z, so D D^T = 1 ({_words(coupling)})",
            rf"X_a^T = -X_a,\; a = x, y, z \;\Rightarrow\; D D^T = 1 \quad ({_formula(coupling)})",
            antisymmetric,
            3,
        )
    ]


def equivariance(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """E1, E2: what M is, that the generators are those of rotations, and that M commutes with them."""
    coupling = Coupling.of(coupling)
    algebras = [generator_matrices(irreps) for irreps in set(coupling.modes)]
    brackets = all(_matrix_commutator(X[a], X[(a + 1) % 3]) == dict(X[(a + 2) % 3]) for X in algebras for a in range(3))
    return [
        *definition(coupling, M),
        *antisymmetry(coupling),
        Step(
            f"[X_x, X_y] = X_z, cyclically ({_words(coupling)})",
            rf"[X_x, X_y] = X_z,\; [X_y, X_z] = X_x,\; [X_z, X_x] = X_y \quad ({_formula(coupling)})",
            brackets,
            3,
        ),
        *commuting(coupling, M),
    ]


def orthogonality(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """E1: `sum_ij C^p_kij C^p'_k'ij = delta_pp' delta_kk' / (2 l3 + 1)`, and likewise for the other modes.

    C^p is the block of M on the path p. For output degrees to which M has no path from two slots, it is the exact path
    tensor.
    """
    coupling = Coupling.of(coupling)
    blocks = _blocks(exact_tensor(coupling) if M is None else M, coupling)
    steps = []
    for mode, letters in enumerate(("ij", "kj", "ki")):
        holds = True
        for path in coupling.paths:
            l = (path.l3, path.l1, path.l2)[mode]
            wanted = {(c, c): _rational(Fraction(1, 2 * l + 1)) for c in range(2 * l + 1)}
            holds &= gram(blocks.get(tuple(path), {}), mode) == wanted
        name = ("l3", "l1", "l2")[mode]
        claim = (
            f"sum_{letters} C_kij C_kij = 1 / (2 {name} + 1), and 0 between components, for every path of "
            f"{_words(coupling)}"
        )
        free, other, degree = "kij"[mode], "kij"[mode] + "'", f"l_{name[1]}"
        moved = "C_{" + "kij".replace(free, other) + "}"
        sums = rf"\sum_{{{letters[0]},{letters[1]}}}"
        latex = rf"{sums} C_{{kij}} {moved} = \delta_{{{free}{other}}} / (2 {degree} + 1) \quad ({_formula(coupling)})"
        steps.append(Step(claim, latex, holds, len(coupling.paths)))
    inputs = sorted({(path.x, path.y) for path in coupling.paths})
    complete = True
    for x, y in inputs:
        l1, l2 = coupling.x[x].l, coupling.y[y].l
        known = {path.l3: path for path in coupling.paths if (path.x, path.y) == (x, y)}
        stacked: dict[Index, Surd] = defaultdict(dict)
        for l3 in range(abs(l1 - l2), l1 + l2 + 1):
            root = surd(sympy.sqrt(2 * l3 + 1))
            block = (
                blocks.get(tuple(known[l3]), {})
                if l3 in known
                else {index: surd(value) for index, value in exact.clebsch_gordan(l1, l2, l3).items()}
            )
            for (k, i, j), value in block.items():
                _accumulate(stacked[l3 * l3 + k, i, j], root, value)
        rows = range((l1 - l2) ** 2, (l1 + l2 + 1) ** 2)
        complete &= gram(stacked, 0) == {(row, row): _rational(1) for row in rows}
        complete &= len(rows) == (2 * l1 + 1) * (2 * l2 + 1)
    which = f"l1, l2 <= {coupling.lmax}" if coupling.cube else f"l1, l2 of {coupling}"
    claim = f"sqrt(2 l3 + 1) C, l3 = |l1-l2| .. l1+l2, is an orthogonal matrix for every {which}"
    bound = rf"l_1, l_2 \leq {coupling.lmax}" if coupling.cube else _formula(coupling)
    latex = (
        r"U U^T = U^T U = 1,\quad U_{(l_3 k),(ij)} = \sqrt{2 l_3 + 1}\, C_{kij},\quad "
        rf"|l_1 - l_2| \leq l_3 \leq l_1 + l_2 \quad ({bound})"
    )
    return [*steps, Step(claim, latex, complete, len(inputs))]


def _meetings(coupling: Coupling, mode: int) -> dict[tuple[int, int], int]:
    """N_ab: from how many pairs of slots of the other modes paths lead to both of two slots of one irrep."""
    reached: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for path in coupling.paths:
        slots = path.z, path.x, path.y
        reached[slots[mode]].add((slots[mode - 1], slots[mode - 2]))
    irreps = coupling.modes[mode]
    pairs = product(range(len(irreps)), repeat=2)
    counts = {(a, b): len(reached[a] & reached[b]) for a, b in pairs if irreps[a] == irreps[b]}
    return {pair: count for pair, count in counts.items() if count}


def spectrum(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """`M_(n) M_(n)^T = diag(N_l / (2l+1))` for all modes, N_l the number of paths through degree l.

    Where an irrep has several slots in mode n, it is `N_ab / (2l+1)` times the identity between slots a and b of it,
    N_ab being from how many pairs of slots of the other modes paths lead to both (`CouplingTensor.singular_values`).
    """
    coupling = Coupling.of(coupling)
    M = exact_tensor(coupling) if M is None else M
    steps = []
    for mode, name in enumerate("kij"):
        irreps, parts, meetings = coupling.modes[mode], coupling.slices[mode], _meetings(coupling, mode)
        wanted = {
            (parts[a].start + c, parts[b].start + c): _rational(Fraction(count, irreps[a].dim))
            for (a, b), count in meetings.items()
            for c in range(irreps[a].dim)
        }
        product_of = f"M_({name}) M_({name})^T"
        gram_of = rf"M_{{({name})}} M_{{({name})}}^T"
        if len(set(irreps)) == len(irreps):
            values = ", ".join(str(Fraction(meetings.get((a, a), 0), irrep.dim)) for a, irrep in enumerate(irreps))
            where = f"l = 0..{coupling.lmax}" if coupling.cube else "+".join(map(str, irreps))
            claim = f"{product_of} = diag(N_l / (2l+1)) = ({values}) on {where}"
            latex = rf"{gram_of} = \mathrm{{diag}}(N_l / (2l+1)) = \mathrm{{diag}}({values})"
        else:
            claim = f"{product_of} = N_ab / (2l+1) between slots a, b of one irrep, and 0 else ({coupling})"
            latex = rf"{gram_of} = N_{{ab}} / (2l+1) \quad ({_formula(coupling)})"
        steps.append(Step(claim, latex, gram(M, mode) == wanted, 1))
    return steps


def intertwiner_bound(l1: int, l2: int, l3: int) -> int:
    """Upper bound on dim Hom(V_l1 (x) V_l2, V_l3) by linear algebra alone.

    In the complex basis T commutes with J_z exactly if `T[m3, m1, m2] = 0` unless m3 = m1 + m2; the other entries are
    the unknowns t(m1, m2). With basis vectors rescaled by sqrt((l+m)! (l-m)!) the ladder operators have integer
    entries, `J_+ e_m = (l - m) e_(m+1)` and `J_- e_m = (l + m) e_(m-1)`, and commuting with them is an integer linear
    system. The dimension is the number of unknowns minus its rank. Its rank modulo a prime is at most its rank, so that
    taken instead gives an upper bound, whatever the prime: 0 proves that there is no map, 1 alone does not prove that
    there is one. `schur` closes the gap with a map.
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


def schur(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """T3: the equivariant maps V_l1 (x) V_l2 -> V_l3 are the multiples of one path tensor, or zero, for all l <= L.

    From above by `intertwiner_bound`, and by inversion, if there is parity: an entry of a map that commutes with it is
    zero unless p1 p2 = p3. From below by exhibiting a map on every path: the block of M there. Generators are
    block-diagonal, so a block commutes with them if M's commutator is zero in it. Blocks of different paths do not
    overlap, so those that commute and are not zero are independent. It is about all paths of the irreps.
    """
    coupling = Coupling.of(coupling).complete
    M = exact_tensor(coupling) if M is None else M
    triples = list(product(*(range(len(irreps)) for irreps in (coupling.x, coupling.y, coupling.z))))
    bounds = {}
    for triple in triples:
        first, second, third = coupling.x[triple[0]], coupling.y[triple[1]], coupling.z[triple[2]]
        even = first.parity * second.parity == third.parity
        bounds[triple] = intertwiner_bound(first.l, second.l, third.l) if even else 0
    defects = [_blocks(commutator(M, generators), coupling) for generators in _generators(coupling)]
    exhibited = {path for path in _blocks(M, coupling) if not any(path in defect for defect in defects)}
    known, n = {tuple(path) for path in coupling.paths}, len(coupling.paths)
    allowed = "|l1-l2| <= l3 <= l1+l2" + (" and p1 p2 = p3" if coupling.parity else "")
    which = f"l <= {coupling.lmax}" if coupling.cube else f"the slots of {coupling}"
    bound = rf"l_1, l_2, l_3 \leq {coupling.lmax}" if coupling.cube else _formula(coupling)
    spaces = rf"V = V_0 + \cdots + V_{coupling.lmax}" if coupling.cube else _formula(coupling)
    return [
        Step(
            f"dim Hom(V_l1 (x) V_l2, V_l3) <= 1 if {allowed}, and = 0 else, for {which}",
            r"\dim \mathrm{Hom}(V_{l_1} \otimes V_{l_2}, V_{l_3}) \leq 1 \;\mathrm{if}\; "
            rf"|l_1 - l_2| \leq l_3 \leq l_1 + l_2,\; = 0 \;\mathrm{{else}} \quad ({bound})",
            all(bound == (triple in known) for triple, bound in bounds.items()),
            len(triples),
        ),
        Step(
            f"the block of M is not zero and commutes, so that dim >= 1, on every path of {_words(coupling)}",
            r"0 \neq M_p,\; X_a M_p = M_p (X_a \otimes 1 + 1 \otimes X_a) \;\Rightarrow\; "
            rf"\dim \mathrm{{Hom}}(V_{{l_1}} \otimes V_{{l_2}}, V_{{l_3}}) \geq 1 \quad ({_formula(coupling)})",
            exhibited >= known,
            n,
        ),
        Step(
            f"dim Hom(V (x) V, V) = {n}, the number of paths of {_words(coupling)}: at most, "
            "and the blocks of M span it",
            rf"\dim \mathrm{{Hom}}(V \otimes V, V) = {n} \quad ({spaces})",
            len(exhibited) == sum(bounds.values()) == n,
            1,
        ),
    ]


Term = Sequence[Mapping[int, Surd]]
"""A rank-one tensor: one sparse vector for each mode."""


def sum_of_terms(terms: Iterable[Term]) -> dict[Index, Surd]:
    """`T[k, i, ..] = sum_r A[k, r] B[i, r] ..` (E3), for any number of modes, exactly."""
    result: dict[Index, Surd] = defaultdict(dict)
    for first, *others in terms:
        products: dict[Index, Surd] = {(component,): value for component, value in first.items()}
        for vector in others:
            longer: dict[Index, Surd] = defaultdict(dict)
            for index, value in products.items():
                for component, entry in vector.items():
                    _accumulate(longer[*index, component], value, entry)
            products = longer
        for index, value in products.items():
            _accumulate(result[index], value, _rational(1))
    return {index: value for index, value in result.items() if value}


def fibre_terms(tensor: Tensor, mode: int) -> list[Term]:
    """One term for each fibre of a mode that is not zero: the fibre itself, and unit vectors in the other modes."""
    fibres: dict[Index, dict[int, Surd]] = defaultdict(dict)
    for index, value in tensor.items():
        fibres[(*index[:mode], *index[mode + 1 :])][index[mode]] = value
    terms = []
    for rest, fibre in fibres.items():
        vectors: list[Mapping[int, Surd]] = [{component: _rational(1)} for component in rest]
        terms.append((*vectors[:mode], fibre, *vectors[mode:]))
    return terms


def outer_product(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """T2: `M[k,i,j] = sum_(a,b) M[k,a,b] delta_ia delta_jb`, d1 d2 terms at most, as an exact identity.

    Terms whose column M[:, a, b] is zero can be left out, and any two of the modes can play the part of (a, b). Nothing
    in it needs equivariance: it is true of every tensor. What is particular to M is that it needs as many terms as a
    mode has dimensions at least: the rank of an unfolding is at most R. (Where an irrep has several slots in a mode, or
    none of its paths is there, the unfolding may have less rank, and nothing is claimed.)
    """
    coupling = Coupling.of(coupling)
    M = exact_tensor(coupling) if M is None else M
    d1, d2, _ = coupling.dims
    forms = [fibre_terms(M, mode) for mode in range(3)]
    terms = min(map(len, forms))
    steps = [
        Step(
            f"sum_(a,b) M[:,a,b] (x) e_a (x) e_b = M, and likewise by the other modes ({_words(coupling)})",
            rf"M = \sum_{{a,b}} M_{{:ab}} \otimes e_a \otimes e_b \quad ({_formula(coupling)})",
            all(sum_of_terms(form) == dict(M) for form in forms),
            3,
        ),
        Step(
            f"R = number of nonzero columns = {terms} <= d1 d2 = {d1 * d2} ({_words(coupling)})",
            rf"R = \#\{{(a, b) : M_{{:ab}} \neq 0\}} = {terms} \leq d_1 d_2 = {d1 * d2} \quad "
            rf"({_formula(coupling)})",
            terms <= d1 * d2,
            3,
        ),
    ]
    if all(len(set(irreps)) == len(irreps) == len(_meetings(coupling, n)) for n, irreps in enumerate(coupling.modes)):
        spectra = [_diagonal(M, mode, size) for mode, size in enumerate(coupling.shape)]
        d, full = max(coupling.shape), "d" if coupling.cube else "d_n"
        steps.append(
            Step(
                f"M_(n) M_(n)^T is diagonal and has no zero there, so R >= d = {d} ({_words(coupling)})",
                rf"\mathrm{{rank}}\, M_{{(n)}} = {full} \;\Rightarrow\; R \geq d = {d} \quad ({_formula(coupling)})",
                all(values is not None and min(values) > 0 for values in spectra),
                3,
            )
        )
    return steps


def _diagonal(tensor: Tensor, mode: int, d: int) -> list[Fraction] | None:
    """The squared singular values of an unfolding, by component, if these are its singular vectors; None else."""
    entries = gram(tensor, mode)
    if any(row != column or set(value) != {1} for (row, column), value in entries.items()):
        return None
    return [entries[c, c][1] if (c, c) in entries else Fraction(0) for c in range(d)]


def theorem_3_1(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """T1, inequality by inequality, for couplings that have each irrep at most once in a mode.

    1. M is what E2 says, and its spectrum the one in closed form (`definition`, `spectrum`).
    2. D is orthogonal and `D M = M (D (x) D)` for every rotation, by the generators (`antisymmetry`, `commuting`). So
       `D E(x, y) - E(Dx, Dy)` is the same for `E = Mhat` and `E = Mhat - M`, whatever Mhat is: it is linear in E, and
       zero for E = M.
    3. `|a - b| <= |a| + |b|`: the difference of the squares is `2 (|a| |b| + a.b)`, not negative by 4.
    4. Cauchy and Schwarz: `|a|^2 |b|^2 - (a.b)^2 = sum_(m<n) (a_m b_n - a_n b_m)^2` (Lagrange). Both sides are sums
       over pairs (m, n), and a pair sees two components of a and b alone, so the identity for vectors of length 2 is
       that for every length; it is checked up to length 4. Applied to the rows of E and to x (x) y it gives
       `|E(x, y)| <= ||E|| |x (x) y| = ||E|| |x| |y|`.
    5. 2 to 4 together, with |Dx| = |x|: `eps <= 2 ||E|| |x| |y|`.
    6. Truncation. Let Q_n project mode n on the R_T leading singular vectors. M_(n) M_(n)^T is diagonal, so these are
       coordinate vectors, the diagonal holds the sigma_k^2, and Q_n keeps the R_T components where it is largest.
       `||M - Q1 Q2 Q3 M||^2 = ||(1-Q1) M||^2 + ||Q1 (1-Q2) M||^2 + ||Q1 Q2 (1-Q3) M||^2` is at most the sum of the
       tails of the sigma_k^2. Checked for all R_T.
    7. The truncated tensor has at most `R_T^2 <= R_T^3` nonzero columns, hence terms (`outer_product`, on the core).
    8. So a best approximation of rank R >= R_T^3 is at least as close as the truncation, and 5 and 6 give the theorem.
    """
    coupling = Coupling.of(coupling)
    _check_simple(coupling, "T1")
    M, d = exact_tensor(coupling) if M is None else M, max(coupling.shape)
    words, formula = _words(coupling), _formula(coupling)
    identity, orthogonal, equivariant = definition(coupling, M), antisymmetry(coupling), commuting(coupling, M)
    a, b = sympy.symbols("a:4"), sympy.symbols("b:4")
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    lengths = sum(p**2 for p in a) * sum(q**2 for q in b)
    squares = sum((a[m] * b[n] - a[n] * b[m]) ** 2 for m in range(4) for n in range(m + 1, 4))
    lagrange = sympy.expand(lengths - dot**2 - squares) == 0
    s, t = sympy.symbols("s t", nonnegative=True)  # |a|, |b|
    c = sympy.Symbol("c")  # a.b
    triangle = sympy.expand((s + t) ** 2 - (s**2 + t**2 - 2 * c) - 2 * (s * t + c)) == 0
    x, y, row = sympy.symbols("x:2"), sympy.symbols("y:2"), sympy.symbols("e:4")
    pairs = [p * q for p in x for q in y]
    value = sum(e * pair for e, pair in zip(row, pairs, strict=True))
    rest = sum((row[m] * pairs[n] - row[n] * pairs[m]) ** 2 for m in range(4) for n in range(m + 1, 4))
    lengths_2 = sum(e**2 for e in row) * sum(p**2 for p in x) * sum(q**2 for q in y)
    tensor_length = sympy.expand(lengths_2 - value**2 - rest) == 0

    inequality = [
        *orthogonal,
        *equivariant,
        Step(
            f"D E(x, y) - E(Dx, Dy) is the same for E = Mhat and for E = Mhat - M, as D M = M (D (x) D) ({words})",
            r"\varepsilon = |D E(x, y) - E(Dx, Dy)|,\quad E = \hat M - M",
            equivariant[0].holds,
            3,
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
    ]
    truncation = [*spectrum(coupling, M), *_truncation(coupling, M)]
    chain = Step(
        "eps <= |D E(x, y)| + |E(Dx, Dy)| <= 2 ||E|| |x| |y| <= 2 C^2 ||M - Mhat||",
        r"\varepsilon \leq |D E(x, y)| + |E(Dx, Dy)| \leq 2 ||E|| \, |x| \, |y| \leq 2 C^2 ||M - \hat M||",
        not failed(inequality),
        len(inequality),
    )
    proven = [*identity, *inequality, chain, *truncation]
    return [
        *proven,
        Step(
            f"eps <= 2 C^2 sqrt(sum_n sum_(k > R_T) sigma_k^2) for a best Mhat of rank R ({words}, every R)",
            r"\varepsilon \leq 2 C^2 \, (\sum_n \sum_{k > R_T} (\sigma_k^{(n)})^2)^{1/2} \quad "
            rf"({formula},\; R_T = 0, \ldots, {d})",
            not failed(proven),
            len(proven),
        ),
    ]


def _truncation(coupling: Coupling, M: Tensor) -> list[Step]:
    """Steps 6 and 7 of `theorem_3_1`; they fail unless singular vectors are components and entries `+-sqrt(p/q)`."""
    d, words, formula = max(coupling.shape), _words(coupling), _formula(coupling)
    spectra = [_diagonal(M, mode, size) for mode, size in enumerate(coupling.shape)]
    diagonal = [values for values in spectra if values is not None]
    coordinates = len(diagonal) == 3 and all(len(value) == 1 for value in M.values())
    pythagoras = tails = few = coordinates
    squares = {index: sum(root * c * c for root, c in value.items()) for index, value in M.items()}
    unit = lcm(*(square.denominator for square in squares.values()))  # integers add faster than fractions
    sizes = {index: int(square * unit) for index, square in squares.items()}
    orders = [sorted(range(len(values)), key=lambda c, v=values: -v[c]) for values in diagonal]
    for kept in range(d + 1) if coordinates else ():
        leading = [set(order[:kept]) for order in orders]
        truncated = {index for index in M if all(c in keep for c, keep in zip(index, leading, strict=True))}
        residual = sum(size for index, size in sizes.items() if index not in truncated)
        cuts = 0  # sum_n ||Q_1 .. Q_(n-1) (1 - Q_n) M||^2
        for mode in range(3):
            rest = [index for index in M if all(index[m] in leading[m] for m in range(mode))]
            cuts += sum(sizes[index] for index in rest if index[mode] not in leading[mode])
        pythagoras &= residual == cuts
        tails &= residual <= unit * sum(sum(sorted(values, reverse=True)[kept:]) for values in diagonal)
        few &= len({(i, j) for _, i, j in truncated}) <= kept**2 <= kept**3
    return [
        Step(
            f"||M - Q1 Q2 Q3 M||^2 = sum_n ||Q_1 .. Q_(n-1) (1 - Q_n) M||^2 ({words}, every R_T)",
            r"||M - Q_1 Q_2 Q_3 M||^2 = \sum_n ||Q_1 \cdots Q_{n-1} (1 - Q_n) M||^2 \quad "
            rf"({formula},\; R_T = 0, \ldots, {d})",
            pythagoras,
            d + 1,
        ),
        Step(
            f"||M - Q1 Q2 Q3 M||^2 <= sum_n sum_(k > R_T) sigma_k^2 ({words}, every R_T)",
            r"||M - Q_1 Q_2 Q_3 M||^2 \leq \sum_n \sum_{k > R_T} (\sigma_k^{(n)})^2 \quad "
            rf"({formula},\; R_T = 0, \ldots, {d})",
            tails,
            d + 1,
        ),
        Step(
            f"rank of Q1 Q2 Q3 M <= R_T^2 <= R_T^3 <= R ({words}, every R_T)",
            rf"\mathrm{{rank}}\, Q_1 Q_2 Q_3 M \leq R_T^2 \leq R_T^3 \leq R \quad ({formula},\; R_T = 0, \ldots, {d})",
            few,
            d + 1,
        ),
    ]


def three_inputs(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """T4 for one map of N = 3 inputs: `M4[k,i,j,m] = sum_a M[k,a,m] M[a,i,j]`, the product of (x y) with a third.

    Shown: this one 4-way tensor is equivariant, and has the trivial CP form of one term per triple of input components,
    which every 4-way tensor has. Other coupling trees, and forms with fewer terms, are not treated.

    That M4 is not zero: with the spectra of M, `||M4||^2 = sum_ab (M_(i) M_(i)^T)_ab (M_(k) M_(k)^T)_ab = sum_l N_l^2 /
    (2l+1)` for the paper's features, where both spectra are the same, and `sum_ab N^i_ab N^k_ab / (2l+1)` in general
    (`spectrum`).

    Raises:
        ValueError: z is not made of the irreps of x, so that the second product cannot take it.
    """
    coupling = Coupling.of(coupling)
    if coupling.z != coupling.x:
        raise ValueError(
            f"{coupling} cannot be chained; the irreps of z must be those of x, as in '0e+1o x 0e -> 0e+1o'"
        )
    M, (d1, d2, _) = exact_tensor(coupling) if M is None else M, coupling.dims
    words, formula, d = _words(coupling), _formula(coupling), d1 * d2 * d2
    inner: dict[int, list[tuple[Index, Surd]]] = defaultdict(list)
    for (a, i, j), value in M.items():
        inner[a].append(((i, j), value))
    entries: dict[Index, Surd] = defaultdict(dict)
    for (k, a, m), left in M.items():
        for (i, j), right in inner[a]:
            _accumulate(entries[k, i, j, m], left, right)
    M4 = {index: value for index, value in entries.items() if value}
    terms = fibre_terms(M4, 0)
    first, second = _meetings(coupling, 1), _meetings(coupling, 0)
    square = sum(Fraction(n * second.get((a, b), 0), coupling.z[a].dim) for (a, b), n in first.items())
    trace, sums = (
        ("sum_l N_l^2 / (2l+1)", r"\sum_l N_l^2 / (2l+1)")
        if coupling.cube
        else ("sum_ab N^i_ab N^k_ab / (2l+1)", r"\sum_{ab} N^i_{ab} N^k_{ab} / (2l+1)")
    )
    size = f"d^3 = {d}" if coupling.cube else f"d1 d2^2 = {d}"
    generators = [(*modes, modes[2]) for modes in _generators(coupling)]
    return [
        Step(
            f"||M4||^2 = {trace} = {square} ({words})",
            rf"||M^{{(4)}}||^2 = {sums} = {square} \quad ({formula})",
            inner_product(M4, M4) == _rational(square),
            1,
        ),
        Step(
            f"X M4 = M4 (X (x) 1 (x) 1 + 1 (x) X (x) 1 + 1 (x) 1 (x) X) ({words})",
            r"X M^{(4)} = M^{(4)} (X \otimes 1 \otimes 1 + 1 \otimes X \otimes 1 + 1 \otimes 1 \otimes X)"
            rf"\quad ({formula})",
            all(not commutator(M4, modes) for modes in generators),
            3,
        ),
        Step(
            f"sum M4[:,i,j,m] (x) e_i (x) e_j (x) e_m = M4, {len(terms)} <= {size} terms ({words})",
            r"M^{(4)} = \sum_{i,j,m} M^{(4)}_{:ijm} \otimes e_i \otimes e_j \otimes e_m,\quad "
            rf"R = {len(terms)} \leq {size.replace('d1 d2', 'd_1 d_2')} \quad ({formula})",
            sum_of_terms(terms) == M4 and len(terms) <= d,
            1,
        ),
    ]


def weight_sharing(coupling: CouplingLike, M: Tensor | None = None) -> list[Step]:
    """T7: shared weights commute with D, for any weights: channels and components are different tensor factors.

    `(W (x) 1)(1 (x) X) = W (x) X = (1 (x) X)(W (x) 1)` for the channel mixing of PS-Linear; it is linear in W, so the
    matrices E_uv with a single 1 suffice, and two channels show all cases (u = v and u != v). Scaling a channel of the
    product by w is the case of a diagonal W. A bias is left alone by every rotation exactly on l = 0, where all
    generators vanish, and nowhere else, since the generators of a degree l > 0 have no common kernel. An approximate
    product gets no worse: eps of `w Mhat` is |w| eps of Mhat.
    """
    coupling = Coupling.of(coupling)
    d, X = coupling.dims[2], generator_matrices(coupling.z)
    words, formula = _words(coupling), _formula(coupling)
    one = _rational(1)
    mixings = [{(u * d + c, v * d + c): one for c in range(d)} for u in range(2) for v in range(2)]  # E_uv (x) 1
    turns = [{(u * d + r, u * d + c): x for (r, c), x in g.items() for u in range(2)} for g in X]  # 1 (x) X_a
    kernels = [len(sympy.Matrix.vstack(*exact.generators(irrep.l)).nullspace()) for irrep in coupling.z]
    return [
        *definition(coupling, M),
        *commuting(coupling, M),
        Step(
            f"(W (x) 1)(1 (x) X_a) = (1 (x) X_a)(W (x) 1) for W = E_uv, u, v = 1, 2, hence for every W ({words})",
            rf"(W \otimes 1)(1 \otimes X_a) = (1 \otimes X_a)(W \otimes 1) \quad ({formula})",
            not any(_matrix_commutator(mixing, turn) for mixing in mixings for turn in turns),
            len(mixings) * len(turns),
        ),
        Step(
            f"X_a b = 0 for a = x, y, z has the solutions l = 0 alone ({words})",
            rf"X_x b = X_y b = X_z b = 0 \;\Rightarrow\; b \in V_0 \quad ({formula})",
            kernels == [int(irrep.l == 0) for irrep in coupling.z],
            len(kernels),
        ),
    ]


def seven_terms(M: Tensor | None = None) -> list[Step]:
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

    The blocks of M (by default the exact tensor of L = 1) are the path tensors, which symbols weight; q and p are read
    off on the axis.
    """
    M = exact_tensor(1) if M is None else M
    names: dict[Index, sympy.Symbol] = {
        path: sympy.Symbol("w" + "".join(map(str, path)), real=True) for path in paths(1)
    }
    x, rho = sympy.symbols("x:4", real=True), sympy.Symbol("rho", real=True)
    L = sympy.zeros(4)
    for (k, i, j), value in M.items():
        weight = names.get((int(i > 0), int(j > 0), int(k > 0)), 1)
        L[k, j] += weight * sum(c * sympy.sqrt(root) for root, c in value.items()) * x[i]
    w000, w011, w101, w110, w111 = (names[p] for p in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)))
    length = x[1] ** 2 + x[2] ** 2 + x[3] ** 2
    turned = L.subs({x[1]: 0, x[2]: 0, x[3]: rho})
    blocks = [turned.extract(rows, rows) for rows in ([0, 3], [1, 2])]
    split = all(turned.extract(*rows) == sympy.zeros(2) for rows in (([0, 3], [1, 2]), ([1, 2], [0, 3])))
    q, p = (sympy.expand(block.det()).subs(rho**2, length) for block in blocks)  # even in rho
    closed_q = w000 * w011 * x[0] ** 2 / sympy.sqrt(3) - w110 * w101 * length / 3
    closed_p = w011**2 * x[0] ** 2 / 3 + w111**2 * length / 6
    closed = sympy.expand(q - closed_q) == 0 and sympy.expand(p - closed_p) == 0
    third = sympy.sqrt(3) / 3
    whole = sympy.Matrix([[w000 * x[0], w110 * rho * third], [w101 * rho * third, w011 * x[0] * third]])
    on_plane = sympy.expand(q.subs(x[0], 0) + w110 * w101 * length / 3) == 0
    return [
        Step(
            "det L_x = (w000 w011 x0^2/sqrt 3 - w110 w101 |x|^2/3) (w011^2 x0^2/3 + w111^2 |x|^2/6)",
            r"\det L_x = q\, p,\quad q = w_{000} w_{011} x_0^2 / \sqrt{3} - w_{110} w_{101} |x|^2 / 3,"
            r"\quad p = w_{011}^2 x_0^2 / 3 + w_{111}^2 |x|^2 / 6",
            closed and sympy.expand(L.det(method="berkowitz") - q * p) == 0,
            1,
        ),
        Step(
            "x on the axis z: L_x has blocks of determinants q and p, and the first is not zero",
            r"L_{(x_0, 0, 0, \rho)} = L_q + L_p,\quad \det L_q = q,\; \det L_p = p > 0,\; L_q \neq 0",
            split and closed and blocks[0] == whole,
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
