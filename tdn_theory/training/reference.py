"""Energies that need no learning: a constant per element, by least squares, or one for all structures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from tdn_theory.data.elements import check_elements
from tdn_theory.data.packed import Packed, pack
from tdn_theory.data.structure import Structure
from tdn_theory.training.config import ReferenceConfig
from tdn_theory.training.metrics import Metric, mean


@dataclass(frozen=True)
class Reference:
    """What a potential adds to its network's energies, and the unit of these (`Potential.set_reference`).

    Attributes:
        shifts: Energy of each element, eV.
        scale: Energy (eV) and force (eV/Angstrom) that an output of size 1 stands for.
        offset: Energy of every structure, eV.
    """

    shifts: list[float]
    scale: float
    offset: float = 0.0


def reference(
    config: ReferenceConfig,
    structures: Sequence[Structure],
    elements: Sequence[int],
    known: Mapping[int, float],
    forces: bool,
) -> Reference:
    """The reference that `config` says, from the training set.

    Args:
        config: Its kind, and what is given of it.
        structures: Training set.
        elements: Atomic numbers of the potential.
        known: Energies of elements that are given, eV.
        forces: Whether forces are trained on.

    Raises:
        ValueError: No structure has an energy, or all energies are the same, so that they give no unit.
    """
    if config.kind == "elements":
        shifts = energy_per_element(structures, elements, known)
        scale = force_scale(structures) if forces else float(baseline_errors(shifts, elements, structures).std())
        return Reference(shifts.tolist(), scale)
    labelled = _with_energies(structures)
    energies = labelled.column("energy")
    if not energies.size:
        raise ValueError("no structure has an energy, so there is no mean to subtract; give reference.kind 'elements'")
    mean_energy = float(energies.mean()) if config.mean is None else config.mean
    deviation = float(energies.std()) if config.deviation is None else config.deviation
    if not deviation > 0:
        raise ValueError("all energies of the training set are the same; give reference.deviation, in eV")
    atoms = float(pack(structures).column("atoms").mean())
    return Reference([0.0] * len(elements), deviation if forces else deviation / atoms, mean_energy)


def energy_per_element(
    structures: Iterable[Structure], elements: Sequence[int], known: Mapping[int, float] | None = None
) -> Float[np.ndarray, " elements"]:
    """Constants `c` that minimise `sum_s (E_s - sum_z n_sz c_z)^2`, `n_sz` being the number of atoms of element z.

    Where the compositions do not determine them, as in a set of conformers of one molecule, those of least norm.
    Structures of equal composition enter as one row, their mean energy, with the weight of their number: the same
    minimum, in a matrix no larger than the number of compositions.

    Args:
        structures: With energies (eV); those without are left out.
        elements: Atomic numbers, in the order of the result.
        known: Constants that are given, by atomic number; the others are fitted to what these leave.

    Returns:
        Energy per atom of each element, eV.

    Raises:
        ValueError: An element is missing in `elements`, or no structure has an energy.
    """
    labelled = _with_energies(structures)
    if not labelled:
        raise ValueError("no structure has an energy, so there is nothing to fit a constant per element to")
    energies = labelled.column("energy")
    counts, first, place, weights = np.unique(
        _compositions(labelled, elements), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    # sums of differences, since total energies have many digits before those that differ
    means = energies[first] + np.bincount(place, energies - energies[first][place]) / weights
    root, known = np.sqrt(weights), known or {}
    constants = np.array([known.get(element, 0.0) for element in elements])
    free = np.array([element not in known for element in elements])
    left = (means - counts @ constants) * root
    constants[free] = np.linalg.lstsq(counts[:, free] * root[:, None], left, rcond=None)[0]
    return constants


def baseline_errors(
    constants: Float[np.ndarray, " elements"],
    elements: Sequence[int],
    structures: Iterable[Structure],
    offset: float = 0.0,
) -> Float[np.ndarray, " structures"]:
    """`(b + sum_z n_z c_z - E) / n` of each structure that has an energy, b being `offset`: what is left, eV per atom.

    Raises:
        ValueError: An element is missing in `elements`.
    """
    labelled = _with_energies(structures)
    energies = offset + _compositions(labelled, elements) @ np.asarray(constants, float)
    return (energies - labelled.column("energy")) / labelled.column("atoms")


def baseline(
    constants: Sequence[float], elements: Sequence[int], structures: Sequence[Structure], offset: float = 0.0
) -> Metric:
    """Mean absolute error of the energy of constants, per element and `offset`, meV/atom: what a model has to beat.

    Raises:
        ValueError: An element is missing in `elements`, or no structure has an energy.
    """
    errors = 1e3 * np.abs(baseline_errors(np.asarray(constants), elements, structures, offset))
    metric = mean(errors, np.ones(len(errors)), _with_energies(structures).groups, "meV/atom")
    if metric is None:
        raise ValueError("no structure has an energy to compare with")
    return metric


def force_scale(structures: Iterable[Structure]) -> float:
    """Root mean square of all force components on atoms that are not fixed, eV/Angstrom.

    Raises:
        ValueError: No structure has such forces, or all are zero.
    """
    total, count = 0.0, 0
    for part in pack(structures).chunks():
        known = part.select(np.flatnonzero(part.known("forces")))
        forces = known.column("forces")[~known.column("fixed")]
        total += float(np.square(forces).sum())
        count += forces.size
    if not total > 0:
        raise ValueError("no structure has forces other than zero on atoms that are not fixed, so they give no scale")
    return (total / count) ** 0.5


def _with_energies(structures: Iterable[Structure]) -> Packed:
    packed = pack(structures)
    return packed.select(np.flatnonzero(packed.known("energy")))


def _compositions(structures: Packed, elements: Sequence[int]) -> Int64[np.ndarray, "structures elements"]:
    check_elements(structures.elements, elements, "the table of energies")
    return np.concatenate([np.empty((0, len(elements)), int), *(p.counts(elements) for p in structures.chunks())])
