"""Markdown of what benchmarks.speed measures, and pages whose tables are made from its JSON files.

Those of tests.soak.precision are among them.

A page has a place for a table where two comments stand:

    <!-- table: speed/linear.json -->
    <!-- end -->

The file is looked for beside the page; what stands between the comments is written anew from it. Where the first
comment says `brief:` instead, and names one file or several, it is one table of the medians of trainings. Needs no
torch.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from variants.recipe import UserError

PLACE = re.compile(
    r"(?P<head><!-- (?P<form>table|brief): (?P<files>[\w./-]+\.json(?: [\w./-]+\.json)*) -->\n)"
    r".*?(?P<tail><!-- end -->)",
    re.DOTALL,
)
MISSING = "*Not measured yet.*\n"


def markdown(measured: Mapping[str, Any]) -> str:
    """All that was measured as tables. Raises UserError for a kind that does not exist."""
    kind = measured.get("kind")
    if kind not in _KINDS:
        raise UserError(f"these are not figures of benchmarks.speed: their kind is {kind!r}")
    return "\n".join([_KINDS[kind](measured), "", told(measured)]).rstrip() + "\n"


def fill(page: Path) -> str:
    """Writes a page's tables anew from the files it names, and tells which. Raises UserError for a damaged file."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {page}: {error.strerror}") from None
    done: list[str] = []

    def written(place: re.Match[str]) -> str:
        files = {name: page.parent / name for name in place["files"].split()}
        there = [name for name, file in files.items() if file.is_file()]
        try:
            measured = [json.loads(files[name].read_text(encoding="utf-8")) for name in there]
            text = "\n".join([brief(measured)] if place["form"] == "brief" else map(markdown, measured))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{' or '.join(there)} does not hold figures of benchmarks.speed ({error})") from None
        missing = "not there, so its place says that it was not measured"
        done.extend(f"{name}: {'written' if name in there else missing}" for name in files)
        return place["head"] + (text if there else MISSING) + place["tail"]

    filled = PLACE.sub(written, text)
    if not done:
        raise UserError(f"{page} has no place for a table")
    if filled != text:
        page.write_text(filled, encoding="utf-8")
    return "\n".join(done)


def training(measured: Mapping[str, Any]) -> str:
    """A row for each variant and dataset; a second table for real runs."""
    rows = measured["rows"]
    parts = [
        table(
            "variant, data, precision, seeds as one, ms an update, images/s, stock: ms, faster than stock, GFLOP/s, "
            "of the peak, step ÷ its products, outside the networks, MiB, stock: MiB",
            [
                (
                    f"`{row['variant']}`",
                    row["dataset"],
                    row["precision"],
                    str(row["seeds"]),
                    spread(row["ours"]["ms_per_update"]),
                    spread(row["ours"]["images_per_second"]),
                    spread(row["stock"]["ms_per_update"]) if "stock" in row else "–",
                    spread(row["faster_than_stock"], "×") if "stock" in row else "–",
                    spread(row["gflops"]),
                    spread(row["share_of_peak"], "%"),
                    spread(row["step_over_products"], "×"),
                    spread(row["outside_networks"], "%"),
                    number(row["ours"]["memory_mib"]),
                    number(row["stock"]["memory_mib"]) if "stock" in row else "–",
                )
                for row in rows
            ],
        )
    ]
    if runs := [row for row in rows if "run" in row]:
        parts.append(
            table(
                "a real run, data, epochs, seconds, in the networks, batches and noise and figures, "
                "evaluation and probes, pictures and journal and MLflow, MiB",
                [
                    (
                        f"`{row['variant']}`",
                        row["dataset"],
                        str(row["run"]["epochs"]),
                        number(row["run"]["seconds"]),
                        *(f"{row['run'][f'share_{part}']:.1%}" for part in ("networks", "loop", "evaluation", "rest")),
                        number(row["run"]["memory_mib"]),
                    )
                    for row in runs
                ],
            )
        )
    return "\n\n".join(parts)


def brief(all_measured: Sequence[Mapping[str, Any]]) -> str:
    """One table of the medians of trainings, for a page that has room for no more."""
    rows = [row for measured in all_measured for row in measured["rows"]]
    middle = [
        (
            f"`{row['variant']}`",
            row["dataset"],
            row["precision"],
            str(row["seeds"]),
            number(row["ours"]["ms_per_update"]["median"]),
            number(row["ours"]["images_per_second"]["median"]),
            number(row["faster_than_stock"]["median"]) + "×" if "stock" in row else "–",
            f"{row['share_of_peak']['median']:.0%}",
        )
        for row in rows
    ]
    heads = "variant, data, precision, seeds as one, ms an update, images/s, faster than stock, of the peak"
    return "\n\n".join([table(heads, middle), *dict.fromkeys(map(where, all_measured))]) + "\n"


