"""Plugins: what they add is used like everything else, and known by its source; broken ones are named."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import Run, configure, load_plugins, load_run, plugins, train
from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.evaluation.defects import drop_class, prepare_split
from benchmarks.run_folder.folder import RunFolder
from tests.conftest import ROOT
from variants import VARIANTS, UserError
from variants.noise import NOISES

EXAMPLE = ROOT / "examples" / "my_variant.py"
TINY = {"epochs": 1, "epoch_updates": 2, "samples": 20, "thorough": False, "probes": ()}


pytestmark = pytest.mark.usefixtures("own_plugins")


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "mine.py") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def trained(runs_dir: Path, variant: str = "residual_gan", dataset: str = "digits", **changes) -> Run:
    config = configure(variant, dataset, **{**TINY, **changes})
    return train(config, runs_dir=runs_dir, track=False, pictures="none")


def test_the_candidates_that_were_left_out_can_be_measured_again() -> None:
    load_plugins([EXAMPLE.with_name("candidate_metrics.py")])
    evaluator, planting = prepare_split(load(DatasetConfig("digits")), torch.Generator().manual_seed(0))
    names = ["fid_infinite", "fid_class", "fid_class_worst", "vendi"]
    assert set(names) <= set(evaluator.names())

    def measured(samples: torch.Tensor) -> dict[str, float]:
        return evaluator.measure([*names, "fid"], evaluator.compare(samples))

    sound, dropped = measured(planting.sound), measured(drop_class(planting))
    assert len(sound) == 14
    # The bias of few samples is gone.
    assert abs(sound["fid_infinite"]) < sound["fid"]
    assert sound["vendi"] == pytest.approx(1, abs=0.02)
    assert dropped["fid_class_worst"] == dropped["fid_class_3"] > 20 * sound["fid_class_3"]
    assert dropped["fid_class_8"] == sound["fid_class_8"]
    assert dropped["vendi"] < 0.95


def forget(name: str) -> None:
    """As in another process, where this plugin was not given."""
    del plugins.HASHES[name]
    for kind, added in [entry for entry, by in plugins.ADDED.items() if by == name]:
        del plugins._lists()[kind].entries[added]
        del plugins.ADDED[kind, added]


def test_the_example_is_trained_and_sampled_from_like_any_other(tmp_path: Path) -> None:
    load_plugins([EXAMPLE, EXAMPLE])
    run = trained(tmp_path, noise="laplace")
    assert run.folder.status()["state"] == "FINISHED"
    assert run.generate(count=3).shape == (3, 1, 8, 8)
    assert trained(tmp_path, "residual_gan", "ring8").generate(count=3).shape == (3, 2)
    assert trained(tmp_path, "vanilla_gan", noise="laplace").config.plugins == run.config.plugins
    words = run.folder.environment()["command"].split()
    assert words[words.index("--plugin") + 1] == "my_variant.py"


def test_the_noise_of_the_example_is_what_it_says() -> None:
    import torch

    load_plugins([EXAMPLE])
    drawn = NOISES["laplace"]((200_000, 1), torch.Generator().manual_seed(0)).double()
    assert drawn.isfinite().all()
    assert drawn.mean().item() == pytest.approx(0, abs=0.01)
    assert drawn.var().item() == pytest.approx(1, abs=0.02)
    # The fourth moment of a Laplace variable of variance 1 is 6, of a Gaussian 3.
    assert drawn.pow(4).mean().item() == pytest.approx(6, abs=0.3)


def test_a_run_is_known_by_the_source_of_the_plugins_that_it_uses(plugin: Callable[..., Path]) -> None:
    before = configure("vanilla_gan", "digits", **TINY)
    path = plugin("from variants.noise import uniform\n\nNOISES = {'flat': uniform}\n")
    load_plugins([path])
    assert configure("vanilla_gan", "digits", **TINY) == before
    config = configure("vanilla_gan", "digits", **TINY, noise="flat")
    ((name, digest),) = [entry.split(":") for entry in config.plugins]
    assert (name, digest) == ("mine.py", plugins.HASHES["mine.py"])

    forget("mine.py")
    path.write_text(path.read_text() + "# another version\n")
    load_plugins([path])
    again = configure("vanilla_gan", "digits", **TINY, noise="flat")
    assert again.key != config.key
    assert type(config).from_dict(again.as_dict()) == again


def test_a_run_is_loaded_only_where_its_plugin_is_given(tmp_path: Path, plugin: Callable[..., Path]) -> None:
    path = plugin(EXAMPLE.read_text())
    load_plugins([path])
    run = trained(tmp_path / "runs")
    (run.path / "mine.py").write_text("raise SystemExit('code of a run folder was run')")

    forget("mine.py")
    unknown = load_run(run.path)
    assert unknown.metrics == run.metrics
    with pytest.raises(
        UserError, match=r"made with the plugin mine\.py, .* no code of its own; give it with --plugin mine"
    ):
        unknown.generate(count=1)
    with pytest.raises(UserError, match=r"made with the plugin mine\.py"):
        train(run.config, runs_dir=tmp_path / "others", track=False)
    assert not (tmp_path / "others").exists()

    path.write_text(EXAMPLE.read_text().replace("0.5", "0.25"))
    load_plugins([path])
    with pytest.raises(UserError, match=r"made with another version of the plugin mine\.py"):
        load_run(run.path).generate(count=1)


def in_a_worker(config: dict, runs_dir: str) -> list[float]:
    from benchmarks.config import RunConfig

    run = train(RunConfig.from_dict(config), runs_dir=runs_dir, track=False, pictures="none")
    return run.generate(count=2).flatten().tolist()


@pytest.mark.long
def test_a_worker_process_has_the_plugins_of_its_parent(tmp_path: Path, plugin: Callable[..., Path]) -> None:
    path = plugin(EXAMPLE.read_text())
    load_plugins([path])
    here = trained(tmp_path / "here")
    path.write_text("raise SystemExit('the file was changed in the meantime')")
    with ProcessPoolExecutor(1, get_context("spawn"), plugins.adopt, (tuple(plugins.FILES),)) as workers:
        there = workers.submit(in_a_worker, here.config.as_dict(), str(tmp_path / "there")).result()
    assert there == here.generate(count=2).flatten().tolist()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "import torch\nx = unknown_name\n",
            "{path} is broken at line 2: NameError: name 'unknown_name' is not defined",
        ),
        ("x = 1\nNOISES = {\n", "{path} is broken at line 2: SyntaxError: '{{' was never closed"),
        ("\n\nimport no_such_package\n", "{path} is broken at line 3: ModuleNotFoundError: No module named"),
        ("import torch\ntorch.zeros(2) @ torch.zeros(3)\n", "{path} is broken at line 2: RuntimeError: "),
        ("raise SystemExit('bye')\n", "{path} is broken at line 1: SystemExit: bye"),
        (
            "from variants.recipe import Recipe\nRecipe(epochs=0)\n",
            "{path} is broken at line 2: --epochs is at least 1",
        ),
        ("x = '\0'\n", "{path} is broken: "),
        (
            "x = 1\n",
            "{path} adds nothing; it defines none of VARIANT, LOSSES, NOISES, DATASETS, METRICS, PROBES, QUESTIONS, PR",
        ),
        ("x = 1\nNOISES = [1]\n", "{path}, line 2: NOISES is a dict by name, not list"),
        ("NOISES = {'flat': 3}\n", "{path}, line 1: NOISES holds 3, which is not a function (shape, stream) -> tensor"),
        ("VARIANT = 'my_gan'\n", "{path}, line 1: VARIANT holds 'my_gan', which is not a variants.Variant"),
        (
            "LOSSES: dict = {'mine': max}\n",
            "{path}, line 1: LOSSES holds <built-in function max>, which is not a variants.lo",
        ),
        (
            "NOISES = {'a b': max}\n",
            "{path}, line 1: NOISES has the name 'a b'; names are made of letters, digits and '_'",
        ),
        (
            "NOISES = {'new': max, 'uniform': max}\n",
            "{path}, line 1: NOISES has the name 'uniform', and there is a noise of",
        ),
        (
            "from dataclasses import replace\nfrom variants.cgan_mlp import VARIANT\n",
            "{path}: VARIANT has the name 'cgan_mlp', and there is a variant of that name already",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_line_and_adds_nothing(
    plugin: Callable[..., Path], text: str, sentence: str
) -> None:
    path = plugin(text)
    before = [dict(known.entries) for known in plugins._lists().values()]
    with pytest.raises(UserError) as refused:
        load_plugins([path])
    assert str(refused.value).startswith("the plugin " + sentence.format(path=path))
    assert "\n" not in str(refused.value)
    assert [known.entries for known in plugins._lists().values()] == before
    assert (plugins.HASHES, plugins.FILES) == ({}, [])


def test_a_plugin_that_is_not_there_and_two_of_one_name_are_refused(
    tmp_path: Path, plugin: Callable[..., Path]
) -> None:
    with pytest.raises(UserError, match=r"cannot read the plugin nowhere\.py: No such file"):
        load_plugins(["nowhere.py"])
    with pytest.raises(UserError, match=r"a plugin is a \.py file"):
        load_plugins([plugin("", "mine.txt")])
    (tmp_path / "other").mkdir()
    one, two = plugin("NOISES = {'a': max}\n"), plugin("NOISES = {'b': max}\n", "other/mine.py")
    load_plugins([one])
    with pytest.raises(UserError, match=r"a plugin mine\.py is loaded that is not .*other/mine\.py; rename one"):
        load_plugins([two])


def test_the_snippets_of_the_documentation_work(tmp_path: Path, plugin: Callable[..., Path]) -> None:
    text = (ROOT / "docs" / "plugins.md").read_text()
    snippets = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, re.DOTALL)
    assert len(snippets) >= 3
    load_plugins([plugin(code, name) for name, code in snippets])
    run = trained(tmp_path / "runs", "vanilla_gan", "stripes", loss="linear")
    assert "ink" in run.metrics
    assert {entry.partition(":")[0] for entry in run.config.plugins} == {
        name for name, code in snippets if "QUESTIONS" not in code
    }


def test_what_an_example_adds_is_new() -> None:
    """Or it would hide what the project has under the same name."""
    assert "residual_gan" not in VARIANTS
    assert "laplace" not in NOISES


def test_a_folder_from_a_stranger_names_plugins_only_in_their_form(tmp_path: Path) -> None:
    config = configure("vanilla_gan", "digits", **TINY)
    for bad in ("mine.py", 3, ["../mine.py:" + "0" * 64], ["mine.py:xyz"], [3]):
        with pytest.raises(UserError):
            type(config).from_dict({**config.as_dict(), "plugins": bad})
    folder = RunFolder.create(
        tmp_path, type(config).from_dict({**config.as_dict(), "plugins": ["mine.py:" + "0" * 64]})
    )
    with pytest.raises(UserError, match=r"made with the plugin mine\.py"):
        _ = load_run(folder.path).generator


def test_a_question_of_a_plugin_is_planned_like_any_other(plugin: Callable[..., Path]) -> None:
    from benchmarks.questions.presets import SMOKE
    from benchmarks.suites.plan import make_plan

    path = plugin(
        """
