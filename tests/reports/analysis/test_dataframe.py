"""The DataFrame of all runs: one row a run, and no metric in the place of a column."""

import math
from pathlib import Path

from reports import results
from reports.analysis.dataframe import make_dataframe
from tests.compared_runs import (
    BROKEN,
    config,
    on_disk,
    record,
)


def test_results_has_one_row_a_run_and_metrics_of_finished_ones_only(tmp_path: Path):
    runs_dir = tmp_path / "runs"
    on_disk(runs_dir, config(seed=3, loss="saturating"), {"fid": 10.0, "accuracy": math.inf})
    on_disk(runs_dir, config("vanilla_gan"), {"fid": 20.0}, state="FAILED")
    data = results(runs_dir=runs_dir)
    assert list(data.variant) == ["cgan_mlp", "vanilla_gan"]
    finished, failed = data.iloc[0], data.iloc[1]
    assert (finished.seed, finished.loss, finished.dataset, finished.status) == (3, "saturating", "mnist", "FINISHED")
    assert (finished.fid, finished.fid_reference, finished.accuracy, finished.seconds) == (10.0, 1.25, math.inf, 6.0)
    assert (finished.parameters_generator, finished.parameters_discriminator) == (1234, 567)
    assert (failed.status, failed.cause) == ("FAILED", BROKEN)
    assert math.isnan(failed.fid)
    by_variant = data.query("status == 'FINISHED'").groupby(["variant", "dataset"]).fid.agg(["mean", "std"])
    assert by_variant.loc[("cgan_mlp", "mnist"), "mean"] == 10.0


def test_a_metric_cannot_pose_as_what_a_run_is():
    data = make_dataframe([record(config(seed=3), {"fid": 1.0, "seed": 99.0, "variant": 5.0})])
    assert (data.seed[0], data.variant[0], data.fid[0]) == (3, "cgan_mlp", 1.0)
