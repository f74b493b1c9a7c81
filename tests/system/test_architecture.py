"""The house keeps its order: imports go one way, commands start at once, files hold nothing of one machine."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.datasets import DATASETS
from benchmarks.evaluation.defects import IMAGE_DEFECTS, POINT_DEFECTS
from benchmarks.evaluation.probes import PROBES
from tests.conftest import ROOT
from variants import VARIANTS
from variants.noise import NOISES

PACKAGES = ("variants", "metrics", "benchmarks", "reports")
SOURCES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
COMMANDS = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in SOURCES
    if re.search(r'^if __name__ == "__main__":', file.read_text(), re.MULTILINE)
]
# Each takes a good part of a second to import, or more.
SLOW = {"torch", "torchvision", "torchmetrics", "mlflow", "pandas", "scipy", "sklearn", "matplotlib", "seaborn", "PIL"}


def run_python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True)


def imported(*words: str) -> set[str]:
    """The top-level names of all that such a call of Python imports."""
    done = run_python("-X", "importtime", *words)
    assert done.returncode == 0, done.stderr[-500:]
    return {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}


def test_the_commands_are_found() -> None:
    assert {"benchmarks.run", "benchmarks.extractors", "reports.build"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_nothing_that_is_slow_to_import(command: str) -> None:
    assert imported("-m", command, "--help") & SLOW == set()


def test_contracts_need_nothing_that_is_slow_to_import() -> None:
    assert imported("-c", "import variants, variants.recipe, variants.base, benchmarks.config") & SLOW == set()


def test_a_training_imports_only_torch_before_it_starts() -> None:
    """MLflow, torchmetrics and matplotlib together take longer to import than torch; they come when they are needed."""
    assert imported("-c", "import benchmarks.training.loop") & SLOW <= {"torch", "torchvision", "PIL"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the packages and of their contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "out"))
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_imports_go_one_way(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("variants/losses.py", "import metrics.features"),
        ("metrics/features.py", "from variants import base"),
        ("variants/losses.py", "import benchmarks.config"),
        ("benchmarks/config.py", "from reports import build"),
        ("benchmarks/config.py", "import torch"),
        ("variants/losses.py", "import mlflow"),
    ],
)
def test_an_import_the_wrong_way_is_noticed(copy: Path, file: str, line: str) -> None:
    with (copy / file).open("a") as source:
        source.write(f"\n\ndef planted():\n    {line}\n")
    done = lint_imports(copy)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout


def rooms(container: str) -> list[list[str]]:
    """The layers of a package's rooms, the highest first, as their contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [each for each in contracts if each.get("containers") == [container]]
    assert contract["exhaustive"]
    return [layer.split(" | ") for layer in contract["layers"]]


def source_of(place: Path) -> Path:
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@pytest.mark.parametrize("container", ["benchmarks", "reports"])
def test_a_room_that_imports_from_above_or_beside_it_is_noticed(copy: Path, container: str) -> None:
    layers, wrong = rooms(container), []
    for above, below in pairwise(layers):
        wrong += [(room, above[-1]) for room in below]
    for layer in layers:
        wrong += pairwise(layer)
    for room, other in wrong:
        with source_of(copy / container / room).open("a") as source:
            source.write(f"\n\ndef planted_{other}():\n    import {container}.{other}\n")
    told = " ".join(lint_imports(copy).stdout.split())
    for room, other in wrong:
        assert f"{container}.{room} is not allowed to import {container}.{other}:" in told


def test_a_room_that_is_not_placed_is_noticed(copy: Path) -> None:
    (copy / "benchmarks" / "attic").mkdir()
    (copy / "benchmarks" / "attic" / "__init__.py").write_text('"""Holds nothing."""\n')
    done = lint_imports(copy)
    assert done.returncode == 1
    assert "benchmarks.attic" in done.stdout


def test_the_front_of_the_benchmarks_is_commands_and_the_contracts_that_a_person_writes_against() -> None:
    files = {f"benchmarks.{file.stem}" for file in (ROOT / "benchmarks").glob("*.py")}
    assert files == {c for c in COMMANDS if c.startswith("benchmarks.")} | {
        "benchmarks.__init__",
        "benchmarks.config",
        "benchmarks.plugins",
    }
    assert len(files) <= 16


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_says_what_it_is(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text()))


