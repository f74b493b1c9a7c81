"""The options of all commands: what is called alike means the same, and what is accepted is read."""

import argparse
import importlib
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks import speed
from benchmarks.cli.options import Parser
from benchmarks.executors import EXECUTORS
from benchmarks.questions import presets
from metrics import gan_train
from tests.conftest import ROOT, Done
from tests.image_sets import NOISE, Images
from tests.soak.__main__ import main as soak

ENDING = re.compile(r'^if __name__ == "__main__":\n    run_command\((\w+)\)', re.MULTILINE)


def command_lines() -> dict[str, Callable[[], int | None]]:
    """Every module that `python -m` runs, with its command."""
    found = {}
    for path in sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("reports/*.py"), *ROOT.glob("tests/soak/[a-z]*.py")]):
        if ends := ENDING.search(path.read_text(encoding="utf-8")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name] = getattr(importlib.import_module(name), ends[1])
    return found


COMMANDS = command_lines()


class Parsed(Exception):
    """Carries a command's parser, which had words to parse."""


@pytest.fixture(scope="module")
def parsers() -> dict[str, Parser]:
    def stopped(parser: Parser, *rest: Any) -> None:
        raise Parsed(parser)

    found = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Parser, "parse_args", stopped)
        for name, command in COMMANDS.items():
            with pytest.raises(Parsed) as parsed:
                command()
            (found[name],) = parsed.value.args
    return found


# Alike


# Options of one name that are told in other words, or take other values, since they are about other things.
OF_THEIR_OWN = {
    "--dataset": "one, several, or the one in the place of a preset's",
    "--variant": "one, or several",
    "--precision": "one, or several",
    "--recipe": "of one variant, or of several",
    "--seed": "of a run, of the noise of a picture, or of data",
    "--seeds": "their numbers, or how many",
    "--samples": "of a run, or of a comparison",
    "--out": "a page, a picture, images, or a folder",
    "--preset": "the one to run, or whose plan a report is of",
    "--tuned": "as a suite is told, or was told",
    "--threads": "of a run, or of each loop that is timed",
    "--fill": "from files of figures, or from runs",
    "--against": "what images, or loops, are compared with",
    "--epochs": "of a recipe, or of a comparison",
    "--epoch-updates": "of a recipe, or of a comparison",
}
# A report reads MLflow unless it is told a folder.
NO_DEFAULT = {("reports.build", "--runs-dir")}


def kind(action: argparse.Action) -> type:
    """The type of the values that an option takes."""
    return type(_value(action.type)) if action.type else str


def _value(read: Callable[[str], Any]) -> Any:
    try:
        return read("3")
    except argparse.ArgumentTypeError:
        return read("true")


def test_options_of_one_name_mean_the_same_in_every_command(parsers: dict[str, Parser]) -> None:
    """Same type everywhere; same number of values, words, and default that they do not tell, unless listed above."""
    types, meanings = defaultdict(set), defaultdict(set)
    for name, parser in parsers.items():
        for action in parser._actions:
            for option in action.option_strings:
                types[option].add((type(action), kind(action)))
                if (name, option) in NO_DEFAULT:
                    continue
                words, _, told = action.help.partition(" (")
                default = "told" if str(action.default) in told else repr(action.default)
                meanings[option].add((action.nargs, action.metavar, words, default))
    assert {option: kinds for option, kinds in types.items() if len(kinds) > 1} == {}
    unlike = {option: found for option, found in meanings.items() if len(found) > 1}
    assert {option: found for option, found in unlike.items() if option not in OF_THEIR_OWN} == {}
    # Nothing is listed that need not be.
    assert set(OF_THEIR_OWN) == set(unlike)


# Read


