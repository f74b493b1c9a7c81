"""python -m reports.build: finds the runs in MLflow, or in run folders, and writes the report on them.

With --preset the report answers the questions by the plan of that preset: every decision with its verdict, a page a
question. Without --preset it compares all runs. With --preset and --fill it rewrites the table of the preset's arms, or
the list of what the preset's runs show, in a page such as docs/variants.md or README.md, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_plugin, add_tracking, refuse_unread, run_command
from benchmarks.cli.output import refuse_unwritable, write_output
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.suites.plan import Plan
    from reports.analysis.answers import Answers
    from reports.figures.illustrations import Sample
    from reports.reading.runs import FoundRuns

INDEX = "index.md"
HTML = "index.html"
# Samples on the first page.
_STRIP = 6
MADE_BY = "Made by `python -m reports.build"


@dataclass(frozen=True)
class Report:
    """Holds what is written."""

    title: str
    pages: Mapping[str, str]
    """Markdown by file name, the first page first."""
    pictures: Mapping[str, bytes]
    """By path, from the pages."""
    said: tuple[str, ...]
    """Lines for the screen."""
    shown: frozenset[str]
    """Ids of the runs whose samples are among the pictures."""
    records: bytes = b""
    """Archive of all runs; empty without one."""


def build_report(
    found: "FoundRuns",
    out: Path | str,
    html: bool = False,
    *,
    plan: "Plan | None" = None,
    tuned: Mapping[str, Any] | None = None,
    plans: Sequence[Mapping[str, Any]] = (),
    partial: bool = False,
    records_of: Path | str | None = None,
) -> list[str]:
    """Writes the report on these runs into `out`: index.md and its pictures; returns a few lines on it.

    html: writes index.html as well, the whole report in one file. plan: answers its questions, with a page each,
    instead of comparing all runs. tuned: settings that the plan was made with. plans: plans that were kept before the
    runs, the first one first. partial: whether the plan has some of the questions only. records_of: folder of the runs,
    to keep their records beside the report. Raises UserError where `out` cannot be written.
    """
    name = "compared" if plan is None else plan.preset.name
    records = f"{name}-runs" if records_of is not None else ""
    if plan is None:
        report = compare_runs(found, records)
    else:
        report = answer_questions(found, plan, tuned, plans, partial, records)
    if records_of is not None:
        from reports.records import pack_records

        report = replace(report, records=pack_records(records_of, found.runs, report.shown, records))
    return [*report.said, *(f"wrote {path}" for path in write_report(report, Path(out), html))]


def compare_runs(found: "FoundRuns", records: str = "") -> Report:
    """Returns the report that compares all runs. records: the folder that their archive unpacks to; "" without one."""
    from benchmarks.evaluation.catalogue import METRICS
    from benchmarks.training.provenance import fingerprint
    from reports import pages
    from reports.analysis.sections import group_into_sections
    from reports.figures.illustrations import illustrate_section

    sections, not_counted = group_into_sections(found.runs, list(METRICS), fingerprint())
    left_out = sorted((*not_counted, *found.left_out), key=lambda run: (run.name, run.id))
    illustrated = [illustrate_section(section, number) for number, section in enumerate(sections, start=1)]
    samples = [sample for each in illustrated for sample in each.samples]
    finished = sum(run.finished for run in found.runs)
    said = (
        f"{finished} finished runs of {len(found.runs) + len(found.left_out)} found, in {len(sections)} comparable "
        f"{'group' if len(sections) == 1 else 'groups'}",
        *(f"left out: {run.name}: {run.why}" for run in left_out),
    )
    return Report(
        "GAN variants compared",
        {INDEX: pages.render_comparison(illustrated, left_out, METRICS, records)},
        {each.path: each.data for each in (*(p for i in illustrated for p in i.pictures), *samples)},
        said,
        frozenset(sample.run.id for sample in samples),
    )


def answer_questions(
    found: "FoundRuns",
    plan: "Plan",
    tuned: Mapping[str, Any] | None = None,
    plans: Sequence[Mapping[str, Any]] = (),
    partial: bool = False,
    records: str = "",
) -> Report:
    """Returns the report that answers the questions of a plan.

    records: the folder that the archive of the runs unpacks to; "" without one. The others are those of `build_report`.
    """
    from reports import pages
    from reports.analysis.answers import answer_plan
    from reports.analysis.looks import gather_judged
    from reports.analysis.standings import compute_standings
    from reports.figures.illustrations import choose_samples, draw_findings, draw_pictures

    evidence, judged = gather_judged(plan, found.runs)
    answers = answer_plan(evidence, tuned, plans, partial, judged)
    standings = compute_standings(evidence)
    verdicts = draw_findings(answers)
    pictures: dict[str, bytes] = {} if verdicts is None else {verdicts.path: verdicts.data}
    texts: dict[str, str] = {}
    strip: dict[str, Sample] = {}
    shown = set()
    for question in plan.questions:
        drawn, samples = list(draw_pictures(answers, question)), choose_samples(answers, question)
        pictures |= {each.path: each.data for each in (*drawn, *samples)}
        shown |= {sample.run.id for sample in samples}
        strip |= {each.path: each for each in samples}
        texts[pages.page_of(question.name)] = pages.render_question(answers, question, drawn, samples)
    deciding = {arm.name for each in answers.answers if each.is_finding for arm in each.planned.decision.arms}
    few = [each for each in strip.values() if each.arm.name in deciding][:_STRIP]
    first = pages.render_overview(
        answers, standings, found.left_out, len(found.runs), records, picture=verdicts, samples=few
    )
    texts = {INDEX: first, **texts}
    outcomes = [answer.outcome for answer in answers.answers]
    controls = [answer.passed for answer in answers.controls]
    said = (
        f"{len(evidence.ended)} of {evidence.plan.runs} runs have ended that the plan asks for"
        if plan.looks
        else f"{len(evidence.ended)} of {plan.runs} planned runs have ended",
        f"{evidence.others} of {len(found.runs)} runs found are of no arm of this plan",
        "verdicts: " + ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(sorted(outcomes))),
        f"controls: {controls.count(True)} passed, {controls.count(False)} FAILED, {controls.count(None)} undecided",
        f"plan {plan.hash[:12]}",
        *(f"left out: {run.name}: {run.why}" for run in found.left_out),
    )
    return Report("The theory questions, answered by experiment", texts, pictures, said, frozenset(shown))


def fill_page(
    found: "FoundRuns",
    plan: "Plan",
    page: Path,
    tuned: Mapping[str, Any] | None = None,
    plans: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """Rewrites the tables of a plan's arms, and the lists of its findings, in a page; returns a few lines on it.

    tuned, plans: as for `build_report`. Raises UserError for a page that cannot be read or written, or has no place for
    either, and for runs that cannot be compared.
    """
    from reports import pages
    from reports.analysis.answers import answer_plan
    from reports.analysis.evidence import assign_runs, why_incomparable
    from reports.analysis.looks import gather_judged

    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {page}: {getattr(error, 'strerror', '') or 'it is not UTF-8'}") from None
    arms, others, _ = assign_runs(plan, found.runs)
    # Data differ between arms of different datasets alone.
    for name in dict.fromkeys(arm.planned.dataset.name for arm in arms):
        if why := why_incomparable([arm for arm in arms if arm.planned.dataset.name == name]):
            raise UserError(f"these runs have no table: {why}")
    filled, places = pages.fill_arms(text, plan, arms)
    if plan.questions:
        evidence, judged = gather_judged(plan, found.runs)
        filled, lists = pages.fill_findings(filled, answer_plan(evidence, tuned, plans, False, judged))
        places += lists
    if not places:
        name = plan.preset.name
        lists = f", or for these findings: <!-- findings: {name} in FOLDER --> and <!-- end -->" * bool(plan.questions)
        raise UserError(f"{page} has no place for this table: <!-- arms: {name} --> and <!-- end -->{lists}")
    if filled != text:
        write_output(page, filled)
    ended = sum(len(arm.ended) for arm in arms)
    return [
        f"{ended} of {plan.runs} planned runs have ended; {others} of {len(found.runs)} runs found are of no arm",
        f"plan {plan.hash[:12]}",
        f"wrote {page}" if filled != text else f"{page} is as it was",
    ]


def describe_comparison(answers: "Answers") -> Report:
    """Returns the report on a comparison of a few arms: the page of its one question."""
    from reports import pages
    from reports.figures.illustrations import choose_samples, draw_pictures

    (question,) = answers.plan.questions
    drawn, samples = list(draw_pictures(answers, question)), choose_samples(answers, question)
    return Report(
        question.title,
        {INDEX: pages.render_question(answers, question, drawn, samples, alone=True)},
        {each.path: each.data for each in (*drawn, *samples)},
        pages.describe_verdicts(answers),
        frozenset(sample.run.id for sample in samples),
    )


def write_report(report: Report, out: Path, html: bool = False) -> list[Path]:
    """Writes a report, and one HTML file as well for `html`; returns the paths of the written pages.

    Removes pictures and records of an earlier report in the same place. Raises UserError where `out` cannot be written.
    """
    from reports import pages
    from reports.figures.illustrations import PICTURES_FOLDER
    from reports.records import RECORDS

    texts = {out / name: page for name, page in report.pages.items()}
    if html:
        texts[out / HTML] = pages.render_html(report.pages, report.pictures, report.title)
    try:
        for path in _stale(report, out):
            path.unlink()
        (out / PICTURES_FOLDER).mkdir(parents=True, exist_ok=True)
        for path, data in report.pictures.items():
            (out / path).write_bytes(data)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8", newline="\n")
        if report.records:
            (out / RECORDS).write_bytes(report.records)
    except OSError as error:
        raise UserError(f"cannot write the report to {out}: {error.strerror or error}") from error
    return list(texts)


def _stale(report: Report, out: Path) -> list[Path]:
    """Returns files of an earlier report that this one does not have; none in a folder that holds no report."""
    index = out / INDEX
    if not (index.is_file() and MADE_BY in index.read_text(encoding="utf-8", errors="replace")):
        return []
    from reports.figures.illustrations import PICTURES_FOLDER
    from reports.records import RECORDS

    pictures = (path for kind in ("svg", "png") for path in (out / PICTURES_FOLDER).glob(f"*.{kind}"))
    old = [path for path in pictures if path.relative_to(out).as_posix() not in report.pictures]
    return old if report.records else old + list(out.glob(RECORDS))


def main() -> None:
    parser = Parser("reports.build", description=__doc__.partition(": ")[2].partition("\n")[0])
    parser.add_argument(
        "--runs", nargs="+", default=[], metavar="RUN", help="runs to compare: names, MLflow ids, or run folders (all)"
    )
    parser.add_argument(
        "--runs-dir", type=Path, metavar="DIR", help="folder whose run folders are read, instead of MLflow"
    )
    add_tracking(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("reports/out"), metavar="DIR", help="folder to write to (reports/out)"
    )
    parser.add_argument("--html", action="store_true", help="write one self-contained HTML file as well")
    parser.add_argument(
        "--records", action="store_true", help="keep the records of the runs beside the report; needs --runs-dir"
    )
    asked = parser.add_argument_group("to answer the questions")
    asked.add_argument(
        "--preset",
        metavar="NAME",
        help="answer the questions of this preset: smoke, quick, source, mnist or full (compare all runs instead)",
    )
    asked.add_argument(
        "--fill",
        type=Path,
        metavar="PAGE",
        help="rewrite the preset's table or findings in a page; write no report",
    )
    asked.add_argument("--questions", nargs="+", default=[], metavar="NAME", help="questions to answer (all)")
    asked.add_argument("--seeds", type=int, default=0, metavar="N", help="as given to the suite (the preset's)")
    asked.add_argument("--dataset", default="", metavar="NAME", help="as given to the suite (the preset's)")
    asked.add_argument(
        "--tuned", type=Path, default=None, metavar="FILE", help="as given to the suite (the file kept with the code)"
    )
    add_plugin(parser)
    options = parser.parse_args()
    plugins.load_plugins(options.plugin)
    if not options.preset and (options.questions or options.seeds or options.dataset or options.tuned):
        raise UserError("--questions, --seeds, --dataset and --tuned belong to a plan; name it by --preset")

    if options.fill and not options.preset:
        raise UserError("--fill rewrites what a page shows of a preset; name it by --preset")
    refuse_unread(options, "runs_dir", "tracking_uri", "experiment")
    refuse_unread(options, "fill", "html", "records", "questions")

    refuse_unwritable(options.fill or options.out / INDEX)

    from reports import fill, report

    chosen = {
        "runs": options.runs,
        "runs_dir": options.runs_dir,
        "tracking_uri": options.tracking_uri,
        "experiment": options.experiment,
        "seeds": options.seeds,
        "dataset": options.dataset,
        "tuned": options.tuned,
    }
    if options.fill:
        print("\n".join(fill(options.fill, options.preset, **chosen)))
        return
    said = report(
        options.out,
        options.preset or "",
        options.questions,
        **chosen,
        html=options.html,
        records=options.records,
    )
    for line in said:
        print(line)


if __name__ == "__main__":
    run_command(main)
