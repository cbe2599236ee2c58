"""The atlas: every entry's proof is run again from its stored file."""

import json
import shutil

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.certificate import ProofError
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.store import DamagedError
from tdn_theory.so3.irreps import dim
from tests.assertions import assert_equivariant, refuses

ENTRIES = atlas.entries()
# The proof at L = 3 with unit weights inverts 4096 equations: a minute.
QUICK = [e for e in ENTRIES if not (e.proof["kind"] == "newton" and e.lmax >= 3)]
SLOW = [e for e in ENTRIES if e not in QUICK]

TARGETS = {
    (1, "all"): 7,
    (2, "all"): 23,
    (3, "all"): 66,
    (4, "all"): 93,
    (5, "all"): 184,
    (6, "all"): 366,
    (3, "any"): 32,
    (6, "any"): 122,
    **{(lmax, "even"): rank for lmax, rank in zip(range(1, 7), (6, 18, 32, 58, 86, 122), strict=True)},
}


@pytest.mark.parametrize("entry", QUICK, ids=repr)
def test_every_proof_holds(entry):
    certificate = entry.verify()
    assert certificate.radius < 1e-6
    assert set(certificate.weights) == set(entry.alive)


@pytest.mark.slow
@pytest.mark.parametrize("entry", SLOW, ids=repr)
def test_every_slow_proof_holds(entry):
    assert entry.verify().radius < 1e-6


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.lmax <= 4], ids=repr)
def test_entries_are_equivariant_products(entry):
    assert entry.error <= EXACT
    assert entry.error * np.linalg.norm(entry.factors.array) <= entry.supremum < 1e-10
    assert_equivariant(entry.factors, entry.lmax, norm=float(np.linalg.norm(entry.factors.array)))
    assert entry.float32_error < 1e-5


@pytest.mark.parametrize(("key", "rank"), TARGETS.items(), ids=str)
def test_best_ranks(key, rank):
    lmax, which = key
    assert atlas.best(lmax, paths=which).rank == rank


def test_what_the_table_says():
    for entry in ENTRIES:
        row = json.loads(json.dumps(entry.row(), allow_nan=False))
        assert row["rms_error"] <= EXACT
        assert row["multiply_adds"] >= row["nonzeros"] + row["R"]
    assert {(e.lmax, e.rank) for e in ENTRIES if e.unit_weights} == {(1, 8), (2, 30), (3, 90)}
    assert atlas.best(6, max_rank=249, paths="any").rank == 122


def test_matrix_products_of_even_degree():
    """Below the paper's 7 L^2 = 112 and 252; at L = 6 three paths vanish with a 6j symbol."""
    matrices = {e.lmax: e for e in ENTRIES if e.proof["kind"] == "matrix multiplication"}
    assert (matrices[4].rank, len(matrices[4].alive)) == (93, 65)
    assert (matrices[6].rank, len(matrices[6].alive)) == (249, 172)
    assert sorted(matrices[6].row()["missing"]) == [[3, 5, 5], [5, 3, 5], [5, 5, 3]]


def test_wishes_that_cannot_be_granted():
    with refuses(LookupError, "L=3", "[66, 90]", "atlas search"):
        atlas.best(3, max_rank=60)
    with refuses(ValueError, "'odd'", "'even'"):
        atlas.best(3, paths="odd")


def test_a_damaged_file_is_noticed(tmp_path):
    source = next(p for p in atlas.FOLDER.glob("L1-R7-*.npz"))
    shutil.copy(source.with_suffix(".json"), tmp_path)
    (tmp_path / source.name).write_bytes(source.read_bytes()[:-1])
    with refuses(DamagedError, source.stem, "checksum"):
        atlas.entries(tmp_path)


def test_nothing_false_is_saved(tmp_path):
    entry = atlas.best(1)
    rng = np.random.default_rng(0)
    wrong = CPFactors(
        *(f + 1e-6 * rng.normal(size=f.shape) for f in (entry.factors.A, entry.factors.B, entry.factors.C))
    )
    with pytest.raises(ProofError):
        atlas.save(wrong, entry.alive, entry.proof, entry.arrays, {}, tmp_path)
    with pytest.raises(ProofError):
        atlas.save(entry.factors, entry.alive[1:], entry.proof, entry.arrays, {}, tmp_path)
    with pytest.raises(ProofError):
        atlas.save(entry.factors, entry.alive, {"kind": "matrix multiplication"}, {}, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_theorem_is_about_factors_and_says_which_paths_are_alive(monkeypatch):
    """Another decomposition of the same tensor is not the one of the theorem; a wrong closed form is not believed."""
    entry = next(e for e in ENTRIES if e.proof["kind"] == "matrix multiplication" and e.lmax == 2)
    given = entry.factors
    moved = CPFactors(*(np.roll(f, 1, axis=1) for f in (given.A, given.B, given.C)))
    np.testing.assert_allclose(moved.array, given.array, rtol=0, atol=1e-13)
    with refuses(ProofError, "factor A differs"):
        atlas.prove(moved, entry.proof)
    right = atlas.matrix_weights(2)
    path = entry.alive[3]
    for wrong in ({**right, path: 1e-10}, {p: w for p, w in right.items() if p != path}):
        monkeypatch.setattr(atlas, "matrix_weights", lambda lmax, wrong=wrong: wrong)
        with refuses(ProofError, str(path), "by the theorem"):
            atlas.prove(given, entry.proof)


def test_entries_are_made_again(tmp_path):
    assert atlas._cubature(2, ["gaunt"], tmp_path).rank == 18
    assert atlas._matrices(2, tmp_path).rank == 23
    again = {e.rank: e for e in atlas.entries(tmp_path)}
    assert set(again) == {18, 23}
    shipped = atlas.best(2)
    np.testing.assert_allclose(again[23].factors.array, shipped.factors.array, rtol=0, atol=1e-12)


def test_balanced_weights_change_weights_only():
    entry = atlas.best(4)
    scaled = atlas.balanced_weights(entry.factors, entry.tensor)
    weights = np.abs(CouplingTensor(4).project(scaled.array).weights)
    before = np.abs(entry.tensor.weights)
    assert np.log(weights).std() < np.log(before).std()
    assert abs(np.log(weights).mean()) < 1e-9
    assert scaled.rank == entry.rank
    assert scaled.d == dim(4)