class Noting(argparse.Namespace):
    """What was parsed; notes which options are read."""

    def __init__(self, parsed: argparse.Namespace, read: set[str]) -> None:
        self.__dict__.update(vars(parsed), _read=read)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_"):
            self.__dict__["_read"].add(name)
        return super().__getattribute__(name)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The options that commands have read in this test."""
    noted: set[str] = set()
    parse = Parser.parse_args
    monkeypatch.setattr(Parser, "parse_args", lambda parser, *rest: Noting(parse(parser, *rest), noted))
    return noted


def options(parser: Parser) -> set[str]:
    return {action.dest for action in parser._actions if action.dest != "help"}


class Case(NamedTuple):
    """A command with some words, in which ELSEWHERE is a folder that it is told, and what it leaves in there."""

    module: str
    words: str
    leaves: tuple[str, ...] = ()


JUDGE = "data/extractors/*.safetensors"
OWN = "--dataset folder:own"
RUNS, DATA, OUT = "--runs-dir ELSEWHERE/runs", "--data-dir ELSEWHERE/data", "ELSEWHERE/out"
STORE = "--tracking-uri sqlite:///ELSEWHERE/mlflow.db"
# Commands, each in the state that those before it left.
CHAINS: dict[str, tuple[Case, ...]] = {
    "a run": (
        Case(
            "benchmarks.run",
            f"{OWN} --image-size 8 --epochs 1 --epoch-updates 2 --samples 20 {RUNS} {DATA} {STORE}",
            ("runs/*/config.json", "runs/reference/*", JUDGE, "mlflow.db"),
        ),
        Case("benchmarks.show", f"NAME {RUNS} {STORE}"),
        Case("benchmarks.sample", f"--run NAME {RUNS} {STORE} --out {OUT}.png", ("out.png",)),
        Case("benchmarks.sample", f"NAME {RUNS} {STORE} {DATA} --evaluation --out {OUT}", ("out/*/*.png",)),
        Case("benchmarks.evaluate", f"{OUT} --against own --image-size 8 {DATA} --json {OUT}.json", ("out.json",)),
        Case(
            "benchmarks.export",
            f"NAME --format safetensors {RUNS} {STORE} --out {OUT}.safetensors",
            ("out.safetensors",),
        ),
        Case("benchmarks.sync", f"{RUNS} {STORE}"),
        Case("reports.build", f"{RUNS} --out {OUT}-page", ("out-page/index.md",)),
        Case("reports.build", f"{STORE} --out {OUT}-too", ("out-too/index.md",)),
        Case("benchmarks.run", f"--from NAME --epochs 2 {RUNS} {DATA} {STORE}"),
    ),
    "extractors": (Case("benchmarks.extractors", f"{OWN} --seeds 0 {DATA} --out {OUT}", ("out/*.safetensors",)),),
    "defects": (Case("benchmarks.defects", f"{OWN} {DATA} --out {OUT}.md", ("out.md", JUDGE)),),
    "a suite": (
        Case(
            "benchmarks.suite",
            f"--preset tiny --questions loss_curves --executor inline --pictures none {RUNS} {DATA} {STORE}",
            ("runs/*/config.json", JUDGE, "mlflow.db"),
        ),
    ),
    "a comparison": (
        Case(
            "benchmarks.compare",
            f"--vary loss=non_saturating,hinge {OWN} --image-size 8 --epochs 1 --epoch-updates 1 --samples 20 --most 5 "
            f"--executor inline --pictures none {RUNS} {DATA} {STORE} --out {OUT}",
            ("runs/*/config.json", JUDGE, "mlflow.db", "out/index.md"),
        ),
    ),
    "tuning": (
        Case(
            "benchmarks.tune",
            f"--preset tuned --arms plain --workers 1 {RUNS} {DATA} --out {OUT}.json",
            ("runs/*/config.json", JUDGE, "out.json"),
        ),
    ),
    "precision": (
        Case(
            "tests.soak.precision",
            f"{OWN} --seeds 5 --epochs 1 --epoch-updates 1 --samples 20 --workers 1 {RUNS} {DATA} --json {OUT}.json",
            ("runs/*/config.json", JUDGE, "out.json"),
        ),
    ),
    "speed": (
        Case(
            "benchmarks.speed",
            f"--variant vanilla_gan --against none {OWN} --rounds 1 --seconds 0.01 {DATA} --json {OUT}.json",
            ("out.json",),
        ),
    ),
}


def test_every_command_is_among_them() -> None:
    assert {case.module for chain in CHAINS.values() for case in chain} == set(COMMANDS)


@pytest.mark.parametrize(
    "chain", [name if name == "a run" else pytest.param(name, marks=pytest.mark.long) for name in CHAINS]
)
def test_a_command_reads_each_option_and_leaves_nothing_where_nobody_told_it_to(
    chain: str,
    parsers: dict[str, Parser],
    read: set[str],
    called: Callable[..., Done],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    Images((40,) * 8, (NOISE,) * 8, 8, 8, colour=False, twice=False, seed=0).write(here / "own")
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr("benchmarks.evaluation.classifiers.QUICK_UPDATES", 3)
    monkeypatch.setattr("benchmarks.evaluation.classifiers.LEAST_UPDATES", 3)
    monkeypatch.setattr("benchmarks.evaluation.classifiers.EPOCHS", 1)
    monkeypatch.setattr("benchmarks.evaluation.defects._USUAL_SPLITS", 2)
    monkeypatch.setattr(gan_train, "_UPDATES", 2)
    # A worker, which takes seconds to start, gets the same options.
    monkeypatch.setitem(EXECUTORS, "processes", EXECUTORS["inline"])
    monkeypatch.setattr(presets, "RATES", (1e-3,))
    monkeypatch.setattr(presets, "TUNING_SEEDS", (1000,))
    images = replace(presets.SMOKE.budgets["images"], dataset="folder:own", options={"image_size": 8})
    for name in ("tiny", "tuned"):
        small = replace(presets.SMOKE, name=name, budgets={"images": images}, tuned=name == "tuned")
        monkeypatch.setitem(presets.PRESETS, name, small)
    for module, words, leaves in CHAINS[chain]:
        read.clear()
        runs = [path.parent.name for path in elsewhere.glob("runs/*/config.json")]
        words = words.replace("ELSEWHERE", str(elsewhere)).replace("NAME", "".join(runs))
        done = called(COMMANDS[module], *words.split())
        assert done.code == 0, (module, done.err)
        assert options(parsers[module]) - read == set(), module
        assert [path.name for path in here.iterdir()] == ["own"], module
        assert [pattern for pattern in leaves if not any(elsewhere.glob(pattern))] == [], module


# The option that names what a command is to write, and the work of which that is the result.
WRITES: dict[str, tuple[str, str]] = {
    "benchmarks.compare --dataset ring8 --vary pack=1,2 --out": ("", "benchmarks.suites.scheduler.run_jobs"),
    "benchmarks.defects --dataset digits --out": ("tables.md", "benchmarks.evaluation.defects.measure_defects"),
    "benchmarks.evaluate images --against digits --json": ("all.json", "benchmarks.datasets.load"),
    "benchmarks.export RUN --format torch --out": (
        "generator.pt2",
        "benchmarks.inference.exporting.export_generator",
    ),
    "benchmarks.extractors --dataset digits --out": ("", "benchmarks.evaluation.classifiers.train_extractor"),
    "benchmarks.sample RUN --nearest --out": ("all.png", "benchmarks.inference.find.find_run"),
    "benchmarks.sample RUN --evaluation --out": ("", "benchmarks.inference.find.find_run"),
    "benchmarks.sample RUN --count 50000 --out": ("all.npy", "benchmarks.inference.find.find_run"),
    "benchmarks.speed --variant vanilla_gan --json": ("all.json", "benchmarks.timing.training.measure_training"),
    "benchmarks.speed --to fid<=2 --json": ("all.json", "benchmarks.timing.quality.measure_quality"),
    "benchmarks.tune --preset quick --arms plain --out": ("rates.json", "benchmarks.suites.tuning.list_trials"),
    "reports.build --runs-dir runs --out": ("", "reports.build.build_report"),
    "tests.soak.precision --dataset ring8 --json": ("all.json", "benchmarks.suites.scheduler.run_jobs"),
    "tests.soak calibration --size 0.001 --work": ("", "tests.soak.calibration.calibrate"),
}


def test_every_command_that_writes_what_it_is_told_to_is_among_them(parsers: dict[str, Parser]) -> None:
    writing = {name for name, parser in parsers.items() if options(parser) & {"out", "json"}}
    assert writing | {"tests.soak"} == {words.split()[0] for words in WRITES}


@pytest.mark.parametrize("words", WRITES)
@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_cannot_be_written_is_refused_before_the_work(
    words: str, place: str, called: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, work = WRITES[words]
    monkeypatch.setattr(work, lambda *_, **__: pytest.fail("the work has begun"))
    for folder in ("runs", "images"):
        (tmp_path / folder).mkdir()
    if place == "file":
        (tmp_path / "file").touch()
        out = tmp_path / "file" / name
    else:
        out = tmp_path / (name or "file")
        out.mkdir() if name else out.touch()
    module, *rest = words.split()
    done = called(COMMANDS.get(module, soak), *rest, str(out))
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"error: cannot write {out}")


class Begun(Exception):
    """A timing, which would take minutes, was to begin."""


@pytest.mark.parametrize("timing", speed.READS)
def test_a_timing_reads_what_it_is_listed_to_read_and_refuses_the_rest(
    timing: str,
    parsers: dict[str, Parser],
    read: set[str],
    called: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def begun(*rest: Any, **named: Any) -> None:
        raise Begun

    for function in (
        *("quality.measure_quality", "suite_cost.measure_suite", "libraries.measure_libraries"),
        "tables.fill_page",
    ):
        monkeypatch.setattr(f"benchmarks.timing.{function}", begun)
    words = [f"--{timing}", *{"to": ["fid<=2"], "suite": ["given"], "fill": ["given"]}.get(timing, [])]
    parser = parsers["benchmarks.speed"]
    listed = speed.READS[timing] | speed.READS.keys() | {"json", "plugin"}
    for action in parser._actions:
        if action.dest in options(parser) - listed:
            value = [] if action.nargs == 0 else ["3" if kind(action) in (int, float) else "bfloat16"]
            if action.dest in ("variant", "dataset", "against"):
                value = [{"variant": "dcgan", "dataset": "digits", "against": "none"}[action.dest]]
            done = called(speed.main, *words, action.option_strings[0], *value)
            assert done.code == 2
            assert done.err == f"error: {action.option_strings[0]} is not read by --{timing}; leave it out\n"
    # What is read where values are checked is not used yet.
    monkeypatch.setattr(speed, "check", lambda asked: None)
    read.clear()
    with pytest.raises(Begun):
        called(speed.main, *words)
    assert read - speed.READS.keys() - {"json", "plugin"} == speed.READS[timing]


@pytest.mark.parametrize(
    ("module", "words", "unread", "by"),
    [
        ("reports.build", "--runs-dir runs", "--tracking-uri", "--runs-dir"),
        ("benchmarks.run", "--no-tracking", "--tracking-uri", "--no-tracking"),
        ("benchmarks.suite", "--no-tracking", "--tracking-uri", "--no-tracking"),
    ],
)
def test_an_option_that_another_one_switches_off_is_refused(
    module: str, words: str, unread: str, by: str, called: Callable[..., Done]
) -> None:
    done = called(COMMANDS[module], *words.split(), unread, "sqlite:///mlflow.db")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: {unread} is not read beside {by}; leave one of them out\n"
