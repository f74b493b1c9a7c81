"""Renders the pages of a report that answers questions: the overview, and a page for each question."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from markupsafe import Markup

from benchmarks.evaluation.catalogue import METRICS
from benchmarks.questions import Contrast, Outcome, Question
from benchmarks.questions.outcomes import is_quality
from benchmarks.statistics.ranks import MOST_SEEDS, POWER, seeds_to_settle
from benchmarks.statistics.verdicts import OUTCOMES
from benchmarks.suites.plan import PlannedArm, pilot_deviation
from reports.analysis.amounts import describe_outcome, effect_scale, format_figure, level_unit
from reports.analysis.answers import Answer, Answers, OtherCode
from reports.analysis.checks import LARGEST_UNTRAINED_SHARE, measure_arm
from reports.analysis.evidence import ArmRuns, oriented_number
from reports.analysis.shares import ShareRead, list_shares_read
from reports.analysis.standings import Standing, drift_in_margins, late_means, metrics_of_real_data
from reports.analysis.summaries import Summary, mean_with_interval
from reports.figures.illustrations import Picture, Sample
from reports.pages.comparison import PICTURES_ACROSS
from reports.pages.templates import render_markdown
from reports.reading.runs import LeftOut, RunRecord


class _Budget(NamedTuple):
    """Holds for how long arms are trained."""

    epochs: int
    updates: int
    """Generator updates in an epoch; 0 where unknown."""
    batch_size: int


@dataclass(frozen=True)
class _Role:
    """Holds the data, the budgets and the classifiers of the arms of one role of the data."""

    name: str
    planned: PlannedArm
    """One of its arms: a preset has one dataset, and one way to evaluate, for all of them."""
    budgets: Mapping[_Budget, Sequence[str]]
    """Names of arms by their budget."""
    classifiers: Sequence[str]
    changed: Sequence[ArmRuns]
    """Arms with options of their own for the data."""


class _Tuning(NamedTuple):
    """Holds what tuning found for one arm."""

    arm: str
    metric: str
    grid: Sequence[tuple[float, Sequence[str]]]
    """Learning rates, each with what the seeds reached."""
    winner: float
    edge: bool


def page_of(question: str) -> str:
    """Returns the file name of a question's page."""
    return f"{question}.md"


def render_overview(
    answers: Answers,
    standings: Sequence[Standing],
    left_out: Sequence[LeftOut],
    found: int,
    records: str = "",
    picture: Picture | None = None,
    samples: Sequence[Sample] = (),
) -> str:
    """Returns the first page of the report.

    left_out: runs that could not be read. found: number of all runs. records: the folder that the archive beside the
    report unpacks to; "" without one. picture: of the verdicts. samples: of a few arms.
    """
    plan, evidence = answers.plan, answers.evidence
    measured = {name for standing in standings for name in standing.columns}
    measured |= {name for question in plan.questions for name in question.table_metrics}
    lacking = [arm for arm in evidence.arms if arm.missing]
    without_figure: dict[str, dict[str, RunRecord]] = {}
    for each in evidence.lacking:
        without_figure.setdefault(each.decision, {})[each.run.id] = each.run
    return render_markdown(
        "overview.md.j2",
        plan=plan,
        answers=answers,
        evidence=evidence,
        standings=standings,
        left_out=left_out,
        found=found,
        folder=records,
        picture=picture,
        samples=samples,
        ended=sum(len(arm.ended) for arm in evidence.arms),
        failed=sum(len(arm.failures) for arm in evidence.arms),
        shares=_group_by_share(answers, answers.answers, of_curves=True),
        claimed=[answer for answer in answers.answers if answer.is_finding],
        exploratory=[answer for answer in answers.answers if answer.planned.exploratory],
        lacking=lacking,
        unfinished={run.id: run for arm in lacking for run in arm.unfinished}.values(),
        without_figure={decision: runs.values() for decision, runs in without_figure.items()},
        failures=[(arm, run) for arm in evidence.arms for run in arm.ended if run.id in arm.failures],
        metrics=METRICS,
        known_metrics=[metric for metric in METRICS.values() if metric.name in measured],
        page_of=page_of,
    )


def describe_verdicts(answers: Answers) -> tuple[str, ...]:
    """Describes every answer in a line for the screen."""
    lines = (render_markdown("verdict.md.j2", answer=answer) for answer in answers.answers)
    return tuple(re.sub(r"\\(.)", r"\1", line.strip()) for line in lines)


