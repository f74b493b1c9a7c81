"""What the documentation shows works: its links lead somewhere, its commands are understood, its Python runs."""

import re
import shlex
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import metrics
import reports
from benchmarks import compare, configure, sample, suite, train
from benchmarks.__main__ import start
from benchmarks.cli.options import PROGRAMS
from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.inference import exporting
from benchmarks.questions import QUESTIONS
from benchmarks.questions.presets import find_preset
from benchmarks.run import parser
from benchmarks.suites.comparison import find_criterion
from benchmarks.suites.plan import make_plan
from benchmarks.tracking import tensorboard
from metrics import FrechetDistance
from reports import build
from tests.conftest import ROOT, Done
from variants import VARIANTS

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


PUBLISHED = sorted((ROOT / "reports" / "published").rglob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of code in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES + PUBLISHED, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        name, _, part = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists():
            broken.append(link)
        elif part:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            broken += [link] if part not in map(anchor, headings) else []
    assert broken == []


def test_commands_are_understood() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    commands = re.findall(r"python -m benchmarks\.run ([^#`\n]+)", text)
    assert len(commands) > 3
    modules = re.findall(r"python -m ((?:benchmarks|reports)\.\w+)", text)
    assert [name for name in modules if not (ROOT / name.replace(".", "/")).with_suffix(".py").exists()] == []
    for command in commands:
        if command == "--help":
            continue
        asked = parser().parse_args(shlex.split(command))
        assert asked.plugin or asked.variant in VARIANTS


def test_the_commands_of_the_commands_page_are_understood(
    called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each parses as typed, and gets as far as to look for RUN, which is not there."""
    monkeypatch.setattr(exporting, "find_spec", lambda name: name)
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: name)
    lines = "".join(blocks(ROOT / "docs" / "commands.md", "sh")).splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    seen = set()
    for words in commands:
        if words[0] == "tensorboard":
            continue
        if words[:2] == ["python", "-m"]:
            command, rest = import_module(words[2]).main, words[3:]
        else:
            assert words[0] == "gan-benchmark"
            command, rest = partial(start, "gan-benchmark", words[1:]), words[1:]
            command.__module__ = "gan-benchmark"
        done = called(command, *rest)
        seen.add(words[2] if words[0] == "python" else words[0])
        if rest:
            assert done.code == 2
            assert done.err.startswith("error: there is no run 'RUN' in runs")
        else:
            assert done.code == 0
    PROGRAMS.clear()
    assert seen == {"benchmarks.run", "benchmarks.export", "benchmarks.show", "gan-benchmark"}


EXERCISES = ROOT / "docs" / "exercises.md"


def exercise_commands() -> dict[str, list[list[str]]]:
    """The commands of each section of the exercise sheet, by its question, without `python -m`."""
    sections = re.split(r"^## \d+\. .* \(`(\w+)`\)$", EXERCISES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        name: [shlex.split(line, comments=True) for line in re.findall(r"^python -m (.*)$", text, re.MULTILINE)]
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }


def test_every_question_is_an_exercise() -> None:
    commands = exercise_commands()
    assert set(commands) == set(QUESTIONS)
    text = EXERCISES.read_text(encoding="utf-8")
    for name, shown in commands.items():
        assert shown, name
        assert f"published/mnist/{name}.md" in text
        for module, *words in shown:
            if "--questions" in words:
                assert words[words.index("--questions") + 1] == name, (module, words)


def test_the_commands_of_the_exercises_are_understood(
    called: Callable[..., Done], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is read as typed; one of a suite has decisions to take, and the report is asked for the same questions."""
    trained, reported = [], []
    monkeypatch.setattr(
        reports, "report", lambda out, preset, questions, **_: reported.append((preset, questions)) or ()
    )
    data = {name: load(DatasetConfig(name)) for name in ("digits", "ring8")}
    commands = [command for shown in exercise_commands().values() for command in shown]
    for module, *words in commands:
        if module == "benchmarks.run":
            assert parser().parse_args(words).variant in VARIANTS
        elif module == "benchmarks.sample":
            sample.parser().parse_args(words)
        elif module == "benchmarks.compare":
            asked = compare.parser().parse_args(words)
            assert len(compare.list_arms(asked)) == 2, words
            find_criterion(asked.by, asked.margin, data["ring8" if asked.dataset == "ring8" else "digits"])
        elif module == "benchmarks.suite":
            asked = suite.parser().parse_args(words)
            assert make_plan(find_preset(asked.preset), asked.questions).decisions, words
            trained.append((asked.preset, asked.questions))
        else:
            assert module == "reports.build"
            assert called(build.main, *words).code == 0, words
    assert len(trained) > 5
    assert reported == trained


def test_make_commands_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {word for page in PAGES for word in re.findall(r"[`\n]make\s([\w-]+)", page.read_text(encoding="utf-8"))}
    assert {"run", "test"} <= shown <= targets


def test_every_variant_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in VARIANTS if f"`{name}`" not in text] == []


def test_the_variant_that_the_readme_adds_can_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    [source] = [block for block in blocks(ROOT / "README.md", "python") if "VARIANT = Variant(" in block]
    module: dict[str, object] = {}
    exec(source, module)  # it is the project's own README
    monkeypatch.setitem(VARIANTS, "wide_gan", module["VARIANT"])
    config = configure("wide_gan", "digits", epochs=1, epoch_updates=2, samples=200, thorough=False)
    assert train(config, pictures="none", track=False).folder.status()["state"] == "FINISHED"


def test_the_training_loop_of_the_metrics_page_runs() -> None:
    [source] = [block for block in blocks(ROOT / "docs" / "metrics.md", "python") if "FeatureShare" in block]
    shown: dict[str, object] = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(source, shown)  # it is the project's own page
    values = shown["values"]
    assert set(values) == {"FrechetDistance", "kid", "kid_error", "precision", "recall", "density", "coverage"}
    assert all(bool(value.isfinite()) for value in values.values())
    # The real side stayed, and the samples of the first epoch did not.
    alone = FrechetDistance(shown["extractor"])
    alone.update(shown["data"].test.images(slice(None)), real=True)
    assert alone.get_rows(real=True)[2] == shown["metrics"]["FrechetDistance"].get_rows(real=True)[2]
    assert shown["metrics"]["FrechetDistance"].get_rows(real=False)[2] == 898


def shown_commands(page: Path, heading: str) -> list[list[str]]:
    """The words of the commands in a section of a page, without `python -m` and without comments."""
    section = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    [text] = [part for part in section if part.startswith(f"{heading}\n")]
    return [shlex.split(line, comments=True) for line in re.findall(r"^python -m (.*)$", text, re.MULTILINE)]


SHOWN = "evaluate evaluate evaluate sample sample sample sample evaluate sample"


def test_the_commands_that_judge_images_run_as_they_are_typed(
    called: Callable[..., Done], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 3)
    monkeypatch.setattr("metrics.gan_train._UPDATES", 2)
    data = load(DatasetConfig("digits"))
    np.save("images.npy", data.train.data[:40].numpy())
    np.save("labels.npy", data.train.labels[:40].numpy())
    random = np.random.default_rng(0)
    for folder, side in (("FOLDER", 8), ("REAL", 9)):
        Path(folder).mkdir()
        for number in range(10):
            pixels = random.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(Path(folder, f"{number}.png"))
    config = configure("cgan_mlp", "digits", epochs=1, epoch_updates=2, samples=40, probes=())
    run = train(config, pictures="none", track=False)
    shown = shown_commands(ROOT / "docs" / "metrics.md", "Images that anything made")
    assert [module for module, *_ in shown] == [f"benchmarks.{name}" for name in SHOWN.split()]
    for module, *words in shown:
        # Small data in the place of large.
        small = {"mnist": "digits", "64": "8", "50000": "60", "RUN": str(run.path)}
        done = called(import_module(module).main, *(small.get(word, word) for word in words))
        assert done.code == 0, (words, done.err)
        if words[0] == "judged.npy":
            rows = {row[1]: row[3] for row in map(str.split, done.out.splitlines()) if len(row) > 3}
            assert {name: rows[name] for name in run.metrics} == {n: f"{v:.4g}" for n, v in run.metrics.items()}
    for path in ("figures.json", "made/7/00007.png", "made-labels.npy", "sevens/7", "nearest.png"):
        assert Path(path).exists()


@pytest.mark.long
def test_the_python_of_the_commands_page_goes_on_from_a_run() -> None:
    [source] = blocks(ROOT / "docs" / "commands.md", "python")
    short, count = re.subn(r"epochs=(\d)", r"epochs=\1, epoch_updates=1, samples=50, thorough=False", source)
    assert count == 2
    shown: dict[str, Any] = {}
    exec(short, shown)  # it is the project's own page
    assert [line["epoch"] for line in shown["second"].folder.lines()] == [5, 6, 7, 8]


def test_every_class_of_metrics_is_on_the_metrics_page() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [name for name in metrics.__all__ if f"`{name}`" not in text] == []


def test_the_python_of_the_readme_runs(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    [source] = [block for block in blocks(ROOT / "README.md", "python") if "load_run" in block]
    short, count = re.subn(r"epochs=\d+", "epochs=1, epoch_updates=5, samples=500, thorough=False", source)
    assert count == 1
    shown: dict[str, object] = {}
    exec(short, shown)  # it is the project's own README
    assert shown["images"].shape == (3, 1, 8, 8)
    assert shown["results"]().fid.notna().all()
