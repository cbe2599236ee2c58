"""The loss against its definition, component by component."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tdn_theory.data.graph import collate
from tdn_theory.testing.assertions import assert_close
from tdn_theory.training.batches import Graphs
from tdn_theory.training.config import LossConfig, Term
from tdn_theory.training.loss import Loss, errors
from tdn_theory.training.metrics import error_sums
from tests.assertions import refuses
from tests.data.reference import catalyst
from tests.training.conftest import springs


def batch(count: int = 5, without: tuple[str, ...] = (), some: tuple[int, ...] = ()):
    """Springs; the structures `some` lack the labels `without`."""
    structures = [replace(s, **dict.fromkeys(without if k in some else ())) for k, s in enumerate(springs(count))]
    graphs = Graphs(structures, 4.0, torch.float64)
    return structures, collate([graphs[k] for k in range(count)])


def predictions(graph, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"energy": (graph.count,), "forces": (len(graph.numbers), 3), "dipole": (graph.count, 3)}
    output = {name: torch.randn(s, generator=generator, dtype=torch.float64) for name, s in shapes.items()}
    return {name: value.requires_grad_() for name, value in output.items()}


def wanted_errors(label: str, structures, output) -> list[np.ndarray]:
    """One error vector per row, of structures that have the label."""
    found, first = [], 0
    for number, structure in enumerate(structures):
        n, value = len(structure), getattr(structure, label)
        if value is not None and label == "energy":
            found.append(np.atleast_1d((output[label][number].item() - value) / n))
        elif value is not None and label == "forces":
            found += list(output[label][first : first + n].detach().numpy() - value)
        elif value is not None:
            found.append(output[label][number].detach().numpy() - value)
        first += n
    return found


def huber(x: np.ndarray, delta: float) -> np.ndarray:
    return np.where(np.abs(x) <= delta, x**2 / 2, delta * (np.abs(x) - delta / 2))


FORMS = {
    "mae": lambda rows: np.mean(np.abs(np.concatenate(rows))),
    "mse": lambda rows: np.mean(np.concatenate(rows) ** 2),
    "rmse": lambda rows: np.sqrt(np.mean(np.concatenate(rows) ** 2)),
    "huber": lambda rows: np.mean(huber(np.concatenate(rows), 0.7)),
    "norm": lambda rows: np.mean([np.linalg.norm(row) for row in rows]),
}


@pytest.mark.parametrize("label", ["energy", "forces", "dipole"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("some", [(), (1, 3)])
def test_terms_are_their_definition(label, form, some):
    structures, graph = batch(without=(label,), some=some)
    output = predictions(graph)
    terms = {name: Term() for name in ("energy", "forces", "dipole")} | {label: Term(3.0, form, 0.7)}
    loss = Loss(LossConfig(**terms))
    value, parts = loss.value(loss.sums(output, graph))
    wanted = FORMS[form](wanted_errors(label, structures, output))
    assert_close(parts, [wanted], 1e-12 * 3e3, f"{form} of {label}")
    assert_close(value.detach(), 3 * wanted, 1e-12 * 1e4, f"loss with {form} of {label}")


def test_unknown_labels_do_not_reach_the_gradient():
    _, graph = batch(without=("energy", "forces"), some=(2,))
    output = predictions(graph)
    loss = Loss(LossConfig())
    loss.value(loss.sums(output, graph))[0].backward()
    gradient = output["forces"].grad
    assert gradient is not None
    assert bool(gradient.isfinite().all())
    assert bool((gradient[graph.batch == 2] == 0).all())
    assert bool((gradient[graph.batch != 2] != 0).all())


def test_a_batch_enters_through_its_sums():
    """The value at the sum of the sums of two halves is that of the whole, also for a root mean square."""
    structures = springs(7)
    graphs = Graphs(structures, 4.0, torch.float64)
    loss = Loss(LossConfig(Term(1.0, "mae"), Term(0.5, "rmse"), dipole=Term(2.0, "norm")))
    whole = collate([graphs[k] for k in range(7)])
    output = predictions(whole)
    first = int((whole.batch < 3).sum())
    total = torch.zeros(2, 3, dtype=torch.float64)
    for numbers, rows in ((range(3), slice(None, first)), (range(3, 7), slice(first, None))):
        part = {k: v[list(numbers)] if k != "forces" else v[rows] for k, v in output.items()}
        total = total + loss.sums(part, collate([graphs[k] for k in numbers]))
    assert_close(
        loss.value(total)[0].detach(), loss.value(loss.sums(output, whole))[0].detach(), 1e-9, "loss of halves"
    )


def test_perfect_predictions_have_gradient_zero():
    _, graph = batch()
    output = {"energy": graph.labels["energy"].clone(), "forces": graph.labels["forces"].clone()}
    for form in FORMS:
        leaves = {name: value.clone().requires_grad_() for name, value in output.items()}
        loss = Loss(LossConfig(Term(1.0, form), Term(1.0, form)))
        value, _ = loss.value(loss.sums(leaves, graph))
        value.backward()
        assert value == 0
        assert all(leaf.grad is not None and bool((leaf.grad == 0).all()) for leaf in leaves.values())


def test_no_label_at_all_counts_nothing():
    _, graph = batch(without=("dipole",), some=tuple(range(5)))
    error, known = errors("dipole", predictions(graph), graph)
    assert error.shape == (5, 3)
    assert not bool(known.any())
    loss = Loss(LossConfig(dipole=Term(1.0)))
    assert float(loss.value(loss.sums(predictions(graph), graph))[1][2]) == 0


def test_a_nan_prediction_is_not_hidden():
    _, graph = batch()
    output = predictions(graph)
    output["energy"] = output["energy"] * torch.nan
    loss = Loss(LossConfig())
    assert torch.isnan(loss.value(loss.sums(output, graph))[0])


def test_errors_teach():
    _, graph = batch()
    with refuses(ValueError, "energy, forces", "not dipole", "[loss.dipole]"):
        output = predictions(graph)
        del output["dipole"]
        Loss(LossConfig(dipole=Term(1.0))).sums(output, graph)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", ["energy", "forces", "dipole"])
def test_weights_multiply_the_penalties_of_structures(label, form):
    """`sum_s w_s p_s / n`, where p_s is the sum of penalties of a structure alone and n counts those of all."""
    weights = [1.0, 0.0, 2.5, 1.0, 0.5]
    structures = [replace(s, weight=w) for s, w in zip(springs(5), weights, strict=True)]
    graphs = Graphs(structures, 4.0, torch.float64)
    graph = collate([graphs[k] for k in range(5)])
    output = predictions(graph)
    loss = Loss(LossConfig(**{name: Term() for name in ("energy", "forces")} | {label: Term(1.0, form, 0.7)}))
    total, count, first = 0.0, 0, 0
    for number, structure in enumerate(structures):
        rows = slice(first, first + len(structure)) if label == "forces" else slice(number, number + 1)
        single = {name: value[rows] for name, value in output.items() if name == label}
        penalty, components = loss.sums(single, replace(graphs[number], weights=None))[:, 0].tolist()
        total, count, first = total + weights[number] * penalty, count + int(components), first + len(structure)
    assert_close(loss.sums(output, graph)[:, 0].detach(), [total, count], 1e-12 * max(1, total), f"sums of {form}")
    one, *rest = (collate([graphs[k] for k in part]) for part in ([0, 3], [0, 1]))
    assert one.weights is None, "they are only kept where one is not 1"
    assert rest[0].weights is not None
    assert rest[0].to(dtype=torch.float32).weights.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("form", ["mae", "mse", "huber"])
def test_energies_of_whole_structures(form: str):
    structures, graph = batch()
    output = predictions(graph)
    found = Loss(LossConfig(energy=Term(1.0, form), forces=Term(), energy_per="structure"))
    errors = [output["energy"][k].item() - s.energy for k, s in enumerate(structures)]
    penalty = {"mae": abs, "mse": np.square, "huber": lambda x: 0.01 * (abs(x) - 0.005)}[form]  # all are beyond 0.01
    sums = found.sums(output, graph).detach()
    wanted = sum(map(penalty, errors))
    assert_close(sums[0, 0], wanted, 1e-9 * wanted, "penalties")
    assert sums[1, 0].item() == len(structures)


@pytest.mark.parametrize("form", ["mae", "mse", "rmse", "huber", "norm"])
def test_forces_on_fixed_atoms_do_not_count(form: str):
    structure = catalyst()
    graph = Graphs([structure], 3.0, torch.float64)[0]
    loss = Loss(LossConfig(energy=Term(), forces=Term(1.0, form)))
    free = torch.tensor(~structure.fixed)
    output = {"forces": torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)}
    lone = replace(structure, fixed=np.zeros(4, bool))  # all are free
    sums = loss.sums(output, graph)
    right = torch.where(free[:, None], output["forces"], torch.tensor(structure.forces))
    assert_close(sums[0], loss.sums({"forces": right}, Graphs([lone], 3.0, torch.float64)[0])[0], 1e-12, "penalties")
    assert sums[1].item() == (3 if form == "norm" else 9)
    other = {"forces": output["forces"] + 10.0 * ~free[:, None]}
    assert torch.equal(loss.sums(other, graph), sums)
    found = error_sums(other, graph)["forces"]
    assert torch.equal(found, error_sums(output, graph)["forces"])
    assert found[0, 2] == 9
