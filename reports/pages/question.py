"""The page of one question: what was claimed, what came out, how sure that is, and by which runs."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from benchmarks.questions import Contrast, Outcome, Question
from benchmarks.questions.outcomes import is_quality
from benchmarks.suites.plan import PlannedArm, pilot_deviation
from reports.analysis.answers import Answer, Answers
from reports.analysis.evidence import ArmRuns, number
from reports.analysis.standings import drift_in_margins, late_means, mean, metrics_of_real_data
from reports.analysis.statistics import MOST_SEEDS, POWER, seeds_to_settle
from reports.analysis.tables import Summary, spell_field
from reports.analysis.verdicts import FEWEST_SEEDS
from reports.analysis.words import (
    as_read,
    certainty,
    compared,
    conclusion,
    effect_sentence,
    failures_differ,
    figure,
    kind,
    margin,
    reversal,
    unit,
)
from reports.figures.illustrations import Picture, Sample
from reports.pages.comparison import PICTURES_ACROSS
from reports.pages.markdown import code, count, escape, link, mean_and_spread, table
from reports.pages.overview import OUTCOMES, PROSE, metric_title, other_code, parameters, real_data, run_link


def render_question(
    answers: Answers, question: Question, pictures: Sequence[Picture], samples: Sequence[Sample]
) -> str:
    arms = answers.evidence.of(question.name)
    mine = answers.of(question)
    parts = [
        f"# {prose(question.title)}",
        f"*{prose(question.asks)}* ({link('all verdicts', 'index.md')})",
        f"**In short: {_in_short(mine)}.**",
        "## What was claimed",
        "\n".join(f"- {escape(id)}: {prose(words)}" for id, words in question.claims.items()),
        "## What came out",
    ]
    for answer in mine:
        parts += _answer(answers, answer)
    for left in answers.not_taken(question):
        parts.append(f"*Not taken:* {prose(left.decision.says)} ({code(left.decision.name)}: {escape(left.why)})")
    if not mine:
        parts.append("None of its decisions is taken by this preset.")
    parts += [f"> {sentence}" for sentence in other_code(answers, [arm.name for arm in arms])]
    for picture in pictures:
        parts += [f"## {picture.title}", f"![{picture.title}]({picture.path})", prose(picture.caption)]
    if samples:
        parts += ["## Samples", *_samples(samples, arms)]
    if arms:
        parts += ["## The arms", *_arms(answers, question, arms)]
    parts += ["## Protocol", *_protocol(answers, question, arms, mine)]
    if question.related_work:
        parts += ["## What others found", "\n".join(f"- {prose(other)}" for other in question.related_work)]
    parts += ["## Limits", "\n".join(f"- {prose(limit)}" for limit in _limits(answers, question, arms))]
    if arms:
        parts += ["## Runs", *_runs(arms)]
        parts += _grid(answers, arms)
    return "\n\n".join(parts) + "\n"


def _in_short(answers: Sequence[Answer]) -> str:
    """`2 supported, 1 undetermined`."""
    counts = Counter(answer.outcome for answer in answers)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]) or "nothing is decided"


def prose(text: object) -> str:
    """A sentence of a question, in full."""
    return escape(text, PROSE)


def _answer(answers: Answers, answer: Answer) -> list[str]:
    decision, verdict = answer.planned.decision, answer.verdict
    better = f": {escape(verdict.better)}" if verdict and verdict.better else ""
    better += f"; {escape(reversal(verdict))}" if verdict and verdict.reversed_by else ""
    parts = [f"### {escape(decision.claim)}, {code(decision.name)}: {answer.outcome}{better}", prose(decision.says)]
    if verdict is None:
        return [*parts, f"**{prose(conclusion(answer))}**", *_checks(answer)]
    effects = [
        effect_sentence(part.contrast, effect)
        for part, effect in zip(answer.planned.contrasts, verdict.effects, strict=True)
    ]
    parts.append(f"**{prose(' '.join(effects))}** {prose(conclusion(answer))}")
    # Shares of evaluations stand in the protocol; of single updates they are what the sentence is about.
    read = [as_read(answers.plan, part) for part in answer.planned.contrasts if part.reads_curves]
    parts += [prose(f"Here {sentence}.") for sentence in dict.fromkeys(chain(*read))]
    if answer.passed is not None:
        passed = "As it must be: the control passes." if answer.passed else "**The control fails: it must be "
        parts.append(passed if answer.passed else f"{passed}{escape(' or '.join(decision.expected))}.**")
    if sure := certainty(answer, answers.tests):
        parts.append(prose(sure))
    if differing := failures_differ(verdict.effects):
        parts.append(prose(differing))
    return [*parts, *_checks(answer)]


def _checks(answer: Answer) -> list[str]:
    """The construct checks of a decision, each with what the runs show."""
    rows = [
        [check.kind, prose(check.arms), prose(check.needs), prose(check.measured), "yes" if check.holds else "**no**"]
        for check in answer.checks
    ]
    return [table(["construct check", "of", "needs", "measured", "holds"], rows)] if rows else []


def _samples(samples: Sequence[Sample], arms: Sequence[ArmRuns]) -> list[str]:
    parts = ["Of each arm the run with the lowest seed, at the end of its training; not the one with the best looks."]
    if (more := sum(bool(arm.ended) for arm in arms) - len(samples)) > 0:
        parts[0] += f" {count(more, 'more arm is', 'more arms are')} not shown."
    for start in range(0, len(samples), PICTURES_ACROSS):
        across = samples[start : start + PICTURES_ACROSS]
        titles = [escape(sample.arm.label) for sample in across]
        shown = [f"![{escape(f'Samples: {sample.arm.label}')}]({sample.path})" for sample in across]
        said = [f"seed {sample.run.config.seed}, epoch {sample.run.pictured}" for sample in across]
        parts.append(table(titles, [shown, said]))
    return parts


def _arms(answers: Answers, question: Question, arms: Sequence[ArmRuns]) -> list[str]:
    deciding = _deciding(answers, question)
    shown = {arm.name: late_means(arm, question.table_metrics) for arm in arms}
    metrics = [name for name in question.table_metrics if any(shown[arm.name][name].count for arm in arms)]
    header = ["arm", "data", "seeds", "failed", *[escape(title) for title in deciding], *map(metric_title, metrics)]
    rows = []
    for arm in arms:
        rows.append(
            [
                escape(arm.label),
                escape(arm.planned.dataset.name),
                str(len(arm.ended)),
                str(len(arm.failures)),
                *[mean_and_spread(_level(arm, outcome)) for outcome in deciding.values()],
                *[mean_and_spread(shown[arm.name][name]) for name in metrics],
            ]
        )
    # Data of several roles have values of their own.
    for dataset in dict.fromkeys(arm.planned.dataset.name for arm in arms):
        here = [arm for arm in arms if arm.planned.dataset.name == dataset]
        for title, real in real_data(metrics_of_real_data(here, metrics), metrics):
            rows.append([title, escape(dataset), "", "", *["–" for _ in deciding], *real])
    trained = [
        [
            escape(arm.label),
            code(arm.planned.arm.variant),
            *_rate(answers, arm.planned),
            mean_and_spread(mean([run.seconds for run in arm.sound])),
            parameters(arm),
        ]
        for arm in arms
    ]
    return [
        "Means over seeds ± half of their 95 % interval (Student's t), of the runs that did not fail; of a run, means "
        "over the last quarter of its evaluations. What decides and does not judge samples, such as a loss, is of all "
        "runs that ended. Metrics that are not named above are shown and never decide.",
        table(header, rows, right=range(2, len(header))),
        "How they were trained:",
        table(
            ["arm", "variant", "learning rate", "which is", "training (s)", "parameters (G + D)"],
            trained,
            right=[2, 4, 5],
        ),
    ]


def _deciding(answers: Answers, question: Question) -> Mapping[str, Outcome]:
    """What decides, by what it is called in a table, where the question's metrics do not show it."""
    outcomes = {
        contrast.outcome: None for answer in answers.of(question) for contrast in answer.planned.decision.contrasts
    }
    shown = {f"metrics/{name}" for name in question.table_metrics}
    scales = {"ratio": " (ln)", "decades": " (decades)"}
    titles = {}
    for outcome in outcomes:
        if not set(outcome.figures) <= shown:
            measured = f" ({unit(outcome)})" if unit(outcome) else scales.get(kind(outcome), "")
            titles[f"{compared(outcome)}{measured}"] = outcome
    return titles


