"""Errors and standard errors against their definition, and against what they mean."""

from __future__ import annotations

import numpy as np
import torch

from tdn_theory.data.graph import collate
from tdn_theory.testing.assertions import assert_close
from tdn_theory.training.batches import Graphs
from tdn_theory.training.metrics import error_sums, mean, summarize
from tests.training.conftest import springs


def test_means_over_components(rng):
    sums, counts = rng.random(6), np.array([3.0, 6.0, 0.0, 3.0, 9.0, 3.0])
    sums[2] = 0
    for kind, wanted in (("mae", sums.sum() / 24), ("rmse", np.sqrt(sums.sum() / 24))):
        metric = mean(sums, counts, list("aabbcd"), "unit", kind)
        assert metric is not None
        assert_close(metric.value, wanted, 1e-15, f"mean, {kind}")
        assert (metric.components, metric.groups) == (24, 4)
    assert mean(np.zeros(2), np.zeros(2), ["a", "b"], "unit") is None


def test_standard_error_of_equal_groups_is_that_of_a_mean(rng):
    values = rng.random(50)
    metric = mean(values, np.ones(50), [str(k) for k in range(50)], "unit")
    assert metric is not None
    assert_close(metric.standard_error, values.std(ddof=1) / 50**0.5, 1e-15, "standard error")
    single = mean(values, np.ones(50), ["a"] * 50, "unit")
    assert single is not None
    assert single.standard_error is None
    assert str(single).endswith("unit")


def test_standard_errors_are_the_spread_of_repetitions(rng):
    """Groups of unequal size whose members resemble each other: repeated draws of groups spread as predicted."""
    draws, groups = 800, 60
    found: dict[str, list[tuple[float, float]]] = {"mae": [], "rmse": []}
    for _ in range(draws):
        sizes = rng.integers(1, 6, groups)
        names = np.repeat(np.arange(groups), sizes).astype(str).tolist()
        levels = np.repeat(rng.gamma(4.0, 0.25, groups), sizes) * rng.uniform(0.9, 1.1, sizes.sum())
        counts = np.full(sizes.sum(), 3.0)
        for kind, sums in (("mae", 3 * levels), ("rmse", 3 * levels**2)):
            metric = mean(sums, counts, names, "unit", kind)
            assert metric is not None
            assert metric.standard_error is not None
            found[kind].append((metric.value, metric.standard_error))
    for kind, pairs in found.items():
        values, errors = np.array(pairs).T
        # the spread of 800 draws is known to 1/sqrt(1600) = 2.5 %; linearising over 60 groups costs a few percent more
        assert_close(np.sqrt(np.mean(errors**2)) / values.std(), 1.0, 0.1, f"predicted over observed spread, {kind}")


def test_sums_of_structures():
    structures = springs(4)
    graphs = Graphs(structures, 4.0, torch.float64)
    graph = collate([graphs[k] for k in range(4)])
    shift = {"energy": 0.5, "forces": -2.0, "dipole": 3.0}
    output = {name: graph.labels[name] + value for name, value in shift.items()}
    sums = error_sums(output, graph)
    sizes = np.array([len(s) for s in structures], float)
    components = {"energy": np.ones(4), "forces": 3 * sizes, "dipole": np.full(4, 3.0)}
    sizes_of = {"energy": 0.5 / sizes, "forces": np.full(4, 2.0), "dipole": np.full(4, 3.0)}
    for name, rows in sums.items():
        n, x = components[name], sizes_of[name]
        assert_close(rows, np.stack((n * x, n * x**2, n), axis=1), 1e-8, f"error_sums of {name}")
    metrics = summarize({name: rows.numpy() for name, rows in sums.items()}, [s.group for s in structures])
    assert_close(metrics["forces_rmse"].value, 2000.0, 1e-6, "forces_rmse")
    assert_close(metrics["energy_mae"].value, 1e3 * np.mean(0.5 / sizes), 1e-6, "energy_mae")
    assert metrics["energy_mae"].unit == "meV/atom"
    assert metrics["dipole_mae"].unit == "e Angstrom"
    assert set(metrics) == {f"{name}_{kind}" for name in shift for kind in ("mae", "rmse")}
