"""What the explorer of the report offers: for each coupling its products, with what they cost, err and take.

A cost of `tdn_theory.theory.cost` is, for each way to connect channels, a polynomial of their number c (of x, y and z
alike where they are free) of degree at most 3; its values at four c give the coefficients, which the page evaluates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tdn_theory.coupling import Coupling
from tdn_theory.cp import atlas
from tdn_theory.cp.atlas import AtlasEntry
from tdn_theory.report.results import Results
from tdn_theory.theory.cost import CONNECTIONS, Channels, Connection, Method, cost

HIGHEST = 3
"""Degree of the polynomials: `uvw` has a weight for every triple of channels."""

EXACT_ORDERS: tuple[Method, ...] = ("y_first", "sparse", "dense")
PER_PATH_ORDERS: tuple[Method, ...] = ("y_first", "sparse", "per_path")
TIMES = {"F3c": "one thread of {}", "product_gpu": "{}"}
"""Studies that timed products -> on what part of their device."""

TIMED = {
    "exact": ("exact, fused", "exact", "kernel", "plain"),
    "per path": ("per path",),
    "e3nn": ("e3nn", "e3nn, fully connected"),
    "cp": ("cp", "cp, released order", "cp kernel, highest"),
}
"""Product -> what records of timings call its implementations; the fastest counts."""


def products(results: Results) -> dict[str, Any]:
    """Everything that the explorer shows, as a JSON value.

    Returns:
        `couplings`: by label, for the paths `all` and, for the paper's features, `even` ones, a list of products with
        name, number of terms, errors by measure, paths alive, their weights, proof, what made it and what else is
        known, costs by connection and order, and the Python that makes it, with `MODE` and `CHANNELS` to be filled in.
        Errors are `equivariance`, root mean square over that of the output, and `distance` from the product whose
        weights are all 1, over its norm.
        `times`: recorded forward times in milliseconds, by coupling, connection, channels, edges, product, machine.
    """
    fits: dict[tuple[int, int], Mapping[str, Any]] = {}
    for row in results.values.get("rank_frontier", {"fitted": []})["fitted"]:
        other = fits.setdefault((row["L"], row["R"]), row)
        if row["rms_error"] < other["rms_error"]:
            fits[row["L"], row["R"]] = row
    entries = atlas.entries()
    couplings: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for coupling in dict.fromkeys(entry.coupling for entry in entries):
        own = [entry for entry in entries if entry.coupling == coupling]
        even = {entry.stem for entry in own if coupling.cube and entry.row()["even_only"]}
        whole = [_of_atlas(entry) for entry in own if entry.stem not in even]
        whole += [_fitted(row, coupling) for row in fits.values() if coupling.cube and row["L"] == coupling.lmax]
        couplings[coupling.label] = {"all": [*_without_factors(coupling), *whole]}
        if coupling.cube:
            natural = Coupling.of("+".join(f"{l}{'eo'[l % 2]}" for l in range(coupling.lmax + 1)))
            proven = [_of_atlas(entry) for entry in own if entry.stem in even]
            couplings[coupling.label]["even"] = [*_without_factors(natural), *proven]
    return {"couplings": couplings, "times": list(_times(results.values))}


def _without_factors(coupling: Coupling) -> Iterator[dict[str, Any]]:
    """The products that need no decomposition."""
    given = coupling.lmax if coupling.cube and len(coupling.paths) == len(Coupling.of(coupling.lmax).paths) else None
    made = f"{given}" if given is not None else f'"{coupling.label}"'
    layer = f"from tdn_theory.nn import TensorProduct\n\nlayer = TensorProduct({made}, CHANNELSMODE"
    paths = f"{len(coupling.paths)} of {len(coupling.paths)}"
    errors = {"equivariance": 0.0, "distance": 0.0}
    common = {"terms": None, "errors": errors, "paths": paths, "proof": "by construction", "facts": []}
    exact = {**common, "id": "exact", "name": "exact, weights shared", "weights": "all 1"}
    yield {**exact, "costs": _costs(coupling, EXACT_ORDERS), "code": f"{layer})"}
    common["weights"] = "free"
    unshared = _costs(coupling, PER_PATH_ORDERS, shared=False)
    code = f'{layer}, method="per_path")'
    yield {**common, "id": "per path", "name": "exact, weights per path", "costs": unshared, "code": code}
    theirs = _costs(coupling, ("per_path",), shared=False)
    yield {**common, "id": "e3nn", "name": "exact, path by path (e3nn’s order)", "costs": theirs, "code": None}


def _of_atlas(entry: AtlasEntry) -> dict[str, Any]:
    code = (
        "from tdn_theory.cp import atlas\nfrom tdn_theory.nn import TensorProduct\n\n"
        f'entry = atlas.load("{entry.stem}")\n'
        "layer = TensorProduct(entry.tensor, CHANNELSMODE, method=entry.factors)"
    )
    row, weights = entry.row(), np.array([weight for weight in entry.tensor.weights if weight])
    found = {
        "id": "cp",
        "name": "CP, proven exact",
        "terms": entry.rank,
        "errors": {"equivariance": entry.error, "distance": float(np.sqrt(np.mean((1 - weights) ** 2)))},
        "paths": f"{len(entry.alive)} of {len(entry.coupling.paths)}",
        "weights": "all 1" if row["unit_weights"] else f"{row['least_weight']:.2g} to {row['largest_weight']:.2g}",
        "proof": entry.proof["kind"],
        "facts": [
            f"made by {entry.made_by.get('construction') or entry.made_by['solver']}",
            f"error at most {row['supremum_bound']:.0e} for every rotation and unit inputs",
            f"cancellation of the terms {row['condition']:.3g}",
            f"error in float32 {row['float32_error']:.0e}",
        ],
    }
    return {**found, "costs": _costs(entry.coupling, ("cp",), rank=entry.rank), "code": code}


def _fitted(row: Mapping[str, Any], coupling: Coupling) -> dict[str, Any]:
    code = (
        "from tdn_theory.coupling import CouplingTensor\nfrom tdn_theory.cp.store import Store\n"
        "from tdn_theory.nn import TensorProduct\n\n"
        f"M = CouplingTensor({row['L']})\n"
        f'factors = Store().best(M, {row["R"]}, "{row["solver"]}").factors\n'
        "layer = TensorProduct(M, CHANNELSMODE, method=factors)"
    )
    paths = f"{len(coupling.paths)} of {len(coupling.paths)}"
    found = {
        "id": "cp",
        "name": "CP, fitted to M",
        "terms": row["R"],
        "errors": {"equivariance": row["rms_error"], "distance": row["frobenius_error"]},
        "paths": paths,
        "weights": None,
        "proof": None,
        "facts": [f"made by {row['solver']}"],
    }
    return {**found, "costs": _costs(coupling, ("cp",), rank=row["R"]), "code": code}


def _costs(coupling: Coupling, orders: tuple[Method, ...], **options: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """By connection and order: coefficients of multiply-adds and bytes per edge, and the bytes of constants."""
    return {
        connection: {order: _polynomials(coupling, order, connection, options) for order in orders}
        for connection in CONNECTIONS
    }


def _polynomials(
    coupling: Coupling, order: Method, connection: Connection, options: Mapping[str, Any]
) -> dict[str, Any]:
    counts = range(1, HIGHEST + 2)
    none, one = (
        [cost(order, coupling, Channels.of(connection, c), edges, **options) for c in counts] for edges in (0, 1)
    )
    powers = np.vander(np.array(counts, float), increasing=True)

    def coefficients(values: list[int]) -> list[int]:  # integers up to the rounding of the solution
        return [round(float(number)) for number in np.linalg.solve(powers, np.array(values, float))]

    return {
        "multiply_adds": coefficients([found.multiply_adds for found in one]),
        "bytes": coefficients([found.bytes - fixed.bytes for found, fixed in zip(one, none, strict=True)]),
        "constants": none[0].bytes,
    }


def _times(values: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Recorded forward times of F3c and of the products on a GPU, in float32 on one thread or one device."""
    names = {name: product for product, known in TIMED.items() for name in known}
    for study in TIMES:
        for unit in values.get(study, {"units": []})["units"]:
            connection = unit.get("mode", unit.get("task"))
            if (
                connection not in CONNECTIONS
                or unit.get("threads", 1) != 1
                or unit.get("dtype", "float32") != "float32"
            ):
                continue
            for name, method in unit["methods"].items():
                if name in names and "forward" in method:
                    yield {
                        "coupling": f"L={unit['L']}",
                        "connection": connection,
                        "channels": unit["channels"],
                        "edges": unit["edges"],
                        "product": names[name],
                        "by": name,
                        "study": study,
                        "ms": float(f"{1e3 * method['forward']['median']:.3g}"),
                    }
