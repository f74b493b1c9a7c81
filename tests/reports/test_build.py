"""The command that builds reports: from run folders, the same bytes each time, beside what others have written."""

import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

from benchmarks.run_folder.folder import RunFolder
from benchmarks.suites.plan_history import record_plan
from reports.build import Report, answer_questions, main, write_report
from reports.reading.runs import FoundRuns, find_runs, read_run
from tests.made_runs import ENVIRONMENT, UPDATES, decided, index, made, on_disk, smoke


def test_the_same_runs_give_the_same_bytes_in_whatever_order_they_come():
    plan = smoke("mode_collapse")
    runs = made(plan, {"arc-1": {"metrics/overlap": 0.95}})
    shuffled = random.Random(3).sample(runs, len(runs))
    one, other = (answer_questions(FoundRuns(tuple(each)), plan) for each in (runs, shuffled))
    assert one == other
    assert set(one.pages) == {"index.md", "mode_collapse.md"}
    assert {path.rpartition("/")[2] for path in one.pictures} >= {
        "mode_collapse-effects.svg",
        "mode_collapse-training.svg",
        "mode_collapse-modes.svg",
        "samples-arc-8.png",
    }
    for path in re.findall(r"\]\((pictures/[^)]*)\)", one.pages["mode_collapse.md"]):
        assert path in one.pictures
    assert sum(map(len, one.pictures.values())) < 250_000


def test_what_an_earlier_protocol_measured_otherwise_is_left_out_and_said(tmp_path: Path):
    plan = smoke("critic_steps", seeds=5)
    for run in made(plan, {arm.name: {"metrics/copies": 0.02} for arm in plan.arms}):
        old = {name: value for name, value in ENVIRONMENT.items() if name != "protocol_version"}
        on_disk(tmp_path, replace(run, environment=old))
    runs = find_runs((), tmp_path).runs
    assert {run.protocol_version for run in runs} == {1}
    assert not any(run.reference or any("copies" in line["metrics"] for line in run.lines) for run in runs)
    markdown = index(decided(plan, runs), runs)
    assert "Measured by an earlier version of the protocol: 15 of 15 runs." in markdown
    assert "their curves show the last step only" in markdown
    assert "*real data*" not in markdown


def test_the_command_answers_the_questions_from_run_folders(tmp_path: Path, called):
    plan = smoke("loss_curves", seeds=5)
    runs = made(plan)
    for run in runs:
        on_disk(tmp_path / "runs", run)
    record_plan(plan, tmp_path / "runs", "2026-11-25 10:00")
    asked = "--preset smoke --questions loss_curves --seeds 5 --runs-dir runs --out out --html".split()
    done = called(main, *asked)
    assert (done.code, done.err) == (0, "")
    assert "10 of 10 planned runs have ended" in done.out
    # Five seeds cannot be enough for one arm against itself; a smoke run has not the source's setup.
    assert "verdicts: 1 not tested, 1 undetermined" in done.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "index.md",
        "index.html",
        "loss_curves.md",
        "pictures",
    }
    first = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert plan.hash in (tmp_path / "out" / "index.md").read_text()
    assert str(tmp_path) not in (tmp_path / "out" / "index.md").read_text()
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    called(main, *[word.replace("runs", "elsewhere") if word == "runs" else word for word in asked])
    assert first == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert read_run(RunFolder(tmp_path / "elsewhere" / runs[0].name)).updates == UPDATES


def test_pictures_of_an_earlier_report_go_and_those_of_others_stay(tmp_path: Path):
    index = {"index.md": "Made by `python -m reports.build`."}
    report = Report("t", index, {"pictures/a.svg": b"a"}, (), frozenset())
    write_report(report, tmp_path / "out")
    write_report(replace(report, pictures={"pictures/b.svg": b"b"}), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "pictures").iterdir()] == ["b.svg"]
    (tmp_path / "own" / "pictures").mkdir(parents=True)
    (tmp_path / "own" / "pictures" / "mine.png").write_bytes(b"mine")
    write_report(report, tmp_path / "own")
    assert (tmp_path / "own" / "pictures" / "mine.png").exists()


def test_mistakes_are_refused(called):
    done = called(main, "--questions", "loss_curves")
    assert done.code != 0
    assert "name it by --preset" in done.err
    assert "unknown preset 'quik'" in called(main, "--preset", "quik").err
    assert "unknown question" in called(main, "--preset", "smoke", "--questions", "loss_curve").err
