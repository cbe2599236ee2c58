"""Jobs: done once, kept whole, independent of the number of workers."""

import json

import numpy as np
import pytest

from tdn_theory import jobs as module
from tdn_theory.jobs import Jobs, checksum
from tests.assertions import refuses


def square(value: int, log: str) -> dict:
    with open(log, "a") as stream:
        stream.write(f"{value}\n")
    if value < 0:
        raise RuntimeError("planned failure")
    return {"square": value**2, "random": float(np.random.default_rng(value).random())}


def runs(log) -> list[str]:
    return log.read_text().split() if log.exists() else []


def test_results_keep_their_order_and_are_computed_once(tmp_path):
    jobs, log = Jobs(tmp_path / "jobs"), tmp_path / "log"
    plan = [{"value": v, "log": str(log)} for v in (3, 1, 2)]
    assert [r["square"] for r in jobs.map(square, plan, "squares")] == [9, 1, 4]
    assert [r["square"] for r in jobs.map(square, plan, "squares")] == [9, 1, 4]
    assert sorted(runs(log)) == ["1", "2", "3"]


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    jobs, log = Jobs(tmp_path / "jobs"), tmp_path / "log"
    plan = [{"value": v, "log": str(log)} for v in (1, 2, -1, 3)]
    with pytest.raises(RuntimeError, match="planned failure"):
        jobs.map(square, plan, "squares")
    assert runs(log) == ["1", "2", "-1"]
    good = [{"value": v, "log": str(log)} for v in (1, 2, 3)]
    jobs.map(square, good, "squares")
    assert runs(log) == ["1", "2", "-1", "3"]


def test_results_do_not_depend_on_the_number_of_workers(tmp_path):
    plan = [{"value": v, "log": str(tmp_path / "log")} for v in range(4)]
    alone = Jobs(tmp_path / "one").map(square, plan, "squares")
    assert Jobs(tmp_path / "two", workers=2).map(square, plan, "squares") == alone


def test_results_are_kept_with_their_parameters(tmp_path):
    Jobs(tmp_path).map(square, [{"value": 5, "log": str(tmp_path / "log")}], "squares")
    (file,) = tmp_path.rglob("*.json")
    content = json.loads(file.read_text())
    assert content["job"]["value"] == 5
    assert content["result"]["square"] == 25


def test_a_damaged_result_is_told(tmp_path):
    plan = [{"value": 5, "log": str(tmp_path / "log")}]
    Jobs(tmp_path).map(square, plan, "squares")
    (file,) = tmp_path.rglob("*.json")
    file.write_text("{")
    with refuses(ValueError, str(file), "delete it"):
        Jobs(tmp_path).map(square, plan, "squares")


def test_a_dask_cluster_computes_the_same(tmp_path):
    from distributed import LocalCluster

    plan = [{"value": v, "log": str(tmp_path / "log")} for v in range(3)]
    alone = Jobs(tmp_path / "one").map(square, plan, "squares")
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        assert Jobs(tmp_path / "two", dask=cluster.scheduler_address).map(square, plan, "squares") == alone


def test_no_job_begins_when_the_time_is_over(tmp_path):
    log = tmp_path / "log"
    plan = [{"value": v, "log": str(log)} for v in (1, 2)]
    with pytest.raises(TimeoutError, match="squares: 2 of 2 are left"):
        Jobs(tmp_path / "jobs", until=0.0).map(square, plan, "squares")
    assert runs(log) == []
    Jobs(tmp_path / "jobs").map(square, plan, "squares")
    assert len(Jobs(tmp_path / "jobs", until=0.0).map(square, plan, "squares")) == 2


def test_other_code_or_data_run_again(tmp_path, monkeypatch):
    jobs, log = Jobs(tmp_path / "jobs"), tmp_path / "log"
    plan = [{"value": 1, "log": str(log)}]
    jobs.map(square, plan, "squares")
    monkeypatch.setattr(module, "checksum", lambda _: "other")
    jobs.map(square, plan, "squares")
    assert runs(log) == ["1", "1"]


def test_the_checksum_knows_every_file_of_a_package(tmp_path):
    def found() -> str:
        checksum.cache_clear()
        return checksum(tmp_path)

    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "numbers.txt"
    file.write_text("1")
    first = found()
    (tmp_path / "module.pyc").write_text("")
    assert found() == first
    file.write_text("2")
    second = found()
    file.rename(tmp_path / "data" / "others.txt")
    assert len({first, second, found()}) == 3


def test_units_outlive_a_change_of_the_code_and_say_what_made_them(tmp_path, monkeypatch):
    plan = [{"value": 5, "log": str(tmp_path / "log")}]
    (first,) = Jobs(tmp_path / "jobs", units=tmp_path / "units").map(square, plan, "squares")
    monkeypatch.setattr(module, "checksum", lambda _: "other code")
    (again,) = Jobs(tmp_path / "elsewhere", units=tmp_path / "units").map(square, plan, "squares")
    assert again == first
    assert set(first["made"]) == {"commit", "device", "time"}
    assert runs(tmp_path / "log") == ["5"]
    Jobs(tmp_path / "jobs").map(square, plan, "squares")
    assert runs(tmp_path / "log") == ["5", "5"]
