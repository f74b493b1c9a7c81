"""Probes: figures by hand on discriminators whose opinion is known, and a training that does not notice them."""

import itertools
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks import configure, load_run, train
from benchmarks.algorithm.random_streams import initialisation
from benchmarks.cli.tables import show_choices
from benchmarks.config import DEFAULT_PROBES, DatasetConfig, RunConfig
from benchmarks.evaluation.probes import PROBES
from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.client import make_client
from benchmarks.tracking.download import fetch_run, list_runs
from benchmarks.training.cache import load_dataset
from tests.benchmarks.evaluation.probes.conftest import QUICK, figures, trained
from variants import VARIANTS, UserError, load_variant
from variants.losses import LOSSES
from variants.objective import objective


@pytest.mark.parametrize(
    ("variant", "changes"),
    [
        ("cgan_mlp", {"dropout": 0.3, "replay": 0.5, "averaging": 0.9, "lr_decay": "linear"}),
        ("cgan_conv", {"instance_noise": 0.2}),
        ("vanilla_gan", {"discriminator_normalization": "spectral", "unrolled_steps": 1, "pack": 2}),
    ],
)
def test_a_run_ends_with_the_same_bits_with_and_without_probes(
    tmp_path: Path, shortest: None, checkpoints_stay: None, variant: str, changes: dict
) -> None:
    without = trained(tmp_path / "without", variant, probes=(), **changes)
    probes = [name for name in PROBES if name != "label_use" or variant != "vanilla_gan"]
    probed = trained(tmp_path / "with", variant, probes=probes, **changes)
    assert figures(without) == [{}, {}, {}]
    assert all(f"gradient_{loss}_fall" in each for each in figures(probed) for loss in ("saturating", "non_saturating"))
    for name in ("checkpoint.safetensors", "generator.safetensors"):
        assert (without.path / name).read_bytes() == (probed.path / name).read_bytes()
    for ours, theirs in zip(without.folder.lines(), probed.folder.lines(), strict=True):
        assert (ours["curves"], ours.get("metrics")) == (theirs["curves"], theirs.get("metrics"))


def test_a_probe_gives_the_same_figures_twice_and_when_asked_alone(tmp_path: Path, shortest: None) -> None:
    every = figures(trained(tmp_path / "every", probes=tuple(PROBES)))
    alone = figures(trained(tmp_path / "alone", probes=("gradient", "gradient_norms")))
    assert alone == [{name: value for name, value in line.items() if name.startswith("gradient")} for line in every]


def served() -> Iterator[tuple[str, str, dict]]:
    """Every variant on data that it can be trained on, alone and with what makes a discriminator compare examples."""
    for variant, changes in itertools.product(VARIANTS, ({}, {"pack": 2, "minibatch_discrimination": 4})):
        for dataset in ("digits", "captions_digits"):
            data, known = load_dataset(DatasetConfig(dataset), None, 0), load_variant(variant)
            recipe = known.recipe(known.recipe_for(data.spec)).with_(changes)
            with suppress(UserError), initialisation(0):
                known.check(recipe, data.spec)
                objective(recipe)
                known.build(data.spec, recipe)
                yield variant, dataset, changes
                break


@pytest.mark.long
@pytest.mark.parametrize(("variant", "dataset", "changes"), list(served()))
def test_every_probe_serves_every_variant(
    tmp_path: Path, shortest: None, variant: str, dataset: str, changes: dict
) -> None:
    """But the gradients of two losses, where the variant's own loss has no probability D."""
    known = load_variant(variant)
    recipe = known.recipe(known.recipe_for(load_dataset(DatasetConfig(dataset), None, 0).spec))
    apply = {name for name in PROBES if LOSSES[recipe.loss].cross_entropy or not name.startswith("gradient")}
    run = trained(tmp_path, variant, dataset, probes=tuple(apply), epochs=1, **changes)
    conditional = run.config.recipe.conditioning != "none"
    first, last = figures(run)
    assert {name for name in PROBES if any(figure.startswith(name.removesuffix("s")) for figure in last)} == {
        name for name in apply if name != "label_use" or conditional
    }
    assert not any(name.startswith("noise_swap") for name in first)
    assert all(map(math.isfinite, last.values()))
    assert all(0 <= last[name] <= 1 for name in DEFAULT_PROBES if name in last)


def test_figures_and_files_of_probes_are_in_mlflow_and_come_back(
    tmp_path: Path, short: None, tracking_uri: str
) -> None:
    config = configure("cgan_mlp", "digits", **{**QUICK, "epochs": 1, "probes": (*DEFAULT_PROBES, "gradient")})
    run = train(config, runs_dir=tmp_path, pictures="none", tracking_uri=tracking_uri)
    (tracked,) = list_runs(tracking_uri)
    client = make_client(tracking_uri)
    for name in figures(run)[0]:
        history = client.get_metric_history(tracked.run_id, f"probes/{name}")
        assert [(point.step, point.value) for point in history] == [(e, figures(run)[e][name]) for e in (0, 1)]
    fetched = fetch_run(tracked.run_id, tracking_uri, tmp_path / "fetched")
    for path in (run.path / "probes").iterdir():
        assert (fetched / "probes" / path.name).read_bytes() == path.read_bytes()
    assert len(list((fetched / "probes").iterdir())) == 4


def test_the_probes_that_are_always_on_leave_old_keys_as_they_were() -> None:
    config = configure("cgan_mlp", "digits")
    assert config.probes == DEFAULT_PROBES
    assert "probes" not in config.as_dict(neutral=False)
    others = configure("cgan_mlp", "digits", probes=["gradient"])
    assert others.key != config.key
    assert configure("cgan_mlp", "digits", probes=()).key not in (config.key, others.key)
    assert configure("cgan_mlp", "digits", probes=(*reversed(DEFAULT_PROBES), DEFAULT_PROBES[0])) == config
    for each in (config, others):
        assert RunConfig.from_dict(json.loads(json.dumps(each.as_dict()))) == each


def test_a_run_folder_keeps_which_probes_there_were(tmp_path: Path) -> None:
    config = configure("cgan_mlp", "digits", probes=("gradient", "label_use"))
    folder = RunFolder.create(tmp_path, config)
    assert load_run(folder.path).config.probes == ("gradient", "label_use")
    written = folder.read_json("config.json")
    for damaged in ("gradient", [1], None, {"gradient": 1}):
        written["config"]["probes"] = damaged
        folder.write_json("config.json", written)
        with pytest.raises(UserError, match="is damaged: --probes takes names"):
            folder.config()


@pytest.mark.parametrize(
    ("asked_for", "sentence"),
    [
        ({"probes": ["gradients"]}, "unknown probe 'gradients'; did you mean 'gradient'?"),
        ({"probes": "gradient"}, "--probes takes names, not 'gradient'"),
        ({"probes": ["gradient"], "loss": "hinge"}, "--probes gradient does not apply to cgan_mlp on digits: with"),
    ],
)
def test_what_cannot_be_probed_is_refused(asked_for: dict, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        configure("cgan_mlp", "digits", **asked_for)
    assert str(refused.value).startswith(sentence)


def test_every_probe_is_listed_with_one_line(capsys: pytest.CaptureFixture) -> None:
    show_choices()
    listed = capsys.readouterr().out
    for name, probe in PROBES.items():
        assert f"  {name:<20} {probe.summary}" in listed
        assert probe.summary
