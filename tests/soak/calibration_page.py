"""Measures the whole calibration, and writes docs/calibration.json and the page that shows it, docs/calibration.md.

The comparison with other methods is a part of its own (`peers`), since it needs their packages; its figures stay in
the file when the others are measured again.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.soak import looks, shapes
from tests.soak.calibration import ALPHA, Simulation, calibrate, render_single_looks, table
from tests.soak.figures import ROOT, Steps, code

DOCS = ROOT / "docs"
_TITLES = {1: "One test", 10: "Ten tests", 60: "Sixty tests"}


def calibration(work: Path, size: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Calibrates the verdicts, and writes figures and page: whole into docs, a smaller size into the work folder."""
    plan = Simulation(
        suites=max(1, round(size * Simulation.suites)),
        comparisons=max(1, round(size * Simulation.comparisons)),
        tied_comparisons=max(1, round(size * Simulation.tied_comparisons)),
    )
    steps = Steps(work / "calibration.jsonl", f"{code()}, {size:g}")
    known = {step["name"]: step["figures"] for step in steps.done}

    def done(name: str, measure: Callable[[], Any]) -> Any:
        if name not in known:
            say(name)
            known[name] = measure()
            steps.add({"name": name, "figures": known[name]})
        return known[name]

    figures = {
        **done("single looks", lambda: calibrate(plan, say)),
        "looks": looks.measure(size, done),
        "shapes": shapes.measure(size, done),
    }
    write_figures(figures, DOCS if size >= 1 else work, say)
    wrong = [max(by_truth.values()) for by_shape in figures["wrong_suites"].values() for by_truth in by_shape.values()]
    covered = [share for shares in figures["coverage"].values() for share in shares]
    return {
        "suites": plan.suites,
        "most_wrong_suites": max(wrong),
        "least_coverage": min(covered),
        "most_wrong_at_looks": max(row["wrong"] for row in figures["looks"]),
        "most_wrong_words_at_looks": max(row["either"] for row in figures["looks"]),
    }


