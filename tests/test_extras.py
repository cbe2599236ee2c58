"""The light installation: what works without extras, and what says which one it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import tomllib

import pytest

from tdn_theory.checkout import ROOT
from tdn_theory.extras import EXTRAS, named

NEED = {
    "tdn_theory.audit": "nn",
    "tdn_theory.data": "nn",
    "tdn_theory.experiments": "nn",
    "tdn_theory.nn": "nn",
    "tdn_theory.panel": "notebooks",
    "tdn_theory.report.page": "report",
    "tdn_theory.so3.exact": "exact",
    "tdn_theory.testing.potential": "testing",
    "tdn_theory.testing.strategies": "testing",
    "tdn_theory.theory.proofs": "exact",
    "tdn_theory.training": "nn",
}
"""Modules and subpackages that may need an extra; in `data` and `experiments` some modules do not."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

SAY = ["audit", "so3.exact", "theory.proofs", "training"]
"""Those that name it themselves."""


WORK = ["--help", "atlas list --lmax 1", "check T1", "cp fit --lmax 1 --rank 2 --starts 1", "info", "audit --help"]
REFUSE = {
    "atlas verify": "exact",
    "evaluate model.safetensors relaxations": "nn",
    "relax water.xyz --model model.safetensors": "nn",
    "report": "report",
    "reproduce F2": "nn",
    "train relaxations": "nn",
}

ABSENT = f"""
import sys
from importlib.machinery import PathFinder

class Light(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {list(EXTRAS)} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Light
"""
"""Makes the packages of the extras as if they were not installed."""


def without_extras(code: str) -> str:
    """What Python code prints in an interpreter that finds nothing of the extras."""
    command = [sys.executable, "-W", "error", "-c", ABSENT + textwrap.dedent(code)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def refusals() -> dict[str, str]:
    """What modules say that cannot be imported without extras."""
    return json.loads(
        without_extras("""
            import importlib, json, pkgutil
            import tdn_theory

            refusals = {}
            for module in pkgutil.walk_packages(tdn_theory.__path__, "tdn_theory.", onerror=lambda name: None):
                try:
                    importlib.import_module(module.name)
                except ModuleNotFoundError as error:
                    refusals[module.name] = str(error)
            print(json.dumps(refusals))
        """)
    )


def test_only_what_needs_an_extra_refuses(refusals):
    assert [name for name in refusals if not name.startswith(tuple(NEED))] == []


@pytest.mark.parametrize("name", SAY)
def test_refusals_name_the_extra(refusals, name):
    extra = NEED[f"tdn_theory.{name}"]
    assert f"pip install 'tdn-theory[{extra}]'" in refusals[f"tdn_theory.{name}"]


def test_theory_and_atlas_work():
    printed = without_extras("""
        import numpy as np
        from tdn_theory.coupling import CouplingTensor
        from tdn_theory.cp import atlas
        from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
        from tdn_theory.testing.assertions import assert_bound_holds, assert_equivariant
        from tdn_theory.theory.bounds import theorem_bound, trivial_bound
        from tdn_theory.theory.cost import Channels, cost
        from tdn_theory.theory.equivariance import mean_square_error, supremum_bound

        M = CouplingTensor(1)
        factors = LevenbergMarquardt(rank=4, max_iterations=20).solve(M).factors
        assert mean_square_error(factors) > 0
        assert_bound_holds(lambda product: supremum_bound(product).value, factors)
        assert theorem_bound(M, 7) > trivial_bound(M)
        assert cost("cp", 1, Channels.of("uvu", 8), 1, 7).multiply_adds > 0
        entry = atlas.best(1, max_error=1e-6)
        entry.verify()
        assert_equivariant(np.cross, "1o x 1o -> 1e")
        print(entry)
    """)
    assert printed == "AtlasEntry(L=1, R=7, 5 of 5 paths, newton)\n"


def test_functions_that_need_sympy_say_so():
    printed = without_extras("""
        from tdn_theory.cp import atlas
        from tdn_theory.theory.universality import scaling_invariants

        for function in (atlas.best(2).verify, lambda: scaling_invariants(1)):
            try:
                function()
            except ModuleNotFoundError as error:
                print(error)
    """)
    assert printed == "sympy is not installed: pip install 'tdn-theory[exact]'\n" * 2


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, tuple[int, str]]:
    """Exit code and output of commands without extras."""
    folder = str(tmp_path_factory.mktemp("run"))
    return json.loads(
        without_extras(f"""
            import json, os
            from typer.testing import CliRunner
            from tdn_theory.cli.app import app

            os.chdir({folder!r})
            runner = CliRunner(env={{"TDN_THEORY_STORE": {folder!r}}})
            results = {{line: runner.invoke(app, line.split()) for line in {[*WORK, *REFUSE]}}}
            print(json.dumps({{line: [result.exit_code, result.output] for line, result in results.items()}}))
        """)
    )


@pytest.mark.parametrize("line", WORK)
def test_light_commands_work(said, line):
    assert said[line][0] == 0, said[line][1]


@pytest.mark.parametrize("line", REFUSE)
def test_other_commands_name_the_extra(said, line):
    code, output = said[line]
    assert code == 2
    assert f"pip install 'tdn-theory[{REFUSE[line]}]'" in " ".join(output.split())


def packages(extra: str) -> set[str]:
    """What an extra brings, itself or by another one."""
    found = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        name, others = re.fullmatch(r"([\w-]+)(?:\[([\w,-]+)\])?.*", requirement).groups()
        found |= set().union(*map(packages, others.split(","))) if name == PROJECT["name"] else {name}
    return found


def test_extras_bring_what_they_are_named_for():
    light = {re.match(r"[\w-]+", requirement)[0] for requirement in PROJECT["dependencies"]}
    assert {package: extra for package, extra in EXTRAS.items() if package not in packages(extra)} == {}
    assert light & EXTRAS.keys() == set()
    assert packages("dev") >= EXTRAS.keys()


@pytest.mark.parametrize("package", EXTRAS)
def test_the_extra_named_is_the_smallest(package):
    sizes = {extra: len(packages(extra)) for extra in PROJECT["optional-dependencies"] if package in packages(extra)}
    assert sizes[EXTRAS[package]] == min(sizes.values())


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'other'", name="other"), ImportError("broken")])
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as raised, named():
        raise error
    assert raised.value is error
