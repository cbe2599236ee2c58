"""Other products in pretrained potentials: what is exchanged is exact, and the study runs at its smallest size."""

import json

import numpy as np
import pytest
from torch import float32, randn, tensor

from tdn_theory import checkout
from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments.potentials import distilled, motion, pretrained, sevennet
from tdn_theory.experiments.potentials.small_structures import KINDS, small_structures
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import component_slice
from tdn_theory.so3.rotation import haar_rotations

POTENTIAL = "7net-0"
SINGLE = 1e-5
"""Relative error of sums of some hundred terms in single precision."""


@pytest.fixture(scope="module")
def structures():
    return [some[len(some) // 2] for some in small_structures(0.05).values()]


@pytest.fixture(scope="module")
def own(structures):
    return sevennet.predict(sevennet.pretrained(POTENTIAL), structures)


def assert_same(found, wanted):
    np.testing.assert_allclose(found.energies, wanted.energies, rtol=SINGLE)
    for f, w in zip(found.forces, wanted.forces, strict=True):
        np.testing.assert_allclose(f, w, atol=1e-4)
    np.testing.assert_allclose(found.stresses, wanted.stresses, atol=1e-5)


def test_predictions_are_those_of_the_packages_calculator(structures, own):
    from sevenn.calculator import SevenNetCalculator

    with pytest.warns(UserWarning, match="accelerator"):
        calculator = SevenNetCalculator(POTENTIAL, device="cpu")
    for atoms, energy, forces, stress in zip(structures, own.energies, own.forces, own.stresses, strict=True):
        calculator.calculate(atoms)
        assert calculator.results["energy"] == pytest.approx(energy, rel=SINGLE)
        np.testing.assert_allclose(calculator.results["forces"], forces, atol=1e-4)
        if atoms.pbc.all():  # ASE's signs and order: xx, yy, zz, yz, xz, xy
            np.testing.assert_allclose(calculator.results["stress"], -stress[[0, 1, 2, 4, 5, 3]], atol=1e-5)


@pytest.mark.parametrize("potential", sevennet.DEGREES)
def test_the_paper_s_tensor_gives_the_products_of_e3nn(potential):
    M = CouplingTensor(sevennet.DEGREES[potential]).array
    for name, module in sevennet.pretrained(potential).named_modules():
        if type(module).__name__ != "IrrepsConvolution":
            continue
        own = module.convolution
        x, y, w = (randn(5, size) for size in (own.irreps_in1.dim, own.irreps_in2.dim, own.weight_numel))
        found = sevennet.PathProduct(own, M, rescaled=False)(x, y, w)
        np.testing.assert_allclose(found, own(x, y, w), atol=1e-4, err_msg=name)


def test_path_weights_of_a_channel_are_those_of_its_product(rng):
    """A channel's messages, summed over the paths to each degree, are M_w with its weights."""
    (_, inner, *_) = (m for m in sevennet.pretrained(POTENTIAL).modules() if type(m).__name__ == "IrrepsConvolution")
    product, channel = inner.convolution, 5
    w, x, y = (rng.standard_normal(size) for size in (product.weight_numel, 9, 9))
    found = sevennet._weights_of(product, w.tolist(), channel)
    features = np.zeros(product.irreps_in1.dim)
    for l, part in enumerate(product.irreps_in1.slices()):
        features[part].reshape(-1, 2 * l + 1)[channel] = x[component_slice(l)]
    messages = product(*(tensor(v, dtype=float32)[None] for v in (features, y, w)))[0].numpy()
    z = np.zeros(9)
    for entry, part in zip(product.irreps_out, product.irreps_out.slices(), strict=True):
        z[component_slice(entry.ir.l)] += messages[part].reshape(entry.mul, entry.ir.dim)[channel]
    M = CouplingTensor(2, tuple(found[path] for path in CouplingTensor(2).paths))
    np.testing.assert_allclose(z, np.einsum("kij,i,j->k", M.array, x, y), atol=1e-4)


def test_path_weights_differ_with_the_seed():
    one, other = (sevennet.path_weights(POTENTIAL, seed) for seed in (0, 1))
    assert one.keys() == other.keys() == set(CouplingTensor(2).paths)
    assert min(abs(one[path] - other[path]) for path in one) > 0


def test_the_potential_stays_the_same_with_weights_of_paths_divided_out(structures, own):
    weights = np.random.default_rng(0).uniform(0.5, 2, 15)
    M = CouplingTensor(2, weights).array
    assert_same(sevennet.predict(sevennet.with_tensor(POTENTIAL, M, rescaled=True), structures), own)
    changed = sevennet.predict(sevennet.with_tensor(POTENTIAL, M, rescaled=False), structures)
    assert np.abs(changed.energies - own.energies).max() > 0.1


def test_blocks_of_paths_hold_all_of_the_tensor(rng):
    """Those of one l1 and l3 together are all blocks from l1 to l3, of paths and of none."""
    M = rng.standard_normal((9, 9, 9))
    for l1 in range(3):
        for l3 in range(3):
            allowed = [l2 for l2 in range(3) if abs(l1 - l3) <= l2 <= l1 + l3]
            blocks = [sevennet.path_block(M, (l1, l2, l3), allowed, rescaled=False) for l2 in allowed]
            np.testing.assert_allclose(sum(blocks), M[component_slice(l3), component_slice(l1)], atol=1e-12)


def test_predictions_turn_with_the_structures(structures, own):
    rotations = list(haar_rotations(len(structures), np.random.default_rng(1)))
    found = sevennet.predict(sevennet.pretrained(POTENTIAL), sevennet.turned(structures, rotations))
    assert_same(found, sevennet.rotated(own, rotations))
    assert np.abs(found.stresses - own.stresses).max() > 1e-3


def test_an_equation_of_state_is_found_again(monkeypatch):
    from ase.build import bulk
    from ase.eos import birchmurnaghan

    atoms = bulk("Cu")
    volume, energy, modulus = atoms.get_volume() * 1.03, -3.7, 0.8

    def predict(_, structures):
        energies = birchmurnaghan(np.array([a.get_volume() for a in structures]), energy, modulus, 4.5, volume)
        return sevennet.Predictions(energies, [], np.zeros((len(structures), 6)))

    monkeypatch.setattr(sevennet, "predict", predict)
    found = pretrained.equation_of_state(None, atoms)
    assert found["energy"] == pytest.approx(energy, abs=1e-9)
    assert found["volume"] == pytest.approx(volume, rel=1e-6)
    assert found["bulk_modulus"] == pytest.approx(sevennet.EV_PER_A3 * modulus, rel=1e-6)


def test_the_study_at_its_smallest_size(tmp_path):
    record = json.loads(json.dumps(pretrained.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    rows = record["values"]["rows"]
    assert {row["kind"] for row in rows} == set(pretrained.KINDS)
    for row in rows:
        assert tuple(row["kinds"]) == KINDS
        exact = row["kind"] == "atlas, all paths"
        assert all(
            (kind["error"]["energy"]["mean"] < 0.01) is exact
            for name, kind in row["kinds"].items()
            if name == "molecules"
        )
    assert checkout.load("figures", "pretrained").plot(record).axes


def test_training_again_and_motion_at_their_smallest_sizes(tmp_path):
    records = [study.record(Preset.SMALLEST, 0, Jobs(tmp_path)) for study in (distilled.STUDY, motion.STUDY)]
    (trained,), (own, moved) = (record["values"]["rows"] for record in records)
    for record in records:
        assert checkout.load("figures", record["id"]).plot(record).axes
    assert np.isfinite(trained["losses"]).all()
    assert set(trained["before"]) == set(trained["after"])
    assert own["product"] is None
    assert moved["product"] == {"kind": "CP", "rank": 15}
    assert all(body["fluctuation"] < 1 for body in own["bodies"].values())
    assert moved["bodies"] != own["bodies"]
