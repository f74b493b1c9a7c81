"""The first page of a report on questions: whether its controls pass, the verdicts at one glance, and all arms."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from benchmarks.evaluation.catalogue import METRICS
from reports.analysis.answers import Answer, Answers, displayed_p, smallest_group
from reports.analysis.evidence import ArmRuns
from reports.analysis.standings import Standing, mean
from reports.analysis.tables import Summary, spell_metric
from reports.analysis.verdicts import (
    CONTRADICTED,
    IN_BETWEEN,
    NO_DIFFERENCE,
    NO_VERDICT,
    NOT_TESTED,
    SUPPORTED,
    UNDETERMINED,
)
from reports.analysis.words import as_read, p_value, reversal, short_effects
from reports.pages.markdown import code, count, escape, link, mean_and_spread, number, table, unmeasured
from reports.reading.runs import LeftOut, RunRecord, earlier_protocol

PROSE = 4000
"""Characters of a sentence of a question, which its author has kept short; from runs comes less."""

_TOLD = {
    SUPPORTED: "Held",
    CONTRADICTED: "Contradicted",
    NO_DIFFERENCE: "Made no practical difference",
    IN_BETWEEN: "Held less than claimed",
    UNDETERMINED: "Could not be told by these runs",
    NOT_TESTED: "Not tested, because a construct check fails",
    NO_VERDICT: "Without a verdict",
}
OUTCOMES = tuple(_TOLD)
_ARROWS = {"min": " ↓", "max": " ↑"}


def render_overview(answers: Answers, standings: Sequence[Standing], left_out: Sequence[LeftOut], runs: int) -> str:
    """The page. left_out: runs that could not be read. runs: how many there were in all."""
    plan, evidence = answers.plan, answers.evidence
    ended = sum(len(arm.ended) for arm in evidence.arms)
    failed = sum(len(arm.failures) for arm in evidence.arms)
    parts = [
        "# The theory questions, answered by experiment",
        f"The preset {code(plan.preset.name)}: {escape(plan.preset.summary, PROSE)}. "
        f"{count(len(answers.answers), 'decision')} on {count(len(plan.questions), 'question')}, from "
        f"{ended} of {plan.runs} planned runs of {count(len(plan.arms), 'arm')}; {failed} of them failed.",
        "A claim is *supported* where the difference is larger than a margin that was set beforehand, *contradicted* "
        "where it is as large the other way round, and makes *no practical difference* where it lies inside of the "
        "margin; it is *undetermined* where these runs cannot tell, and *not tested* where a construct check fails: "
        "where the runs are not about the claim, whatever their numbers say. The unit is the training seed, the tests "
        "are exact rank tests, and their p-values are corrected for all tests of the report, so that with 95 % "
        "certainty none of the verdicts is wrong. A verdict that another sensible way to decide would change is "
        "*fragile*. Every verdict is about these data at this budget.",
        "## Controls",
        *_controls(answers),
        "## Verdicts",
        *_verdicts(answers),
        "## What held and what did not",
        "\n".join(_summary(answers)),
        "## What is missing",
        *_missing(answers, left_out, runs),
        "## The plan",
        *_plan(answers),
        "## All arms",
        "A value is the mean over seeds ± half of its 95 % interval (Student's t) of the runs that did not fail; of a "
        "run it is the mean over the last quarter of its evaluations, geometric for FID. ↓ means that less is better, "
        "↑ that more is. **Bold** is a best value whose difference from every other arm is beyond its interval, at "
        "95 % for all of them together. “–” means that a metric does not apply, or could not be measured; the "
        "reasons are listed below each table.",
    ]
    for standing in standings:
        parts += _standing(standing)
    parts += _failures(evidence.arms)
    measured = {name for standing in standings for name in standing.columns}
    measured |= {name for question in plan.questions for name in question.table_metrics}
    rows = [
        [escape(spell_metric(metric.name)), escape(metric.summary), escape(metric.paper)]
        for metric in METRICS.values()
        if metric.name in measured
    ]
    parts += ["## Metrics", table(["metric", "what it is", "defined by"], rows)]
    parts.append(f"Made by `python -m reports.build --preset {escape(plan.preset.name)}`.")
    return "\n\n".join(parts) + "\n"


def page_of(question: str) -> str:
    """The file of a question's page."""
    return f"{question}.md"


