"""Reports: which runs are compared with which, what the page says of them, and that nobody can write into it."""

import base64
import io
import math
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image, PngImagePlugin

from benchmarks.config import PROTOCOL_VERSION, DatasetConfig, RunConfig
from benchmarks.run_folder.folder import RunFolder
from metrics.base import Metric
from reports import figures, pages, results
from reports.analysis.dataframe import make_dataframe
from reports.analysis.sections import group_into_sections
from reports.analysis.summaries import Summary, summarize
from reports.build import build_report, main
from reports.figures.illustrations import IllustratedSection
from reports.pages.markdown import escape, format_number, format_summary
from reports.reading.runs import FoundRuns, RunRecord, find_runs, read_run
from variants.recipe import Recipe, UserError

REFERENCE = {"fid": 1.25, "accuracy": 0.989}
FACTS = {"parameters": {"generator": 1234, "discriminator": 567}, "class_names": ["0", "1"]}
ENVIRONMENT = {
    "device": "cpu",
    "threads": 1,
    "recipe": "default",
    "code": "c0de",
    "notes": [],
    "protocol": "against 10,000 real test images",
    "extractor": {"name": "mnist", "sha256": "e" * 64, "accuracy": [0.9953, 0.9948]},
    "protocol_version": PROTOCOL_VERSION,
}


def known(name: str, direction: str = "min", family: bool = False, summary: str = "what it is") -> Metric:
    needs: frozenset[str] = frozenset()
    return Metric(name, summary, direction, (0.0, math.inf), 0.0, needs, "Somebody 2020", lambda _: 0.0, family=family)


METRICS = {m.name: m for m in (known("fid"), known("accuracy", "max"), known("accuracy_class", "max", family=True))}


def config(variant: str = "cgan_mlp", seed: int = 0, dataset: str = "mnist", **changes: object) -> RunConfig:
    recipe = {name: changes.pop(name) for name in list(changes) if name in Recipe.__dataclass_fields__}
    values = {"checksum": "c" * 64, "extractor": "e" * 64, **changes}
    return RunConfig(variant, Recipe(**{"epochs": 3, **recipe}), DatasetConfig(dataset), seed, **values)


def lines(metrics: Mapping[str, float], epochs: int = 3, offset: float = 0.0) -> tuple[dict, ...]:
    """A journal: an untrained evaluation, then an evaluation an epoch that ends at `metrics`."""
    return tuple(
        {
            "epoch": epoch,
            "curves": {"generator_loss": 2.0 + offset - epoch / 4, "discriminator_loss": 0.5 + epoch / 8}
            if epoch
            else {},
            "metrics": {name: value + epochs - epoch for name, value in metrics.items()},
            "timing": {"time": 1e9 + epoch, "seconds": 2.0 if epoch else 0.0},
        }
        for epoch in range(epochs + 1)
    )


def record(config: RunConfig, metrics: Mapping[str, float] | None = None, **changes: object) -> RunRecord:
    values = {
        "id": config.name,
        "name": config.name,
        "state": "FINISHED",
        "cause": "",
        "lines": lines({"fid": 10.0} if metrics is None else metrics),
        "reference": REFERENCE,
        "parameters": FACTS["parameters"],
        "environment": ENVIRONMENT,
        "classes": ("0", "1"),
    }
    return RunRecord(config=config, **{**values, **changes})


def picture(shade: int = 128) -> bytes:
    out = io.BytesIO()
    Image.new("L", (30, 30), shade).save(out, "PNG")
    return out.getvalue()


BROKEN = "generator_loss is nan in epoch 2"


def on_disk(runs_dir: Path, config: RunConfig, metrics: Mapping[str, float], state: str = "FINISHED") -> RunFolder:
    folder = RunFolder.create(runs_dir, config)
    folder.write_environment(ENVIRONMENT)
    folder.write_json("reference.json", REFERENCE)
    folder.write_json("facts.json", FACTS)
    for line in lines(metrics, config.recipe.epochs, config.seed / 10):
        folder.append(line)
    folder.write_bytes(folder.picture_name(config.recipe.epochs), picture())
    causes = {"FAILED": {"cause": BROKEN}, "KILLED": {"cause": "it said so"}}
    folder.set_status(state, epoch=config.recipe.epochs, **causes.get(state, {}))
    return folder


def page(runs: list[RunRecord], code: str = "") -> str:
    made, left_out = group_into_sections(runs, list(METRICS), code)
    return pages.render_comparison([IllustratedSection(section) for section in made], left_out, METRICS)


