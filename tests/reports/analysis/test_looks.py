"""A plan with looks, judged on made-up runs: what is asked for, what stops, what waits, what is exploratory."""

from dataclasses import replace

import pytest

from benchmarks.questions.presets import SMOKE
from benchmarks.statistics.looks import Looks
from benchmarks.statistics.verdicts import NO_DIFFERENCE, NOT_TESTED, SUPPORTED
from benchmarks.suites.plan import Plan, make_plan
from reports.analysis.answers import Answers, answer_plan
from reports.analysis.looks import gather_judged, judge_at_looks
from reports.reading.runs import RunRecord
from tests.made_runs import fid, index, made, outcome, page

LOOKS = Looks((6, 12), (0.02, 0.03))
RATES = (5e-4, 1e-3, 2e-3)
# Five discriminator steps far better in `clear`, the same in `even`.
CLEAR, EVEN = {"critic-5": fid(2.0)}, {}


def make(primary: tuple[str, ...] = ()) -> Plan:
    budgets = {**SMOKE.budgets, "images": replace(SMOKE.budgets["images"], rates=RATES)}
    preset = replace(SMOKE, name="looks", seeds=12, seeds_alone=12, looks=LOOKS, budgets=budgets, primary=primary)
    return make_plan(preset, ["critic_steps"])


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make()


def answered(plan: Plan, runs: list[RunRecord]) -> Answers:
    evidence, judged = gather_judged(plan, runs)
    return answer_plan(evidence, judged=judged)


def test_a_plan_with_looks_says_so_and_one_without_is_as_before(plan: Plan) -> None:
    assert plan.as_dict()["looks"] == {"seeds": (6, 12), "levels": (0.02, 0.03)}
    arm = plan.arm("critic-5")
    assert plan.as_dict()["arms"]["critic-5"]["rates"] == list(RATES)
    assert [arm.recipe_of(seed).generator_lr for seed in arm.seeds[:4]] == [*RATES, RATES[0]]
    without = make_plan(SMOKE, ["critic_steps"]).as_dict()
    assert "looks" not in without
    assert all("rates" not in each for each in without["arms"].values())
    assert all("exploratory" not in each for each in without["decisions"].values())


def test_what_a_look_settles_gets_no_more_seeds(plan: Plan) -> None:
    asked: list[dict[str, int]] = []

    def train(part: Plan) -> bool:
        asked.append({arm.name: len(arm.seeds) for arm in part.arms})
        assert part.hash == plan.hash
        return True

    judged = judge_at_looks(plan, lambda: made(plan, CLEAR), train)
    assert asked[0]["critic-5"] == asked[0]["conditional"] == 6
    assert len(judged.looks) == len(asked)
    assert judged.complete
    assert judged.verdicts["D-five-updates"].outcome == SUPPORTED
    assert judged.verdicts["D-five-updates"].look == 1
    # Only arms of open decisions are asked for again.
    for look, seeds in zip(judged.looks, asked[1:], strict=False):
        named = {arm.name for d in plan.decisions if d.decision.name in look.open for arm in d.decision.arms}
        assert set(seeds) == named
    needed = {arm.name: len(arm.seeds) for arm in judged.needed.arms}
    assert needed == {name: max(each.get(name, 0) for each in asked) or 12 for name in needed}


def test_the_seeds_of_a_comparison_are_ranked_within_their_rates(plan: Plan) -> None:
    _, judged = gather_judged(plan, made(plan, CLEAR))
    effect = judged.verdicts["D-five-updates"].effects[0]
    # Two seeds at each of three rates: 1 / C(4, 2)³ is the smallest p.
    assert effect.p.above == pytest.approx(1 / 6**3)


def test_a_look_waits_for_its_runs_and_the_next_does_not_begin(plan: Plan) -> None:
    runs = made(plan, EVEN)
    some = [run for run in runs if run.config.seed != plan.arms[0].seeds[3]]
    answers = answered(plan, some)
    assert not answers.complete
    assert answers.looks == ()
    assert "**The next look waits for runs.**" in page(answers, "critic_steps")
    # Without the seeds of the second look the first one stands.
    first = [run for run in runs if run.config.seed in plan.arms[0].seeds[:6]]
    answers = answered(plan, first)
    assert [look.number for look in answers.looks][:1] == [1]
    assert answers.complete == (len(answers.looks[0].open) == 0)


def test_the_pages_tell_the_looks(plan: Plan) -> None:
    answers = answered(plan, made(plan, CLEAR))
    written = page(answers, "critic_steps")
    assert "| look | seeds an arm | settled | given up | open |" in written
    assert "over which the seeds are spread" in written
    assert f"| 1 | 6 | {len(answers.looks[0].settled)} |" in written
    assert "at look 1" in written
    assert "(at most" in index(answers)
    assert answers.plan.hash in index(answers)


def test_a_failing_check_gives_a_decision_up(plan: Plan) -> None:
    answers = answered(plan, made(plan, {"critic-5": fid(390.0)}))
    assert outcome(answers, "D-five-updates") == NOT_TESTED
    assert "D-five-updates" in answers.looks[0].given_up


def test_exploratory_decisions_are_a_family_of_their_own(plan: Plan) -> None:
    names = [each.decision.name for each in plan.decisions]
    assert len(names) > 1
    asked = make(primary=(names[0],))
    assert asked.hash != plan.hash
    answers = answered(asked, made(asked, CLEAR))
    assert answers.tests == 1
    # Each family is corrected for its own number of tests.
    for name, tests in ((names[0], 1), (names[1], len(names) - 1)):
        (verdict,) = {verdict for look in answers.looks for verdict in look.verdicts if verdict.test == name}
        assert verdict.adjusted == pytest.approx(min(1, tests * verdict.p))
    written = index(answers)
    assert written.count("*exploratory* |") == len(names) - 1
    assert "not among these: they were planned beside the main ones" in written
    # Without looks, too, each family has its own correction.
    flat = replace(asked, preset=replace(asked.preset, looks=None))
    assert answered(flat, made(flat, CLEAR)).tests == 1


def test_equal_arms_are_told_apart_from_nothing(plan: Plan) -> None:
    answers = answered(plan, made(plan, EVEN, spread=0.02))
    assert outcome(answers, "D-five-updates") == NO_DIFFERENCE
