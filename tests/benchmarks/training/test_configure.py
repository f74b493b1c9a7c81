"""What counts last wins: the variant, then a recipe by name, from a file or of a run folder, then single options."""

from pathlib import Path

import pytest

from benchmarks import configure
from benchmarks.config import RunConfig
from benchmarks.run_folder.folder import RunFolder
from variants import UserError, load_variant

REPORT = load_variant("cgan_mlp").recipe("report")


def recipe(given: str, variant: str = "cgan_mlp", **fields):
    return configure(variant, "digits", recipe=given, **fields).recipe


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str | bytes, name: str = "mine.toml") -> str:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def test_a_recipe_file_changes_the_recipe_that_it_names(file) -> None:
    given = file('recipe = "report"\nepochs = 7\ngenerator_widths = [32, 64]\ngenerator_lr = 1\n')
    assert recipe(given) == REPORT.with_({"epochs": 7, "generator_widths": (32, 64), "generator_lr": 1.0})


def test_a_recipe_file_that_names_none_changes_the_one_for_such_data(file) -> None:
    assert recipe(file("epochs = 7")) == load_variant("cgan_mlp").recipe("small").with_({"epochs": 7})
    assert recipe(file("")) == load_variant("cgan_mlp").recipe("small")


def test_an_option_wins_over_a_file(file) -> None:
    assert recipe(file("epochs = 7"), epochs=9).epochs == 9


def test_a_recipe_file_is_no_part_of_the_key(file) -> None:
    """What it says is: the same recipe by name and by file is the same run."""
    by_file = configure("cgan_mlp", "digits", recipe=file('recipe = "report"\nepochs = 7\n'))
    assert by_file == configure("cgan_mlp", "digits", recipe="report", epochs=7)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("epoch = 7", "unknown recipe field 'epoch'; did you mean 'epochs'? (--help shows all)"),
        ("epochs = 0", "--epochs is at least 1, not 0"),
        ("epochs = true", "--epochs is a whole number, not True"),
        ('epochs = "7"', "--epochs is a whole number, not '7'"),
        ("generator_widths = 32", "--generator-widths takes whole numbers, not 32"),
        ('recipe = "reprot"', "unknown recipe of cgan_mlp 'reprot'; did you mean 'report'?"),
        ("recipe = 3", "unknown recipe of cgan_mlp '3'"),
        ("[training]\nepochs = 7", "unknown recipe field 'training'"),
        ("epochs = ", "the recipe mine.toml is not TOML: "),
        (b"noise = '\xff'", "the recipe mine.toml is not TOML: "),
        ("epochs = " + "[" * 5000, "the recipe mine.toml is not TOML: "),
        ("pack = 3", "--batch-size 64 cannot be cut into packs of 3"),
    ],
)
def test_a_recipe_file_that_says_nothing_sensible_is_refused(file, text: str | bytes, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        recipe(file(text))
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^the recipe nowhere\.toml cannot be read: No such file or directory$"):
        recipe("nowhere.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UserError, match=r"^the recipe folder\.toml cannot be read: Is a directory$"):
        recipe("folder.toml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"^empty is not a run folder: it has no config\.json$"):
        recipe("empty")


@pytest.fixture
def before(tmp_path: Path) -> RunConfig:
    """The config of a run that has a folder."""
    config = configure("cgan_mlp", "digits", recipe="report", epochs=3, noise="uniform", dropout=0.1)
    RunFolder.create(tmp_path / "runs", config)
    return config


def test_a_run_folder_as_a_recipe_runs_it_again_with_changes(before: RunConfig) -> None:
    folder = f"runs/{before.name}"
    assert recipe(folder) == before.recipe
    assert recipe(folder, epochs=5) == before.recipe.with_({"epochs": 5})
    assert configure("cgan_mlp", "digits", recipe=folder, evaluate_every=before.evaluate_every) == before


def test_a_run_folder_of_a_variant_that_reads_other_fields_is_refused(before: RunConfig) -> None:
    with pytest.raises(UserError, match="--conditioning does not apply to vanilla_gan, which does not read it"):
        recipe(f"runs/{before.name}", "vanilla_gan")
    config = Path("runs", before.name, "config.json")
    config.write_text(config.read_text().replace('"uniform"', '"gaussian"'))
    with pytest.raises(UserError, match="its key does not fit its config, so it was changed by hand"):
        recipe(f"runs/{before.name}")