# Plurals with which a sentence might begin, and does not.
NOUNS = {"Features", "Images", "Labels", "Parameters", "Samples", "Sentences", "Tasks", "Values", "Weights"}


def described() -> set[tuple[str, str]]:
    """The functions whose docstrings are printed as descriptions, such as by --list: module and name."""
    entries = [entry.split(":") for entry in DATASETS.values() if isinstance(entry, str)]
    functions = [*NOISES.values(), *IMAGE_DEFECTS.values(), *POINT_DEFECTS.values()]
    functions += [probe.measure for probe in PROBES.values()]
    return {(module, name) for module, name in entries} | {(each.__module__, each.__name__) for each in functions}


def documented(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """The public functions, methods and classes with a docstring; a property is a noun."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_" and ast.get_docstring(node):
            decorators = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
            if not decorators & {"property", "cached_property"}:
                yield node


def test_a_docstring_says_what_a_function_does_and_begins_with_a_verb() -> None:
    descriptions, found, count = described(), [], 0
    for file in SOURCES:
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for node in documented(ast.parse(file.read_text())):
            first = re.split(r"\W", ast.get_docstring(node))[0]
            count += 1
            verb = first[:1].isupper() and first.endswith("s") and first not in NOUNS
            found += [] if verb or (module, node.name) in descriptions else [f"{module}.{node.name}: {first}"]
    assert count > 500
    assert found == []


ROOMS = sorted(file.parent for package in PACKAGES for file in (ROOT / package).rglob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.relative_to(ROOT).as_posix())
def test_a_room_has_a_map_of_its_files(room: Path) -> None:
    """Each file and each folder begins a line; nothing that does not exist does."""
    told = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
    # The map of the variants says NAME.py for these.
    known = {entry.partition(".")[2] for entry in VARIANTS.values()} if room.name == "variants" else set()
    files = {f"{file.stem}.py" for file in room.glob("*.py")} - {"__init__.py", *(f"{name}.py" for name in known)}
    folders = {f"{file.parent.name}/" for file in room.glob("*/__init__.py")}
    begun = {line.split()[0] for line in told.splitlines() if line.strip()}
    commands = {name for name in files if f"benchmarks.{name[:-3]}" in COMMANDS}
    assert {
        name for name in files | folders if name not in begun and not (name in commands and name[:-3] in begun)
    } == set()
    assert {
        name for name in begun if name.endswith((".py", "/")) and name not in files | folders | {"NAME.py"}
    } == set()


@pytest.fixture
def tracked() -> list[Path]:
    """The files that are in the repository."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    command = ["git", "ls-files", "-z", "--cached"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_nothing_of_one_machine_is_in_the_files(tracked: list[Path]) -> None:
    """No absolute path of whoever wrote a file, no address of a package index."""
    places = [re.escape(f"{folder}/") for folder in (ROOT.parent, Path.home()) if len(folder.parts) > 1]
    indexes = [r"index[-_]url", r"https?://[\w.-]*(pypi|pythonhosted|pytorch)[\w.-]*/(simple|packages|whl)"]
    foreign = re.compile("|".join([*places, r"/(home|Users)/\w+/", *indexes]).encode())
    found = {str(file.relative_to(ROOT)): m.group() for file in tracked if (m := foreign.search(file.read_bytes()))}
    assert found == {}


def test_no_file_is_too_large_for_a_repository(tracked: list[Path]) -> None:
    assert [str(file.relative_to(ROOT)) for file in tracked if file.stat().st_size > 2_000_000] == []


def test_nothing_reads_or_writes_pickle() -> None:
    """A file from a stranger must not run code."""
    modules = r"\b((cloud)?pickle|joblib|shelve|marshal)\b"
    unsafe = re.compile(modules + r"|(?<!safetensors\.)\btorch\.(load|save)\b|\ballow_pickle=True")
    found = [f"{file.relative_to(ROOT)}: {m.group()}" for file in SOURCES if (m := unsafe.search(code_of(file)))]
    assert found == []


def code_of(file: Path) -> str:
    """A file's code without comments and docstrings."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return ast.unparse(tree)