def _level(arm: ArmRuns, outcome: Outcome) -> Summary:
    """The figure that decides as it is, not turned."""
    sign = -1.0 if outcome.better == "less" else 1.0
    runs = arm.sound if is_quality(outcome) else arm.ended
    values = [sign * value for run in runs if not math.isnan(value := number(run, outcome))]
    return mean(values) if values else Summary(math.nan, math.nan, 0)


def _rate(answers: Answers, planned: PlannedArm) -> tuple[str, str]:
    """The learning rate, and where it comes from."""
    recipe, arm = planned.recipe, planned.arm
    rate = f"{recipe.generator_lr:g}"
    if recipe.discriminator_lr != recipe.generator_lr:
        rate += f" (G), {recipe.discriminator_lr:g} (D)"
    if not arm.tuned:
        return rate, "the source's own"
    times = f"{arm.lr_factor:g} times " if arm.lr_factor != 1 else ""
    if arm.rate is not None:
        return rate, f"{times}{arm.rate:g}, chosen, not tuned" if times else "chosen, not tuned"
    if not answers.plan.preset.tuned:
        return rate, "the recipe's own; this preset does not tune"
    tuned = answers.tuned.get("arms", {}).get(arm.lr_from or arm.name, {})
    edge = ", at the **edge** of the grid" if tuned.get("edge") else ""
    if arm.lr_from:
        return rate, f"{times}that of {code(arm.lr_from)}{edge}"
    return rate, f"{times}the best in tuning{edge}"


