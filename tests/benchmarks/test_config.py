"""What a config says of the data, and the key that it gives a run."""

import pytest

from benchmarks.config import DatasetConfig, RunConfig
from variants.recipe import Recipe, UserError


def key_of(**values: object) -> str:
    return RunConfig("vanilla_gan", Recipe(), DatasetConfig("mnist", **values), 0, "c" * 64, "e" * 64).key


def test_a_square_is_one_number_and_a_rectangle_two() -> None:
    for square in (28, "28x28"):
        config = DatasetConfig("mnist", image_size=square)
        assert (config.image_size, config.image_width, config.size) == (28, 0, (28, 28))
        assert config.options() == {"image_size": 28}
        assert config.as_dict(neutral=False) == {"name": "mnist", "image_size": 28}
    config = DatasetConfig("mnist", image_size="28x40")
    assert (config.image_size, config.image_width, config.size) == (28, 40, (28, 40))
    assert config.options() == {"image_size": "28x40"}
    assert config.as_dict(neutral=False) == {"name": "mnist", "image_size": 28, "image_width": 40}
    assert DatasetConfig(**config.as_dict()) == config
    assert DatasetConfig("mnist", **config.options()) == config
    assert DatasetConfig("mnist").size is None


def test_keys_of_runs_from_before_there_were_rectangles_stay() -> None:
    assert key_of() == "8cfbfb9c498ab895a2eac40b87ed2304314a62a8fa53d6d3ed91870d418cf19f"
    assert (
        key_of(image_size=16)
        == key_of(image_size="16x16")
        == "6b1be9c0f9f89cb71b4bbfe46ca80cc303661b57d1a7f9e106e55026f1127c7b"
    )
    assert len({key_of(), key_of(image_size=28), key_of(image_size="28x40"), key_of(image_size="40x28")}) == 4
    old = RunConfig("vanilla_gan", Recipe(), DatasetConfig("mnist"), 0, "c" * 64, "e" * 64).as_dict()
    del old["dataset"]["image_width"]
    assert RunConfig.from_dict(old).key == key_of()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"image_size": "28*40"}, "--image-size is a whole number, not '28.40'"),
        ({"image_size": "28x"}, "--image-size is a whole number, not '28x'"),
        ({"image_size": "0x28"}, "--image-size has sides of at least 1, not 0x28"),
        ({"image_size": "28x0"}, "--image-size has sides of at least 1, not 28x0"),
        ({"image_size": -1}, "--image-size is at least 0, not -1"),
        ({"image_width": 40}, "an image width of 40 does not go with a size of 0"),
        ({"image_size": 40, "image_width": 40}, "an image width of 40 does not go with a size of 40"),
        ({"image_size": 40, "image_width": -4}, "an image width of -4 does not go with a size of 40"),
        ({"image_size": 40, "image_width": "x"}, "--image-width is a whole number, not 'x'"),
    ],
)
def test_other_sizes_are_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=f"^{sentence}$"):
        DatasetConfig("mnist", **values)