def render_question(
    answers: Answers,
    question: Question,
    pictures: Sequence[Picture] = (),
    samples: Sequence[Sample] = (),
    alone: bool = False,
) -> str:
    """Returns the page of one question. alone: there is no overview beside it."""
    arms, mine = answers.evidence.of(question.name), answers.of(question)
    means = {arm.name: late_means(arm, question.table_metrics) for arm in arms}
    shown_metrics = [name for name in question.table_metrics if any(means[arm.name][name].count for arm in arms)]
    counts = Counter(answer.outcome for answer in mine)
    datasets = list(dict.fromkeys(arm.planned.dataset.name for arm in arms))
    return render_markdown(
        "question.md.j2",
        alone=alone,
        at_chance=_hardly_learned(arms) if alone else (),
        plan=answers.plan,
        answers=answers,
        question=question,
        arms=arms,
        mine=mine,
        outcomes=[(outcome, counts[outcome]) for outcome in OUTCOMES if counts[outcome]],
        curve_shares={answer.name: list(_group_by_share(answers, [answer], of_curves=True)) for answer in mine},
        shares=_group_by_share(answers, mine),
        other_codes=_code_of_others(answers, arms),
        pictures=pictures,
        samples=samples,
        pictures_across=PICTURES_ACROSS,
        deciding=_deciding_outcomes(question, mine),
        deciding_mean=_deciding_mean,
        means=means,
        shown_metrics=shown_metrics,
        metrics=METRICS,
        real_data=[
            (dataset, options, values)
            for dataset in datasets
            for options, values in metrics_of_real_data(
                [arm for arm in arms if arm.planned.dataset.name == dataset], shown_metrics
            )
        ],
        tuned_at_edge=lambda arm: _tuning_of(answers, arm.lr_from or arm.name).get("edge"),
        roles=[
            _make_role(role, [arm for arm in arms if arm.planned.arm.dataset_role == role])
            for role in dict.fromkeys(arm.planned.arm.dataset_role for arm in arms)
        ],
        margin_in_deviations=lambda contrast: _margin_in_deviations(answers, contrast),
        seeds_needed=lambda contrast: _seeds_needed(answers, contrast),
        power=POWER,
        not_flat=_list_not_flat(answers, arms),
        notes={
            note: [arm for arm in arms if any(note in run.notes for run in arm.ended)]
            for note in dict.fromkeys(note for arm in arms for run in arm.ended for note in run.notes)
        },
        datasets=sorted(datasets),
        tunings=_list_tunings(answers, arms),
    )


def _group_by_share(
    answers: Answers, mine: Sequence[Answer], of_curves: bool = False
) -> Mapping[ShareRead, Sequence[str]]:
    """Returns names of decisions by what they read in place of a share. of_curves: of single updates only."""
    shares: dict[ShareRead, list[str]] = {}
    for answer in mine:
        contrasts = [part for part in answer.planned.contrasts if part.reads_curves or not of_curves]
        for share in list_shares_read(answers.plan, contrasts):
            shares.setdefault(share, []).append(answer.name)
    return shares


def _code_of_others(answers: Answers, arms: Sequence[ArmRuns]) -> Sequence[OtherCode]:
    """Returns the runs of these arms that were trained by other code than most."""
    ids = {run.id for arm in arms for run in arm.ended}
    mine = [replace(other, runs=tuple(run for run in other.runs if run.id in ids)) for other in answers.other_code]
    return [other for other in mine if other.runs]


def _deciding_outcomes(question: Question, mine: Sequence[Answer]) -> Mapping[str, Outcome]:
    """Returns, by its title, each outcome that decides and is not among the question's metrics."""
    shown = {f"metrics/{name}" for name in question.table_metrics}
    scales = {"ratio": " (ln)", "decades": " (decades)"}
    titles = {}
    for outcome in dict.fromkeys(c.outcome for answer in mine for c in answer.planned.decision.contrasts):
        if not set(outcome.figures) <= shown:
            unit = f" ({level_unit(outcome)})" if level_unit(outcome) else scales.get(effect_scale(outcome), "")
            titles[f"{describe_outcome(outcome)}{unit}"] = outcome
    return titles