def run_link(run: RunRecord) -> str:
    """A run's id, leading to its page where MLflow has one."""
    return link(code(run.id), run.link) if run.link else code(run.id)


def other_code(answers: Answers, names: Iterable[str] = ()) -> list[str]:
    """Sentences on runs by other code than most, of some arms or of all."""
    arms = {arm.name: arm for arm in answers.evidence.arms}
    shown = {run.id for name in names or arms for run in arms[name].ended}
    said = []
    for other in answers.other_code:
        if mine := [run for run in other.runs if run.id in shown]:
            said.append(
                f"{count(len(mine), 'run was', 'runs were')} trained by other code than the rest "
                f"({code(other.fingerprint[:8] or 'unknown')} instead of {code(answers.code[:8] or 'unknown')}), so "
                "that differences may come from it: "
                + ", ".join(run_link(run) for run in mine[:12])
                + (f" and {len(mine) - 12} more." if len(mine) > 12 else ".")
            )
    return said


def _controls(answers: Answers) -> list[str]:
    controls = answers.controls
    if not controls:
        return ["None of these questions has controls; the question `control` is not in this report."]
    words = {True: "passed", False: "**FAILED**", None: "not yet"}
    failed = [answer for answer in controls if answer.passed is False]
    waiting = [answer for answer in controls if answer.passed is None]
    rows = [
        [
            link(code(answer.name), page_of(answer.planned.question)),
            escape(answer.planned.decision.says, PROSE),
            escape(" or ".join(answer.planned.decision.expected)),
            answer.outcome,
            words[answer.passed],
        ]
        for answer in controls
    ]
    if failed and all(answer.outcome == UNDETERMINED for answer in failed):
        # It missed what is there, which is no reason to doubt what it found.
        said = (
            f"**{count(len(failed), 'control')} of {len(controls)} failed: this report is too weak to show an effect "
            "that is known to be there.** So *undetermined* says little here. No control was decided the wrong way."
        )
    elif failed:
        said = (
            f"**{count(len(failed), 'control')} of {len(controls)} failed: the verdicts below are not to be "
            "believed.** A report has to notice an effect that was planted, and to stay quiet where there is none."
        )
    elif waiting:
        said = (
            f"{len(controls) - len(waiting)} of {count(len(controls), 'control')} passed, the others have no verdict."
        )
        said += " Until all have passed, the verdicts below are not to be relied on."
    else:
        said = (
            f"All {len(controls)} controls passed: this report notices what was planted, and nothing where nothing was."
        )
    return [said, table(["control", "what is tested", "must come out", "came out", ""], rows)]


def _verdicts(answers: Answers) -> list[str]:
    rows = []
    for question in answers.plan.questions:
        for answer in answers.of(question):
            # A decision that two questions share stands at the first of them.
            if answer.planned.question == question.name:
                rows.append(_verdict(answer))
    header = ["claim", "what is claimed", "verdict", "effect, with its 95 % interval", "seeds", "p", "fragile"]
    return [
        table(header, rows, right=[4, 5]),
        f"p is corrected for {count(answers.tests, 'test')} (Holm); in brackets that of a raw verdict, which takes no "
        "part in the correction because it has too few seeds. An effect is that of the first arm that is named on the "
        "question's page against the other.",
        *_shares(answers),
    ]


def _shares(answers: Answers) -> list[str]:
    """What stands for a share of the updates where it is another share, and which decisions read it."""
    shares: dict[str, list[str]] = {}
    for answer in answers.answers:
        parts = [part for part in answer.planned.contrasts if part.reads_curves]
        for sentence in dict.fromkeys(chain(*(as_read(answers.plan, part) for part in parts))):
            shares.setdefault(sentence, []).append(code(answer.name))
    return [f"In {', '.join(names)}, {escape(sentence, PROSE)}." for sentence, names in shares.items()]


def _verdict(answer: Answer) -> list[str]:
    decision, verdict = answer.planned.decision, answer.verdict
    start = [link(escape(decision.claim), page_of(answer.planned.question)), escape(decision.says, PROSE)]
    if verdict is None:
        return [*start, f"**{answer.outcome}**", escape(answer.why_not, PROSE), "–", "–", "–"]
    p = p_value(displayed_p(verdict))
    fragile = "–" if verdict.outcome == NO_VERDICT else "yes" if verdict.fragile else "no"
    return [
        *start,
        f"**{verdict.outcome}**"
        + (f": {escape(verdict.better)}" if verdict.better else "")
        + (f"; {escape(reversal(verdict))}" if verdict.reversed_by else ""),
        escape(short_effects(answer), PROSE),
        str(smallest_group(verdict)),
        (p if verdict.deciding or p == "–" else f"({p})").replace("<", "\\<"),
        fragile,
    ]