def _protocol(answers: Answers, question: Question, arms: Sequence[ArmRuns], mine: Sequence[Answer]) -> list[str]:
    parts = []
    for role in dict.fromkeys(arm.planned.arm.dataset_role for arm in arms):
        parts.append(_data(role, [arm for arm in arms if arm.planned.arm.dataset_role == role]))
    rows = []
    for answer in mine:
        decision = answer.planned.decision
        for part in answer.planned.contrasts:
            contrast = part.contrast
            seeds = f"{len(part.treatment_seeds)}"
            if part.control_seeds:
                seeds += f" and {len(part.control_seeds)}"
            rows.append(
                [
                    code(decision.name),
                    prose(contrast.outcome.label),
                    margin(contrast) + _in_deviations(answers, contrast),
                    prose(decision.why),
                    prose(decision.contradicted_by),
                    prose(decision.equal),
                    seeds,
                    _seeds_needed(answers, contrast),
                ]
            )
    if rows:
        header = ["decision", "what decides", "margin", "why that", "contradicted by", "held equal", "seeds", "needed"]
        parts += [
            table(header, rows),
            "σ is the deviation between the seeds of tuning, at half the budget, pooled over the arms; where it is "
            "missing, tuning does not measure what decides. From it follow, before the runs, the seeds an arm that are "
            f"needed to show, with {100 * POWER:.0f} % power after the correction for {answers.tests} tests, an effect "
            "of twice the margin, and that there is none.",
        ]
    read = [
        f"{code(answer.name)} is read at equal {part.contrast.until.replace('all_updates', 'updates of both networks')}"
        f": {prose(part.contrast.treatment.label)} up to epoch {part.treatment_epochs:g}, "
        f"{prose(part.contrast.control.label)} up to epoch {part.control_epochs:g}."
        for answer in mine
        for part in answer.planned.contrasts
        if part.contrast.until != "updates" and part.contrast.control is not None
    ]
    read += [
        f"{code(answer.name)}: the FID that was asked for is {part.threshold:.4g}."
        for answer in mine
        for part in answer.planned.contrasts
        if math.isfinite(part.threshold)
    ]
    shares: dict[str, list[str]] = {}
    for answer in mine:
        for sentence in dict.fromkeys(chain(*(as_read(answers.plan, part) for part in answer.planned.contrasts))):
            shares.setdefault(sentence, []).append(code(answer.name))
    read += [f"{', '.join(names)}: {prose(sentence)}." for sentence, names in shares.items()]
    if read:
        parts.append("\n".join(f"- {sentence}" for sentence in read))
    return parts or ["Nothing was run."]


def _in_deviations(answers: Answers, contrast: Contrast) -> str:
    """The margin in units of what seeds differed by in tuning; "" where that is not known."""
    sigma = pilot_deviation(answers.tuned, contrast.treatment.dataset_role, contrast.outcome)
    return f" ({figure(max(abs(contrast.low), abs(contrast.high)) / sigma)} σ)" if sigma > 0 else ""


def _seeds_needed(answers: Answers, contrast: Contrast) -> str:
    """The seeds that would show an effect of twice the margin, and those that would show that there is none."""
    sigma = pilot_deviation(answers.tuned, contrast.treatment.dataset_role, contrast.outcome)
    if not sigma > 0 or contrast.low == contrast.high == 0:
        return "–"
    groups = 1 if contrast.control is None else 2

    def needed(shift: float) -> str:
        seeds = seeds_to_settle(shift, sigma, contrast.low, contrast.high, groups=groups, tests=answers.tests)
        return f"{seeds:.0f}" if math.isfinite(seeds) else f"> {MOST_SEEDS}"

    if contrast.low == contrast.high:
        return f"none: {needed(0.0)}"
    return f"twice: {needed(2 * contrast.high)}" + (f"; none: {needed(0.0)}" if contrast.low < 0 else "")


