"""python -m reports.build: finds the runs in MLflow, or in run folders, and writes the report on them.

With --preset the report answers the questions: the runs are held against the plan of that preset, and every decision of
it is told with its verdict, a page a question. Without, it compares all runs that there are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_plugin, add_tracking, refuse_unread, run_command
from variants.recipe import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.suites.plan import Plan
    from reports.analysis.tables import Section
    from reports.pages import Illustration
    from reports.reading.runs import FoundRuns

INDEX = "index.md"
HTML = "index.html"
PICTURES = "pictures"
MADE_BY = "Made by `python -m reports.build"


@dataclass(frozen=True)
class Report:
    """What is written: pages and pictures by their paths, the first page first. said: a few lines on what it is of.

    shown: the ids of the runs whose samples are among the pictures. records: an archive of all runs; empty without one.
    """

    title: str
    pages: Mapping[str, str]
    pictures: Mapping[str, bytes]
    said: tuple[str, ...]
    shown: frozenset[str]
    records: bytes = b""


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
    """Writes the report on these runs into `out`: index.md and its pictures; returns a few lines on what it wrote.

    html: index.html as well, the whole report in one file. plan: to answer its questions, with a page each, instead of
    comparing all runs. tuned: what the plan was made with. plans: those that were kept before the runs, the first one
    first. partial: whether the plan has some of the questions only. records_of: the folder that the runs lie in, to
    keep their records beside the report. Raises UserError where `out` cannot be written.
    """
    report = compare_runs(found) if plan is None else answer_questions(found, plan, tuned, plans, partial)
    if records_of is not None:
        report = add_records(report, found, records_of, "compared" if plan is None else plan.preset.name)
    return [*report.said, *(f"wrote {path}" for path in write_report(report, Path(out), html))]


def compare_runs(found: "FoundRuns") -> Report:
    """The report that compares all runs, whatever they were made for."""
    from benchmarks.evaluation.catalogue import METRICS
    from benchmarks.training.provenance import fingerprint
    from reports import pages
    from reports.analysis.tables import group_into_sections

    made, not_counted = group_into_sections(found.runs, list(METRICS), fingerprint())
    left_out = sorted((*not_counted, *found.left_out), key=lambda run: (run.name, run.id))
    illustrated, pictures, shown = [], {}, set()
    for place, section in enumerate(made, start=1):
        drawn = list(_figures(section, f"{PICTURES}/{place}-{_slug(section.dataset)}"))
        pictures |= {figure.path: data for figure, data in drawn}
        shown |= {run.id for figure, _ in drawn if figure.title == pages.SAMPLES for run in figure.runs}
        illustrated.append((section, [figure for figure, _ in drawn]))
    finished = sum(run.finished for run in found.runs)
    said = (
        f"{finished} finished runs of {len(found.runs) + len(found.left_out)} found, in {len(made)} comparable "
        f"{'group' if len(made) == 1 else 'groups'}",
        *(f"left out: {run.name}: {run.why}" for run in left_out),
    )
    index = pages.render_comparison(illustrated, left_out, METRICS)
    return Report("GAN variants compared", {INDEX: index}, pictures, said, frozenset(shown))


def answer_questions(
    found: "FoundRuns",
    plan: "Plan",
    tuned: Mapping[str, Any] | None = None,
    plans: Sequence[Mapping[str, Any]] = (),
    partial: bool = False,
) -> Report:
    """The report that answers the questions of a plan. The arguments are those of `build_report`."""
    from reports import pages
    from reports.analysis.answers import answer_plan
    from reports.analysis.evidence import gather_evidence
    from reports.analysis.standings import compute_standings
    from reports.figures import illustrations

    evidence = gather_evidence(plan, found.runs)
    answers = answer_plan(evidence, tuned, plans, partial)
    made = {INDEX: pages.render_overview(answers, compute_standings(evidence), found.left_out, len(found.runs))}
    pictures: dict[str, bytes] = {}
    shown = set()
    for question in plan.questions:
        drawn = list(illustrations.pictures(answers, question))
        sampled = list(illustrations.samples(answers, question))
        pictures |= {picture.path: data for picture, data in drawn}
        pictures |= {sample.path: data for sample, data in sampled}
        shown |= {sample.run.id for sample, _ in sampled}
        made[pages.page_of(question.name)] = pages.render_question(
            answers, question, [picture for picture, _ in drawn], [sample for sample, _ in sampled]
        )
    ended = sum(len(arm.ended) for arm in evidence.arms)
    outcomes = [answer.outcome for answer in answers.answers]
    controls = [answer.passed for answer in answers.controls]
    said = [
        f"{ended} of {plan.runs} planned runs have ended",
        f"{evidence.others} of {len(found.runs)} runs found are of no arm of this plan",
        "verdicts: " + ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(sorted(outcomes))),
        f"controls: {controls.count(True)} passed, {controls.count(False)} FAILED, {controls.count(None)} undecided",
        f"plan {plan.hash[:12]}",
        *(f"left out: {run.name}: {run.why}" for run in found.left_out),
    ]
    return Report("The theory questions, answered by experiment", made, pictures, tuple(said), frozenset(shown))


def add_records(report: Report, found: "FoundRuns", runs_dir: Path | str, name: str) -> Report:
    """The same report with an archive of its runs, which unpacks to a folder called after `name`."""
    from reports.records import RECORDS, pack_records

    top = f"{name}-runs"
    kept = (
        f"The records of all its runs, without weights, are in [{RECORDS}]({RECORDS}). After `tar xf {RECORDS}`, "
        f"`--runs-dir {top}` builds this report from them, and `python -m benchmarks.sync --runs-dir {top}` shows them "
        "in MLflow."
    )
    pages = {**report.pages, INDEX: f"{report.pages[INDEX]}\n{kept}\n"}
    return replace(report, pages=pages, records=pack_records(runs_dir, found.runs, report.shown, top))


def write_report(report: Report, out: Path, html: bool = False) -> list[Path]:
    """Writes a report, and as one HTML file too if asked; the paths of what was written, pictures apart.

    Pictures and records of an earlier report in the same place go, so that none is there that no page tells of.
    Raises UserError where `out` cannot be written.
    """
    from reports import pages
    from reports.records import RECORDS

    texts = {out / name: page for name, page in report.pages.items()}
    if html:
        texts[out / HTML] = pages.render_html(report.pages, report.pictures, report.title)
    try:
        for path in _stale(report, out):
            path.unlink()
        (out / PICTURES).mkdir(parents=True, exist_ok=True)
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
    """Files of an earlier report in the same place that this one does not have; of a folder of ours only."""
    index = out / INDEX
    if not (index.is_file() and MADE_BY in index.read_text(encoding="utf-8", errors="replace")):
        return []
    from reports.records import RECORDS

    pictures = (path for kind in ("svg", "png") for path in (out / PICTURES).glob(f"*.{kind}"))
    old = [path for path in pictures if path.relative_to(out).as_posix() not in report.pictures]
    return old if report.records else old + list(out.glob(RECORDS))


def _figures(section: "Section", stem: str) -> "Iterator[tuple[Illustration, bytes]]":
    """The figures of a section with their bytes; `stem` begins the path of each."""
    from reports import figures
    from reports.pages import SAMPLES, Illustration

    groups = list(figures.split_evenly([arm for arm in section.arms if arm.finished]))
    for kind, panels in (("losses", figures.loss_panels(section)), ("quality", figures.quality_panels(section))):
        for part, arms in enumerate(groups, start=1):
            if data := figures.draw_curves(arms, panels):
                rows = f", rows {arms[0].number} to {arms[-1].number}" if len(groups) > 1 else ""
                path = f"{stem}-{kind}{f'-{part}' if len(groups) > 1 else ''}.svg"
                runs = [run for arm in arms for run in arm.finished]
                yield Illustration(f"{kind.capitalize()} over training{rows}", path, arms, runs), data
    for arm in section.arms:
        # Not the run with the best looks.
        run = next((run for run in arm.finished if run.pictured), None)
        if run and (data := figures.compact_picture(run.picture)):
            yield Illustration(SAMPLES, f"{stem}-samples-{arm.number}.png", [arm], [run]), data


def command() -> None:
    parser = Parser("reports.build", description=__doc__.partition(": ")[2].partition("\n")[0])
    parser.add_argument(
        "--runs", nargs="+", default=[], metavar="RUN", help="only these: names, MLflow ids, or run folders (all runs)"
    )
    parser.add_argument("--runs-dir", type=Path, metavar="DIR", help="read the run folders in there, without MLflow")
    add_tracking(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("reports/out"), metavar="DIR", help="where to write (reports/out)"
    )
    parser.add_argument("--html", action="store_true", help="write one self-contained HTML file as well")
    parser.add_argument(
        "--records", action="store_true", help="keep the records of the runs beside the report; needs --runs-dir"
    )
    asked = parser.add_argument_group("to answer the questions")
    asked.add_argument("--preset", metavar="NAME", help="smoke, quick, mnist or full: whose plan (all runs, compared)")
    asked.add_argument("--questions", nargs="+", default=[], metavar="NAME", help="only these (all)")
    asked.add_argument("--seeds", type=int, default=0, metavar="N", help="as the suite was told (as the preset says)")
    asked.add_argument("--dataset", default="", metavar="NAME", help="as the suite was told (as the preset says)")
    asked.add_argument("--tuned", type=Path, default=None, metavar="FILE", help="as the suite was told (with the code)")
    add_plugin(parser)
    options = parser.parse_args()
    plugins.load_plugins(options.plugin)
    if not options.preset and (options.questions or options.seeds or options.dataset or options.tuned):
        raise UserError("--questions, --seeds, --dataset and --tuned belong to a plan; name it by --preset")

    refuse_unread(options, "runs_dir", "tracking_uri", "experiment")

    from reports import report

    said = report(
        options.out,
        options.preset or "",
        options.questions,
        runs=options.runs,
        runs_dir=options.runs_dir,
        tracking_uri=options.tracking_uri,
        experiment=options.experiment,
        seeds=options.seeds,
        dataset=options.dataset,
        tuned=options.tuned,
        html=options.html,
        records=options.records,
    )
    for line in said:
        print(line)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-") or "data"


if __name__ == "__main__":
    run_command(command)