def cells(markdown: str, row: str) -> list[str]:
    line = next(line for line in markdown.splitlines() if re.match(rf"\| *{re.escape(row)} *\|", line))
    return [cell.strip() for cell in line.strip("|").split("|")]


# Which runs are compared


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


@pytest.mark.parametrize("state", ["KILLED", "RUNNING", "NONE"])
def test_a_run_that_did_not_end_is_left_out_and_said(state: str):
    unfinished = record(config(seed=1), {"fid": 99.0}, state=state, lines=lines({"fid": 99.0})[:2])
    made, left_out = group_into_sections([record(config()), unfinished])
    assert [run.config.seed for arm in made[0].groups for run in arm.runs] == [0]
    assert [(run.id, "after epoch 1 of 3" in run.why) for run in left_out] == [(unfinished.id, True)]


@pytest.mark.parametrize(
    "other",
    [{"dataset": "digits"}, {"checksum": "d" * 64}, {"extractor": "f" * 64}, {"samples": 500}],
    ids=lambda changes: next(iter(changes)),
)
def test_figures_that_mean_different_things_never_share_a_table(other: dict):
    made, _ = group_into_sections([record(config()), record(config(**other)), record(config(seed=1))])
    assert sorted(len(section.groups[0].runs) for section in made) == [1, 2]


def test_data_that_every_seed_draws_for_itself_are_one_dataset():
    drawn = [
        record(config(variant, seed, "ring8", checksum=str(seed) * 64), reference={"fid": seed / 10})
        for variant in ("vanilla_gan", "dcgan")
        for seed in (0, 1, 2)
    ]
    (section,) = group_into_sections(drawn)[0]
    assert [len(arm.runs) for arm in section.groups] == [3, 3]
    markdown = page(drawn)
    assert "Every seed draws its own data." in markdown
    assert cells(markdown, "")[4] == "0.100\xa0±\xa00.089"
    # One seed on two versions of the data, or two seeds on one, and it was not the seed that drew them.
    again = record(config("cgan_mlp", 0, "ring8", checksum="9" * 64))
    assert len(group_into_sections([*drawn, again])[0]) == 4


def test_an_arm_is_the_config_without_its_seed():
    runs = [
        record(config("cgan_mlp", 0)),
        record(config("cgan_mlp", 1)),
        record(config("cgan_conv", 0)),  # the same recipe
        record(config("cgan_mlp", 0, loss="saturating")),
        record(config("cgan_mlp", 0, precision="bfloat16")),
    ]
    arms = group_into_sections(runs)[0][0].groups
    assert {(arm.variant, arm.label): len(arm.runs) for arm in arms} == {
        ("cgan_conv", ""): 1,
        ("cgan_mlp", "loss non_saturating, precision float32"): 2,
        ("cgan_mlp", "loss saturating, precision float32"): 1,
        ("cgan_mlp", "loss non_saturating, precision bfloat16"): 1,
    }


def test_a_named_recipe_is_called_by_its_name_and_only_changes_within_it_are_spelled_out():
    report = {**ENVIRONMENT, "recipe": "report"}
    runs = [
        record(config(generator_widths=(256, 512))),
        record(config(critic_steps=5, beta1=0.9, batch_size=64), environment=report),
        record(config(critic_steps=1, beta1=0.9, batch_size=64), environment=report),
    ]
    assert [arm.label for arm in group_into_sections(runs)[0][0].groups] == [
        "default",
        "report, critic steps 1",
        "report, critic steps 5",
    ]


def test_one_seed_never_counts_twice():
    first = record(config(), {"fid": 10.0}, id="a" * 32)
    again = replace(first, id="b" * 32, lines=(*first.lines[:-1], {**first.lines[-1], "timing": {"time": 2e9}}))
    failed = replace(first, id="c" * 32, state="FAILED")
    made, left_out = group_into_sections([again, failed, first])
    assert [run.id for run in made[0].groups[0].runs] == [again.id]
    assert {run.id for run in left_out} == {first.id, failed.id}
    assert all("the same config and seed" in run.why for run in left_out)


def test_other_code_is_said():
    old = record(config("dcgan"), environment={**ENVIRONMENT, "code": "0ld"})
    notes = [line for line in page([record(config()), old], code="c0de").splitlines() if line.startswith("> ")]
    assert any("different versions of the code" in note and "0ld in row 2" in note for note in notes)
    assert any("Stale" in note and "in row 2;" in note for note in notes)
    assert "\n> " not in page([record(config())], code="c0de")


def test_what_the_data_set_had_to_say_is_repeated():
    loud = record(config(), environment={**ENVIRONMENT, "notes": ["MNIST could not be had, so this is digits"]})
    assert "> MNIST could not be had, so this is digits" in page([loud])