def _data(role: str, arms: Sequence[ArmRuns]) -> str:
    """The data, the budgets and the judges of a role's arms. Where budgets differ, each names its arms."""
    budgets: dict[str, list[str]] = {}
    for arm in arms:
        budgets.setdefault(_budget(arm), []).append(code(arm.name))
    named = [f"{told} ({', '.join(names)})" if len(budgets) > 1 else told for told, names in budgets.items()]
    # A preset has one dataset, and one way to judge, for all arms of a role.
    planned = arms[0].planned
    said = f"*{escape(role)}*: {escape(planned.dataset.name)}, {'; '.join(named)}"
    said += f"; evaluated every {count(planned.evaluate_every, 'epoch')}".replace("every 1 epoch", "every epoch")
    said += f" on {planned.samples:,} samples"
    runs = [run for arm in arms for run in arm.ended]
    judges = sorted({run.config.extractor[:8] for run in runs if run.config.extractor})
    if judges:
        said += f", by the classifier {' and '.join(code(judge) for judge in judges)}"
    said += "."
    changed = [
        f"{escape(arm.label)}: "
        + ", ".join(escape(spell_field(name, value)) for name, value in arm.planned.arm.options.items())
        for arm in arms
        if arm.planned.arm.options
    ]
    return said + (f" Other data: {'; '.join(changed)}." if changed else "")


def _budget(arm: ArmRuns) -> str:
    recipe = arm.planned.recipe
    # Of whole epochs of the data the plan does not know how many updates they have; the runs do.
    updates = recipe.epoch_updates or max((run.updates for run in arm.ended), default=0)
    said = count(recipe.epochs, "epoch")
    if updates:
        said += f" of {count(updates, 'generator update')}, {updates * recipe.epochs:,} in all"
    return f"{said}, batches of {recipe.batch_size}"


def _limits(answers: Answers, question: Question, arms: Sequence[ArmRuns]) -> list[str]:
    limits = list(question.limits)
    for arm in arms:
        metric = answers.plan.preset.budgets[arm.planned.arm.dataset_role].quality
        moves = drift_in_margins(arm, metric)
        if moves > 1:
            what = "FID" if metric == "fid_normalized" else metric
            limits.append(
                f"{arm.label}: {what} is not flat at the end of the budget; over the last quarter it still moved by "
                f"{figure(moves / 2)} of a margin."
            )
    for note in dict.fromkeys(note for arm in arms for run in arm.ended for note in run.notes):
        noted = [arm.label for arm in arms if any(note in run.notes for run in arm.ended)]
        limits.append(f"{note[:1].upper()}{note[1:]}" + ("." if len(noted) == len(arms) else f" ({', '.join(noted)})."))
    if chosen := [arm.label for arm in arms if arm.planned.arm.rate is not None]:
        limits.append(
            f"Of {', '.join(chosen)}, the learning rate was chosen, not tuned: against a tuned arm, a difference may "
            "be that of the rates."
        )
    thin = [arm.label for arm in arms if len(arm.ended) < FEWEST_SEEDS]
    if thin:
        limits.append(f"Fewer than {FEWEST_SEEDS} runs have ended of: {', '.join(thin)}.")
    names = sorted({arm.planned.dataset.name for arm in arms})
    if names:
        limits.append(f"Every verdict is about these data ({', '.join(names)}) at this budget.")
    return limits


def _runs(arms: Sequence[ArmRuns]) -> list[str]:
    rows = []
    for arm in arms:
        ids = [
            f"{run.config.seed}{' (failed)' if run.id in arm.failures else ''}: {run_link(run)}" for run in arm.ended
        ]
        rows.append([escape(arm.label), code(arm.name), ", ".join(ids) or "none"])
    return ["Every run by its seed.", table(["arm", "its name", "runs"], rows)]


def _grid(answers: Answers, arms: Sequence[ArmRuns]) -> list[str]:
    tuned = answers.tuned.get("arms", {})
    rows = []
    for name in dict.fromkeys(arm.planned.arm.lr_from or arm.name for arm in arms if arm.planned.arm.takes_tuning):
        entry = tuned.get(name)
        if not isinstance(entry, Mapping) or not isinstance(entry.get("grid"), Mapping):
            continue
        cells_ = []
        for rate, values in entry["grid"].items():
            shown = ", ".join("failed" if value is None else figure(float(value), 3) for value in values)
            chosen = float(rate) == float(entry.get("winner", math.nan))
            cells_.append(f"**{float(rate):g}**: {shown}" if chosen else f"{float(rate):g}: {shown}")
        rows.append(
            [code(name), escape(entry.get("metric", "")), "; ".join(cells_), "yes" if entry.get("edge") else "no"]
        )
    if not rows:
        return []
    return [
        "## Tuning",
        "Every rate of the grid with what each of the tuning seeds reached at half the budget; the winner, in bold, "
        "has the best median. A winner at the edge of the grid might have been beaten beyond it.",
        table(["arm", "by", "learning rate: seeds", "at the edge"], rows),
    ]
