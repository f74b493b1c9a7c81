"""Every dataset keeps one contract, whatever it is made of, and what is damaged is named."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets import (
    DATASETS,
    Captions,
    Dataset,
    Split,
    checksum_of,
    data_folder,
    describe_dataset,
    load,
)
from tests.datasets_on_disk import write_all
from variants.recipe import UserError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Small files in the published formats, of every dataset that has files; no test changes them."""
    folder = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as patch:
        write_all(folder, patch)
        yield folder


@pytest.fixture
def small(written: Path, tmp_path: Path) -> Path:
    """A data folder with these files, in which nothing is prepared yet."""
    for folder in written.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    return tmp_path


def config_of(name: str) -> DatasetConfig:
    return DatasetConfig("folder:own" if name == "folder" else name)


@pytest.fixture(params=sorted(DATASETS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def dataset(name: str, small: Path) -> Dataset:
    return load(config_of(name), small, seed=3)


def rows(split: Split) -> set[bytes]:
    return {example.numpy().tobytes() for example in split.images(slice(0, 2000))}


@contextmanager
def no_global_draws() -> Iterator[None]:
    def states() -> list[bytes]:
        legacy = np.random.get_state()  # noqa: NPY002 - this watches it
        return [torch.random.get_rng_state().numpy().tobytes(), legacy[1].tobytes(), bytes(legacy[2])]

    before = states()
    yield
    assert states() == before


def test_examples_are_what_the_networks_were_told(dataset: Dataset) -> None:
    for split in (dataset.train, dataset.test, dataset.reference):
        batch = split.images(torch.tensor([0, 2, 1]))
        assert batch.dtype == torch.float32
        assert tuple(batch.shape) == (3, *dataset.spec.shape)
        assert not dataset.spec.bounded or (batch.min() >= -1 and batch.max() <= 1)
        assert torch.equal(split.images(slice(0, 3))[[0, 2, 1]], batch)
        with pytest.raises(IndexError):
            split.images(torch.tensor([len(split)]))


def test_conditions_are_labels_or_words_or_nothing(dataset: Dataset) -> None:
    spec = dataset.spec
    for split in (dataset.train, dataset.test, dataset.reference):
        condition = split.condition(slice(None))
        if spec.vocabulary:
            assert condition.dtype == torch.int64
            assert condition.shape[0] == len(split)
            assert condition.ndim == 2
            assert condition.min() >= 0
            assert condition.max() < len(spec.vocabulary)
        elif spec.classes:
            assert condition.dtype == torch.int64
            assert tuple(condition.shape) == (len(split),)
            assert set(condition.tolist()) <= set(range(spec.classes))
            assert len(dataset.class_names) == spec.classes
        else:
            assert condition is None
        if condition is not None:
            assert torch.equal(split.condition(torch.tensor([2, 0])), condition[[2, 0]])


def test_training_and_testing_share_no_example(dataset: Dataset) -> None:
    assert min(len(dataset.train), len(dataset.test)) > 0
    assert not rows(dataset.train) & rows(dataset.test)


def test_the_same_config_and_seed_give_the_same_data(name: str, dataset: Dataset, small: Path) -> None:
    with no_global_draws():
        again = load(config_of(name), small, seed=3)
    assert again.checksum == dataset.checksum == checksum_of(again.train, again.test)
    assert re.fullmatch("[0-9a-f]{64}", dataset.checksum)
    assert all(
        torch.equal(one, other)
        for part in ("train", "test", "reference")
        for one, other in zip(getattr(dataset, part).tensors(), getattr(again, part).tensors(), strict=True)
    )


def test_all_that_a_split_holds_moves_and_counts(dataset: Dataset) -> None:
    moved = dataset.train.to("meta")
    assert type(moved) is type(dataset.train)
    assert {tensor.device.type for tensor in moved.tensors()} == {"meta"}
    assert moved.images(slice(0, 2)).device.type == "meta"
    held = [tensor.clone() for tensor in dataset.train.tensors()]
    for tensor, before in zip(dataset.train.tensors(), held, strict=True):
        tensor.view(-1)[0] += 1
        assert checksum_of(dataset.train, dataset.test) != dataset.checksum
        tensor.copy_(before)


def test_a_dataset_says_how_it_is_judged(name: str, dataset: Dataset) -> None:
    assert dataset.reference_note
    assert dataset.modes is not None
    assert bool(dataset.extractor) == dataset.spec.is_image
    assert (dataset.captions is not None) == bool(dataset.spec.vocabulary)
    assert describe_dataset(name)
    assert "\n" not in describe_dataset(name)


def test_options_that_a_dataset_does_not_read_are_refused(name: str, small: Path) -> None:
    function = DATASETS[name]
    module, _, attribute = function.partition(":")
    takes = getattr(__import__(module, fromlist=[attribute]), attribute).takes
    assert takes <= {f.name for f in fields(DatasetConfig)}
    for field in fields(DatasetConfig):
        if field.metadata and field.name not in takes:
            with pytest.raises(
                UserError, match=f"--{field.name.replace('_', '-')} does not apply to the dataset {name}"
            ):
                load(replace(config_of(name), **{field.name: 5}), small)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown dataset 'mnits'; did you mean 'mnist'"):
        load(DatasetConfig("mnits"))
    with pytest.raises(UserError, match="unknown dataset 'mnist:here'"):
        load(DatasetConfig("mnist:here"))


def test_where_data_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    assert data_folder() == Path("data")
    monkeypatch.setenv("GANBENCH_DATA", "/there")
    assert data_folder() == Path("/there")
    assert data_folder("here") == Path("here")


def test_only_captions_carry_a_rule(small: Path) -> None:
    assert isinstance(load(DatasetConfig("captions_digits")).captions, Captions)
    assert load(DatasetConfig("digits")).captions is None
