"""The page that compares all runs: what it says of them, and that nobody can write into it."""

import base64
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reports.build import build_report, main
from reports.reading.runs import FoundRuns, RunRecord, find_runs, read_run
from tests.compared_runs import (
    ENVIRONMENT,
    Tags,
    cells,
    config,
    on_disk,
    page,
    record,
)


def test_a_row_is_the_mean_and_the_sample_deviation_over_its_seeds():
    runs = [record(config(seed=seed), {"fid": fid, "accuracy": 0.5}) for seed, fid in enumerate((10.0, 12.0, 17.0))]
    # Mean 13; squares 9 + 1 + 16 = 26, over 2 is 13, whose root is 3.6056.
    assert cells(page(runs), "1") == ["1", "cgan_mlp", "3", "0", "13.0\xa0±\xa03.6", "0.5000\xa0±\xa00"]


def test_one_seed_has_no_spread_and_what_does_not_apply_is_a_dash():
    runs = [record(config("vanilla_gan"), {"fid": 10.0}), record(config("cgan_mlp"), {"fid": 8.0, "accuracy": 0.9})]
    markdown = page(runs)
    assert cells(markdown, "2")[4:] == ["10.00", "–"]
    assert cells(markdown, "")[4:] == ["1.250", "0.9890"]


def test_it_is_said_why_a_metric_could_not_be_measured():
    none = {"copies": "no sample | looks real", "diversity": "no sample | looks real"}
    runs = [record(config(seed=seed), absent=none if seed else {}) for seed in range(3)]
    assert "Not measured:\n\n- copies, diversity (2 runs): no sample \\| looks real." in page(runs)
    runs = [record(config(seed=seed), absent_reference={"copies": "too few"}) for seed in range(2)]
    assert "- copies (real data): too few." in page(runs)
    assert "Not measured" not in page([record(config())])


def test_failed_runs_enter_no_mean_and_are_counted_and_listed():
    runs = [
        record(config(seed=0), {"fid": 10.0}),
        record(config(seed=1), {"fid": 1e9}, state="FAILED", cause="generator_loss is nan in epoch 2"),
        record(config("dcgan", seed=0), state="FAILED", lines=()),
    ]
    markdown = page(runs)
    assert cells(markdown, "1")[2:] == ["1", "1", "10.00"]
    assert cells(markdown, "2")[2:] == ["0", "1", "–"]
    assert "generator_loss is nan in epoch 2" in markdown
    assert "1 finished run of 2 variants, 2 failed" in markdown


def test_other_code_is_said():
    old = record(config("dcgan"), environment={**ENVIRONMENT, "code": "0ld"})
    notes = [line for line in page([record(config()), old], code="c0de").splitlines() if line.startswith("> ")]
    assert any("different versions of the code" in note and "0ld in row 2" in note for note in notes)
    assert any("Stale" in note and "in row 2;" in note for note in notes)
    assert "\n> " not in page([record(config())], code="c0de")


def test_what_the_data_set_had_to_say_is_repeated():
    loud = record(config(), environment={**ENVIRONMENT, "notes": ["MNIST could not be had, so this is digits"]})
    assert "> MNIST could not be had, so this is digits" in page([loud])


def test_an_infinite_metric_stays_infinite():
    runs = [record(config(seed=seed), {"fid": fid}) for seed, fid in enumerate((10.0, math.inf))]
    markdown = page(runs)
    assert cells(markdown, "1")[4] == "∞"
    assert "1.797" not in markdown


def test_a_metric_that_could_not_be_measured_in_a_run_does_not_vanish():
    runs = [record(config(seed=seed), {"fid": fid}) for seed, fid in enumerate((10.0, 12.0, math.nan))]
    assert cells(page(runs), "1")[4] == "11.0\xa0±\xa01.4 (2 of 3)"


def test_members_of_a_family_have_a_table_of_their_own_by_class():
    run = record(config(), {"fid": 10.0, "accuracy_class_0": 0.75, "accuracy_class_1": 0.5}, classes=("cat", "1"))
    markdown = page([run])
    assert "### Accuracy class" in markdown
    assert cells(markdown, "0: cat")[1] == "0.7500"
    assert cells(markdown, "1")[1] in ("cgan_mlp", "0.5000")
    assert "accuracy_class" not in markdown


HOSTILE = (
    "|`]) <script>alert(1)</script> ![x](http://a.b/c.png) [y](javascript:z) $\\frac$ \u202e www.evil.example\n# H"
)


def hostile_run(runs_dir: Path) -> RunRecord:
    folder = on_disk(runs_dir, config(HOSTILE[:20], dataset="folder:" + HOSTILE), {"fid": 1.0, HOSTILE: 2.0})
    folder.write_json("facts.json", {"parameters": {HOSTILE: 3}, "class_names": [HOSTILE]})
    folder.write_json("reference.json", {HOSTILE: math.inf})
    folder.write_environment(
        {
            **ENVIRONMENT,
            "recipe": HOSTILE,
            "notes": [HOSTILE, 5, None],
            "protocol": HOSTILE,
            "device": HOSTILE,
            "extractor": {"name": HOSTILE, "accuracy": HOSTILE},
        }
    )
    return read_run(folder)


