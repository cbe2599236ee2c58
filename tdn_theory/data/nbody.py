"""The charged n-body system of EGNN (Satorras et al. 2021), regenerated: the protocol, its random stream, no files.

Five particles of unit mass and charges q = +-1 in open space move under

    F_i = sum_j q_i q_j (x_i - x_j) / |x_i - x_j|^3,    each component clipped to [-100, 100],

integrated by semi-implicit Euler with steps of 0.001. Every 100 steps make a frame; a model sees positions and
velocities of frame 30 and predicts the positions of frame 40, one unit of time later. The published data draw from
numpy's `RandomState(43)` 10,000 training, 2,000 validation and 2,000 test trajectories; the first 3,000 train.

Close encounters amplify roundoff: one unit in the last place of the initial positions moves the targets of 5 % of the
trajectories by more than 1e-3, and the data are the published ones up to such changes. They are computed by operations
that are rounded correctly, one by one in a fixed order, and so are the same, bit for bit, on every processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from math import sqrt

import numpy as np
from jaxtyping import Float

PARTICLES = 5
STEP = 1e-3
LARGEST_FORCE = 100.0
SPEED = 0.5
STEPS_PER_FRAME = 100
SAVED_FRAMES = 49
INPUT_FRAME, TARGET_FRAME = 30, 40
SEED = 43
SPLITS: Mapping[str, range] = {
    "train": range(3_000),
    "validation": range(10_000, 12_000),
    "test": range(12_000, 14_000),
}
"""Trajectories of each part, by their number in the random stream."""
FIRST, SECOND = np.triu_indices(PARTICLES, 1)
DIGITS = Context(prec=25)
"""For logarithms: enough to round them correctly to double precision."""
CHUNK = 250
"""Trajectories simulated together: few enough for the cache."""


@dataclass(frozen=True, eq=False)
class NBody:
    """Trajectories of five charged particles, dimensionless.

    Attributes:
        positions: Positions at the input frame (n, 5, 3).
        velocities: Velocities at the input frame (n, 5, 3).
        charges: Charges, +1 or -1 (n, 5).
        targets: Positions at the target frame (n, 5, 3).
    """

    positions: Float[np.ndarray, "n 5 3"]
    velocities: Float[np.ndarray, "n 5 3"]
    charges: Float[np.ndarray, "n 5"]
    targets: Float[np.ndarray, "n 5 3"]

    def __len__(self) -> int:
        """Number of trajectories."""
        return len(self.positions)


def nbody(split: str, count: int | None = None) -> NBody:
    """Simulate a part of the published data, or its first `count` trajectories.

    Args:
        split: `"train"` (3,000 trajectories), `"validation"` or `"test"` (2,000 each).
        count: How many; all if None.

    Raises:
        ValueError: There is no such part, or it is smaller.
    """
    if split not in SPLITS:
        raise ValueError(f"no part {split!r}; the parts are {', '.join(SPLITS)}")
    numbers = SPLITS[split]
    if count is not None and not 1 <= count <= len(numbers):
        raise ValueError(f"count is {count}; the part {split!r} has {len(numbers)} trajectories")
    charges, x, v = _initial(numbers[:count])
    chunks = range(0, len(x[0, 0]), CHUNK)
    parts = [_simulate(*(value[..., begin : begin + CHUNK] for value in (charges, x, v))) for begin in chunks]
    positions, velocities, targets = (np.concatenate(part, axis=-1).T for part in zip(*parts, strict=True))
    return NBody(positions, velocities, charges.T, targets)


def _initial(
    numbers: range,
) -> tuple[Float[np.ndarray, "5 n"], Float[np.ndarray, "3 5 n"], Float[np.ndarray, "3 5 n"]]:
    """Charges, positions and velocities that the random stream has for the trajectories `numbers`."""
    stream = np.random.RandomState(SEED)  # the published data come from this generator
    drawn = []
    for number in range(numbers.stop):
        charges = stream.choice([-1.0, 0.0, 1.0], size=(PARTICLES, 1), p=[0.5, 0.0, 0.5])[:, 0]
        if number in numbers:
            positions, velocities = _normal(stream, 2 * 3 * PARTICLES).reshape(2, 3, PARTICLES)
            drawn.append((charges, positions, velocities * SPEED / np.sqrt((velocities * velocities).sum(0))))
        else:
            stream.randn(2, 3, PARTICLES)
        for _ in range(2):  # noise of variance zero on positions and velocities
            stream.randn(SAVED_FRAMES, 3, PARTICLES)
    charges, positions, velocities = (np.stack(part, axis=-1) for part in zip(*drawn, strict=True))
    return charges, positions, velocities


def _normal(stream: np.random.RandomState, count: int) -> Float[np.ndarray, " count"]:
    """`stream.randn(count)` for an even count (Marsaglia's polar method), its logarithm correctly rounded.

    Numpy takes the logarithm from the C library, whose last digits depend on whether the processor fuses multiply-add.
    """
    values: list[float] = []
    while len(values) < count:
        a, b = (2 * uniform - 1 for uniform in stream.random_sample(2).tolist())
        square = a * a + b * b
        if 0 < square < 1:
            scale = sqrt(-2 * float(Decimal(square).ln(DIGITS)) / square)
            values += [scale * b, scale * a]
    return np.array(values)


def _simulate(
    charges: Float[np.ndarray, "5 n"], x: Float[np.ndarray, "3 5 n"], v: Float[np.ndarray, "3 5 n"]
) -> tuple[Float[np.ndarray, "3 5 n"], Float[np.ndarray, "3 5 n"], Float[np.ndarray, "3 5 n"]]:
    """Positions and velocities at the input frame, and positions at the target frame; frame f is step 100 (f + 1)."""
    at_input = x, v
    v = v + STEP * _force(charges, x)
    for step in range(1, (TARGET_FRAME + 1) * STEPS_PER_FRAME + 1):
        x = x + STEP * v
        if step == (INPUT_FRAME + 1) * STEPS_PER_FRAME:
            at_input = x, v
        v = v + STEP * _force(charges, x)
    return (*at_input, x)


def _force(charges: Float[np.ndarray, "5 n"], x: Float[np.ndarray, "3 5 n"]) -> Float[np.ndarray, "3 5 n"]:
    """Clipped Coulomb forces. Squared distances are |a|^2 + |b|^2 - 2 a.b, rounded as in the published data."""
    squares = (x * x).sum(0)
    a, b = x[:, FIRST], x[:, SECOND]
    dot = _fused(a[2], b[2], _fused(a[1], b[1], a[0] * b[0]))  # as matrix products of BLAS do
    distances = squares[FIRST] + squares[SECOND] - 2 * dot
    cubes = distances * np.sqrt(distances)  # the last digit of a power depends on the processor
    pair = charges[FIRST] * charges[SECOND] / cubes * (a - b)
    force = np.zeros_like(x)
    for p, (i, j) in enumerate(zip(FIRST, SECOND, strict=True)):
        force[:, i] += pair[:, p]
        force[:, j] -= pair[:, p]
    return np.clip(force, -LARGEST_FORCE, LARGEST_FORCE)


def _fused(
    a: Float[np.ndarray, "*shape"], b: Float[np.ndarray, "*shape"], c: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """`a b + c` rounded once, on every machine (Dekker's product, Knuth's sum).

    Close encounters cancel most digits of a squared distance and then amplify what is left.
    """
    product = a * b
    (a, a_low), (b, b_low) = _split(a), _split(b)
    product_error = ((a * b - product) + a * b_low + a_low * b) + a_low * b_low
    total = product + c
    part = total - product
    return total + (product_error + ((product - (total - part)) + (c - part)))


def _split(a: Float[np.ndarray, "*shape"]) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """`a` as a sum of two numbers of 26 bits (Dekker)."""
    scaled = a * (2.0**27 + 1)
    high = scaled - (scaled - a)
    return high, a - high
