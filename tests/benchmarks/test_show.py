"""What a run was is told from its folder alone, in words that fit any terminal."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import Run, configure, train
from benchmarks.run import main as train_command
from benchmarks.run import parser
from benchmarks.run_folder.folder import RunFolder
from benchmarks.show import main as command
from tests.conftest import Done

TINY = {"epochs": 2, "epoch_updates": 2, "samples": 20, "thorough": False, "probes": ("noise_swap",)}


@pytest.fixture
def run(own_folder: Path) -> Run:
    config = configure("cgan_mlp", "digits", **TINY, noise="uniform", seed=3)
    return train(config, pictures="all", track=False)


def test_a_run_is_told_with_its_metrics_pictures_and_command(run: Run, called: Callable[..., Done]) -> None:
    done = called(command, run.path.name)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{run.path.name}: FINISHED, epoch 2 of 2"
    assert "recipe     small, noise uniform, epochs 2, epoch_updates 2" in lines
    assert "seed       3" in lines
    assert not any(line.startswith("stale") for line in lines)
    row = next(line for line in lines if " fid " in line)
    assert f"{run.metrics['fid']:.4g}" in row
    assert f"{run.folder.reference()['fid']:.4g}" in row
    assert f"folder runs/{run.path.name}, with its pictures" in lines


def test_the_command_that_is_told_is_the_one_that_finds_the_run(run: Run, called: Callable[..., Done]) -> None:
    again = called(command, run.path.name).out.splitlines()[-1].strip()
    start = "python -m benchmarks.run "
    assert again.startswith(start)
    asked = parser().parse_args(shlex.split(again.removeprefix(start)))
    given = {name: getattr(asked, name) for name in ("noise", "epochs", "epoch_updates") if hasattr(asked, name)}
    found = configure(
        asked.variant,
        asked.dataset,
        recipe=asked.recipe,
        seed=asked.seed,
        evaluate_every=asked.evaluate_every,
        samples=asked.samples,
        thorough=not asked.quick_metrics,
        probes=asked.probes,
        **given,
    )
    assert found == run.config


def test_the_command_leads_to_the_folder_and_the_data_of_the_run(tmp_path: Path, called: Callable[..., Done]) -> None:
    runs_dir, data_dir = tmp_path / "my runs", tmp_path / "my $data"
    run = train(
        configure("vanilla_gan", "ring8", **TINY | {"probes": ()}), runs_dir=runs_dir, data_dir=data_dir, track=False
    )
    done = called(command, run.path.name, "--runs-dir", "my runs")
    again = shlex.split(done.out.splitlines()[-1])
    assert again[:3] == ["python", "-m", "benchmarks.run"]
    assert again[-4:] == ["--runs-dir", "my runs", "--data-dir", str(data_dir)]
    by_path = called(command, str(run.path)).out.splitlines()[-1]
    assert shlex.split(by_path)[-4:-2] == ["--runs-dir", str(runs_dir)]
    found = called(train_command, *again[3:], "--no-tracking")
    assert found.out.startswith(f"already trained, here: {Path('my runs') / run.path.name}")
    # Where data lie on a machine is nothing to send.
    assert str(data_dir) not in (run.path / "environment.json").read_text()


def test_a_run_of_other_code_is_stale(run: Run, called: Callable[..., Done]) -> None:
    run.folder.write_environment({**run.folder.environment(), "code": "0" * 64})
    assert "\nstale      the code that decides results has changed since; --retrain trains it again\n" in (
        called(command, run.path.name).out
    )


def test_a_hostile_folder_steers_no_terminal(run: Run, called: Callable[..., Done]) -> None:
    folder = RunFolder(run.path)
    hostile = "\x1b[2J\x1b]0;title\x07\n[bold]x[/bold]\r"
    folder.set_status("FAILED", cause=hostile)
    folder.write_environment(
        {"code": hostile, "device": hostile, "notes": [hostile], "versions": 3, "command": hostile}
    )
    line = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])
    folder.append({"epoch": 3, "metrics": {**line["metrics"], hostile: 1.0}})
    done = called(command, run.path.name)
    assert (done.code, done.err) == (0, "")
    assert not set(done.out) & set("\x1b\x07\r")
    assert done.out.count("[bold]x[/bold]") == 5
    folder.write_environment({"notes": 3, "versions": [], "command": ["x"], "recipe": {}})
    assert called(command, run.path.name).code == 0


def test_it_is_told_why_a_metric_could_not_be_measured(run: Run, called: Callable[..., Done]) -> None:
    facts = run.folder.facts()
    run.folder.write_json("facts.json", {**facts, "absent": {"copies": "no sample looks real", "fid": [1]}})
    lines = called(command, run.path.name).out.splitlines()
    assert "not measured: copies: no sample looks real" in lines
    run.folder.write_json(
        "facts.json", {**facts, "absent": {}, "absent_reference": {"kid": "too few", "fid": "too few"}}
    )
    lines = called(command, run.path.name).out.splitlines()
    assert "not measured of real data: kid, fid: too few" in lines
