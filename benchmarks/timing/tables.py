"""Renders the figures of benchmarks.speed and tests.soak.precision as Markdown, and fills pages from their JSON files.

A page has a place for a table between two comments:

    <!-- table: speed/float32.json -->
    <!-- end -->

The file is looked for beside the page, and everything between the comments is rewritten from it. `brief:` instead of
`table:` takes one file or several, and makes one table of the medians of trainings. Needs no torch.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from variants.recipe import UserError

_PLACE = re.compile(
    r"(?P<head><!-- (?P<form>table|brief): (?P<files>[\w./-]+\.json(?: [\w./-]+\.json)*) -->\n)"
    r".*?(?P<tail><!-- end -->)",
    re.DOTALL,
)
_MISSING = "*Not measured yet.*\n"


def render(measured: Mapping[str, Any]) -> str:
    """Returns the tables of a measurement. Raises UserError for an unknown kind."""
    kind = measured.get("kind")
    if kind not in _KINDS:
        raise UserError(f"these are not figures of benchmarks.speed: their kind is {kind!r}")
    return "\n".join([_KINDS[kind](measured), "", _describe(measured)]).rstrip() + "\n"


def fill_page(page: Path) -> str:
    """Rewrites a page's tables from the files that it names, and lists them. Raises UserError for a damaged file."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {page}: {error.strerror}") from None
    done: list[str] = []

    def write(place: re.Match[str]) -> str:
        files = {name: page.parent / name for name in place["files"].split()}
        there = [name for name, file in files.items() if file.is_file()]
        try:
            measured = [json.loads(files[name].read_text(encoding="utf-8")) for name in there]
            text = "\n".join([_brief(measured)] if place["form"] == "brief" else map(render, measured))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{' or '.join(there)} does not hold figures of benchmarks.speed ({error})") from None
        missing = "not there, so its place says that it was not measured"
        done.extend(f"{name}: {'written' if name in there else missing}" for name in files)
        return place["head"] + (text if there else _MISSING) + place["tail"]

    filled = _PLACE.sub(write, text)
    if not done:
        raise UserError(f"{page} has no place for a table")
    if filled != text:
        page.write_text(filled, encoding="utf-8")
    return "\n".join(done)


def _training(measured: Mapping[str, Any]) -> str:
    """Makes a row for each variant and dataset."""
    return _table(
        "variant, data, precision, seeds as one, ms an update, images/s, stock: ms, faster than stock, GFLOP/s, "
        "of the peak, MiB, stock: MiB",
        [
            (
                f"`{row['variant']}`",
                row["dataset"],
                row["precision"],
                str(row["seeds"]),
                format_spread(row["ours"]["ms_per_update"]),
                format_spread(row["ours"]["images_per_second"]),
                format_spread(row["stock"]["ms_per_update"]) if "stock" in row else "–",
                format_spread(row["faster_than_stock"], "×") if "stock" in row else "–",
                format_spread(row["gflops"]),
                format_spread(row["share_of_peak"], "%"),
                format_number(row["ours"]["memory_mib"]),
                format_number(row["stock"]["memory_mib"]) if "stock" in row else "–",
            )
            for row in measured["rows"]
        ],
    )


def _brief(all_measured: Sequence[Mapping[str, Any]]) -> str:
    """Makes one table of the medians of trainings, for a page with little room."""
    rows = [row for measured in all_measured for row in measured["rows"]]
    middle = [
        (
            f"`{row['variant']}`",
            row["dataset"],
            row["precision"],
            str(row["seeds"]),
            format_number(row["ours"]["ms_per_update"]["median"]),
            format_number(row["ours"]["images_per_second"]["median"]),
            format_number(row["faster_than_stock"]["median"]) + "×" if "stock" in row else "–",
            f"{row['share_of_peak']['median']:.0%}",
        )
        for row in rows
    ]
    heads = "variant, data, precision, seeds as one, ms an update, images/s, faster than stock, of the peak"
    return "\n\n".join([_table(heads, middle), *dict.fromkeys(map(_name_machine, all_measured))]) + "\n"


def _suite(measured: Mapping[str, Any]) -> str:
    """Makes a table of the whole preset, and one of its arms, the most expensive first."""
    spent, longest = measured["core_seconds"], measured["longest_run"]
    arms = sorted(
        measured["arms"].items(),
        key=lambda entry: -entry[1]["runs"] * (entry[1]["training_seconds"] + entry[1]["evaluation_seconds"]),
    )
    return "\n\n".join(
        [
            _table(
                "preset, runs, core-hours: training, evaluation, tuning, the longest run: hours, "
                + ", ".join(f"hours on {count} machine{'s' * (count != '1')}" for count in measured["hours"]),
                [
                    (
                        f"`{measured['preset']}`",
                        str(measured["runs"]),
                        *(format_number(spent[part] / 3600) for part in ("training", "evaluation", "tuning")),
                        f"{format_number(longest['seconds'] / 3600)} ({longest['arm']})",
                        *map(format_number, measured["hours"].values()),
                    )
                ],
            ),
            _table(
                "arm, variant, runs, ms an update, training: seconds a run, judging: seconds a run",
                [
                    (
                        name,
                        f"`{arm['variant']}`",
                        str(arm["runs"]),
                        *(
                            format_number(arm[part])
                            for part in ("ms_per_update", "training_seconds", "evaluation_seconds")
                        ),
                    )
                    for name, arm in arms
                ],
            ),
        ]
    )


