"""Neighbours by their definition, and what makes a list of them, or packed structures, right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import product

import numpy as np

from tdn_theory.data.packed import FIELDS, OPTIONAL, TEXTS, Packed
from tdn_theory.data.structure import LABELS, Structure


def neighbours(structure: Structure, cutoff: float) -> set[tuple[int, int, int, int, int]]:
    """All (target, source, shift) closer than `cutoff`, over every pair of atoms and every image that can be."""
    cell = np.zeros((3, 3)) if structure.cell is None else structure.cell
    reach = 2 * np.linalg.norm(structure.positions, axis=1).max() + cutoff
    counts = np.zeros(3, int)
    if structure.pbc.any():
        # |c_a| of a lattice vector is at most the norm of column a of the pseudoinverse times its length
        counts[structure.pbc] = np.ceil(reach * np.linalg.norm(np.linalg.pinv(cell[structure.pbc]), axis=0))
    found = set()
    for shift in product(*(range(-count, count + 1) for count in counts)):
        vectors = structure.positions[None] + np.array(shift) @ cell - structure.positions[:, None]
        for i, j in np.argwhere(np.linalg.norm(vectors, axis=-1) < cutoff).tolist():
            if i != j or any(shift):
                found.add((i, j, *shift))
    return found


def assert_neighbours(find: Callable, structure: Structure, cutoff: float) -> None:
    """`find(structure, cutoff)` gives each neighbour once, ordered by target, source and shift."""
    target, source, offsets = find(structure, cutoff)
    got = [tuple(row) for row in np.column_stack((target, source, offsets)).tolist()]
    wanted = neighbours(structure, cutoff)
    missing, wrong = sorted(wanted - set(got)), sorted(set(got) - wanted)
    where = f"[neighbours({structure}, {cutoff})]"
    if missing or wrong or len(got) != len(wanted):
        raise AssertionError(
            f"got {len(got)} edges, but should be {len(wanted)}: missing {missing[:2]}, wrong {wrong[:2]} {where}"
        )
    if got != sorted(got):
        raise AssertionError(f"got edges out of order, but should be ascending {where}")


def catalyst(seed: int = 0) -> Structure:
    """Four atoms in a cell with everything a catalyst has: tags, fixed atoms, names, a reference energy, labels."""
    rng = np.random.default_rng(seed)
    return Structure(
        np.array([29, 29, 8, 1]),
        2.0 * np.arange(4)[:, None] + rng.uniform(0, 0.5, (4, 3)),
        8.0 * np.eye(3),
        np.array([True, True, True]),
        energy=-1.25,
        forces=rng.standard_normal((4, 3)),
        group="OH",
        fixed=np.array([True, False, False, False]),
        tags=np.array([0, 1, 2, 2]),
        sid="0012",
        fid="7",
        reference_energy=-100.0625,
    )


CATALYST_FIELDS = ("fixed", "tags", "sid", "fid", "reference_energy")


def assert_same_catalyst(got: Structure, wanted: Structure) -> None:
    """Equal in what only catalysts have."""
    for name in CATALYST_FIELDS:
        value, other = getattr(got, name), getattr(wanted, name)
        assert np.array_equal(value, other), f"{name} is {value!r}, but should be {other!r}"


def systems(count: int = 3) -> tuple[list[Structure], list[Structure]]:
    """Catalysts before and after a relaxation, with numbers that float32 holds."""
    first, relaxed = [], []
    for number in range(count):
        start = catalyst(number)
        positions = np.float32(start.positions).astype(float)
        forces = np.float32(start.forces).astype(float)
        common = replace(start, positions=positions, sid=str(10 + number), fid="", reference_energy=None)
        first.append(replace(common, energy=-1.25 - number, forces=forces))
        relaxed.append(
            replace(common, positions=np.float32(positions + 0.125).astype(float), energy=-2.5 - number, forces=None)
        )
    return first, relaxed


NEW = {
    "train": (False, False),
    "id": (False, False),
    "ood_ads": (True, False),
    "ood_cat": (False, True),
    "ood_both": (True, True),
}
"""Of each part of a split: whether the adsorbate, and the composition, is held out."""


def assert_split(parts: dict[str, np.ndarray], adsorbates: list[str], compositions: list[str], where: str) -> None:
    """Every system is in one part, and is new in what that part says; `ood_both` tells what is held out."""
    numbers = sorted(np.concatenate(list(parts.values())).tolist())
    if numbers != list(range(len(adsorbates))):
        raise AssertionError(f"got the systems {numbers}, but should be each of {len(adsorbates)} once [{where}]")
    held = [{names[k] for k in parts["ood_both"]} for names in (adsorbates, compositions)]
    for part, wanted in NEW.items():
        for k in parts[part]:
            new = (adsorbates[k] in held[0], compositions[k] in held[1])
            if new != wanted:
                raise AssertionError(f"got {new} for system {k}, but should be {wanted}, as all of {part} [{where}]")


def same(got: Structure, wanted: Structure) -> bool:
    """Whether two structures are equal bit for bit, in all of their fields."""
    for field in fields(Structure):
        one, other = getattr(got, field.name), getattr(wanted, field.name)
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            if one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes():
                return False
        elif type(one) is not type(other) or one != other:
            return False
    return True


def column(structures: Sequence[Structure], name: str) -> np.ndarray:
    """The values of a property, NaN where there is none."""
    rows = [np.empty((0, *FIELDS[name].shape))]
    for structure in structures:
        shape = (len(structure) if FIELDS[name].per_atom else 1, *FIELDS[name].shape)
        value = getattr(structure, name)
        rows.append(np.full(shape, np.nan) if value is None else np.reshape(value, shape))
    return np.concatenate(rows)


def assert_packed(packed: Packed, structures: Sequence[Structure]) -> None:
    """`packed` is `structures`: one by one, and in its columns."""
    where = f"[{packed}]"
    if len(packed) != len(structures):
        raise AssertionError(f"got {len(packed)} structures, but should be {len(structures)} {where}")
    for number, (got, wanted) in enumerate(zip(packed, structures, strict=True)):
        if not same(got, wanted):
            raise AssertionError(f"got {got} as number {number}, but should be {wanted} {where}")
    numbers = [structure.numbers.tolist() for structure in structures]
    elements = sorted({z for some in numbers for z in some})
    counted = [1, *(z for z in elements[:-1] if z != 1)]
    nearest = [
        min((np.linalg.norm(s.positions[a] - s.positions[b]) for a in range(len(s)) for b in range(a)), default=np.inf)
        for s in structures
    ]
    pairs = {
        **{name: (packed.text(name), [getattr(structure, name) for structure in structures]) for name in TEXTS},
        "labels": (packed.labels, tuple(name for name in LABELS if any(name in s.labels for s in structures))),
        "elements": (packed.elements, tuple(elements)),
        "counts": (packed.counts(counted).tolist(), [[some.count(z) for z in counted] for some in numbers]),
        "numbers": (packed.column("numbers").tolist(), [z for some in numbers for z in some]),
        "atoms": (packed.column("atoms").tolist(), list(map(len, structures))),
    }
    for name in OPTIONAL:
        pairs[f"known {name}"] = packed.known(name).tolist(), [getattr(s, name) is not None for s in structures]
    for name, (got, wanted) in pairs.items():
        if got != wanted:
            raise AssertionError(f"{name}: got {got}, but should be {wanted} {where}")
    for name in (*OPTIONAL, "fixed", "weight"):
        if not np.array_equal(packed.column(name), column(structures, name), equal_nan=True):
            raise AssertionError(f"{name}: got {packed.column(name)}, but should be {column(structures, name)} {where}")
    if not np.allclose(packed.column("nearest"), nearest, rtol=1e-12, atol=0):
        raise AssertionError(f"nearest: got {packed.column('nearest')}, but should be {nearest} {where}")
