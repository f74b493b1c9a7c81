"""A stranger's run folder, or a run's artifacts in MLflow, reach nothing but their own place."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import configure, load_run, train
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.run_folder.folder import RunFolder
from benchmarks.suites.plan_history import load_plans
from benchmarks.tracking.client import make_client
from benchmarks.tracking.download import fetch_run
from benchmarks.tracking.upload import sync
from tests.conftest import ROOT, Done
from variants import UserError
from variants.recipe import Recipe

CONFIG = RunConfig("cgan_mlp", Recipe(conditioning="embedding"), DatasetConfig("digits"), 0, "ab" * 32, "cd" * 32)
ID = "0123456789abcdef"
TINY = {"epochs": 1, "epoch_updates": 2, "samples": 60, "thorough": False, "probes": ()}


class Store:
    """An MLflow that lists and hands out anything under any name."""

    def __init__(self, files: dict[str, bytes], sizes: dict[str, int] | None = None) -> None:
        self.files, self.sizes, self.asked = files, sizes or {}, []

    def get_run(self, run_id: str) -> SimpleNamespace:
        return SimpleNamespace(data=SimpleNamespace(tags={"folder": "stranger", "folder_id": ID}))

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[SimpleNamespace]:
        names = self.files if path is None else [name for name in self.files if name.startswith(f"{path}/")]
        return [SimpleNamespace(path=name, is_dir=False, file_size=self.sizes.get(name)) for name in names]

    def download_artifacts(self, run_id: str, path: str, into: str) -> str:
        self.asked.append(path)
        place = Path(into) / "downloaded"
        place.write_bytes(self.files[path])
        return str(place)


def identity() -> bytes:
    return json.dumps({"config": CONFIG.as_dict(), "key": CONFIG.key, "id": ID}).encode()


def fetched(store: Store, into: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("benchmarks.tracking.download.make_client", lambda uri: store)
    return fetch_run("r", "http://127.0.0.1:9", into)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../evil.json",
            "/tmp/evil.json",
            "a/../../evil.json",
            "..",
            "images/../../evil.png",
            "probes/../../evil.json",
        ),
        *("images/samples+step+1+timestamp+1+0123456789abcdef.png/../../../evil.png", "evil.py", "evil.pkl"),
        "images/samples+step+" + "9" * 20 + "+timestamp+1+0123456789abcdef.png",
    ],
)
def test_no_name_of_an_artifact_leads_out_of_the_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store({"config.json": identity(), name: b"{}"})
    into = tmp_path / "a" / "b"
    assert fetched(store, into, monkeypatch) == into / "stranger"
    there = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert there == ["a/b/stranger/config.json"]
    assert store.asked == ["config.json"]


def test_an_artifact_that_says_it_is_huge_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Store({"config.json": identity(), "metrics.jsonl": b""}, {"metrics.jsonl": 2**31})
    many = {f"a{number}.json": b"" for number in range(9)}
    together = Store({"config.json": identity(), **many}, dict.fromkeys(many, 2**29))
    for store in (one, together):
        with pytest.raises(UserError, match="larger than any run makes them"):
            fetched(store, tmp_path, monkeypatch)
        assert store.asked == []


@pytest.mark.parametrize("content", [b"[" * 10**6, b"\xff\xfe", b"", b"null", b'{"config": []}'])
def test_artifacts_that_are_no_run_are_refused_with_a_sentence(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError) as refused:
        fetched(Store({"config.json": content}), tmp_path, monkeypatch)
    assert "\n" not in str(refused.value)


def test_a_folder_that_remembers_the_run_of_another_does_not_write_into_it(tmp_path: Path, tracking_uri: str) -> None:
    mine = RunFolder.create(tmp_path / "runs", CONFIG)
    mine.append({"epoch": 0, "curves": {"a": 1.0}})
    mine.set_status("FINISHED", epoch=0)
    run_id = sync(mine, tracking_uri)
    theirs = RunFolder.create(tmp_path / "other", CONFIG)
    theirs.append({"epoch": 0, "curves": {"a": 666.0}})
    theirs.set_status("FINISHED", epoch=0)
    told = mine.read_json("mlflow.json")
    theirs.write_json("mlflow.json", {uri: {**sent, "folder_id": theirs.id, "epoch": -1} for uri, sent in told.items()})
    assert sync(theirs, tracking_uri) != run_id
    history = make_client(tracking_uri).get_metric_history(run_id, "training/a")
    assert [point.value for point in history] == [1.0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = configure("cgan_mlp", "digits", **TINY)
    return train(config, runs_dir=tmp_path_factory.mktemp("runs"), track=False, pictures="none").path


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"shape": [1, 8, 8], "bounded": True, "classes": 11, "vocabulary": []}, "does not fit the config of its run"),
        ({"shape": [1, 4000, 4000], "bounded": True, "classes": 10, "vocabulary": []}, "parameters are too large"),
        (
            {"shape": [1, 10**9, 8], "bounded": True, "classes": 10, "vocabulary": []},
            "no data has this form",
        ),
        ({"shape": "abc", "bounded": True, "classes": 10, "vocabulary": []}, "no data has this form"),
        ({"shape": [1, 8, 8]}, "no data has this form"),
        ([1], "no data has this form"),
    ],
)
def test_a_generator_that_does_not_fit_is_refused_with_a_sentence(
    trained: Path, spec: object, said: str, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    for name in ("config.json", "generator.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    folder.write_json("facts.json", {"spec": spec})
    with pytest.raises(UserError, match=said):
        load_run(tmp_path).generate(labels=[1])


def test_a_checkpoint_of_other_networks_is_refused_with_a_sentence(tmp_path: Path) -> None:
    config = configure("cgan_mlp", "digits", **TINY)
    folder = RunFolder.create(tmp_path, config)
    one = {"generator.x": torch.zeros(1)}
    for tensors, epoch in ((one, 0), ({}, 0), (one, "x"), (one, -1), (one, 2), (one, float("inf")), (one, None)):
        folder.save_tensors("checkpoint.safetensors", tensors, {"epoch": epoch})
        folder.checkpoint_epoch()
        with pytest.raises(UserError, match="is not of this run's networks"):
            train(config, runs_dir=tmp_path, track=False)


@pytest.mark.parametrize(
    "text",
    [
        "epochs = " + "9" * 5000,
        f'loss = "{"x" * 100_000}"',
        f'epochs = "{"x" * 100_000}"',
        f"{'x' * 100_000} = 1",
        "a = " + "[" * 100_000,
        'epochs = "\x00"',
    ],
    ids=["digits", "name", "value", "field", "nested", "zero"],
)
def test_a_recipe_of_any_size_is_refused_with_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UserError) as refused:
        configure("cgan_mlp", "digits", recipe=str(tmp_path / "mine.toml"))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("kept", [{}, [5], [{"hash": "a"}], [{"hash": "a", "since": "b", "plan": {"arms": [1]}}]])
def test_plans_of_another_form_are_refused_with_a_sentence(kept: object, tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "quick.json").write_text(json.dumps(kept))
    with pytest.raises(UserError, match="it does not hold the plans of a preset"):
        load_plans(tmp_path, "quick")


def test_no_secret_of_an_address_is_left_anywhere(tmp_path: Path, called: Callable[..., Done]) -> None:
    """Runs the real commands with an address at which nobody answers."""
    from benchmarks.run import main as run
    from benchmarks.sync import main as sync_command
    from reports.build import main as report

    address = "http://somebody:hunter2@127.0.0.1:9/?token=hunter3"
    words = ["--dataset", "digits", "--epochs", "1", "--epoch-updates", "1", "--samples", "60", "--quick-metrics"]
    said = [
        called(run, *words, "--pictures", "none", "--probes", "none", "--tracking-uri", address),
        called(sync_command, "--tracking-uri", address),
        called(report, "--tracking-uri", address),
    ]
    assert [done.code for done in said] == [0, 2, 2]
    assert "127.0.0.1:9/ cannot be reached" in said[0].out
    told = " ".join(done.out + done.err for done in said)
    written = b" ".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in ("hunter2", "hunter3", "somebody"):
        assert secret not in told
        assert secret.encode() not in written


def test_what_the_makefile_starts_listens_on_this_machine_alone() -> None:
    hosts = re.findall(r"--host (\S+)", (ROOT / "Makefile").read_text())
    assert hosts == ["127.0.0.1"]
