"""The records of TAB4 and TAB7 have what figures and verdicts need; times belong to the machine, not to a test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from tdn_theory import checkout
from tdn_theory.data.graph import Graph
from tdn_theory.experiments import measuring
from tdn_theory.experiments.networks import TAB4, TAB7, ablation_grid
from tdn_theory.experiments.networks.variants import (
    BEST,
    BRANCHES,
    ELEMENTS,
    EQUIFORMER,
    LADDER,
    TINY,
    Variant,
    infer,
    random_batch,
)
from tdn_theory.jobs import Jobs
from tdn_theory.nn import PotentialConfig
from tdn_theory.preset import Preset
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

CONFIG = PotentialConfig.from_dict({"elements": ELEMENTS, "lmax": 1, **TINY.network})


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict]]:
    """Records of all three studies at their smallest sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "keep_memory", lambda: False)  # the test session keeps its own settings
        jobs = Jobs(tmp_path_factory.mktemp("jobs"), workers=2)
        studies = (TAB4.STUDY, TAB7.STUDY, ablation_grid.STUDY)
        found = {study.id: study.run(study.sizes[Preset.SMALLEST], 0, jobs) for study in studies}
        yield json.loads(json.dumps(found))


def test_records(values):
    (inference, training) = values["TAB4"]["rows"]
    assert (inference["task"], training["task"]) == ("inference", "training")
    for row in (inference, training):
        assert row["networks"].keys() == row["speedups"].keys() == TAB4.COMPARED.keys()
        assert all(network["samples_per_second"] > 0 for network in row["networks"].values())
    exact, published = (inference["networks"][name]["rotation_error"] for name in ("TDN, exact", "TDN, as published"))
    assert exact < 1e-5 < 1e-4 < published
    for attribution in values["TAB7"]["attribution"]:
        assert [step["name"] for step in attribution["steps"]] == list(LADDER)[1:]
        assert attribution["branches"].keys() == BRANCHES.keys()
        assert attribution["reached"]["Equiformer"]["median"] == 1.0
        for step in attribution["steps"]:
            assert step["speedup"]["quartile1"] <= step["speedup"]["median"] <= step["speedup"]["quartile3"]


def test_figures_draw_the_records(values):
    for name, record in values.items():
        figure = checkout.load("figures", name).plot({"values": record})
        assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)


def graph() -> Graph:
    return random_batch(2, 6, 3, 4.5, 0)


def test_variants_of_equal_weights_give_equal_results():
    """All that differ in the order of operations only."""
    reference = infer(BEST.build(CONFIG, 0), graph())["forces"]
    for name in (*list(LADDER)[3:], "paths one by one, fused"):
        variant = {**LADDER, **BRANCHES}[name]
        found = infer(variant.build(CONFIG, 0), graph())["forces"]
        assert_close(found, reference, 1e-5 * float(reference.abs().max()), name)
    cp = [Variant("TDN", "CP released"), Variant("TDN", "CP naive")]
    released, naive = (infer(variant.build(CONFIG, 0), graph())["forces"] for variant in cp)
    assert_close(released, naive, 1e-5 * float(reference.abs().max()), "CP in either order")
    assert float((released - reference).abs().max()) > 1e-4 * float(reference.abs().max())


def test_unshared_weights_need_a_product_with_paths():
    for product in ("exact", "cubature", "CP released", "CP naive"):
        with refuses(ValueError, repr(product), "fused paths"):
            Variant("TDN", product, shared=False)


def test_the_grid_has_every_combination_once():
    cells = [variant for compiled in (False, True) for variant in ablation_grid.grid(compiled)]
    assert len(cells) == len(set(cells)) == (2 + 6) * 2 * 2 * 2
    assert BEST in cells
    assert EQUIFORMER not in cells
    size = ablation_grid.SIZES[Preset.SMALLEST]
    jobs = [
        job for compiled in (False, True) for job in ablation_grid.grid_jobs(size, compiled, ("training",), 0, "cpu")
    ]
    assert {Variant(**settings) for job in jobs for settings in job["variants"]} == set(cells)
    assert all(asdict(BEST) in job["variants"] for job in jobs)


def test_effects_are_ratios_of_cells_that_differ_in_one_ingredient():
    """Times made of a factor for each ingredient, and one more for a pair of them."""
    factors = {"shared": 2.0, "shared_linear": 3.0, "pruned": 5.0, "compiled": 7.0}
    products = {
        "e3nn paths": 1.0,
        "fused paths": 4.0,
        "CP naive": 6.0,
        "CP released": 8.0,
        "cubature": 9.0,
        "exact": 10.0,
    }

    def row(variant: Variant) -> dict:
        settings = asdict(variant)
        time = 1 / products[variant.product]
        for name, factor in factors.items():
            time /= factor if settings[name] else 1.0
        time /= 2.0 if variant.pruned and variant.compiled else 1.0
        rest = {"samples_per_second": 1 / time, "parameters": 1, "peak_bytes": 1}
        return {**settings, **rest, "seconds": [time, 3 * time]}

    variants = [variant for compiled in (False, True) for variant in ablation_grid.grid(compiled)]
    results = [{"L": 1, "task": "training", "variants": [row(BEST), row(variant)]} for variant in variants]
    effects = {e["ingredient"]: e for e in ablation_grid.effects(ablation_grid.cells_of(results))}
    assert effects.keys() == ablation_grid.INGREDIENTS.keys()
    for name, (_, switched_on) in ablation_grid.INGREDIENTS.items():
        ((setting, value),) = switched_on.items()
        expected = products[value] if setting == "product" else factors[setting]
        twofold = setting in ("pruned", "compiled")
        assert effects[name]["least"] == pytest.approx(expected)
        assert effects[name]["most"] == pytest.approx(2 * expected if twofold else expected)
        assert effects[name]["mean"] == pytest.approx(2**0.5 * expected if twofold else expected)
    pairs = {name: effect["pairs"] for name, effect in effects.items()}
    assert pairs["PS"] == 16
    assert pairs["PS-Linear"] == pairs["torch.compile"] == 32
    assert pairs["cubature"] == 8
    assert pairs["paths one by one, fused"] == 16


def test_batches_have_the_neighbours_asked_for():
    graph = random_batch(3, 10, 4, 4.5, 0)
    assert graph.numbers.shape[0] == 30
    assert graph.source.shape[0] == 120
