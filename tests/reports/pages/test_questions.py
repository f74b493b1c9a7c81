"""The pages of questions: budgets, rates and shares are told as they are, and a run puts nothing of its own in."""

import re
from dataclasses import replace
from pathlib import Path

from benchmarks.questions.presets import PRESETS
from benchmarks.suites.plan import Plan, make_plan
from reports import pages
from reports.analysis.shares import list_shares_read
from reports.build import build_report
from reports.reading.runs import FoundRuns, RunRecord
from tests.compared_runs import Tags
from tests.made_runs import decided, index, made, page, rows, smoke, tuned

# What is told of the runs


def test_each_group_of_arms_is_told_its_own_budget():
    plan = make_plan(PRESETS["mnist"], ["critic_steps", "diminished_gradient"], tuned=tuned("mnist"))
    answers = decided(plan, made(plan))
    (line,) = [line for line in page(answers, "diminished_gradient").splitlines() if line.startswith("*images*")]
    groups = line.partition("; evaluated")[0].split("; ")
    assert [re.search(r"[\d,]+ in all", group)[0] for group in groups] == ["7,020 in all", "2,340 in all"]
    for arm in answers.evidence.of("diminished_gradient"):
        total = f"{arm.planned.recipe.epochs * arm.planned.recipe.epoch_updates:,} in all"
        assert [total in group for group in groups if f"`{arm.name}`" in group] == [True]
    # Where all have one, no arms are named.
    (line,) = [line for line in page(answers, "critic_steps").splitlines() if line.startswith("*images*")]
    assert line.startswith(
        "*images*: mnist, 20 epochs of 351 generator updates, 7,020 in all, batches of 64; evaluated every 2 epochs on "
        "2,500 samples, by"
    )


def test_the_share_of_a_run_that_was_read_is_told_where_it_is_another_one():
    plan = make_plan(PRESETS["mnist"], ["critic_steps", "diminished_gradient"], tuned=tuned("mnist"))
    answers = decided(plan, made(plan))
    told, sentence = (
        page(answers, "diminished_gradient"),
        "the first 2 % of the updates are the first epoch, 5 % of them",
    )
    assert told.count(f"Here {sentence}.") == 1  # that of the source's recipe is not tested
    assert f"- `B2-early-report`, `B2-early-tuned`: {sentence}." in told
    assert f"In `B2-early-report`, `B2-early-tuned`, {sentence}." in index(answers)
    # Of ten evaluations a quarter is two; five steps are read up to epoch 6.67, which three evaluations come before.
    told = page(answers, "critic_steps")
    assert "`D-five-updates`: the last quarter of training is the last 2 of 10 evaluations." in told
    assert "with five discriminator steps, the last quarter of training is the last of 3 evaluations." in told
    # Sixty epochs are evaluated twenty times, and the words are exact.
    plan = make_plan(PRESETS["quick"], ["critic_steps"], tuned=tuned("quick"))
    assert not list_shares_read(plan, plan.decisions[0].contrasts)


def test_a_decision_that_would_tell_a_number_twice_is_told_as_not_taken():
    plan = make_plan(PRESETS["mnist"], ["critic_steps"])
    answers = decided(plan, made(plan))
    why = "it would read the same evaluations as D-five-all-updates"
    assert f"(`D-five-seconds`: {why})" in page(answers, "critic_steps")
    assert rows(index(answers), "`D-five-seconds`")[0].endswith(f"| {why} |")


def test_a_curve_that_is_not_flat_is_named():
    plan = make_plan(PRESETS["quick"], ["mode_collapse"], tuned=tuned("quick"))
    runs = made(plan)
    rising = [
        replace(run, lines=tuple({**line, "metrics": {"overlap": line["epoch"] / 20}} for line in run.lines))
        for run in runs
        if plan.arm("arc-4").matches(run.config)
    ]
    flat = [run for run in runs if not plan.arm("arc-4").matches(run.config)]
    told = page(decided(plan, flat + rising, tuned=tuned("quick")), "mode_collapse")
    assert "4 modes: overlap is not flat at the end of the budget" in told
    assert "8 modes: overlap is not flat" not in told


def test_learning_rates_say_where_they_come_from():
    plan = make_plan(PRESETS["full"], ["control", "upsampling", "loss_curves"], tuned=tuned("full"))
    answers = decided(plan, [], tuned=tuned("full"))
    assert (
        "| 0.01 | 10 times that of `conditional` |" in rows(page(answers, "control"), "ten times the learning rate")[1]
    )
    assert (
        "the best in tuning, at the **edge** of the grid"
        in rows(page(answers, "upsampling"), "transposed convolution, kernel 4, stride 2 |")[1]
    )
    assert "| the source's own |" in rows(page(answers, "loss_curves"), "the source's own recipe")[1]
    assert "**0.001**: 2.70, 2.80, 2.60" in page(answers, "upsampling")
    assert "failed" in rows(page(answers, "upsampling"), "`transposed-4`")[0]


def test_runs_lead_to_mlflow_where_a_server_shows_them():
    plan = smoke("loss_curves")
    first, *rest = made(plan)
    linked = replace(first, id="a" * 32, link="https://mlflow.example/#/runs/" + "a" * 32)
    told = page(decided(plan, [linked, *rest]), "loss_curves")
    assert f"[`{'a' * 32}`](https://mlflow.example/#/runs/{'a' * 32})" in told
    shown = pages.render_html({"index.md": told}, {}, "t")
    assert 'href="https://mlflow.example/#/runs/' in shown
    assert f"`{rest[0].id}`" in told


# Nobody writes into a page


HOSTILE = "|`]) <script>alert(1)</script> ![x](http://a.b/c.png) [y](javascript:z) \u202e www.evil.example\n# H"


def hostile(plan: Plan) -> list[RunRecord]:
    runs = [
        replace(run, id=HOSTILE + str(place), name=HOSTILE, link="javascript:alert(1)", classes=(HOSTILE,))
        for place, run in enumerate(made(plan))
    ]
    runs[0] = replace(runs[0], state="FAILED", cause=HOSTILE, environment={"code": HOSTILE})
    runs[1] = replace(runs[1], parameters={HOSTILE: 1}, reference={HOSTILE: 2.0}, environment={"code": HOSTILE})
    return runs


def test_a_hostile_run_puts_nothing_of_its_own_into_the_pages(tmp_path: Path):
    plan = smoke("loss_curves")
    kept = [{"hash": HOSTILE, "since": HOSTILE, "plan": {"arms": {HOSTILE: {}}, "decisions": {HOSTILE: {}}}}]
    build_report(FoundRuns(tuple(hostile(plan))), tmp_path / "out", True, plan=plan, plans=kept)
    tags = Tags()
    tags.feed((tmp_path / "out" / "index.html").read_text())
    ours = set("html head meta title style body section h1 h2 h3 p em strong code blockquote ul li a".split())
    ours |= set("table thead tbody tr th td img".split())
    assert {tag for tag, _ in tags.seen} <= ours
    assert all(attrs["src"].startswith("data:image/") for tag, attrs in tags.seen if tag == "img")
    names = {attrs["id"] for tag, attrs in tags.seen if tag == "section"}
    assert names == {"index", "loss_curves"}
    assert {attrs.get("href") for tag, attrs in tags.seen if tag == "a"} <= {f"#{name}" for name in names}
    for path in (tmp_path / "out").glob("*.md"):
        for block in path.read_text().split("\n\n"):
            if block.startswith("| "):
                assert len({len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()}) == 1, block
