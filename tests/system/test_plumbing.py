"""The command that sets up, what is pinned and packaged, and the guards that all other tests rely on."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(
    line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
)

# Does what the Makefile asks of a Python, and writes down what was asked.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) exit 0 ;;
  "-m venv --clear .venv") echo venv >> asked; rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  "-m pip install "*) echo install >> asked; test ! -e broken ;;
  *) echo "$*" >> asked ;;
esac
"""


class House:
    """A copy of what the Makefile needs, with a Python that only pretends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
        (folder / "bin").mkdir()
        self.python("python3", FAKE_PYTHON)

    def python(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def make(self, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        # What `make test ARGS=…` itself was told goes to no other make.
        environment = {name: value for name, value in os.environ.items() if name not in ("ARGS", "MAKEFLAGS")}
        environment["PATH"] = path or f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(["make", *words], cwd=self.folder, env=environment, capture_output=True, text=True)

    def asked(self) -> list[str]:
        """What was asked of Python since the last call."""
        file = self.folder / "asked"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def house(tmp_path: Path) -> House:
    if shutil.which("make") is None:
        pytest.skip("needs make")
    return House(tmp_path)


def test_sets_up_once_and_again_when_what_is_installed_changes(house: House) -> None:
    run = "-m benchmarks.run --variant cgan_mlp"
    assert house.make("run").returncode == 0
    assert house.asked() == ["venv", "install", run]
    house.make("run")
    assert house.asked() == [run]
    for changed in ("pyproject.toml", "constraints.txt"):
        later = (house.folder / ".venv/installed").stat().st_mtime + 5
        os.utime(house.folder / changed, (later, later))
        house.make("run")
        assert house.asked() == ["install", run]
        later += 5
        os.utime(house.folder / ".venv/installed", (later, later))


@pytest.mark.parametrize("first", [True, False], ids=["first time", "after a change"])
def test_an_interrupted_install_is_done_again_from_nothing(house: House, first: bool) -> None:
    if not first:
        house.make("run")
        os.utime(house.folder / ".venv/installed", (1, 1))
        house.asked()
    (house.folder / "broken").touch()
    assert house.make("run").returncode != 0
    assert "-m benchmarks.run --variant cgan_mlp" not in house.asked()
    (house.folder / "broken").unlink()
    house.make("report")
    assert house.asked() == ["venv", "install", "-m reports.build"]


def test_passes_variant_and_arguments_on(house: House) -> None:
    house.make("run", "VARIANT=dcgan", "ARGS=--epochs 3 --seeds 0 1")
    assert house.asked()[-1] == "-m benchmarks.run --variant dcgan --epochs 3 --seeds 0 1"


def test_passes_over_a_python_that_is_too_old_or_only_a_shim(house: House) -> None:
    house.python("python3", "#!/bin/sh\nexit 1\n")
    house.python("python3.14", "#!/bin/sh\nexit 127\n")
    house.python("python3.13", FAKE_PYTHON)
    assert "Setting up .venv with python3.13" in house.make("run").stdout
    assert house.asked()[:2] == ["venv", "install"]


def test_says_what_to_do_where_no_python_is_new_enough(house: House) -> None:
    (house.folder / "bin" / "python3").unlink()
    for tool in ("make", "sh", "sed"):
        (house.folder / "bin" / tool).symlink_to(shutil.which(tool))
    done = house.make("run", path=str(house.folder / "bin"))
    assert done.returncode != 0
    assert "No Python 3.11 or newer was found" in done.stderr
    assert not (house.folder / ".venv").exists()


def test_every_command_of_the_makefile_is_told(house: House) -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: help (.*)$", text, re.MULTILINE).group(1).split()
    told = house.make().stdout
    assert targets
    assert [name for name in targets if f"make {name} " not in told] == []
    assert house.asked() == []


def test_what_is_needed_is_pinned_at_a_version_that_is_allowed() -> None:
    needed = [Requirement(line) for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
    assert len(needed) > 20
    for requirement in needed:
        assert requirement.specifier.contains(PINNED[requirement.name.lower()]), requirement


def test_every_folder_with_code_is_packaged() -> None:
    """setuptools leaves out a folder without __init__.py, and nobody notices in an editable install."""
    for package in ("variants", "metrics", "benchmarks", "reports"):
        folders = {file.parent for file in (ROOT / package).rglob("*.py")}
        assert folders
        assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_shapes_are_checked_in_these_tests() -> None:
    import torch
    from jaxtyping import TypeCheckError

    from variants import load_variant
    from variants.base import DataSpec

    variant = load_variant("vanilla_gan")
    with torch.random.fork_rng():
        generator, _ = variant.build(DataSpec((1, 8, 8)), variant.recipe("default"))
    with pytest.raises(TypeCheckError):
        generator(torch.zeros(2, 3, variant.recipe("default").noise_size), None)


def test_one_thread_each() -> None:
    import torch

    assert torch.get_num_threads() == 1
    # From which torch takes it, in the processes that tests start.
    command = [sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "1\n"


def test_there_is_no_network_but_this_machine() -> None:
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen("https://example.org", timeout=5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        request = urllib.request.Request(f"http://127.0.0.1:{port}")
        with pytest.raises(TimeoutError):  # it is reached; it only never answers
            urllib.request.urlopen(request, timeout=0.2)


def test_default_paths_lead_into_the_tests_own_folder(tmp_path: Path) -> None:
    Path("runs").mkdir()
    assert (tmp_path / "runs").is_dir()


def test_the_store_of_a_test_is_empty_and_its_own(tracking_uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    client.create_experiment("mine")
    assert [e.name for e in client.search_experiments()] == ["mine", "Default"]
    assert (tmp_path / "mlflow.db").stat().st_size > 0


def test_mnist_is_whole(mnist_dir: Path) -> None:
    """The sizes that the format's own description gives: 16 or 8 bytes of header, then one byte a pixel or label."""
    raw = mnist_dir / "MNIST" / "raw"
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        assert (raw / f"{part}-images-idx3-ubyte").stat().st_size == 16 + count * 28 * 28
        assert (raw / f"{part}-labels-idx1-ubyte").stat().st_size == 8 + count