def _summary(answers: Answers) -> list[str]:
    """Controls apart, since what they claim is not the source's."""
    lines = []
    for outcome, words in _TOLD.items():
        mine = [a for a in answers.answers if a.outcome == outcome and a.planned.decision.claim != "control"]
        if mine:
            named = ", ".join(
                link(escape(a.name), page_of(a.planned.question))
                + (" (fragile)" if a.verdict and a.verdict.fragile else "")
                for a in mine
            )
            lines.append(f"- {words}: {len(mine)}. {named}")
    return lines or ["- Nothing is decided."]


def _missing(answers: Answers, left_out: Sequence[LeftOut], runs: int) -> list[str]:
    evidence = answers.evidence
    lacking = [arm for arm in evidence.arms if arm.missing]
    parts = []
    if lacking:
        rows = [
            [
                escape(arm.label), escape(arm.planned.arm.dataset_role), str(len(arm.planned.seeds)),
                str(len(arm.ended)), str(len(arm.failures)), str(len(arm.going)),
            ]
            for arm in lacking
        ]  # fmt: skip
        parts += [
            f"Of {count(len(lacking), 'arm')} not all runs have ended:",
            table(["arm", "data", "planned", "ended", "of them failed", "begun"], rows, right=[2, 3, 4, 5]),
        ]
        if stopped := {run.id: run for arm in lacking for run in arm.going}:
            rows = [
                [run_link(run), code(run.name), str(run.epoch), escape(run.cause or run.state.lower())]
                for run in stopped.values()
            ]
            parts += [
                "These runs were begun and have not ended; the command that began them goes on with them, and nothing "
                "counts them:",
                table(["run", "folder", "epoch", "why"], rows, right=[2]),
            ]
    else:
        parts.append("All planned runs have ended.")
    if answers.plan.not_taken:
        rows = [
            [code(each.decision.name), escape(each.decision.says, PROSE), escape(each.why)]
            for each in answers.plan.not_taken
        ]
        parts += [
            "These decisions were not taken:",
            table(["decision", "what is claimed", "why not"], rows),
            f"{code('python -m benchmarks.speed --suite full')} times what all of them would cost on your machine, arm "
            f"by arm; figures of one machine stand in {code('docs/speed.md')}.",
        ]
    if said := earlier_protocol([run for arm in evidence.arms for run in arm.ended]):
        parts.append(escape(said, PROSE))
    if evidence.others:
        parts.append(f"{count(evidence.others, 'run')} of {runs} found belong to no arm of this plan and are left out.")
    if evidence.repeated:
        ids = ", ".join(run_link(run) for run in evidence.repeated)
        parts.append(f"Left out because a run of the same config and seed counts already: {ids}.")
    if evidence.lacking:
        by_decision: dict[str, dict[str, RunRecord]] = {}
        for each in evidence.lacking:
            by_decision.setdefault(each.decision, {})[each.run.id] = each.run
        rows = [[code(name), ", ".join(run_link(run) for run in found.values())] for name, found in by_decision.items()]
        parts += ["These runs lack the figure that decides, and take no part there:", table(["decision", "runs"], rows)]
    if left_out:
        rows = [[code(each.name), escape(each.why)] for each in left_out]
        parts += ["These runs could not be read:", table(["run", "why"], rows)]
    return parts