def _precision(measured: Mapping[str, Any]) -> str:
    """Makes a row for each variant and outcome of tests.soak.precision."""
    return _table(
        "variant, precision, outcome, less float32 (95 %), margin, seeds, failed, corrected p, verdict",
        [
            (
                f"`{row['variant']}`",
                row["precision"],
                f"ln {row['outcome']}" if row["outcome"] == "FID" else row["outcome"],
                f"{sign * row['shift']:+.3f} [{low:+.3f}; {high:+.3f}]",
                f"{row['margin']:.3f}",
                " and ".join(map(str, row["seeds"])),
                " and ".join(map(str, row["failed"])),
                f"{row['adjusted']:.2g}",
                f"**{row['verdict']}**",
            )
            for row in measured["rows"]
            # Numbers are oriented so that more is better, and of an FID less is.
            for sign in (-1 if row["outcome"] == "FID" else 1,)
            for low, high in (sorted(sign * end for end in row["interval"]),)
        ],
    )


def _quality(measured: Mapping[str, Any]) -> str:
    """Makes a row for each contestant: what it took until the target was met. "> X": given up there, without it."""
    return _table(
        "contestant, data, met the target, updates, training: seconds, training: CPU seconds, with judging: seconds, "
        "with judging: CPU seconds",
        [
            (
                f"`{row['variant']}`" if row["kind"] == "ours" else f"tutorial {row['variant']}",
                row["dataset"],
                f"{row['reached']} of {len(row['runs'])}"
                + f" ({len(row['runs'])} of {seeds} seeds)" * (len(row["runs"]) < seeds),
                *(
                    format_until(row["until"][counted])
                    for counted in (
                        "updates",
                        "training_seconds",
                        "training_cpu_seconds",
                        "total_seconds",
                        "total_cpu_seconds",
                    )
                ),
            )
            for seeds in [len(measured["seeds"])]
            for row in measured["rows"]
        ],
    )


def _libraries(measured: Mapping[str, Any]) -> str:
    """Makes a row for each metric and kind of example. Errors are relative, or absolute where the exact value is 0."""
    return _table(
        "metric, torchmetrics, examples, exact, ours: error, torchmetrics: error, ours: seconds, torchmetrics: seconds",
        [
            (
                f"`{row['metric']}`",
                f"`{row['torchmetrics']}`",
                row["examples"],
                format_number(row["exact"]),
                *(f"{abs(row['values'][side] - row['exact']) / (abs(row['exact']) or 1):.1g}" for side in sides),
                *(format_spread(row["seconds"][side]) for side in sides),
            )
            for sides in [("ours", "theirs")]
            for row in measured["rows"]
        ],
    )


_KINDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "training": _training,
    "quality": _quality,
    "suite": _suite,
    "precision": _precision,
    "libraries": _libraries,
}


def _describe(measured: Mapping[str, Any]) -> str:
    """Names the machine, the rounds, and the notes of a measurement."""
    if measured["kind"] == "precision":
        how = f"{measured['dataset']}, {measured['epochs']} epochs, {measured['samples']:,} samples."
    elif measured["kind"] == "quality":
        seeds = len(measured["seeds"])
        runs, wanted = sum(len(row["runs"]) for row in measured["rows"]), seeds * len(measured["rows"])
        incomplete = f" **Incomplete: {runs} of {wanted} runs.**" * (runs < wanted)
        how = (
            f"until {measured['target']}, judged every {measured['every']:,} updates on "
            f"{measured['samples']:,} samples; budget {measured['budget']:g} s of training; "
            + ("median of the seeds so far" if incomplete else f"median of {seeds} seed{'s' * (seeds != 1)}")
            + f" (least–most).{incomplete}"
        )
    else:
        how = f"median of {measured['rounds']} rounds (least–most)."
    return "\n".join([f"{_name_machine(measured)}; {how}", *(f"- {note}" for note in measured.get("notes", ()))])


def _name_machine(measured: Mapping[str, Any]) -> str:
    machine = measured["machine"]
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] != 1)}"
    return f"{machine['processor']}, {machine['cores']} cores, {threads}, torch {machine['torch']}, {machine['device']}"


def _table(heads: str, rows: Sequence[Sequence[str]]) -> str:
    """Makes a Markdown table; heads are separated by a comma and a blank."""
    columns = heads.split(", ")
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def format_spread(values: Mapping[str, float], unit: str = "") -> str:
    """Formats a median with its range."""
    factor, end = (100, " %") if unit == "%" else (1, unit)
    median, least, most = (factor * values[name] for name in ("median", "least", "most"))
    if least == most:
        return f"{format_number(median)}{end}"
    return f"{format_number(median)}{end} ({format_number(least)}–{format_number(most)})"


def format_until(values: Mapping[str, float | None]) -> str:
    """Formats a median with its range where some runs may be censored; see `quality.summarize`."""
    if values["least"] is None and values["above"] is None:
        return "–"  # no runs yet
    if values["least"] is None:
        return f"> {format_number(values['above'])}"
    if values["least"] == values["most"]:
        return format_number(values["most"])
    most = f"> {format_number(values['above'])}" if values["most"] is None else format_number(values["most"])
    # Not more than half of the runs met the target: so the median is one of those that did not.
    median = f"> {format_number(values['above'])}" if values["median"] is None else format_number(values["median"])
    return f"{median} ({format_number(values['least'])}–{most})"


def format_number(value: float) -> str:
    """Formats three significant digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