def test_a_hostile_run_puts_nothing_of_its_own_into_the_page(tmp_path: Path):
    bad = hostile_run(tmp_path / "runs")
    failed = replace(bad, id=HOSTILE, name=HOSTILE, state="FAILED", cause=HOSTILE, config=config("dcgan", 7))
    killed = replace(failed, state="KILLED", config=config("dcgan", 8))
    build_report(FoundRuns((bad, record(config(), {"fid": 2.0}), failed, killed)), tmp_path / "out", html=True)
    tags = Tags()
    tags.feed((tmp_path / "out" / "index.html").read_text())
    ours = set(
        "html head meta title style body section h1 h2 h3 p em code blockquote table thead tbody tr th td img".split()
    )
    assert {tag for tag, _ in tags.seen} <= ours
    assert all(attrs["src"].startswith("data:image/") for tag, attrs in tags.seen if tag == "img")
    assert not any(name.startswith("on") or name == "href" for _, attrs in tags.seen for name in attrs)
    for line in (tmp_path / "out" / "index.md").read_text().split("\n\n"):
        if line.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in line.splitlines()}) == 1, line


def test_the_same_runs_give_the_same_bytes_wherever_they_lie(tmp_path: Path):
    made = [
        (config("cgan_mlp", 0), {"fid": 10.0, "accuracy": 0.9}),
        (config("cgan_mlp", 1), {"fid": 11.0, "accuracy": 0.8}),
        (config("dcgan", 0), {"fid": 30.0}),
        (config("dcgan", 0, dataset="digits"), {"fid": 31.0}),
    ]
    for place, runs in (("a", made), ("deeper/b", made[::-1])):
        for each in runs:
            on_disk(tmp_path / place, *each)
        build_report(find_runs(runs_dir=tmp_path / place), tmp_path / place / "out", html=True)
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / d / "out").rglob("*.*")} for d in ("a", "deeper/b"))
    assert first == second
    assert {"index.md", "index.html", "1-digits-losses.svg", "2-mnist-quality.svg", "2-mnist-samples-1.png"} <= set(
        first
    )
    markdown = first["index.md"].decode()
    assert str(tmp_path) not in markdown
    for path in re.findall(r"\]\((pictures/[^)]*)\)", markdown):
        assert Path(path).name in first
    embedded = re.findall(r"data:image/svg\+xml;base64,([^\"]*)", first["index.html"].decode())
    assert base64.b64decode(embedded[0]) == first["1-digits-losses.svg"]


GOLDEN = """\
# GAN variants compared

2 finished runs of 2 variants, 1 failed, 1 left out.

A value is the mean over training seeds ± their standard deviation, at the end of training; one seed has no spread. \
↓ means that less is better, ↑ that more is better. *Real data* has the same metric of real examples under the same \
protocol. “–” means that a metric does not apply, or could not be measured; the reasons are listed with the tables. \
Failed runs enter no mean; the table gives their number.

## mnist

Judged on 10,000 samples of each run by the classifier `mnist`, `eeeeeeee`, right on 99.48 to 99.53 % of real test \
images, against 10,000 real test images. Checksum of the data: `cccccccc`.

| row | variant | seeds | failed | FID ↓ | accuracy ↑ |
| ---: | --- | ---: | ---: | ---: | ---: |
| 1 | cgan_mlp | 1 | 0 | 10.00 | 0.9000 |
| 2 | dcgan | 1 | 1 | 30.00 | – |
|  | *real data* |  |  | 1.250 | 0.9890 |

### Cost

| row | variant | training (s) | parameters of the generator | parameters of the discriminator |
| ---: | --- | ---: | ---: | ---: |
| 1 | cgan_mlp | 6.000 | 1,234 | 567 |
| 2 | dcgan | 6.000 | 1,234 | 567 |

### Runs

| row | variant | differences of its config from other rows | runs |
| ---: | --- | --- | --- |
| 1 | cgan_mlp | loss non_saturating | seed 0 `m0` |
| 2 | dcgan | loss saturating | seed 0 `d0`, seed 1 (failed) `d1` |

## Failed runs

| run | after epoch | cause |
| --- | ---: | --- |
| `dcgan-mnist-s1`, `d1` | 3 | a loss \\| is nan |

## Left out

No table or figure counts these runs.

| run | why |
| --- | --- |
| `dcgan-mnist-s2`, `d2` | killed after epoch 3 of 3 (by hand) |

## Metrics

| metric | what it is | defined by |
| --- | --- | --- |
| FID | what it is | Somebody 2020 |
| accuracy | what it is | Somebody 2020 |

Made by `python -m reports.build`.
"""


def test_golden():
    named = {"name": "dcgan-mnist-s1", "id": "d1", "state": "FAILED", "cause": "a loss | is nan"}
    killed = {"name": "dcgan-mnist-s2", "id": "d2", "state": "KILLED", "cause": "by hand"}
    runs = [
        record(config("dcgan", 2, loss="saturating"), {"fid": 1.0}, **killed),
        record(config("dcgan", 1, loss="saturating"), {"fid": 1.0}, **named),
        record(config("dcgan", 0, loss="saturating"), {"fid": 30.0}, id="d0"),
        record(config("cgan_mlp", 0), {"fid": 10.0, "accuracy": 0.9}, id="m0"),
    ]
    assert page(runs) == GOLDEN


def test_the_command_tells_what_it_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    on_disk(tmp_path / "runs", config(), {"fid": 10.0})
    killed = on_disk(tmp_path / "runs", config(seed=1), {"fid": 10.0}, state="KILLED")
    damaged = on_disk(tmp_path / "runs", config(seed=2), {"fid": 10.0})
    (damaged.path / "metrics.jsonl").write_bytes(b'{"epoch": 1}\n{]\n{"epoch": 2}\n')
    monkeypatch.setattr(sys, "argv", ["build", "--runs-dir", "runs", "--out", "out"])
    main()
    said = capsys.readouterr().out
    assert "1 finished runs of 3 found" in said
    assert f"left out: {killed.name}: killed after epoch 3 of 3 (it said so)" in said
    assert f"left out: {damaged.name}: metrics.jsonl is damaged: line 2" in said
    assert str(tmp_path) not in (tmp_path / "out" / "index.md").read_text()