def evaluation(measured: Mapping[str, Any]) -> str:
    """What each metric takes, and the Fréchet distance beside scipy's root."""
    rows = [(f"`{name}`", spread(seconds)) for name, seconds in measured["metrics"].items()]
    rows.append((f"**all**, {measured['samples']:,} samples of {measured['dataset']}", spread(measured["seconds"])))
    distance = measured["frechet"]
    return "\n\n".join(
        [
            table("metric, seconds", rows),
            table(
                "Fréchet distance, features, seconds, by scipy's sqrtm: seconds, faster, relative difference",
                [
                    (
                        "from means and covariances",
                        str(distance["features"]),
                        spread(distance["seconds"]),
                        spread(distance["sqrtm_seconds"]),
                        spread(distance["faster"], "×"),
                        f"{distance['difference']:.0e}",
                    )
                ],
            ),
        ]
    )


def start(measured: Mapping[str, Any]) -> str:
    """What a person waits for."""
    return table(
        "until, seconds", [(name.replace("|", "\\|"), spread(each)) for name, each in measured["seconds"].items()]
    )


def growth(measured: Mapping[str, Any]) -> str:
    """A row for each measured point, then the exponents."""
    points = [
        (
            each["what"],
            each["against"],
            number(x),
            number(each["seconds"][place]),
            number(each["memory_mib"][place]) if each["memory_mib"] else "–",
        )
        for each in measured["series"]
        for place, x in enumerate(each["x"])
    ]
    exponents = [
        (
            each["what"],
            each["against"],
            f"{each['exponent']:.2f}",
            f"{each['memory_exponent']:.2f}" if each["memory_mib"] else "–",
        )
        for each in measured["series"]
    ]
    return "\n\n".join(
        [
            table("what, against, exponent of time, exponent of memory", exponents),
            table("what, against, value, seconds, MiB", points),
        ]
    )


def suite(measured: Mapping[str, Any]) -> str:
    """What all runs of a preset cost, on some numbers of machines, and the dearest arms."""
    spent, longest = measured["core_seconds"], measured["longest_run"]
    arms = sorted(
        measured["arms"].items(),
        key=lambda entry: -entry[1]["runs"] * (entry[1]["training_seconds"] + entry[1]["evaluation_seconds"]),
    )
    return "\n\n".join(
        [
            table(
                "preset, runs, core-hours: training, evaluation, tuning, the longest run: hours, "
                + ", ".join(f"hours on {count} machine{'s' * (count != '1')}" for count in measured["hours"]),
                [
                    (
                        f"`{measured['preset']}`",
                        str(measured["runs"]),
                        *(number(spent[part] / 3600) for part in ("training", "evaluation", "tuning")),
                        f"{number(longest['seconds'] / 3600)} ({longest['arm']})",
                        *map(number, measured["hours"].values()),
                    )
                ],
            ),
            table(
                "arm, variant, runs, ms an update, training: seconds a run, judging: seconds a run",
                [
                    (
                        name,
                        f"`{arm['variant']}`",
                        str(arm["runs"]),
                        *(number(arm[part]) for part in ("ms_per_update", "training_seconds", "evaluation_seconds")),
                    )
                    for name, arm in arms
                ],
            ),
        ]
    )


def precision(measured: Mapping[str, Any]) -> str:
    """A row for each variant and outcome of reports.precision."""
    return table(
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


_KINDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "training": training,
    "evaluation": evaluation,
    "start": start,
    "growth": growth,
    "suite": suite,
    "precision": precision,
}


def told(measured: Mapping[str, Any]) -> str:
    """Where it was measured, how often, and what has to be known."""
    if measured["kind"] == "precision":
        how = f"{measured['dataset']}, {measured['epochs']} epochs, {measured['samples']:,} samples."
    else:
        how = f"median of {measured['rounds']} rounds (least–most)."
    return "\n".join([f"{where(measured)}; {how}", *(f"- {note}" for note in measured.get("notes", ()))])


def where(measured: Mapping[str, Any]) -> str:
    """The machine, in words."""
    machine = measured["machine"]
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] != 1)}"
    return f"{machine['processor']}, {machine['cores']} cores, {threads}, torch {machine['torch']}, {machine['device']}"


def table(heads: str, rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; heads are separated by a comma and a blank."""
    columns = heads.split(", ")
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def spread(values: Mapping[str, float], unit: str = "") -> str:
    """A median with its range."""
    factor, end = (100, " %") if unit == "%" else (1, unit)
    median, least, most = (factor * values[name] for name in ("median", "least", "most"))
    if least == most:
        return f"{number(median)}{end}"
    return f"{number(median)}{end} ({number(least)}–{number(most)})"


def number(value: float) -> str:
    """Three significant digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
