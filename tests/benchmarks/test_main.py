"""gan-benchmark: starts each command by its name, imports no other one, and lists them all."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

import pytest

from benchmarks.__main__ import COMMANDS, start, summarize
from benchmarks.cli.options import PROGRAMS
from tests.conftest import ROOT, Done

ENDING = re.compile(r'^if __name__ == "__main__":\n    run_command\(main\)', re.MULTILINE)


@pytest.fixture
def by_name(called: Callable[..., Done]) -> Iterator[Callable[..., Done]]:
    """by_name(*words): what `gan-benchmark WORDS` does, within this process."""

    def call(*words: str) -> Done:
        command = partial(start, "gan-benchmark", words)
        command.__module__ = "gan-benchmark"
        return called(command, *words)

    yield call
    PROGRAMS.clear()


def test_every_command_has_a_name() -> None:
    files = [file for folder in ("benchmarks", "reports") for file in (ROOT / folder).glob("*.py")]
    found = {f"{file.parent.name}.{file.stem}" for file in files if ENDING.search(file.read_text(encoding="utf-8"))}
    assert set(COMMANDS.values()) == found
    assert {name: module for name, module in COMMANDS.items() if module != f"benchmarks.{name}"} == {
        "report": "reports.build"
    }


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_alone_it_lists_the_commands_with_a_line_each(words: tuple[str, ...], by_name: Callable[..., Done]) -> None:
    done = by_name(*words)
    assert (done.code, done.err) == (0, "")
    for name, module in COMMANDS.items():
        (line,) = re.findall(rf"^  {name} +(\S.*)$", done.out, re.MULTILINE)
        assert import_module(module).__doc__.startswith(f"python -m {module}: {line}")
    assert max(map(len, done.out.splitlines())) <= 120


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_the_program_as_it_was_called(
    name: str, by_name: Callable[..., Done], called: Callable[..., Done]
) -> None:
    assert by_name(name, "--help").out.startswith(f"usage: gan-benchmark {name} ")
    PROGRAMS.clear()
    module = COMMANDS[name]
    assert called(import_module(module).main, "--help").out.startswith(f"usage: python -m {module} ")


def test_a_mistake_is_told_in_one_sentence(by_name: Callable[..., Done]) -> None:
    known = "did you mean 'run'? (gan-benchmark lists all)"
    assert by_name("rnu") == (2, "", f"error: unknown command 'rnu'; {known}\n")
    assert by_name("run", "--variant", "cgan_mpl").err.startswith("error: unknown variant 'cgan_mpl'; did you mean ")
    assert by_name("sync", "--nope") == (2, "", "error: unknown option --nope (--help shows all options)\n")


def test_only_the_command_that_is_asked_for_is_imported() -> None:
    shown = "import sys; from benchmarks.__main__ import main\nsys.argv = ['gan-benchmark', *{}]\n"
    shown += "try: main()\nexcept SystemExit: print('\\n', *sys.modules)"
    for words, wanted in (([], set()), (["show", "--help"], {"benchmarks.show"})):
        done = subprocess.run([sys.executable, "-c", shown.format(words)], capture_output=True, text=True, check=True)
        modules = set(done.stdout.splitlines()[-1].split())
        assert modules & set(COMMANDS.values()) == wanted
        assert modules & {"torch", "mlflow", "numpy", "rich"} == set()


def test_the_script_of_the_package_and_python_m_start_it() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert list(scripts) == ["gan-benchmark"]
    module, _, function = scripts["gan-benchmark"].partition(":")
    assert callable(getattr(import_module(module), function))
    done = subprocess.run([sys.executable, "-m", "benchmarks", "show", "--help"], capture_output=True, text=True)
    assert done.stdout.startswith("usage: python -m benchmarks show ")
    assert summarize("benchmarks.sync").startswith("uploads run folders to MLflow")
