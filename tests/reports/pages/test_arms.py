"""The table of a preset's arms has the runs' own figures, and fills its place in a page and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.questions.presets import EVERY_VARIANT, PRESETS, SMOKE, Budget
from benchmarks.run_folder.folder import list_run_folders
from benchmarks.suite import main as suite
from benchmarks.suites.plan import Plan, make_plan
from reports.analysis.evidence import assign_runs
from reports.build import main as build
from reports.pages import fill_arms
from reports.pages.arms import render_arms
from reports.reading.runs import RunRecord, find_runs
from tests.conftest import Done
from tests.made_runs import UPDATES, made

Called = Callable[..., Done]
PAGE = "# Mine\n\n<!-- arms: variants -->\nold\n<!-- end -->\n\n<!-- arms: others -->\nkept\n<!-- end -->\n"
# Enough to be better than untrained networks.
TINY = {"epochs": 2, "epoch_updates": 40}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variants on digits, two seeds."""
    arms = tuple(arm for arm in EVERY_VARIANT.arms if arm.variant in ("vanilla_gan", "cgan_mlp"))
    budgets = {"images": Budget("digits", "small", TINY, 2, 50)}
    small = replace(EVERY_VARIANT, budgets=budgets, seeds=2, seeds_alone=2, arms=arms)
    monkeypatch.setitem(PRESETS, "variants", small)


def row(table: str, variant: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| `{variant}` |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def table_of(plan: Plan, runs: list[RunRecord]) -> str:
    return render_arms(plan, assign_runs(plan, runs)[0])


@pytest.mark.long
def test_a_suite_trains_the_arms_and_the_report_fills_their_table(called: Called) -> None:
    Path("page.md").write_text(PAGE)
    words = ("--preset", "variants", "--runs-dir", "runs")
    done = called(suite, *words, "--executor", "inline", "--pictures", "none", "--no-tracking")
    assert done.code == 0, done.err
    assert "4 runs finished, 0 failed" in done.out
    assert "the table: python -m reports.build --preset variants --runs-dir runs --fill docs/variants.md" in done.out
    filled = called(build, *words, "--fill", "page.md")
    assert (filled.code, filled.err) == (0, "")
    assert "4 of 4 planned runs have ended; 0 of 4 runs found are of no arm" in filled.out
    text = Path("page.md").read_text()
    assert text.startswith("# Mine\n\n<!-- arms: variants -->\n| variant |")
    assert text.endswith("\n<!-- end -->\n\n<!-- arms: others -->\nkept\n<!-- end -->\n")
    runs = {run.config.variant: [] for run in find_runs(runs_dir="runs").runs}
    for run in find_runs(runs_dir="runs").runs:
        runs[run.config.variant].append(run)
    for variant, own in runs.items():
        _, ended, fid, coverage, accuracy, seconds, weights, updates = row(text, variant)
        assert (ended, updates) == ("2 of 2", "80.00 ± 0".replace(" ", "\N{NO-BREAK SPACE}"))
        mean = sum(run.metrics["fid"] for run in own) / 2
        assert float(fid.split("\N{NO-BREAK SPACE}")[0].replace(",", "")) == pytest.approx(mean, rel=0.05)
        assert (accuracy == "–") == (variant == "vanilla_gan")
        assert weights == " + ".join(f"{own[0].parameters[name]:,}" for name in ("generator", "discriminator"))
        assert seconds != "–"
        assert coverage != "–"
    assert "as it was" in called(build, *words, "--fill", "page.md").out
    assert Path("page.md").read_text() == text
    assert len(list_run_folders("runs")) == 4


def test_runs_that_failed_or_are_missing_are_counted_and_enter_no_mean() -> None:
    plan = make_plan(PRESETS["variants"])
    runs = made(plan, {arm.name: {"metrics/fid": 9.0} for arm in plan.arms})
    assert row(table_of(plan, runs), "cgan_mlp")[1] == "2 of 2"
    first, second = (run for run in runs if run.config.variant == "cgan_mlp")
    failed = replace(second, state="FAILED", cause="a loss is not finite")
    cells = row(table_of(plan, [first, failed]), "cgan_mlp")
    assert cells[1] == "2 of 2, 1 failed"
    assert "±" not in cells[2]
    assert float(cells[2].replace(",", "")) == pytest.approx(first.metrics["fid"], rel=1e-3)
    assert row(table_of(plan, [first]), "cgan_mlp")[1] == "1 of 2"
    assert row(table_of(plan, [first]), "vanilla_gan")[1:] == ["0 of 2", "–", "–", "–", "–", "–", "–"]
    assert str(2 * UPDATES) in row(table_of(plan, [first]), "cgan_mlp")[-1]


def test_a_page_without_runs_says_so_and_one_without_a_place_is_left_alone() -> None:
    plan = make_plan(PRESETS["variants"])
    text, places = fill_arms(PAGE, plan, assign_runs(plan, [])[0])
    assert places == 1
    assert "<!-- arms: variants -->\n*Not trained yet.*\n<!-- end -->" in text
    assert fill_arms("# Mine\n", plan, assign_runs(plan, [])[0]) == ("# Mine\n", 0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--fill page.md", "--fill rewrites what a page shows of a preset; name it by --preset"),
        ("--preset variants", "the preset variants asks no questions; --fill PAGE writes its table"),
        ("--preset variants --fill nowhere.md", "cannot read nowhere.md: No such file or directory"),
        ("--preset variants --fill page.md --html", "--html is not read beside --fill; leave one of them out"),
        (
            "--preset smoke --fill page.md",
            "page.md has no place for this table: <!-- arms: smoke --> and <!-- end -->, or for these findings: "
            "<!-- findings: smoke in FOLDER --> and <!-- end -->",
        ),
    ],
)
def test_what_cannot_be_filled_is_refused_and_the_page_stays(words: str, sentence: str, called: Called) -> None:
    from tests.made_runs import on_disk

    Path("page.md").write_text(PAGE)
    on_disk(Path("runs"), made(make_plan(SMOKE, ["dropout"]))[0])
    done = called(build, *words.split(), "--runs-dir", "runs")
    assert (done.code, done.err) == (2, f"error: {sentence}\n")
    assert Path("page.md").read_text() == PAGE
