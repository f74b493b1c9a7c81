"""Records kept beside a report: they make the same report again, with the pictures that it shows."""

import io
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.run_folder.folder import RunFolder
from benchmarks.suites.plan_history import record_plan
from reports import figures, report
from reports.build import main
from reports.figures.illustrations import SAMPLE_COLORS
from reports.records import RECORDS, as_displayed, pack_records
from tests.made_runs import made, on_disk, smoke
from variants import UserError


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_kept_picture_is_the_one_that_is_shown(mode: str):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, len(mode)), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise.squeeze()).save(out, "png")
    kept = as_displayed(out.getvalue())
    shown = [figures.compact_picture(data, SAMPLE_COLORS) for data in (out.getvalue(), kept)]
    assert shown[0] == shown[1]
    if mode == "L":
        assert kept == shown[0]
        assert len(kept) < len(out.getvalue()) / 1.5
    assert as_displayed(b"no picture") == b"no picture"


@pytest.mark.long
def test_the_records_beside_a_report_make_the_same_report(tmp_path: Path, called):
    plan = smoke("loss_curves", seeds=5)
    for run in made(plan):
        on_disk(tmp_path / "runs", run)
        RunFolder(tmp_path / "runs" / run.name).save_tensors("generator.safetensors", {}, {})
    record_plan(plan, tmp_path / "runs", "2026-11-25 10:00")
    asked = "--preset smoke --questions loss_curves --seeds 5 --records".split()
    assert called(main, *asked, "--runs-dir", "runs", "--out", "first").code == 0
    with tarfile.open(tmp_path / "first" / RECORDS) as archive:
        names = archive.getnames()
    subprocess.run(["tar", "-xf", tmp_path / "first" / RECORDS, "-C", tmp_path], check=True)
    assert {name.partition("/")[0] for name in names} == {"smoke-runs"}
    assert not [name for name in names if name.endswith("safetensors")]
    # A picture of each arm's first seed, which a page shows, and of no other.
    pictured = [name for name in names if name.endswith("png")]
    assert len(pictured) == len(plan.arms)
    assert called(main, *asked, "--runs-dir", "smoke-runs", "--out", "second").code == 0
    first, second = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*.*")}
        for out in (tmp_path / "first", tmp_path / "second")
    )
    assert first == second
    # Those of another report would be taken for those of this one.
    asked.remove("--records")
    assert called(main, *asked, "--runs-dir", "runs", "--out", "first").code == 0
    assert not (tmp_path / "first" / RECORDS).exists()


def test_records_are_those_of_run_folders(tmp_path: Path, called):
    assert "--records needs --runs-dir" in called(main, "--records").err
    with pytest.raises(UserError, match="--records needs --runs-dir"):
        report("out", records=True)
    run = made(smoke("loss_curves", seeds=1))[0]
    with pytest.raises(UserError, match="so its records cannot be kept"):
        pack_records(tmp_path, [run], (), "runs")