# Figures in words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "not a number"),
        (0.0, "0"),
        (12.3456, "12.35"),
        (999.96, "1000"),
        (0.99996, "1.000"),
        (123456.7, "123,457"),
        (-0.000123456, "−0.0001235"),
        (1.5e-7, "1.50e−07"),
    ],
)
def test_a_number_is_said_to_four_digits(value: float, said: str):
    assert format_number(value) == said


def test_an_infinite_metric_stays_infinite():
    runs = [record(config(seed=seed), {"fid": fid}) for seed, fid in enumerate((10.0, math.inf))]
    markdown = page(runs)
    assert cells(markdown, "1")[4] == "∞"
    assert "1.797" not in markdown


def test_a_metric_that_could_not_be_measured_in_a_run_does_not_vanish():
    runs = [record(config(seed=seed), {"fid": fid}) for seed, fid in enumerate((10.0, 12.0, math.nan))]
    assert cells(page(runs), "1")[4] == "11.0\xa0±\xa01.4 (2 of 3)"


def test_the_spread_decides_how_many_places_the_mean_has():
    assert format_summary(Summary(12.3456, 0.0123, 5)) == "12.346\xa0±\xa00.012"
    assert format_summary(Summary(1234.5, 123.0, 5)) == "1,234\xa0±\xa0123"
    assert format_summary(Summary(0.5, 1.3e-9, 5)) == "0.5000\xa0±\xa01.30e−09"
    assert format_summary(summarize([0.1 + 0.2, 0.3])) == "0.3000\xa0±\xa00"


def test_members_of_a_family_have_a_table_of_their_own_by_class():
    run = record(config(), {"fid": 10.0, "accuracy_class_0": 0.75, "accuracy_class_1": 0.5}, classes=("cat", "1"))
    markdown = page([run])
    assert "### Accuracy class" in markdown
    assert cells(markdown, "0: cat")[1] == "0.7500"
    assert cells(markdown, "1")[1] in ("cgan_mlp", "0.5000")
    assert "accuracy_class" not in markdown


# The DataFrame


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


# Nobody writes into a page


def plain(text: str) -> str:
    """What `escape` promises to show of a text."""
    shown = "".join("�" if unicodedata.category(c)[0] == "C" else c for c in " ".join(text.split()))
    return shown if len(shown) <= 300 else shown[:300] + "…"


def rendered(markdown: str) -> list[list[str]]:
    """The text of the cells of a table, by the renderer of the HTML reports, with GitHub's extensions to Markdown."""
    tokens = MarkdownIt("gfm-like", {"html": False, "linkify": False}).parse(markdown)
    assert not any(token.type in ("html_block", "html_inline") for token in tokens)
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline":
            kinds = {child.type for child in token.children}
            assert kinds <= {"text", "text_special"}, kinds
            rows[-1].append("".join(child.content for child in token.children))
    return rows


MARK_UP = st.text(st.sampled_from("|\\`*_~[]()<>!#&;:/@$-+=.1aw \n\t\r\x00\u202e\u2028"), max_size=40)


@given(st.one_of(MARK_UP, st.text(max_size=40)))
def test_any_text_comes_out_of_a_table_as_it_went_in(text: str):
    markdown = f"| run | why |\n| --- | --- |\n| {escape(text)} | x |"
    assert rendered(markdown) == [["run", "why"], [plain(text).strip(), "x"]]


