"""A cheap proof that an equivariance error is large: a rotation and unit vectors, with a guarantee, in milliseconds.

For unit z, x, y the form `<z, N(x, y)> - <D z, N(D x, D y)>` is at most eps(R, x, y). The average of its second term
over the group is zero (fact 2 of `equivariance.py`), and so is that over the nodes of a quadrature that is exact for
the product of the three D, which has degree l1 + l2 + l3. So some node gives at least `<z, N(x, y)>`: with the best z,
x, y, at least |N|, which is at least half of `sup eps` (fact 3).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tdn_theory.coupling import Coupling, CouplingLike
from tdn_theory.cp.factors import CPFactors
from tdn_theory.scale import power_of_two
from tdn_theory.so3.quadrature import rotation_quadrature
from tdn_theory.so3.rotation import representation
from tdn_theory.theory.equivariance import Witness, climb, equivariance_error, non_equivariant_part
from tdn_theory.theory.products import Product, as_tensor

STARTS, SWEEPS, ROUNDS = 16, 30, 3


def witness(product: Product, coupling: CouplingLike | None = None, seed: int = 0) -> Witness:
    """A large equivariance error: `sup eps >= value`, from below what `supremum_bound` is from above.

    The best of `STARTS` climbs for `|N|`, then rounds over the nodes of the quadrature and (z, x, y) in turn, which
    never lower the value. It is at least half of `sup eps` once a climb has found the injective norm of N, which is
    not proven but usual; what the value says is proven by the rotation and the vectors in any case.

    Args:
        product: What `as_tensor` takes.
        coupling: Irreps of the modes, see `as_tensor`.
        seed: Of the starts.

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: The product is none that `as_tensor` takes.

    >>> from tdn_theory.coupling import CouplingTensor
    >>> spoilt = CouplingTensor(1).array.copy()
    >>> spoilt[1, 2, 3] *= 1.5
    >>> found = witness(spoilt)
    >>> bool(0.1 < found.value <= 2 * np.linalg.norm(non_equivariant_part(spoilt)))
    True
    """
    array, coupling = as_tensor(product, coupling)
    plain = product if isinstance(product, CPFactors) else array
    N = non_equivariant_part(array, coupling)
    N = np.ldexp(N, -power_of_two(N).item())
    d3, d1, d2 = N.shape
    rng = np.random.default_rng(seed)
    if not np.any(N):
        return Witness(0.0, np.eye(3), np.eye(d1)[0], np.eye(d2)[0])
    starts = [
        values / np.linalg.norm(values, axis=1, keepdims=True)
        for d in (d3, d1, d2)
        for values in [rng.standard_normal((STARTS, d))]
    ]
    points = climb(N, *starts, sweeps=SWEEPS)
    best = int(np.argmax(np.einsum("kij,sk,si,sj->s", N, *points, optimize=True)))
    z, x, y = (p[best] for p in points)
    nodes, actions = _nodes(coupling)
    at = 0
    for _ in range(ROUNDS):
        D3, D1, D2 = actions
        half = np.tensordot(D3 @ z, N, (1, 0))  # (n, i, j)
        at = int(np.argmin(np.einsum("nij,ni,nj->n", half, D1 @ x, D2 @ y, optimize=True)))
        turned = N
        for action in actions:
            turned = np.tensordot(turned, action[at], (0, 0))
        z, x, y = (p[0] for p in climb(N - turned, z[None], x[None], y[None], sweeps=SWEEPS))
    return Witness(float(equivariance_error(plain, nodes[at], x, y, coupling)), nodes[at], x, y)


@lru_cache(maxsize=4)
def _nodes(coupling: Coupling) -> tuple[np.ndarray, list[np.ndarray]]:
    """Nodes of a quadrature that is exact for D (x) D (x) D, and their D on the modes k, i, j."""
    nodes, _ = rotation_quadrature(sum(max(irrep.l for irrep in mode) for mode in coupling.modes))
    if coupling.parity:
        nodes = np.concatenate([nodes, -nodes])
    return nodes, [representation(mode, nodes) for mode in coupling.modes]