def _hardly_learned(arms: Sequence[ArmRuns]) -> list[tuple[ArmRuns, float]]:
    """Returns the arms whose FID is not below half of the untrained generator's, each with its share of that."""
    shares = [(arm, measure_arm(arm, "untrained_fid_share")) for arm in arms]
    return [(arm, share) for arm, share in shares if share > LARGEST_UNTRAINED_SHARE]


def _deciding_mean(arm: ArmRuns, outcome: Outcome) -> Summary:
    """Returns the mean of an outcome in its own direction."""
    sign = -1.0 if outcome.better == "less" else 1.0
    runs = arm.not_failed if is_quality(outcome) else arm.ended
    return mean_with_interval([sign * value for run in runs if not math.isnan(value := oriented_number(run, outcome))])


def _tuning_of(answers: Answers, arm: str) -> Mapping[str, object]:
    entry = answers.tuned.get("arms", {}).get(arm, {})
    return entry if isinstance(entry, Mapping) else {}


def _make_role(name: str, arms: Sequence[ArmRuns]) -> _Role:
    budgets: dict[_Budget, list[str]] = {}
    for arm in arms:
        recipe = arm.planned.recipe
        # The plan does not know the updates of whole epochs of the data; the runs do.
        updates = recipe.epoch_updates or max((run.updates for run in arm.ended), default=0)
        budgets.setdefault(_Budget(recipe.epochs, updates, recipe.batch_size), []).append(arm.name)
    extractors = {run.config.extractor[:8] for arm in arms for run in arm.ended if run.config.extractor}
    return _Role(name, arms[0].planned, budgets, sorted(extractors), [arm for arm in arms if arm.planned.arm.options])


def _margin_in_deviations(answers: Answers, contrast: Contrast) -> float:
    """Returns the margin in standard deviations between seeds, as tuning measured them; NaN where it did not."""
    sigma = pilot_deviation(answers.tuned, contrast.treatment.dataset_role, contrast.outcome)
    return max(abs(contrast.low), abs(contrast.high)) / sigma if sigma > 0 else math.nan


def _seeds_needed(answers: Answers, contrast: Contrast) -> Mapping[str, Markup]:
    """Returns the seeds that would show an effect of twice the margin, and no effect, as tuning lets us expect."""
    sigma = pilot_deviation(answers.tuned, contrast.treatment.dataset_role, contrast.outcome)
    if not sigma > 0 or contrast.low == contrast.high == 0:
        return {}
    shifts = {} if contrast.low == contrast.high else {"twice": 2 * contrast.high}
    if contrast.low < 0 or contrast.low == contrast.high:
        shifts["none"] = 0.0
    groups = 1 if contrast.control is None else 2
    needed = {
        effect: seeds_to_settle(shift, sigma, contrast.low, contrast.high, groups=groups, tests=answers.tests)
        for effect, shift in shifts.items()
    }
    return {e: Markup(f"{seeds:.0f}" if math.isfinite(seeds) else f"> {MOST_SEEDS}") for e, seeds in needed.items()}


def _list_not_flat(answers: Answers, arms: Sequence[ArmRuns]) -> list[tuple[ArmRuns, str, float]]:
    """Returns the arms whose curve still rises or falls at its end, with the metric and its movement in margins."""
    budgets = answers.plan.preset.budgets
    metrics = [(arm, budgets[arm.planned.arm.dataset_role].quality) for arm in arms]
    drifts = [(arm, metric, drift_in_margins(arm, metric)) for arm, metric in metrics]
    return [(arm, metric, drift / 2) for arm, metric, drift in drifts if drift > 1]


def _list_tunings(answers: Answers, arms: Sequence[ArmRuns]) -> list[_Tuning]:
    tunings = []
    for name in dict.fromkeys(arm.planned.arm.lr_from or arm.name for arm in arms if arm.planned.arm.takes_tuning):
        entry = _tuning_of(answers, name)
        if not isinstance(entry.get("grid"), Mapping):
            continue
        grid = [
            (float(rate), ["failed" if value is None else format_figure(float(value), 3) for value in values])
            for rate, values in entry["grid"].items()
        ]
        winner = float(entry.get("winner", math.nan))
        tunings.append(_Tuning(name, entry.get("metric", ""), grid, winner, bool(entry.get("edge"))))
    return tunings