def _plan(answers: Answers) -> list[str]:
    """The hash and what deviates from the first plan."""
    parts = [f"SHA-256 of the plan (arms, settings, seeds, decisions, margins): {code(answers.plan.hash)}."]
    first = answers.first
    if first is None:
        parts.append(
            "The plan that was kept before the runs is not at hand, so deviations from it cannot be told: it lies with "
            "the run folders, and `--runs-dir` reads it."
        )
    elif answers.partial:
        parts.append(
            f"This report is on some of the questions; what they have is held against the first plan, "
            f"{code(first.hash)}, kept {escape(first.since)}."
        )
    elif not first.changes and first.hash == answers.plan.hash:
        parts.append(f"The first runs were made by this very plan, kept {escape(first.since)}.")
    else:
        parts.append(f"The first runs were made by another plan, {code(first.hash)}, kept {escape(first.since)}.")
    deviations = [escape(change, PROSE) for change in first.changes] if first else []
    if first and not answers.partial and first.hash != answers.plan.hash and not deviations:
        deviations.append(
            "the plans differ in what decides nothing: decisions that are not taken, or the preset's name"
        )
    deviations += other_code(answers)
    if deviations:
        parts += ["**Deviations:**", "\n".join(f"- {deviation}" for deviation in deviations)]
    elif first:
        parts.append("There are no deviations from it, and one version of the code trained all runs.")
    else:
        parts.append("One version of the code trained all runs.")
    return parts


def _standing(standing: Standing) -> list[str]:
    parts = [f"### {escape(standing.role)}: {escape(standing.dataset)}"]
    if not any(row.arm.ended for row in standing.rows):
        return [*parts, "None of its runs has ended."]
    if standing.refused:
        parts.append(f"These arms are not compared: {escape(standing.refused)}.")
    header = ["arm", "seeds", "failed", *[metric_title(name) for name in standing.columns], "training (s)"]
    header += ["parameters (G + D)"]
    rows = [
        [
            escape(row.arm.label),
            str(len(row.arm.ended)),
            str(len(row.arm.failures)),
            *[_cell(row.means[name], name in row.best) for name in standing.columns],
            mean_and_spread(mean([run.seconds for run in row.arm.sound])),
            parameters(row.arm),
        ]
        for row in standing.rows
    ]
    rows += [[title, "", "", *real, "", ""] for title, real in real_data(standing.reference, standing.columns)]
    parts.append(table(header, rows, right=range(1, len(header))))
    parts += unmeasured([run for row in standing.rows for run in row.arm.ended])
    if standing.ranks:
        rows = [
            [
                escape(rank.arm.label),
                number(rank.typical),
                str(rank.low) if rank.low == rank.high else f"{rank.low} to {rank.high}",
                f"{100 * rank.first:.0f} %",
            ]
            for rank in standing.ranks
        ]
        parts += [
            f"Ranked by the median of {escape(spell_metric(standing.metric))}, a failed run being the worst. Where the "
            "ranks lie, and how often an arm comes first, is over resamples of the seeds.",
            table(["arm", "median", "95 % of ranks", "first in"], rows, right=[1, 2, 3]),
        ]
    return parts


def metric_title(name: str) -> str:
    return escape(spell_metric(name)) + (_ARROWS[METRICS[name].direction] if name in METRICS else "")


def parameters(arm: ArmRuns) -> str:
    """Of the generator and of the discriminator; both of each version, where runs do not agree."""
    counts = sorted({tuple(run.parameters.get(n, 0) for n in ("generator", "discriminator")) for run in arm.ended})
    return " or ".join(f"{generator:,} + {discriminator:,}" for generator, discriminator in counts) or "–"


def _cell(value: Summary, best: bool) -> str:
    shown = mean_and_spread(value)
    return f"**{shown}**" if best else shown


def _real(value: Summary | None) -> str:
    if value is None or not value.count:
        return "–"
    # The same value, measured once for each run, has no spread that would mean anything.
    return mean_and_spread(value) if value.spread > 1e-6 * abs(value.mean) else number(value.mean)


def real_data(
    reference: Iterable[tuple[str, Mapping[str, Summary]]], metrics: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    """Rows of a table: a title, and what the metrics give real data, as it is shown."""
    for options, values in reference:
        title = f"*real data, {escape(options)}*" if options else "*real data*"
        yield title, [_real(values.get(name)) for name in metrics]


def _failures(arms: Sequence[ArmRuns]) -> list[str]:
    rows = [
        [
            escape(arm.label),
            str(run.config.seed),
            run_link(run),
            str(run.epoch),
            escape(arm.failures[run.id] + (f": {run.cause}" if run.cause else "")),
        ]
        for arm in arms
        for run in arm.ended
        if run.id in arm.failures
    ]
    if not rows:
        return ["## Failed runs", "None."]
    said = "They count as worse than any other run, and enter no mean."
    return ["## Failed runs", said, table(["arm", "seed", "run", "epoch", "cause"], rows, right=[1, 3])]