from benchmarks.questions.arms import PLAIN
from benchmarks.questions.base import FID_MARGIN, LN_FID, Decision, Question, better

WIDE = PLAIN.vary("wide", "twice as wide", generator_widths=(256, 512), probes=())
QUESTIONS = {
    "width": Question(
        "width", "Width", "Are wide networks better?", {"W": "Wide networks are better."},
        (Decision("W-wide", "W", "A wide generator is better.", (better(WIDE, PLAIN, LN_FID, FID_MARGIN),), "a", "b"),),
        "metrics/fid_normalized", ("fid_normalized",), (), (),
    )
}
"""
    )
    load_plugins([path])
    plan = make_plan(SMOKE, ["width"])
    assert [arm.name for arm in plan.arms] == ["wide", "plain"]
    assert plan.arm("wide").recipe.generator_widths == (256, 512)
    assert [decision.decision.name for decision in plan.decisions] == ["W-wide"]


@pytest.mark.parametrize("kind", ["arm", "decision"])
def test_a_question_whose_names_stand_for_something_else_is_refused(plugin: Callable[..., Path], kind: str) -> None:
    from benchmarks.questions import QUESTIONS, load_question

    (taken, *_) = load_question("mode_collapse").decisions
    arm, decision = ("plain", "mine") if kind == "arm" else ("mine", taken.name)
    path = plugin(
        f'''
from benchmarks.questions.arms import PLAIN
from benchmarks.questions.base import FID_MARGIN, LN_FID, Decision, Question, better

MINE = PLAIN.vary("{arm}", "twice as wide", generator_widths=(256, 512), probes=())
OTHER = PLAIN.vary("other", "another")
DECISION = Decision("{decision}", "W", "A.", (better(MINE, OTHER, LN_FID, FID_MARGIN),), "a", "b")
QUESTIONS = {{"width": Question("width", "Width", "?", {{}}, (DECISION,), "metrics/fid_normalized", (), (), ())}}
'''
    )
    name = {"arm": arm, "decision": decision}[kind]
    with pytest.raises(
        UserError, match=rf"the question width has the {kind} {name}, and there is another {kind} of that"
    ):
        load_plugins([path])
    assert "width" not in QUESTIONS


def sections(language: str) -> list[str]:
    """The fenced blocks of that language in the section of the documentation on questions."""
    section = (ROOT / "docs" / "plugins.md").read_text().partition("## A question\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def started(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.long
def test_a_question_of_a_plugin_is_tuned_trained_and_answered_by_the_documented_commands(own_folder: Path) -> None:
    (source,), (commands,) = sections("python"), sections("sh")
    small = {"epochs": 2, "epoch_updates": 3, "seeds": 2, "seeds_alone": 2, "samples": 50}
    for name, value in small.items():
        source, count = re.subn(rf'("?{name}"?[=:] ?)\d+', rf"\g<1>{value}", source)
        assert count == 1
    (own_folder / "my_question.py").write_text(source)
    tune, suite, build = (shlex.split(line)[1:] for line in commands.splitlines())
    suite = [*suite, "--no-tracking"]

    early = started(suite, own_folder)
    # The refusal says the command of the documentation, which sets it right.
    assert early.returncode == 2
    told = "error: the arms plain-points, narrow-points have no tuned learning rate; python (.*) tunes them\n"
    mend = re.fullmatch(told, early.stderr)
    assert mend is not None, early.stderr
    assert sorted(shlex.split(mend[1])) == sorted(tune)

    for words in (tune, suite, build):
        done = started(words, own_folder)
        assert (done.returncode, done.stderr) == (0, ""), words
        if words == suite:
            assert "6 runs finished, 0 failed" in done.stdout
            said = re.search(r"the report: python (.*)", done.stdout)
            assert said is not None
            assert sorted(shlex.split(said[1])) == sorted(build)
    page = (own_folder / "reports" / "out" / "width.md").read_text()
    assert "### W, `W-wide`: " in page
    assert "| plain GAN, rate .001 | `vanilla_gan` | 0.001 | chosen, not tuned |" in page
    assert "Of plain GAN, rate .001, the learning rate was chosen, not tuned" in page
    # Only what was tuned has a grid.
    grid = page.partition("## Tuning")[2]
    assert "`narrow-points`" in grid
    assert "`slow-points`" not in grid
    assert set(json.loads((own_folder / "tuned.json").read_text())["arms"]) == {"plain-points", "narrow-points"}


TAKE_PLUGINS = {
    *("benchmarks.compare", "benchmarks.run", "benchmarks.suite", "benchmarks.tune", "benchmarks.sample"),
    *("benchmarks.show", "benchmarks.speed", "benchmarks.defects", "benchmarks.extractors", "reports.build"),
    "benchmarks.evaluate",
    "tests.soak.precision",
}
# It copies: it needs no code of a variant, metric or question.
NEED_NONE = {"benchmarks.sync"}


def test_a_command_takes_plugins_unless_it_needs_none(called: Callable[..., Any], plugin: Callable[..., Path]) -> None:
    from importlib import import_module

    files = [file for folder in ("benchmarks", "reports", "tests/soak") for file in (ROOT / folder).glob("[a-z]*.py")]
    ending = re.compile(r'^if __name__ == "__main__":\n    run_command\((\w+)\)', re.MULTILINE)
    ends = {file: ending.search(file.read_text()) for file in files}
    functions = {".".join(file.relative_to(ROOT).with_suffix("").parts): end[1] for file, end in ends.items() if end}
    assert set(functions) == TAKE_PLUGINS | NEED_NONE
    path = plugin("1 / 0\n")
    for name, function in functions.items():
        command = getattr(import_module(name), function)
        needs = {
            "benchmarks.evaluate": ["FOLDER", "--against", "digits"],
            "benchmarks.sample": ["--run", "RUN"],
            "benchmarks.show": ["RUN"],
        }.get(name, [])
        done = called(command, *needs, "--plugin", str(path))
        assert done.code == 2
        broken = f"error: the plugin {path} is broken at line 1: ZeroDivisionError"
        assert done.err.startswith(broken if name in TAKE_PLUGINS else "error: unknown option --plugin"), name


@pytest.mark.long
def test_a_run_of_a_plugin_is_sent_and_compared_without_it(
    called: Callable[..., Any], plugin: Callable[..., Path], tracking_uri: str
) -> None:
    from benchmarks import sync
    from reports import build

    load_plugins([plugin(EXAMPLE.read_text())])
    trained(Path("runs"), noise="laplace")
    forget("mine.py")
    sent = called(sync.main, "--tracking-uri", tracking_uri)
    assert "1 runs, 1 sent, 0 there already, 0 failed" in sent.out
    for command, words in ((build.main, ["--runs-dir", "runs"]), (build.main, ["--tracking-uri", tracking_uri])):
        assert called(command, *words).code == 0
        assert "1 finished run of 1 variant" in Path("reports/out/index.md").read_text()
    assert "residual_gan" not in VARIANTS


@pytest.mark.long
def test_a_metric_and_a_variant_of_a_plugin_are_known_to_the_other_commands(
    called: Callable[..., Any], plugin: Callable[..., Path]
) -> None:
    from benchmarks import speed
    from benchmarks.defects import main as command

    text = (ROOT / "docs" / "plugins.md").read_text()
    snippets = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, re.DOTALL))
    ink, mine = plugin(snippets["my_metric.py"], "my_metric.py"), plugin(EXAMPLE.read_text())
    done = called(command, "--dataset", "digits", "--samples", "100", "--plugin", str(ink))
    assert done.code == 0, done.err
    assert "| `ink` | lower |" in done.out
    # In a process of its own, which has the plugin from this one.
    few = ("--rounds", "1", "--seconds", "0.01", "--threads", "1", "--against", "none")
    timed = called(speed.main, "--variant", "residual_gan", "--dataset", "ring8", "--plugin", str(mine), *few)
    assert timed.code == 0, timed.err
    assert "`residual_gan`" in timed.out
