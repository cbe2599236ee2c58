"""The atlas: every entry's proof is run again from its stored file."""

import json
import shutil
from math import prod

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.spatial.transform import Rotation

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.certificate import ProofError
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.store import DamagedError
from tdn_theory.so3.irreps import component_slice
from tdn_theory.so3.rotation import wigner_D
from tests.assertions import refuses

ENTRIES = atlas.entries()
# A proof by Newton's method inverts d1 d2 d3 equations; 4096, at L = 3 with unit weights, take a minute.
QUICK = [e for e in ENTRIES if not (e.proof["kind"] == "newton" and prod(e.factors.dims) > 2000)]
SLOW = [e for e in ENTRIES if e not in QUICK]

TARGETS = {
    (1, "all"): 7,
    (2, "all"): 23,
    (3, "all"): 66,
    (4, "all"): 93,
    (5, "all"): 184,
    (6, "all"): 345,
    (7, "all"): 384,
    (3, "any"): 32,
    (6, "any"): 122,
    (6, 0.98): 249,
    (8, 0.98): 486,
    **{(lmax, "even"): rank for lmax, rank in enumerate((6, 17, 32, 58, 82, 122, 156), start=1)},
    **{("+".join(f"{l}{'eo'[l % 2]}" for l in range(lmax + 1)), "all"): rank for lmax, rank in ((2, 17), (5, 82))},
    ("0+1 x 0+1+2+3 -> 0+1", "all"): 12,
    ("0+1 x 0+1+2+3 -> 0+1", "even"): 9,
    ("0+1 x 0+1+2+3 -> 0+1", "any"): 9,
    ("0e+1o x 0e+1o+2e+3o -> 0e+1o", "all"): 9,
    ("0e+1o+2e x 0e+1o+2e+3o -> 0e+1o+2e", "all"): 22,
    ("0e+1o+2e x 0e+1o+2e+3o -> 0e+1o+2e+3o", "all"): 28,
    ("0+1+2 x 0+1+2+3 -> 0+1+2", "all"): 41,
    ("0+1+2 x 0+1+2 -> 0+1", "all"): 17,
    ("0+1+2+3 x 0+1+2+3 -> 0+1", "all"): 31,
    ("0+1+2+3+4 x 0+1+2+3+4 -> 0+1", "all"): 49,
    ("0+1+2 x 0+1+2+3 -> 0+1+2+3", "all"): 60,
    ("0e+1o+2e+0o+1e+2o x 0e+1o+2e -> 0e+1o", "all"): 22,
    ("0e+1o+0o+1e x 0e+1o -> 0e+1o+0o+1e", "all"): 14,
    ("0e+1o+2e+0o+1e+2o x 0e+1o+2e -> 0e+1o+2e+0o+1e+2o", "all"): 46,
    ("0e+1o+2e+3o+0o+1e+2o+3e x 0e+1o+2e+3o -> 0e+1o+2e+3o+0o+1e+2o+3e", "all"): 132,
    ("0+1+2+3 x 0+1+2+3 -> 0", "all"): 16,
    ("0e+1o+2e x 0e+1o+2e -> 0e+1o", "all"): 12,
    **{(text, "all"): rank for text, rank, _, _ in atlas.PATHS},
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


@pytest.mark.parametrize("entry", ENTRIES, ids=repr)
def test_entries_are_equivariant_products(entry):
    assert entry.error <= EXACT
    norm = float(np.linalg.norm(entry.factors.array))
    assert entry.error * norm <= entry.supremum < 1e-10 * max(1, norm)
    assert entry.float32_error < 1e-5
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=d) for d in entry.factors.dims[:2])
    Q = Rotation.random(random_state=1).as_matrix()
    z, x_turned, y_turned = (turned(irreps, Q) for irreps in entry.coupling.modes)
    error = entry.factors(x_turned @ x, y_turned @ y) - z @ entry.factors(x, y)
    # roundings of Wigner matrices and of the terms, which cancel by the condition
    bound = 1e-13 * entry.factors.condition * norm * np.linalg.norm(x) * np.linalg.norm(y)
    assert np.linalg.norm(error) <= bound


def turned(irreps, Q):
    return block_diag(*(wigner_D(irrep.l, Q)[component_slice(irrep.l), component_slice(irrep.l)] for irrep in irreps))


@pytest.mark.parametrize(("key", "rank"), TARGETS.items(), ids=str)
def test_best_ranks(key, rank):
    coupling, which = key
    entry = atlas.best(coupling, paths=which)
    assert entry.rank == rank
    assert entry.coupling == Coupling.of(coupling)
    assert entry.tensor.coupling.dims == entry.factors.dims


def test_what_the_table_says():
    for entry in ENTRIES:
        row = json.loads(json.dumps(entry.row(), allow_nan=False))
        assert row["rms_error"] <= EXACT
        assert row["multiply_adds"] >= row["nonzeros"] + row["R"]
    assert {(e.lmax, e.rank) for e in ENTRIES if e.unit_weights and e.lmax} == {(1, 8), (2, 30), (3, 90)}
    assert atlas.best(6, max_rank=249, paths="any").rank == 122


