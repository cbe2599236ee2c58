"""The house keeps its order: who may import whom, what importing costs, what lies at the top, how files are read."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))  # where the script is that draws the house
import house  # noqa: E402

SOURCES = sorted(path for folder in ("tdn_theory", "paper_checks", "figures") for path in (ROOT / folder).rglob("*.py"))

PAGE = (ROOT / "docs" / "architecture.md").read_text()
LEAVES = set(house.common(PAGE))
MAY_USE = house.table(PAGE) | {leaf: set() for leaf in LEAVES}

# The one file that reads pickles, and what else it would be blamed for: it reads plain data only, whatever a pickle
# says (tests/data/test_plain_pickle.py attacks it), since PubChemQCR and OC20 are released as pickles. The other file
# only writes them (tests/data/test_geometric_pickle.py attacks what it adds to the first).
READS_PICKLES = {"tdn_theory.data.plain_pickle": ["pickle"], "tdn_theory.data.geometric_pickle": ["pickle"]}

TOP_LEVEL = {
    ".ci",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "docs",
    "figures",
    "mkdocs.yml",
    "notebooks",
    "paper_checks",
    "pyproject.toml",
    "tdn_theory",
    "tests",
}


def module_name(path: Path) -> str:
    """`tdn_theory/so3/irreps.py` -> `tdn_theory.so3.irreps`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def part(name: str) -> str | None:
    """The part of the house that a dotted name lies in; None for other people's modules and for `tdn_theory` itself."""
    first, *rest = name.split(".")
    if first == "tdn_theory":
        return rest[0] if rest and not rest[0].startswith("__") else None
    return first if first in ("figures", "paper_checks") else None


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all that `tree` imports, wherever the import stands: `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from (f"{source}.{alias.name}" for alias in node.names)


def forbidden_imports(source: str, module: str) -> list[str]:
    """Imports in `module` that go against the one-way rule, or hide where they go by being relative."""
    user = part(module)
    if user is not None and user not in MAY_USE:
        return [f"{user} is not in the tables of docs/architecture.md"]
    allowed = {None, user} | (MAY_USE[user] | LEAVES if user else {"extras", "panel"})  # tdn_theory.explore
    return [name for name in imported(ast.parse(source)) if name.startswith(".") or part(name) not in allowed]


def eager_imports(source: str, package: str) -> list[str]:
    """Imports of `package` that run when the module is imported."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        type_checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if type_checking or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = []
    return [name for name in imported(tree) if name.split(".")[0] == package]


def heavy_imports(statement: str) -> set[str]:
    """Which of torch, sympy and matplotlib a fresh interpreter has loaded after `statement`."""
    code = f"import sys\n{statement}\nprint(*{{'torch', 'sympy', 'matplotlib'}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def unsafe_loading(source: str) -> list[str]:
    """Ways to read a file that can run code from it: pickles under any name."""
    tree = ast.parse(source)
    pickles = {"pickle", "cloudpickle", "dill", "shelve", "marshal"}
    found = [name for name in imported(tree) if name.split(".")[0] in pickles]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = ast.unparse(call.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if (
            options.get("allow_pickle", "False") != "False"
            or (function == "torch.load" and options.get("weights_only") != "True")
            or function == "joblib.load"
        ):
            found.append(ast.unparse(call))
    return found


def strangers(files: list[str]) -> set[str]:
    """Top-level names of tracked files that the design does not have."""
    return {file.split("/")[0] for file in files} - TOP_LEVEL


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_dependencies_point_one_way(path: Path):
    assert forbidden_imports(path.read_text(), module_name(path)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tdn_theory.so3.irreps", "import tdn_theory.cp.factors"),
        ("tdn_theory.so3.irreps", "def f():\n    from tdn_theory import coupling"),
        ("tdn_theory.so3.irreps", "from ..cp import factors"),
        ("tdn_theory.cp.__init__", "from ..theory import bounds"),
        ("tdn_theory.nn.product", "from tdn_theory.theory.bounds import bound"),
        ("tdn_theory.files", "from tdn_theory.so3 import irreps"),
        ("tdn_theory.report.page", "from tdn_theory.experiments import studies"),
        ("tdn_theory.experiments.decompositions.F2", "import paper_checks.T1"),
        ("tdn_theory.__init__", "from tdn_theory.coupling import CouplingTensor"),
        ("tdn_theory.new.idea", "import numpy"),
        ("tdn_theory.cp.factors", "from tdn_theory.new import idea"),
        ("figures.F2", "from tdn_theory.cp.factors import CPFactors"),
        ("paper_checks.T1", "from tdn_theory.theory.bounds import chain"),
    ],
)
def test_a_wrong_dependency_is_caught(module: str, source: str):
    assert forbidden_imports(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tdn_theory.so3.rotation", "from tdn_theory.so3.irreps import dim\nfrom tdn_theory.files import write"),
        ("tdn_theory.cp.factors", "import numpy\nfrom tdn_theory.coupling import CouplingTensor"),
        ("tdn_theory.provenance", "from tdn_theory import __version__"),
        ("tdn_theory.reproduction", "from tdn_theory.experiments import studies"),
        ("figures.F2", "from figures.style import axes\nfrom tdn_theory.records import Record"),
    ],
)
def test_a_right_dependency_is_not(module: str, source: str):
    assert forbidden_imports(source, module) == []


def test_the_picture_of_the_house_is_that_of_its_tables():
    assert (ROOT / "docs" / "architecture.svg").read_text() == house.draw(PAGE), "run python docs/house.py"


def test_every_part_is_in_the_tables():
    assert {part(module_name(path)) for path in SOURCES} - {None} == MAY_USE.keys()


def test_a_circle_in_the_tables_is_caught():
    with pytest.raises(ValueError, match="circle"):
        house.levels({"a": {"b"}, "b": {"a"}})


def studies_imported(source: str, module: str) -> list[str]:
    """Other studies that a module of a study imports: what two of them share lies in a module of its own."""
    names = {name for name in imported(ast.parse(source)) if any(name.startswith(f"{other}.") for other in STUDIES)}
    return sorted(name for name in names if not name.startswith(f"{module}."))


STUDIES = {module_name(path) for path in SOURCES if re.search(r"^STUDY\b", path.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("module", sorted(STUDIES))
def test_no_study_imports_another(module: str):
    assert studies_imported((ROOT / f"{module.replace('.', '/')}.py").read_text(), module) == []


def test_the_import_of_another_study_is_caught():
    source = "from tdn_theory.experiments.decompositions.F2 import measure"
    assert studies_imported(source, "tdn_theory.experiments.decompositions.F3a")


@pytest.mark.parametrize("path", sorted((ROOT / "tdn_theory" / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_no_file_of_the_command_line_is_long(path: Path):
    assert len(path.read_text().splitlines()) <= 200


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if part(module_name(p)) in ("so3", "coupling", "cp")], ids=module_name
)
def test_the_mathematics_needs_no_torch(path: Path):
    assert eager_imports(path.read_text(), "torch") == []


@pytest.mark.parametrize(
    "source", ["import torch", "if True:\n    from torch import nn", "class A:\n    import torch.nn"]
)
def test_an_eager_import_is_caught(source: str):
    assert eager_imports(source, "torch")


@pytest.mark.parametrize("source", ["def f():\n    import torch", "if TYPE_CHECKING:\n    import torch"])
def test_a_lazy_import_is_not(source: str):
    assert eager_imports(source, "torch") == []


@pytest.mark.parametrize("module", ["tdn_theory", "tdn_theory.cp", "tdn_theory.nn.spec", "tdn_theory.nn.planner"])
def test_importing_is_light(module: str):
    assert heavy_imports(f"import {module}") == set()


def test_a_heavy_import_is_caught():
    assert heavy_imports("import sympy") == {"sympy"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")
def test_nothing_else_lies_at_the_top():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert strangers(tracked.splitlines()) == set()


def test_a_stranger_at_the_top_is_caught():
    assert strangers(["scratch.py", "tests/conftest.py", "site/index.html"]) == {"scratch.py", "site"}


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_file_is_read_as_a_pickle(path: Path):
    assert unsafe_loading(path.read_text()) == READS_PICKLES.get(module_name(path), [])


@pytest.mark.parametrize(
    "source",
    [
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "import pickle",
        "from pickle import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "joblib.load(path)",
    ],
)
def test_reading_a_pickle_is_caught(source: str):
    assert unsafe_loading(source)


@pytest.mark.parametrize(
    "source", ["np.load(p, allow_pickle=False)", "torch.load(p, weights_only=True)", "json.load(p)"]
)
def test_reading_safely_is_not(source: str):
    assert unsafe_loading(source) == []
