"""The command export: writes and checks a generator, logs it to MLflow once, and refuses before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import Run
from benchmarks.export import main as command
from benchmarks.inference import exporting
from benchmarks.tracking.upload import sync
from tests.conftest import Done


@pytest.mark.parametrize("format", ["torch", "safetensors"])
def test_the_command_writes_what_it_checked(
    format: str, labelled: Run, called: Callable[..., Done], own_folder: Path
) -> None:
    file = own_folder / f"{labelled.path.name}{exporting.FORMATS[format]}"
    done = called(command, str(labelled.path), "--format", format)
    assert (done.code, done.err) == (0, "")
    size = file.stat().st_size
    assert done.out == f"wrote {file.name}: {size:,} bytes; its samples are those of the run to 0\n"
    assert called(command, str(labelled.path), "--format", format, "--out", f"new/mine{file.suffix}").code == 0
    assert (own_folder / "new" / f"mine{file.suffix}").stat().st_size == size


@pytest.mark.long
def test_a_model_is_logged_once_and_mlflow_serves_it(
    labelled: Run, called: Callable[..., Done], tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    import mlflow
    from mlflow import MlflowClient

    run_id = sync(labelled.folder, tracking_uri)
    ended = MlflowClient(tracking_uri).get_run(run_id).info.end_time
    words = [str(labelled.path), "--out", "mine.onnx", "--log-model", "--tracking-uri", tracking_uri]
    done = called(command, *words)
    assert (done.code, done.err) == (0, "")
    address = done.out.splitlines()[-1].removeprefix("logged to MLflow: ")
    assert called(command, *words).out.splitlines()[-1] == done.out.splitlines()[-1]

    run = MlflowClient(tracking_uri).get_run(run_id)
    assert [f"models:/{each.model_id}" for each in run.outputs.model_outputs] == [address]
    assert (run.info.status, run.info.end_time) == ("FINISHED", ended)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    model = mlflow.pyfunc.load_model(address)
    assert {each.name: each.shape for each in model.metadata.get_input_schema().inputs} == {
        "noise": (-1, labelled.config.recipe.noise_size),
        "labels": (-1,),
    }
    samples = model.predict(model.input_example)["samples"]
    assert samples.shape == (3, 1, 8, 8)
    assert abs(samples - labelled.generate(count=3).numpy()).max() < exporting.TOLERANCE


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--format onx", "unknown format 'onx'; did you mean 'onnx'? (it is one of onnx, torch, safetensors)"),
        ("--format torch --out a.onnx", "--out is the name of a .pt2 file for --format torch, not 'a.onnx'"),
        (
            "--format torch --log-model",
            "--log-model logs an ONNX model, and the format is torch; leave one of them out",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(
    labelled: Run, called: Callable[..., Done], own_folder: Path, words: str, sentence: str
) -> None:
    done = called(command, str(labelled.path), *words.split())
    assert done == (2, "", f"error: {sentence}\n")
    assert list(own_folder.iterdir()) == []


def test_onnx_needs_packages_of_the_extra(
    called: Callable[..., Done], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    done = called(command, "runs/any")
    assert done.code == 2
    assert done.err == (
        "error: --format onnx needs onnx and onnxscript and onnxruntime, which are not installed; pip install "
        "'gan-benchmark[export]' has all that it needs\n"
    )
    assert list(own_folder.iterdir()) == []


def test_a_generator_that_differs_is_not_written(
    labelled: Run, called: Callable[..., Done], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "measure_difference", lambda *_: float("nan"))
    done = called(command, str(labelled.path), "--format", "safetensors")
    assert done.code == 2
    assert done.err.startswith(f"error: the exported generator is not that of {labelled.path.name}: ")
    assert list(own_folder.iterdir()) == []


def test_an_unfinished_run_has_nothing_to_export(labelled: Run, called: Callable[..., Done], tmp_path: Path) -> None:
    import shutil

    begun = Path(shutil.copytree(labelled.path, tmp_path / "runs" / labelled.path.name))
    (begun / "generator.safetensors").unlink()
    done = called(command, str(begun), "--format", "torch")
    assert done.code == 2
    assert (
        done.err == f"error: {begun} has no generator.safetensors, so it is not finished; the same command resumes it\n"
    )