def test_matrix_products_of_even_degree():
    """Below the paper's 7 L^2 = 112 and 252; at L = 6 three paths vanish with a 6j symbol."""
    matrices = {e.lmax: e for e in ENTRIES if e.proof["kind"] == "matrix multiplication"}
    assert (matrices[4].rank, len(matrices[4].alive)) == (93, 65)
    assert (matrices[6].rank, len(matrices[6].alive)) == (249, 172)
    assert sorted(matrices[6].row()["missing"]) == [[3, 5, 5], [5, 3, 5], [5, 5, 3]]


def test_wishes_that_cannot_be_granted():
    with refuses(LookupError, "L=3", "R=66 with 34", "R=56 with 33", "of 34 paths", "atlas search"):
        atlas.best(3, max_rank=60)
    with refuses(LookupError, "0e+1o x 2e -> 1o", "none", 'cp fit "0e+1o x 2e -> 1o"'):
        atlas.best("0e+1o x 2e -> 1o")
    for paths, words in (
        ("odd", ("'odd'", "'even'")),
        (1.5, ("1.5", "0.98", "at most 1")),
        ({(1, 1, 3)}, ("(1, 1, 3)", "(1, 1, 0)")),
    ):
        with refuses(ValueError, *words):
            atlas.best(3, paths=paths)


def test_wishes_for_paths():
    assert atlas.best(6, paths=0.98).rank == 249
    assert atlas.best(6, paths=1.0).rank == 345
    assert atlas.best(6, paths=173 / 175).rank == 345
    assert atlas.best(3, paths={(1, 1, 0), (1, 1, 2)}).rank == 32
    assert atlas.best(3, paths={(1, 1, 0), (1, 1, 1)}).rank == 56
    assert atlas.best(3, paths=[(2, 2, 2), (1, 1, 1)]).rank == 66


def test_parity_is_a_rule_of_selection():
    """Even paths are those of natural parity; entries with other paths alive break it, and those without it serve."""
    natural = atlas.best("0e+1o+2e+3o")
    assert natural.stem == atlas.best(3, paths="even").stem
    assert natural.coupling == Coupling.of("0e+1o+2e+3o")
    assert natural.verify().weights.keys() == set(natural.alive)
    assert atlas.best("0e+1e+2e").rank == 23
    assert atlas.best("0e+1e+2e").verify().kind == "matrix multiplication"
    assert atlas.best("0o+1o+2o x 0o+1o+2o -> 0e").rank == 9
    with refuses(LookupError, "0o+1e x 0o+1e -> 0o+1e", "none", "cp fit"):
        atlas.best("0o+1e")  # 1e x 1e -> 1e alone, and the products of 0o with 1e do not exist


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
        atlas.save(1, wrong, entry.proof, entry.arrays, {}, tmp_path)
    with pytest.raises(ProofError):
        atlas.save(1, entry.factors, {"kind": "matrix multiplication"}, {}, {}, tmp_path)
    proof = atlas.newton(CouplingTensor("0+1 x 0+1 -> 0"), "C1", False)
    with pytest.raises(ValueError, match="must have"):
        atlas.save("0+1 x 0+1 -> 0", entry.factors, proof, {}, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_theorem_is_about_factors_and_says_which_paths_are_alive(monkeypatch):
    """Another decomposition of the same tensor is not the one of the theorem; a wrong closed form is not believed."""
    entry = next(e for e in ENTRIES if e.proof["kind"] == "matrix multiplication" and e.lmax == 2)
    given = entry.factors
    moved = CPFactors(*(np.roll(f, 1, axis=1) for f in (given.A, given.B, given.C)))
    np.testing.assert_allclose(moved.array, given.array, rtol=0, atol=1e-13)
    with refuses(ProofError, "factor A differs"):
        atlas.prove(entry.coupling, moved, entry.proof)
    right = atlas.matrix_weights(2)
    path = entry.alive[3]
    for wrong in ({**right, path: 1e-10}, {p: w for p, w in right.items() if p != path}):
        monkeypatch.setattr(atlas, "matrix_weights", lambda lmax, wrong=wrong: wrong)
        with refuses(ProofError, str(path), "by the theorem"):
            atlas.prove(entry.coupling, given, entry.proof)


def test_both_parities_need_the_proof_of_the_product_for_rotations(tmp_path):
    entry = next(e for e in ENTRIES if e.proof["kind"] == "both parities" and e.rank == 14)
    A, B, C = (f.copy() for f in (entry.factors.A, entry.factors.B, entry.factors.C))
    A[0, 0] *= 1 + 1e-15
    with refuses(ProofError, "both parities"):
        atlas.save(entry.coupling, CPFactors(A, B, C), entry.proof, {}, {}, tmp_path)
    moved = CPFactors(np.roll(A, 1, axis=0), B, C)
    with pytest.raises(ProofError):
        atlas.save(entry.coupling, moved, entry.proof, {}, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_entries_are_made_again(tmp_path):
    assert atlas._cubature(2, ["gaunt"], tmp_path).rank == 18
    assert atlas._matrices(2, tmp_path).rank == 23
    assert atlas._scalars(1, tmp_path).rank == 4
    assert atlas._found(*atlas.SEARCHES[4], tmp_path).rank == 9
    assert atlas._single(*atlas.PATHS[1], tmp_path).rank == 6
    again = {e.rank: e for e in atlas.entries(tmp_path)}
    assert set(again) == {18, 23, 4, 9, 6}
    shipped = atlas.best(2)
    np.testing.assert_allclose(again[23].factors.array, shipped.factors.array, rtol=0, atol=1e-12)
