"""What `tdn_theory.explore` shows in a notebook: decompositions of a product, tried by hand, with error and cost."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np
from ipywidgets import HTML, BoundedIntText, Button, Dropdown, HBox, Image, IntSlider, Layout, VBox
from jaxtyping import Float

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution
from tdn_theory.cp.solvers.als import AlternatingLeastSquares
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.solvers.solver import Solver
from tdn_theory.extras import named
from tdn_theory.theory.cost import CONNECTIONS, METHODS, Channels, Cost, Method, cost
from tdn_theory.theory.equivariance import (
    relative_rms_approximation_error,
    rms_error_relative_to_output,
    supremum_bound,
)
from tdn_theory.theory.products import Product, as_tensor

SECONDS = 30.0
"""Longest time of one try."""

SOLVERS: dict[str, Callable[[int, int], Solver]] = {
    "Levenberg-Marquardt": lambda rank, seed: LevenbergMarquardt(rank, seed, max_seconds=SECONDS),
    "alternating least squares": lambda rank, seed: AlternatingLeastSquares(rank, seed, max_seconds=SECONDS),
    "equivariance only, weights free": lambda rank, seed: EquivariantLevenbergMarquardt(
        rank, seed, max_seconds=SECONDS
    ),
}

MEASURES: dict[str, Callable[[CPFactors, CouplingTensor], float]] = {
    "equivariance, rms over output": lambda factors, tensor: rms_error_relative_to_output(factors, tensor.coupling),
    "equivariance, certified largest": lambda factors, tensor: supremum_bound(factors, coupling=tensor.coupling).value,
    "approximation, rms over output": relative_rms_approximation_error,
}

ROUNDOFF = 1e-16
"""Errors are drawn from here on: zero has no logarithm."""


NEGLIGIBLE = 1e-12
"""Path weights below this share of the norm are roundoff of the projection."""


@dataclass(frozen=True)
class Try:
    """One decomposition.

    Attributes:
        solver: Name of its solver.
        solution: What it found.
    """

    solver: str
    solution: CPSolution


class Panel(VBox):
    """Choose rank, solver, seed, path weights, measure of error and shapes; see error and cost at once.

    A change of rank, solver, seed or weights makes a decomposition, unless it was made before; a change of the measure
    or of the shapes only shows the same ones anew.

    Attributes:
        controls: The controls, by name.
        given: Array (d3, d1, d2) of what was given.
        tensor: Its equivariant part, which is decomposed.
        tries: Decompositions so far, by (rank, solver, seed, weights).

    Args:
        product: See `tdn_theory.explore`.
        coupling: See there.

    Raises:
        ValueError: The product has no equivariant part.
    """

    def __init__(self, product: CouplingLike | Product, coupling: CouplingLike | None = None) -> None:
        """See the class."""
        if isinstance(product, int | str | Coupling):
            product = CouplingTensor(product)
        self.given, known = as_tensor(product, coupling)
        self.tensor = product if isinstance(product, CouplingTensor) else _equivariant_part(self.given, known)
        if self.tensor.norm == 0:
            raise ValueError(f"the product has no equivariant part for {known}; give the coupling that it is meant for")
        self.tries: dict[tuple[int, str, int, str], Try] = {}
        largest = min(a * b for a, b in zip(known.dims, (*known.dims[1:], known.dims[0]), strict=True))
        adopted = min(7 * known.lmax**2, largest) if known.cube else max(known.dims)
        self.controls = {
            "rank R": IntSlider(max(adopted, 1), 1, largest, continuous_update=False),  # a try takes its time
            "solver": Dropdown(options=list(SOLVERS)),
            "seed": BoundedIntText(0, 0, 2**31 - 1),
            "weights": Dropdown(options=["as given", "all 1"]),
            "error": Dropdown(options=list(MEASURES)),
            "connection": Dropdown(options=list(CONNECTIONS)),
            "channels": BoundedIntText(64, 1, 4096),
            "edges": BoundedIntText(1024, 1, 10**8),
        }
        for name, control in self.controls.items():
            control.description = name
            control.style.description_width = "6rem"
            control.observe(lambda _: self.update(), "value")
        self._answer, self._picture = HTML(), Image(format="png", layout=Layout(width="26rem"))
        forget = Button(description="forget the others")
        forget.on_click(lambda _: self.forget())
        made, shown = (VBox(list(self.controls.values())[half]) for half in (slice(4), slice(4, 8)))
        super().__init__([HBox([made, shown]), self._answer, HBox([self._picture, forget])])
        self.update()

    def __repr__(self) -> str:
        """What is explored."""
        return f"Panel({self.tensor})"

    @property
    def current(self) -> Try:
        """The decomposition that is chosen, made if it was not."""
        key = rank, solver, seed, weights = tuple(c.value for c in list(self.controls.values())[:4])
        if key not in self.tries:
            wanted = self.tensor
            if weights == "all 1":
                wanted = CouplingTensor(self.tensor.coupling, tuple(float(w != 0) for w in self.tensor.weights))
            self.tries[key] = Try(solver, SOLVERS[solver](rank, seed).solve(wanted))
        return self.tries[key]

    def error(self, found: Try) -> float:
        """The chosen error of a decomposition."""
        return MEASURES[self.controls["error"].value](found.solution.factors, found.solution.tensor)

    def costs(self) -> dict[Method, Cost]:
        """What the chosen shapes cost by each method, the decomposition among them, weights being shared (E4)."""
        shape = Channels.of(self.controls["connection"].value, self.controls["channels"].value)
        rest = self.controls["edges"].value, self.controls["rank R"].value
        left = {"cubature", "matrix"} | (
            {"rotated"} if shape.connection != "uvu" else set()
        )  # CP forms; needs harmonics
        methods: list[Method] = [m for m in METHODS if m not in left]
        return {m: cost(m, self.tensor.coupling, shape, rest[0], rest[1] if m == "cp" else None) for m in methods}

    def forget(self) -> None:
        """Keep the chosen decomposition alone."""
        self.tries = {key: found for key, found in self.tries.items() if found is self.current}
        self.update()

    def update(self) -> None:
        """Show what is chosen."""
        found = self.current
        solution = found.solution
        own = CouplingTensor(solution.tensor.coupling).project(solution.factors.array)
        rows = {
            "error of what was given": f"{rms_error_relative_to_output(self.given, self.tensor.coupling):.2e} "
            "(equivariance, rms over output)",
            f"error of this ({self.controls['error'].value})": f"{self.error(found):.2e}",
            "how the solver ended": solution.status.message,
            "cancellation of the terms": f"{solution.condition:.3g}",
            "path weights of it": ", ".join(f"{weight:.3g}" for weight in own.weights),
            "time to find it": f"{solution.made_by['seconds']:.2g} s",
        }
        lines = "".join(f"<tr><th style='text-align:left'>{k}</th><td>{escape(v)}</td></tr>" for k, v in rows.items())
        costs = "".join(
            f"<tr><td>{method.replace('_', ' ')}{' (this)' if method == 'cp' else ''}</td>"
            f"<td>{c.multiply_adds:,}</td><td>{c.bytes:,}</td><td>{c.parameters:,}</td></tr>"
            for method, c in sorted(self.costs().items(), key=lambda item: item[1].multiply_adds)
        )
        head = "<tr><th>method</th><th>multiply-adds</th><th>bytes</th><th>weights</th></tr>"
        self._answer.value = f"<table>{lines}</table><table>{head}{costs}</table>"
        self._picture.value = self._drawn(found)

    def _drawn(self, current: Try) -> bytes:
        """All tries, error against rank, as PNG."""
        with named():
            from matplotlib.figure import Figure

        figure = Figure((4.2, 2.6), dpi=120, layout="constrained")
        axis = figure.subplots()
        for solver, marker in zip(SOLVERS, "os^", strict=True):
            own = [found for found in self.tries.values() if found.solver == solver]
            ranks, errors = [f.solution.factors.rank for f in own], [max(self.error(f), ROUNDOFF) for f in own]
            if own:
                axis.plot(ranks, errors, marker, label=solver)
        axis.plot(
            current.solution.factors.rank, max(self.error(current), ROUNDOFF), "o", ms=12, mfc="none", color="0.3"
        )
        axis.set(yscale="log", xlabel="rank R", ylabel=self.controls["error"].value)
        axis.legend(fontsize=7)
        axis.margins(0.15)
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        return stream.getvalue()


def _equivariant_part(array: Float[np.ndarray, "d3 d1 d2"], coupling: Coupling) -> CouplingTensor:
    """The projection, without paths whose weight is roundoff."""
    weights = np.array(CouplingTensor(coupling.complete).project(array).weights)
    weights[np.abs(weights) <= NEGLIGIBLE * np.linalg.norm(array)] = 0.0
    return CouplingTensor(coupling.complete, weights)