@pytest.mark.parametrize("text", ["- x", "+ x", "1. x", "12) x", "# x", "> x", "| x | y |", "![a](b)", "<b>x</b>"])
def test_text_at_the_start_of_a_line_stays_a_paragraph(text: str):
    tokens = MarkdownIt("commonmark").parse(escape(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in tokens[1].children} <= {"text", "text_special"}


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


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


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


def test_html_shows_no_file_but_those_it_was_given():
    markdown = "![a](pictures/a.png) ![b](/etc/passwd) ![c](http://x.y/z.png)"
    shown = pages.render_html({"index.md": markdown}, {"pictures/a.png": b"1"}, "t")
    tags = Tags()
    tags.feed(shown)
    assert [attrs["src"] for tag, attrs in tags.seen if tag == "img"] == ["data:image/png;base64,MQ=="]


def test_a_sample_picture_is_decoded_not_passed_on():
    out, hidden = io.BytesIO(), PngImagePlugin.PngInfo()
    hidden.add_text("secret", "hidden")
    Image.new("RGB", (20, 10), "red").save(out, "PNG", pnginfo=hidden)
    kept = figures.compact_picture(out.getvalue())
    assert kept is not None
    assert b"hidden" not in kept
    assert Image.open(io.BytesIO(kept)).size == (20, 10)
    large = io.BytesIO()
    Image.new("1", (5000, 1)).save(large, "PNG")
    gif = io.BytesIO()
    Image.new("L", (9, 9)).save(gif, "GIF")
    assert [figures.compact_picture(data) for data in (b"", b"no", large.getvalue(), gif.getvalue())] == [None] * 4


# The report as a whole


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


def test_curves_need_two_epochs_and_leave_out_what_is_not_finite():
    arms = group_into_sections([record(config(seed=seed), {"fid": 5.0 + seed}) for seed in (0, 1)])[0][0].groups
    panels = (figures.Panel("curves", "generator_loss", "generator loss (nats)"),)
    drawn = figures.draw_curves(arms, panels)
    assert drawn == figures.draw_curves(arms, panels)
    assert drawn.startswith(b"<?xml")
    assert b"dc:date" not in drawn
    broken = record(config(), lines=tuple({"epoch": e, "curves": {"generator_loss": math.nan}} for e in (1, 2)))
    short = record(config(), lines=lines({})[:2])
    for run in (broken, short):
        assert figures.draw_curves([replace(arms[0], finished=(run,))], panels) is None


def test_arms_are_spread_over_panels_evenly():
    arms = group_into_sections([record(config(noise_size=size)) for size in range(1, 9)])[0][0].groups
    assert [len(part) for part in figures.split_evenly(arms)] == [4, 4]
    assert [len(part) for part in figures.split_evenly(arms[:6])] == [6]


# Finding runs


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


def test_runs_are_chosen_by_name_or_folder(tmp_path: Path):
    first, second = (on_disk(tmp_path / "runs", config(seed=seed), {"fid": 1.0}) for seed in (0, 1))
    assert [run.config.seed for run in find_runs([first.name], runs_dir="runs").runs] == [0]
    assert [run.config.seed for run in find_runs([str(second.path)]).runs] == [1]
    both = find_runs([first.name, f"runs/{first.name}", f"runs/{second.name}"], runs_dir="runs").runs
    assert [run.config.seed for run in both] == [0, 1]


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        (
            ["cgan_mpl-mnist-s0"],
            r"there is no run 'cgan_mpl-mnist-s0' in runs; did you mean 'cgan_mlp-mnist-s0-\w{8}'\?",
        ),
        (["nowhere/at-all"], "is not a run folder"),
    ],
)
def test_a_run_that_does_not_exist_is_refused(tmp_path: Path, chosen: list[str], sentence: str):
    on_disk(tmp_path / "runs", config(), {"fid": 1.0})
    with pytest.raises(UserError, match=sentence):
        find_runs(chosen, runs_dir="runs")


def test_nothing_to_read_is_refused(tmp_path: Path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(UserError, match="there are no runs in runs"):
        find_runs(runs_dir="runs")
    with pytest.raises(UserError, match="there is no MLflow database"):
        find_runs()
    with pytest.raises(UserError, match="cannot write the report"):
        build_report(FoundRuns((record(config()),)), Path("/dev/null/out"))


def test_mlflow_and_the_folders_tell_the_same(tmp_path: Path, tracking_uri: str):
    from benchmarks.tracking.upload import sync

    runs_dir = tmp_path / "runs"
    folders = [
        on_disk(runs_dir, config("cgan_mlp", 0), {"fid": 10.0, "accuracy": math.inf}),
        on_disk(runs_dir, config("cgan_mlp", 1), {"fid": 12.0, "accuracy": 0.5}),
        on_disk(runs_dir, config("dcgan", 0), {"fid": 30.0}, state="FAILED"),
    ]
    ids = {folder.name: sync(folder, tracking_uri) for folder in folders}
    folders[1].clear()
    again = on_disk(runs_dir, config("cgan_mlp", 1), {"fid": 13.0, "accuracy": 0.5})
    old, ids[again.name] = ids[again.name], sync(again, tracking_uri)

    found = find_runs(tracking_uri=tracking_uri)
    assert [(run.id, run.why) for run in found.left_out] == [(old, "its config was trained again later")]
    assert {run.name: run.id for run in found.runs} == ids
    by_folder = find_runs(runs_dir=runs_dir).runs
    assert [replace(run, id=run.name) for run in found.runs] == list(by_folder)
    assert by_folder[0].metrics["accuracy"] == math.inf

    assert [run.name for run in find_runs([ids[again.name]], tracking_uri=tracking_uri).runs] == [again.name]
    with pytest.raises(UserError, match="there is no run 'dcgan'"):
        find_runs(["dcgan"], tracking_uri=tracking_uri)
