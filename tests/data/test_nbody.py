"""The n-body benchmark against its published baselines, its definition, and conservation laws."""

import numpy as np
import pytest

from tdn_theory.data import nbody as module
from tdn_theory.data.nbody import SPLITS, STEP, NBody, nbody
from tests.assertions import assert_close, refuses


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


def test_the_first_trajectories(few: NBody):
    identity, straight = baselines(few)
    assert (len(few), set(np.unique(few.charges))) == (40, {-1.0, 1.0})
    # recorded when `test_the_published_baselines` passed
    assert_close(identity, IDENTITY, 1e-6, "identity baseline of 40")
    assert_close(straight, STRAIGHT, 1e-6, "straight baseline of 40")


IDENTITY, STRAIGHT = 0.31835047, 0.05242759


@pytest.mark.slow
def test_the_published_baselines():
    identity, straight = baselines(nbody("test"))
    assert_close(identity, 0.2715, 5e-5, "identity baseline")
    assert_close(straight, 0.0841, 5e-5, "baseline x + s v")


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
