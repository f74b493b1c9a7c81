"""python -m reports.build: finds the runs in MLflow, or in run folders, and writes the report that compares them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.commands import Parser, main
from variants.recipe import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.pages import Illustration
    from reports.runs import Found
    from reports.tables import Section

INDEX = "index.md"
PICTURES = "pictures"


def build(found: "Found", out: Path, html: bool = False) -> list[str]:
    """Writes index.md, its pictures and, if asked for, index.html into `out`; returns a few lines on what it wrote.

    Raises Refused where `out` cannot be written.
    """
    from benchmarks.environment import fingerprint
    from benchmarks.evaluation import METRICS
    from reports import pages
    from reports.tables import sections

    made, not_counted = sections(found.runs, list(METRICS), fingerprint())
    left_out = sorted((*not_counted, *found.left_out), key=lambda run: (run.name, run.id))
    illustrated, pictures = [], {}
    for place, section in enumerate(made, start=1):
        drawn = list(_figures(section, f"{PICTURES}/{place}-{_slug(section.dataset)}"))
        pictures |= {figure.path: data for figure, data in drawn}
        illustrated.append((section, [figure for figure, _ in drawn]))
    markdown = pages.index(illustrated, left_out, METRICS)
    written = [out / INDEX]
    try:
        (out / PICTURES).mkdir(parents=True, exist_ok=True)
        for path, data in pictures.items():
            (out / path).write_bytes(data)
        (out / INDEX).write_text(markdown, encoding="utf-8", newline="\n")
        if html:
            written.append(out / "index.html")
            written[-1].write_text(
                pages.html(markdown, pictures, "GAN variants compared"), encoding="utf-8", newline="\n"
            )
    except OSError as error:
        raise Refused(f"cannot write the report to {out}: {error.strerror or error}") from error
    finished = sum(run.finished for run in found.runs)
    return [
        f"{finished} finished runs of {len(found.runs) + len(found.left_out)} found, in {len(made)} comparable "
        f"{'group' if len(made) == 1 else 'groups'}",
        *(f"left out: {run.name}: {run.why}" for run in left_out),
        *(f"wrote {path}" for path in written),
    ]


def _figures(section: "Section", stem: str) -> "Iterator[tuple[Illustration, bytes]]":
    """The figures of a section with their bytes; `stem` begins the path of each."""
    from reports import figures
    from reports.pages import SAMPLES, Illustration

    groups = list(figures.chunks([arm for arm in section.arms if arm.finished]))
    for kind, panels in (("losses", figures.losses(section)), ("quality", figures.quality(section))):
        for part, arms in enumerate(groups, start=1):
            if data := figures.curves(arms, panels):
                rows = f", rows {arms[0].number} to {arms[-1].number}" if len(groups) > 1 else ""
                path = f"{stem}-{kind}{f'-{part}' if len(groups) > 1 else ''}.svg"
                runs = [run for arm in arms for run in arm.finished]
                yield Illustration(f"{kind.capitalize()} over training{rows}", path, arms, runs), data
    for arm in section.arms:
        # Not the run with the best looks.
        run = next((run for run in arm.finished if run.pictured), None)
        if run and (data := figures.sample_picture(run.picture)):
            yield Illustration(SAMPLES, f"{stem}-samples-{arm.number}.png", [arm], [run]), data


def command() -> None:
    parser = Parser("reports.build", description=__doc__.partition(": ")[2])
    parser.add_argument(
        "--runs", nargs="+", default=[], metavar="RUN", help="only these: names, MLflow ids, or run folders (all runs)"
    )
    parser.add_argument("--runs-dir", type=Path, metavar="DIR", help="read the run folders in there, without MLflow")
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="of MLflow ($MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("reports/out"), metavar="DIR", help="where to write (reports/out)"
    )
    parser.add_argument("--html", action="store_true", help="write one self-contained HTML file as well")
    options = parser.parse_args()

    from reports.runs import find

    found = find(options.runs, runs_dir=options.runs_dir, tracking_uri=options.tracking_uri)
    for line in build(found, options.out, options.html):
        print(line)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-") or "data"


if __name__ == "__main__":
    main(command)
