"""A front page lists what a report found, from the runs of the report and with the report's words."""

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.questions.presets import PRESETS
from benchmarks.suites.plan import make_plan
from reports import fill
from reports.build import main as build
from reports.pages import fill_findings
from tests.conftest import ROOT, Done
from tests.made_runs import decided, index, made, on_disk, smoke, tuned

Called = Callable[..., Done]
PAGE = "# Mine\n\n<!-- findings: quick in out/quick -->\nold\n<!-- end -->\n\nmine\n"


def test_each_finding_stands_once_with_its_verdict_and_a_link_and_no_control_or_exploratory_one_does() -> None:
    plan = make_plan(PRESETS["quick"], ["control", "critic_steps", "label_use"], tuned=tuned("quick"))
    answers = decided(plan, made(plan))
    text, places = fill_findings(PAGE, answers)
    assert places == 1
    assert text.startswith("# Mine\n\n<!-- findings: quick in out/quick -->\nThe report ")
    assert text.endswith(").\n<!-- end -->\n\nmine\n")
    primary = [each for each in answers.answers if each.name in PRESETS["quick"].primary]
    assert {each.name for each in primary} == {"B1a-packing-points", "D-five-updates", "I2-used"}
    for answer in primary:
        page = f"](out/quick/{answer.planned.question}.md)"
        (line,) = [line for line in text.splitlines() if page in line]
        assert (answer.outcome.capitalize() in line) == (answer.verdict is not None)
    assert text.count("](out/quick/") == len(primary) + 1  # that of the report itself
    assert not re.search("Planted|both networks together", text)


def test_the_words_are_those_of_the_report() -> None:
    plan = make_plan(PRESETS["mnist"], ["critic_steps"], tuned=tuned("mnist"))
    answers = decided(plan, made(plan))
    text, _ = fill_findings("<!-- findings: mnist in mnist -->\n<!-- end -->", answers)
    for answer in answers.answers:
        assert answer.planned.decision.says in text
        assert answer.planned.decision.says in index(answers)


def test_a_page_has_the_findings_of_the_report_that_it_names(called: Called) -> None:
    for run in made(smoke("label_use", seeds=2)):
        on_disk(Path("runs"), run)
    Path("page.md").write_text(PAGE.replace("quick", "smoke"))
    done = called(build, "--preset", "smoke", "--fill", "page.md", "--runs-dir", "runs")
    assert done.code == 0
    assert "wrote page.md" in done.out
    assert "The report [`smoke`](out/smoke/index.md)" in Path("page.md").read_text()
    again = called(build, "--preset", "smoke", "--fill", "page.md", "--runs-dir", "runs")
    assert "page.md is as it was" in again.out


@pytest.mark.long
def test_the_findings_on_the_front_page_are_those_of_the_published_records(tmp_path: Path) -> None:
    front = ROOT / "README.md"
    text = front.read_text(encoding="utf-8")
    places = re.findall(r"<!-- findings: (\w+) in ([\w/]+) -->", text)
    assert places
    page = tmp_path / "README.md"
    page.write_text(text, encoding="utf-8")
    for name, folder in places:
        with tarfile.open(ROOT / folder / "runs.tar.xz") as records:
            records.extractall(tmp_path, filter="data")
        fill(page, name, runs_dir=tmp_path / f"{name}-runs")
        assert page.read_text(encoding="utf-8") == text, name