def write_figures(figures: dict[str, Any], out: Path, say: Callable[[str], None]) -> None:
    """Writes some figures of the calibration beside those that are there already, and the page of all of them."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "calibration.json"
    every = (json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}) | figures
    for name, text in (
        (path.name, json.dumps(every, indent=1) + "\n"),
        ("calibration.md", render_page(every)),
    ):
        (out / name).write_text(text, encoding="utf-8", newline="\n")
        say(f"wrote {out / name}")


def render_page(figures: dict[str, Any]) -> str:
    """Renders the whole page; a section whose figures are not there is left out."""
    parts = [render_single_looks(figures).rstrip("\n")]
    for name, render in (("looks", render_looks), ("shapes", render_shapes), ("peers", render_peers)):
        if name in figures:
            parts += render(figures[name])
    return "\n\n".join(parts) + "\n"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def within(share: float, draws: int) -> str:
    """Returns a share with its standard error, of at least one draw."""
    return f"{100 * share:.1f} ± {100 * (max(share * (1 - share), 1 / draws) / draws) ** 0.5:.1f} %"


def render_looks(rows: list[dict[str, Any]]) -> list[str]:
    """Returns the section on looks, as paragraphs."""
    parts = [
        "## Looks",
        "Seeds are added in groups; after each group the tests that are still open are judged "
        "([`statistics/looks.py`](../benchmarks/statistics/looks.py)). A report is wrong if any look gives a wrong "
        "verdict, or the wrong sign of an open test (*better* or *worse*, whether by more than what matters is open); "
        f"at most {100 * ALPHA:.0f} % of reports may be, which is proved. *Settled* is the share of verdicts among the "
        "tests whose shift is not just at a margin, where no number of seeds settles anything. *Seeds* is the mean "
        "number of seeds an arm. ± is the Monte Carlo error. The looks "
        "share the error as .02, .01, .01, .01, or .02, .015, .015; a fixed number of seeds is a single look. Margin: "
        f"{looks.MARGIN:g} σ.",
    ]
    by_tests: dict[int, list[dict[str, Any]]] = {}
    settings = [row for row in rows if row["shape"] in looks.SETTINGS]
    for row in rows:
        if row["shape"] not in looks.SETTINGS:
            by_tests.setdefault(row["tests"], []).append(row)
    for tests, mine in by_tests.items():
        parts += [f"{_TITLES[tests]} in a report, {mine[0]['suites']:,} reports a row:", _looks_table(mine)]
    several = [row for row in settings if row["shape"] != "one control for all tests"]
    shared = [row for row in settings if row["shape"] == "one control for all tests"]
    parts += [
        "Ten tests that share one control, so that they depend on each other:",
        _looks_table(shared),
        "Ten tests of arms whose seeds are spread over three learning rates, compared within each rate "
        "([`statistics/blocks.py`](../benchmarks/statistics/blocks.py)). Blocks assume that the shift is the same at "
        "every rate. The last setting breaks this: there the margin is met on average.",
        _looks_table(several),
    ]
    return parts


def _looks_table(rows: list[dict[str, Any]]) -> str:
    return table(
        ["true shifts; outcomes; design", "wrong verdict", "wrong sign", "either", "settled", "seeds"],
        [
            [
                f"{row['truth']}; {row['shape']}; {row['design']}",
                within(row["wrong"], row["suites"]),
                within(row["wrong_signs"], row["suites"]),
                within(row["either"], row["suites"]),
                percent(row["settled"]),
                f"{row['seeds']:.1f}",
            ]
            for row in rows
        ],
    )


def render_shapes(rows: list[dict[str, Any]]) -> list[str]:
    """Returns the section on groups of unlike shapes and sizes, as paragraphs."""
    return [
        "## Unequal shapes and sizes",
        "Share of single comparisons in which a test rejects the true shift, the median difference of two runs, at "
        f"{100 * ALPHA:.0f} %: a wrong verdict at a margin is just that. Ranks decide. They are exact for groups of "
        "one shape, tied or not, of any sizes. Where shapes differ they reject too often, the more so the smaller the "
        "group that spreads more. The studentised permutation test (Neubert & Brunner 2007) is the second reading of "
        "every verdict at looks: a verdict that it does not share is marked *fragile*. It is nearer to 5 %, and not at "
        "it with ten runs. At looks both arms of a decision have the same number of seeds.",
        table(
            ["outcomes", "runs of treatment and control", "comparisons", "ranks", "studentised permutations"],
            [
                [
                    row["pair"],
                    f"{row['treatment']} and {row['control']}",
                    f"{row['comparisons']:,}",
                    within(row["ranks"], row["comparisons"]),
                    within(row["studentised"], row["comparisons"]),
                ]
                for row in rows
            ],
        ),
    ]


def render_peers(found: dict[str, Any]) -> list[str]:
    """Returns the section on other methods, as paragraphs."""
    rows = found["rows"]
    packages = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return [
        "## Other methods on the same numbers",
        "What other methods decide, run by their own packages "
        f"({packages}; `python -m tests.soak peers`; `tests/soak/peers.py` says how to add them). A report has five "
        "treatments against "
        f"one control, with normal outcomes and one true shift: none, just the margin of {looks.MARGIN:g} σ, or twice "
        "that.",
        "Each is made for another question, so no column ranks them. None but the Bayesian test of autorank has a "
        "margin. As they are, they answer whether there is any difference: so they are wrong if they tell one where "
        "there is none, and say nothing at the margin. With a margin handed to them they are wrong at the margin by "
        "telling that the difference is beyond it, or below it. rliable corrects for no number of comparisons, and "
        "does not claim to; autorank takes the first runs of all arms for one block, and so on, which independent "
        "seeds allow and do not need; AdaStop calls *equal* what it has not told apart at its end, which is taken for "
        "open here. AdaStop 0.1.3 compares the absolute difference with a quantile of the signed one, which is why it "
        "is wrong at no effect more often than at 5 %. Seeds: the mean of an arm, at no effect, at the margin, at "
        "twice the margin.",
        table(
            [
                "method",
                "made for",
                "reports",
                "wrong at no effect",
                "wrong at the margin",
                "no effect told as no practical difference",
                "twice the margin found",
                "seeds",
            ],
            [
                [
                    row["name"],
                    row["made_for"],
                    f"{row['reports']:,}",
                    within(row["wrong_at_no_effect"], row["reports"]),
                    "–" if row["wrong_at_the_margin"] is None else within(row["wrong_at_the_margin"], row["reports"]),
                    percent(row["equal_at_no_effect"]),
                    percent(row["found_at_twice"]),
                    ", ".join(f"{seeds:.0f}" for seeds in row["seeds"]),
                ]
                for row in rows
            ],
        ),
    ]
