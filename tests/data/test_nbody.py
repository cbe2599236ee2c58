"""The n-body benchmark against its published baselines, its definition, and conservation laws."""

import os
import subprocess
import sys
from math import sqrt

import numpy as np
import pytest

from tdn_theory.checkout import ROOT
from tdn_theory.data import nbody as module
from tdn_theory.data.nbody import SPLITS, STEP, NBody, nbody
from tdn_theory.files import sha256
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses


@pytest.fixture(scope="module")
def few() -> NBody:
    return nbody("train", 40)


def naive_force(charges: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Coulomb forces on particles at `x` (5, 3), pair by pair, clipped."""
    force = np.zeros((5, 3))
    for i in range(5):
        for j in range(5):
            if i != j:
                r = x[i] - x[j]
                force[i] += charges[i] * charges[j] * r / np.linalg.norm(r) ** 3
    return np.clip(force, -100, 100)


def baselines(data: NBody) -> tuple[float, float]:
    """Mean square error of predicting x, and of the best x + s v."""
    displacement = data.targets - data.positions
    slope = float((displacement * data.velocities).sum() / (data.velocities**2).sum())
    return float((displacement**2).mean()), float(((displacement - slope * data.velocities) ** 2).mean())


def checksum(data: NBody) -> str:
    parts = data.positions, data.velocities, data.charges, data.targets
    return sha256(b"".join(part.tobytes() for part in parts))


FIRST_40 = "3ab3878d299843d28514b9579ee8cf7f52560a387292fe13ed96ddb6142cf927"
TEST = "b783a0805a9d19d0f92f3245cc1be1291eacb319e66a8a3e8c5b95ddad5f2db3"
"""Checksums of the first 40 trajectories for training and of the part for tests, on every processor."""

SPREAD = {"identity": 8.5e-5, "straight": 1.4e-3}
"""Standard deviations of the baselines over 13 simulations of the part for tests, 12 of which began with every position
moved up or down by one unit in its last place; their means are 0.27158 and 0.0846. Close encounters make it."""


def test_the_first_trajectories(few: NBody):
    assert (len(few), set(np.unique(few.charges))) == (40, {-1.0, 1.0})
    assert checksum(few) == FIRST_40


@pytest.mark.slow
def test_the_published_baselines():
    """Ours and the published ones, of another roundoff, are two draws from the spread: within 3 sqrt(2) of it."""
    data = nbody("test")
    identity, straight = baselines(data)
    assert_close(identity, 0.2715, 3 * sqrt(2) * SPREAD["identity"], "identity baseline")
    assert_close(straight, 0.0841, 3 * sqrt(2) * SPREAD["straight"], "baseline x + s v")
    assert checksum(data) == TEST


FEATURES = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
"""Vector features that numpy chooses code by and that this processor has, each including those before it."""

IN_A_PROCESS_OF_ITS_OWN = """
import numpy as np
from tests.data.test_nbody import FEATURES, checksum, module
from tdn_theory.files import sha256

normal = module._normal(np.random.RandomState(0), 10_000)
print(len(FEATURES), checksum(module.nbody("train", 40)), sha256(normal.tobytes()))
"""


@pytest.mark.skipif(not FEATURES, reason="numpy has one code for this processor, and no other to compare with")
@pytest.mark.parametrize("kept", range(len(FEATURES)))
def test_every_processor_makes_the_same(kept: int):
    """Numpy and the C library's logarithm as on processors that lack features of this one."""
    off = [os.environ.get("NPY_DISABLE_CPU_FEATURES", ""), *FEATURES[kept:]]
    older = {"NPY_DISABLE_CPU_FEATURES": " ".join(off), "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4"}
    command = [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN]
    run = subprocess.run(command, env=os.environ | older, cwd=ROOT, capture_output=True, text=True, check=True)
    normal = module._normal(np.random.RandomState(0), 10_000)
    assert run.stdout.split() == [str(kept), FIRST_40, sha256(normal.tobytes())]


def test_deviates_are_those_of_numpy():
    """Up to roundoff: logarithm, quotient, root and product add at most one unit in the last place each."""
    ours, numpys = np.random.RandomState(0), np.random.RandomState(0)
    wanted = numpys.randn(1000)
    assert_close(module._normal(ours, 1000) / wanted, np.ones(1000), 4 * np.finfo(float).eps, "deviates / randn")
    assert ours.random_sample() == numpys.random_sample()


def test_forces_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    charges, x = rng.choice([-1.0, 1.0], (5, 30)), rng.standard_normal((3, 5, 30))
    x[:, 1, :5] = x[:, 0, :5] + 0.03  # so close that forces are clipped
    got = module._force(charges, x)
    wanted = np.stack([naive_force(charges[:, n], x[:, :, n].T).T for n in range(30)], axis=-1)
    assert np.abs(wanted).max() == 100.0
    assert_close(got, wanted, 1e-9, "forces")


def test_a_trajectory_is_that_of_the_definition(few: NBody):
    charges, x, v = (value[..., 0] for value in module._initial(SPLITS["train"][:1]))
    x, v = x.T, v.T
    assert_close(np.linalg.norm(v, axis=1), np.full(5, 0.5), 1e-15, "initial speeds")
    v = v + STEP * naive_force(charges, x)
    for step in range(1, 4101):
        x = x + STEP * v
        if step == 3100:
            assert_close(few.positions[0], x, 1e-7, "positions at frame 30")
            assert_close(few.velocities[0], v, 1e-7, "velocities at frame 30")
        v = v + STEP * naive_force(charges, x)
    assert_close(few.targets[0], x, 1e-7, "positions at frame 40")


def test_momentum_is_conserved_without_close_encounters(few: NBody):
    charges, _, v = module._initial(SPLITS["train"][:40])
    change = np.abs(few.velocities.sum(1) - v.sum(1).T).max(axis=1)
    assert np.median(change) < 1e-12  # clipped forces are not opposite to each other
    assert_close(few.charges, charges.T, 0.0, "charges")


def test_parts_are_of_one_stream():
    """A part does not depend on how much of it, or of what comes before, is drawn."""
    for first, last in ((0, 2), (3, 6)):
        for some, all_of_them in zip(module._initial(range(first, last)), module._initial(range(6)), strict=True):
            assert_close(some, all_of_them[..., first:last], 0.0, f"_initial(range({first}, {last}))")


def test_rounding_once_is_exact():
    from fractions import Fraction

    a, b, c = np.random.default_rng(0).standard_normal((3, 300))
    got = module._fused(a, b, c)
    wanted = [float(Fraction(x) * Fraction(y) + Fraction(z)) for x, y, z in zip(a, b, c, strict=True)]
    assert_close(got, wanted, 0.0, "a b + c")


def test_bad_requests_are_refused():
    with refuses(ValueError, "'valid'", "validation"):
        nbody("valid")
    for count in (0, 2001):
        with refuses(ValueError, str(count), "2000"):
            nbody("test", count)
