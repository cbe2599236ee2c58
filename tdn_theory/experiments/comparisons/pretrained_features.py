"""What a potential knows that was trained on far more: energies as a linear function of SevenNet-0's features.

SevenNet-0 was trained on the structures of the Materials Project (MPtrj). Its energy is, up to a constant per element,
linear in the invariants x_i that its last layer gives each atom. Here they are summed over the atoms of each tag (below
the surface, at the surface, adsorbed), and their weights are fitted anew:

    E = b + sum_t w_t . sum_(i of tag t) x_i,

by ridge regression of the standardised sums, whose penalty is that with the least error of leaving one out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from tdn_theory.data.structure import Structure
from tdn_theory.experiments.potentials import sevennet
from tdn_theory.training.catalyst_metrics import ENERGY, UNITS
from tdn_theory.training.evaluation import as_json
from tdn_theory.training.metrics import mean

PRETRAINED = "SevenNet-0's features, linear"
PENALTIES = np.logspace(-6, 4, 41)
TAGS = (0, 1, 2)

Known = tuple[Sequence[Structure], Float[np.ndarray, " structures"]]
"""Structures and their energies, eV."""


def installed() -> bool:
    """Whether the package sevenn is there."""
    return find_spec("sevenn") is not None


def features(structures: Sequence[Structure]) -> Float[np.ndarray, "structures sums"]:
    """SevenNet-0's invariants of the atoms, summed over the atoms of each tag.

    Args:
        structures: With or without tags; without, all atoms are of tag 0.

    Raises:
        ImportError: The package sevenn is missing; the message names the extra.
    """
    model = sevennet.pretrained("7net-0")
    rows, seen = [], list[torch.Tensor]()
    readout = model.get_submodule("reduce_input_to_hidden")
    hook = readout.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]["x"].detach()))
    try:
        for structure in structures:
            sevennet.predict(model, [structure.to_ase()])
            invariants = seen.pop().double().numpy()
            tags = np.zeros(len(structure), int) if structure.tags is None else structure.tags
            rows.append(np.concatenate([invariants[tags == tag].sum(0) for tag in TAGS]))
    finally:
        hook.remove()
    return np.array(rows)


def fit_features(train: Known, tests: Mapping[str, Known]) -> dict[str, Any]:
    """Fit what is left of energies, and test the fit on other structures.

    Args:
        train: Structures, and of each its energy without what constants give, eV.
        tests: The same of each part of the split.

    Returns:
        `penalty` that was chosen, `parameters`, and `test`: `system_energy_mae` and `EwT` of each part.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fit = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(features(train[0]), train[1])
    found = {}
    for part, (structures, energies) in tests.items():
        errors = np.abs(fit.predict(features(structures)) - energies)
        groups = [structure.group for structure in structures]
        each = {"system_energy_mae": errors, "EwT": 100.0 * (errors < ENERGY)}
        metrics = {name: mean(values, np.ones(len(errors)), groups, UNITS[name]) for name, values in each.items()}
        found[part] = as_json({name: metric for name, metric in metrics.items() if metric is not None})
    ridge = fit[-1]
    return {"penalty": float(ridge.alpha_), "parameters": ridge.coef_.size + 1, "test": found}
