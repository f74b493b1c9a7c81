"""Options of a run: refused where no such choice exists, absolute for workers, and all read by whoever takes them."""

from pathlib import Path

import pytest

from benchmarks import configure, train
from benchmarks.training.options import RunOptions
from variants import UserError


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stack": "onn"}, "unknown choice of --stack 'onn'; did you mean 'on'? (one of auto, on, off)"),
        (
            {"pictures": "some"},
            "unknown choice of pictures 'some'; did you mean 'none'? (one of all, milestones, none)",
        ),
        ({"threads": 0}, "a run has at least 1 thread, not 0"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(options: dict, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        RunOptions(**options)
    assert str(refused.value) == sentence


def test_paths_stay_as_given_until_a_worker_needs_them(own_folder: Path) -> None:
    options = RunOptions("runs", "data")
    assert (options.runs_dir, options.data_dir) == (Path("runs"), Path("data"))
    absolute = options.absolute()
    assert (absolute.runs_dir, absolute.data_dir) == (own_folder / "runs", own_folder / "data")
    assert RunOptions().absolute().data_dir is None


def test_train_refuses_options_that_it_does_not_read() -> None:
    config = configure("vanilla_gan", "ring8", epochs=1, epoch_updates=1, samples=20)
    with pytest.raises(TypeError, match=r"^train\(\) does not read stack, threads; executors do$"):
        train(config, threads=2, stack="on")
    with pytest.raises(TypeError, match="no_such_option"):
        train(config, no_such_option=1)
