"""Inception measures what papers measure, beside our own metrics, which it does not change; or it is refused."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import configure, train
from benchmarks.config import DatasetConfig
from benchmarks.datasets import images, load
from benchmarks.evaluate import main as evaluate
from benchmarks.evaluation import inception as ours
from benchmarks.evaluation.inception import load_inception, refuse_inception
from benchmarks.run import main as run
from benchmarks.sample import main as sample
from metrics import inception
from tests.conftest import Done
from tests.inception_weights import save_stand_in
from variants import UserError

FIGURES = {"fid_inception", "kid_inception", "inception_score"}


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Neither the cache of torch nor that of an earlier test has the weights."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    load_inception.cache_clear()
    yield
    load_inception.cache_clear()


@pytest.mark.long
def test_a_run_has_the_figures_of_inception_and_its_own_do_not_change(
    tmp_path: Path, called: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_stand_in(tmp_path / "extractors" / inception.FILE, monkeypatch)
    # It reads some thirty images a second, and there are 898 in the reference.
    pixels, labels = images._read_digits()
    few = torch.cat([(labels == digit).nonzero().flatten()[:12] for digit in range(10)])
    monkeypatch.setattr(images, "_read_digits", lambda: (pixels[few], labels[few]))
    runs = [
        train(
            configure(
                "vanilla_gan",
                "digits",
                epochs=1,
                epoch_updates=2,
                samples=30,
                probes=(),
                batch_size=16,
                inception=asked,
                data_dir=tmp_path,
            ),
            runs_dir=tmp_path / f"runs-{asked}",
            data_dir=tmp_path,
            pictures="none",
            track=False,
        )
        for asked in (False, True)
    ]
    plain, more = (each.metrics for each in runs)
    assert more.keys() - plain.keys() == FIGURES
    assert {name: more[name] for name in plain} == plain
    assert more["inception_score"] >= 1
    assert more["fid_inception"] > 0
    # Images of the run have the same figures.
    where = ["--data-dir", str(tmp_path)]
    called(sample, str(runs[1].path), "--evaluation", "--out", "judged.npy", "--dtype", "float32", *where)
    words = ["judged.npy", "--against", "digits", "--extractor", "inception", "--json", "figures.json", *where]
    assert called(evaluate, *words).code == 0
    judged = json.loads(Path("figures.json").read_text())["metrics"]
    assert judged == pytest.approx(more, rel=1e-5, abs=1e-6)
    # Keys of runs without it are as they were.
    assert "inception" not in runs[0].config.as_dict(neutral=False)


def test_without_its_weights_it_is_refused_and_told_where_to_put_them(
    called, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    words = f"--dataset digits --epochs 1 --extractor inception --no-tracking --data-dir {tmp_path / 'data'}"
    done = called(run, *words.split())
    assert done.code == 2
    assert done.err.startswith(f"error: {inception.FILE} is not complete in {tmp_path / 'data' / 'extractors'}")
    assert f"Network is unreachable); get {inception.ADDRESS}, and put it there" in done.err
    assert not Path("runs").exists()
    assert not (tmp_path / "data").exists()


def test_a_wrong_file_is_named_and_not_read(tmp_path: Path) -> None:
    data = load(DatasetConfig("digits"), tmp_path)
    wrong = tmp_path / "extractors" / inception.FILE
    wrong.parent.mkdir()
    wrong.write_bytes(b"<html>Not found</html>")
    with pytest.raises(UserError, match=r"is not the published file, or not all of it: .*; remove it, and get https"):
        refuse_inception(data)


def test_what_has_arrived_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, path: Path(path).write_bytes(b"half"))
    with pytest.raises(UserError, match="is not the published file"):
        load_inception(tmp_path)


def test_what_it_cannot_read_is_refused(called, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--extractor inception reads grey or colour images, and ring8 has points"):
        refuse_inception(load(DatasetConfig("ring8")))
    done = called(run, *"--dataset digits --extractor incption".split())
    assert "unknown extractor 'incption'; did you mean 'inception'" in done.err
    done = called(run, *"--dataset digits --extractor inception --quick-metrics".split())
    assert "--extractor is not read beside --quick-metrics" in done.err
    monkeypatch.setattr(ours, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package torch-fidelity; pip install torch-fidelity"):
        load_inception(Path("data"))
