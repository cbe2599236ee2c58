"""The store: what is saved is found again whole, and damage is told, never used."""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tdn_theory import files
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import SHIPPED, DamagedError, Store
from tdn_theory.testing.assertions import annotations_unchecked
from tests.assertions import refuses


def solution(seed: int = 0, rank: int = 3) -> CPSolution:
    return LevenbergMarquardt(rank, seed=seed, max_iterations=5).solve(CouplingTensor(1))


def save_many(folder: Path, seed: int) -> list[str]:
    store = Store(folder, ())
    return [store.save(solution(s)).name for s in (seed, 0)]


def test_round_trip(tmp_path):
    store, made = Store(tmp_path, ()), solution()
    path = store.save(made)
    assert store.save(made) == path
    (entry,) = store.entries()
    loaded = store.load(entry)
    for name in "ABC":
        np.testing.assert_array_equal(getattr(loaded.factors, name), getattr(made.factors, name))
    assert loaded.tensor == made.tensor
    assert loaded.status is made.status
    assert loaded.residual == made.residual
    assert loaded.made_by == json.loads(json.dumps(made.made_by))


@pytest.mark.parametrize(
    "tensor",
    [
        CouplingTensor("0e+1o x 0e+1o+2e -> 1o"),
        CouplingTensor("1o+0e x 1o -> 1e+0e", (0.5, -2.0), "component"),
        CouplingTensor("0+1 x 0+1 -> 0+1", {(1, 1, 1): 1.0}).alive,
        CouplingTensor("2+0+2 x 1 -> 1"),
    ],
    ids=repr,
)
def test_any_coupling_is_kept(tmp_path, tensor):
    """Told apart by irreps, their order, paths and weights; found again by exactly these."""
    store = Store(tmp_path, ())
    store.save(solution())
    path = store.save(LevenbergMarquardt(2, max_iterations=3).solve(tensor))
    (entry,) = store.entries(tensor)
    assert entry.path == path
    assert store.best(tensor, 2).tensor == tensor == entry.tensor
    assert len(store.entries()) == 2
    with refuses(LookupError, "R=5", "stored ranks are [2]"):
        store.best(tensor, 5)


def test_names_of_files(tmp_path):
    store = Store(tmp_path, ())
    assert store.save(solution()).name.startswith("L1-R3-")
    made = LevenbergMarquardt(2, max_iterations=3).solve(CouplingTensor("0e+1o x 0e+1o+2e -> 1o"))
    assert store.save(made).name.startswith("0e+1o_x_0e+1o+2e_to_1o-R2-")


def test_ranks_and_seeds_of_numpy_are_kept(tmp_path):
    store, (rank, seed) = Store(tmp_path, ()), np.array([3, 0])
    with annotations_unchecked():
        store.save(LevenbergMarquardt(rank, seed=seed, max_iterations=5).solve(CouplingTensor(1)))
    (entry,) = store.entries()
    plain = solution().made_by
    assert {key: entry.made_by[key] for key in ("settings", "seed")} == {
        key: plain[key] for key in ("settings", "seed")
    }


def test_best_of_several_and_by_solver(tmp_path):
    store = Store(tmp_path, ())
    made = [solution(seed) for seed in range(3)]
    for one in made:
        store.save(one)
    assert store.best(CouplingTensor(1), 3).residual == min(one.residual for one in made)
    with refuses(LookupError, "R=3 by AlternatingLeastSquares", "cp fit"):
        store.best(CouplingTensor(1), 3, solver="AlternatingLeastSquares")
    with refuses(LookupError, "R=4", "stored ranks are [3]"):
        store.best(CouplingTensor(1), 4)


def test_other_tensors_are_not_mixed_up(tmp_path):
    store = Store(tmp_path, ())
    store.save(solution())
    weighted = CouplingTensor(1, (1.0, 1.0, 1.0, 1.0, 2.0))
    assert store.entries(weighted) == []
    with refuses(LookupError, "weighted", "none"):
        store.best(weighted, 3)


def test_many_processes_write_at_once(tmp_path):
    with ProcessPoolExecutor(3) as pool:
        names = {name for result in pool.map(save_many, [tmp_path] * 6, range(6)) for name in result}
    store = Store(tmp_path, ())
    assert {entry.path.name for entry in store.entries()} == names
    assert len(names) == 6
    for entry in store.entries():
        store.load(entry)
    assert not list(tmp_path.glob("*.part"))


def damage_content(path: Path) -> None:
    content = bytearray(path.with_suffix(".npz").read_bytes())
    content[len(content) // 2] ^= 1
    path.with_suffix(".npz").write_bytes(content)


def truncate(path: Path) -> None:
    path.with_suffix(".npz").write_bytes(path.with_suffix(".npz").read_bytes()[:100])


def remove(path: Path) -> None:
    path.with_suffix(".npz").unlink()


def lie_about_the_residual(path: Path) -> None:
    manifest = files.read_json(path)
    files.write_json(path, {**manifest, "residual": manifest["residual"] / 2})


def swap_the_tensor(path: Path) -> None:
    manifest = files.read_json(path)
    manifest["tensor"]["weights"][0] = 3.0
    files.write_json(path, manifest)


def swap_the_irreps(path: Path) -> None:
    manifest = files.read_json(path)
    manifest["tensor"]["lmax"] = 2
    files.write_json(path, {**manifest, "tensor": {**manifest["tensor"], "weights": [1.0] * 15}})


def forget_the_residual(path: Path) -> None:
    path.write_text(json.dumps({**files.read_json(path), "residual": float("nan")}))


@pytest.mark.parametrize(
    "damage",
    [damage_content, truncate, remove, lie_about_the_residual, forget_the_residual, swap_the_tensor, swap_the_irreps],
)
def test_damage_is_told_and_nothing_else_is_lost(tmp_path, damage):
    store = Store(tmp_path, ())
    path, other = store.save(solution()), store.save(solution(1))
    damage(path)
    (damaged,) = [entry for entry in store.entries() if entry.path == path]
    with refuses(DamagedError, path.stem, "cp fit"):
        store.load(damaged)
    (sound,) = [entry for entry in store.entries() if entry.path == other]
    assert store.load(sound).residual == sound.residual


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"rank": 3}', b"\xff\xfe"])
def test_damaged_manifest(tmp_path, content):
    store = Store(tmp_path, ())
    path = store.save(solution())
    path.write_bytes(content)
    with refuses(DamagedError, str(path), "cp fit"):
        store.entries()


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", A=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        files.npz_arrays((tmp_path / "evil.npz").read_bytes())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    files.write_json(path, {"a": 1})
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_json(path, {"a": 2})
    assert files.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})


def test_own_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TDN_THEORY_STORE", str(tmp_path))
    assert Store().folder == tmp_path
    assert Store().also == (SHIPPED,)


def test_every_shipped_solution_is_whole():
    store = Store(SHIPPED, ())
    entries = store.entries()
    assert {entry.tensor.lmax for entry in entries} == {1, 2, 3, 4, 5, 6}
    for entry in entries:
        store.load(entry)


def test_solutions_know_what_their_status_means():
    for status in Status:
        assert len(status.message) > 20
    made = solution()
    assert "R=3" in repr(made)
    assert isinstance(made.factors, CPFactors)
