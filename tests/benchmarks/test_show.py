"""What a run was is told from its folder alone, in words that fit any terminal."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import Run, configure, train
from benchmarks.run import main as train_command
from benchmarks.run import parser
from benchmarks.run_folder.folder import RunFolder
from benchmarks.show import main as command
from benchmarks.tracking import tensorboard
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


def test_a_run_is_written_for_tensorboard_from_its_folder(run: Run, called: Callable[..., Done]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    done = called(command, run.path.name, "--tensorboard", "boards/mine")
    assert (done.code, done.err) == (0, "")
    assert "\nwritten for TensorBoard: tensorboard --logdir boards/mine\n" in done.out
    (file,) = Path("boards/mine", run.path.name).iterdir()
    # Written anew, in the place of the old one.
    assert called(command, run.path.name, "--tensorboard", "boards/mine").code == 0
    assert [path.name for path in Path("boards/mine", run.path.name).iterdir()] == [file.name]

    events = EventAccumulator(str(file.parent), {"images": 0, "scalars": 0})
    events.Reload()
    lines = run.folder.lines()
    for tag, section, name in (
        ("fid", "metrics", "fid"),
        ("training/d_real", "curves", "d_real"),
        ("timing/seconds", "timing", "seconds"),
    ):
        told = [(each.step, each.value) for each in events.Scalars(tag)]
        kept = [(line["epoch"], line[section][name]) for line in lines if name in line.get(section, {})]
        assert told == [(epoch, pytest.approx(value, rel=1e-6)) for epoch, value in kept]
        assert len(told) >= 2
    assert events.Scalars("fid")[-1].wall_time == pytest.approx(lines[-1]["timing"]["time"], abs=1e-3)
    pictures = events.Images("samples")
    assert [each.step for each in pictures] == [0, 1, 2]
    assert pictures[2].encoded_image_string == run.folder.pictures()[2].read_bytes()
    settings = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    started = metadata.parse_session_start_info_plugin_data(settings).hparams
    assert (started["variant"].string_value, started["seed"].number_value) == ("cgan_mlp", 3)
    assert started["noise"].string_value == "uniform"
    settings = events.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data.content
    told = {each.name.tag for each in metadata.parse_experiment_plugin_data(settings).metric_infos}
    assert told == set(run.metrics)


def test_what_tensorboard_cannot_have_is_refused_in_one_sentence(
    run: Run, called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").touch()
    words = [run.path.name, "--tensorboard"]
    if tensorboard.find_spec("tensorboard"):
        done = called(command, *words, "file")
        assert done.code == 2
        assert re.fullmatch(r"error: cannot write file/\S+: Not a directory\n", done.err)
        next(iter(run.folder.pictures().values())).write_bytes(b"no picture")
        done = called(command, *words, "boards")
        assert done.err == f"error: runs/{run.path.name}/samples/epoch_000.png is damaged: it is not a picture\n"
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    done = called(command, *words, "boards")
    needed = "TensorBoard, which is not installed; pip install 'gan-benchmark[tensorboard]' has it"
    assert done == (2, "", f"error: --tensorboard needs {needed}\n")
    assert not Path("boards").exists()


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
