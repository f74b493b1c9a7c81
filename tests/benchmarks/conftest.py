"""Tiny finished runs, trained once for each file of tests."""

from collections.abc import Callable

import pytest

from benchmarks import Run, configure, train

TINY = {"epochs": 1, "epoch_updates": 2, "samples": 20, "thorough": False, "probes": ()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    folder = tmp_path_factory.mktemp("runs")

    def once(variant: str, dataset: str, **fields) -> Run:
        config = configure(variant, dataset, **TINY, **fields)
        return train(config, runs_dir=folder, pictures="none", track=False)

    return once


@pytest.fixture(scope="module")
def labelled_once(trained: Callable[..., Run]) -> Run:
    return trained("cgan_mlp", "digits")


@pytest.fixture
def labelled(trained: Callable[..., Run]) -> Run:
    return trained("cgan_mlp", "digits")


@pytest.fixture
def captioned(trained: Callable[..., Run]) -> Run:
    return trained("dcgan_text", "captions_digits")
