"""Params, tags and metrics are those of the run folder, under names that MLflow takes."""

import math

import pytest

from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.entities import iter_metrics, make_params, make_tags, sanitize_name
from tests.run_folders import CONFIG


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("fid", "fid"), ("a b/c-d.e_1", "a b/c-d.e_1"), ("größe:1\n", "gr__e_1_"), ("x" * 300, "x" * 200)],
)
def test_a_name_has_only_characters_that_mlflow_takes(name: str, wanted: str) -> None:
    assert sanitize_name(name) == wanted


def test_metrics_have_their_own_names_and_all_else_that_of_its_section() -> None:
    line = {"epoch": 3, "metrics": {"fid": 1.5}, "curves": {"d_real": 0.5}, "timing": {"time": 9.0, "seconds": 2.0}}
    probed = {"epoch": 4, "probes": {"label use": math.inf}}
    assert list(iter_metrics([line, probed])) == [
        (3, "fid", 1.5),
        (3, "training/d_real", 0.5),
        (3, "timing/seconds", 2.0),
        (4, "probes/label use", math.inf),
    ]


def test_params_tell_no_place_of_a_machine_and_tags_are_never_empty(folder: RunFolder) -> None:
    params = make_params(folder)
    assert params.keys() >= {"variant", "dataset", "seed", "epochs", "dataset.image_size", "parameters.generator"}
    assert "dataset.path" not in params
    lines = [{"epoch": 1, "metrics": {"kid": math.nan}}, {"epoch": 2, "metrics": {"kid": math.nan}}]
    tags = make_tags(folder, lines, {"state": "KILLED", "epoch": 2, "cause": "", "symptoms": {"collapse": 2}})
    assert (tags["run_key"], tags["state"], tags["epoch"]) == (CONFIG.key, "KILLED", "2")
    assert tags["not_finite"] == "kid is nan in epoch 1, 2"
    assert tags["symptoms"] == "collapse in epoch 2"
    assert "cause" not in tags
    assert "" not in tags.values()
