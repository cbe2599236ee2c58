"""Constants per element against plain least squares over all structures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tdn_theory.testing.assertions import assert_close
from tdn_theory.training.config import ReferenceConfig
from tdn_theory.training.reference import (
    Reference,
    baseline,
    baseline_errors,
    energy_per_element,
    force_scale,
    reference,
)
from tests.assertions import refuses
from tests.data.reference import catalyst
from tests.training.conftest import ENERGIES, atoms, springs

ELEMENTS = (1, 6, 8)


def test_it_is_least_squares():
    structures = springs(40)
    counts = np.array([[np.count_nonzero(s.numbers == z) for z in ELEMENTS] for s in structures], float)
    energies = np.array([s.energy for s in structures])
    wanted = np.linalg.lstsq(counts, energies, rcond=None)[0]
    got = energy_per_element(structures, ELEMENTS)
    assert_close(got, wanted, 1e-8, "energy_per_element")
    assert_close(got, list(ENERGIES.values()), 1.0, "energy_per_element")
    errors = (counts @ wanted - energies) / counts.sum(1)
    assert_close(baseline_errors(got, ELEMENTS, structures), errors, 1e-8, "baseline_errors")
    metric = baseline(got.tolist(), ELEMENTS, structures)
    assert_close(metric.value, 1e3 * np.abs(errors).mean(), 1e-5, "baseline")
    assert_close(metric.standard_error, 1e3 * np.abs(errors).std(ddof=1) / 40**0.5, 1e-5, "its standard error")
    assert metric.unit == "meV/atom"


def test_conformers_of_one_molecule_are_fitted_by_their_mean():
    structures = [atoms([6, 8], [[0, 0, 0], [0, 0, 1.1 + k]], energy=-3000.0 + k) for k in range(3)]
    constants = energy_per_element(structures, ELEMENTS)
    assert_close(baseline_errors(constants, ELEMENTS, structures), [0.5, 0.0, -0.5], 1e-9, "baseline_errors")


def test_structures_without_energy_are_left_out():
    structures = [*springs(5), atoms([1], [[0, 0, 0]])]
    assert_close(energy_per_element(structures, ELEMENTS), energy_per_element(structures[:5], ELEMENTS), 0, "constants")
    assert len(baseline_errors(np.zeros(3), ELEMENTS, structures)) == 5


def test_force_scale():
    structures = springs(6)
    wanted = np.sqrt(np.mean(np.concatenate([s.forces.ravel() for s in structures if s.forces is not None]) ** 2))
    assert_close(force_scale(structures), wanted, 1e-12, "force_scale")


def test_forces_on_fixed_atoms_give_no_scale():
    structure = catalyst()
    free = structure.forces[1:]
    assert_close(force_scale([structure]), float(np.sqrt(np.square(free).mean())), 1e-12, "scale of free atoms")
    with refuses(ValueError, "not fixed"):
        force_scale([replace(structure, fixed=np.ones(4, bool))])


def test_one_mean_for_all_structures():
    structures = springs(6)
    energies, sizes = [s.energy for s in structures], [len(s) for s in structures]
    mean = ReferenceConfig("mean")
    found = reference(mean, structures, (1, 6, 8), {}, forces=False)
    assert found.shifts == [0.0] * 3
    assert_close(found.offset, np.mean(energies), 1e-9, "mean")
    assert_close(found.scale, np.std(energies) / np.mean(sizes), 1e-9, "deviation per atom")
    given = replace(mean, mean=-1.5, deviation=2.25)
    assert reference(given, structures, (1, 6, 8), {}, forces=True) == Reference([0.0] * 3, 2.25, -1.5)
    left = baseline(found.shifts, (1, 6, 8), structures, found.offset)
    errors = [abs(found.offset - e) / n for e, n in zip(energies, sizes, strict=True)]
    assert_close(left.value, 1e3 * np.mean(errors), 1e-6, "what a constant misses")


def test_references_that_make_no_sense_are_refused():
    with refuses(ValueError, "reference.mean", "leave them out"):
        ReferenceConfig(mean=1.0)
    with refuses(ValueError, "reference.deviation is 0.0"):
        ReferenceConfig("mean", deviation=0.0)
    same = [replace(s, energy=1.0) for s in springs(3)]
    with refuses(ValueError, "are the same", "reference.deviation"):
        reference(ReferenceConfig("mean"), same, (1, 6, 8), {}, forces=False)
    with refuses(ValueError, "no structure has an energy"):
        reference(ReferenceConfig("mean"), [replace(s, energy=None) for s in same], (1, 6, 8), {}, forces=False)


def test_errors_teach():
    with refuses(ValueError, "C, O", "only H"):
        energy_per_element([atoms([6, 8], [[0, 0, 0], [0, 0, 1]], energy=1.0)], (1,))
    with refuses(ValueError, "no structure has an energy"):
        energy_per_element([atoms([1], [[0, 0, 0]])], (1,))
    with refuses(ValueError, "no structure has an energy"):
        baseline([0.0], (1,), [atoms([1], [[0, 0, 0]])])
    with pytest.raises(ValueError, match="forces"):
        force_scale([atoms([1], [[0, 0, 0]], forces=[[0, 0, 0]])])
