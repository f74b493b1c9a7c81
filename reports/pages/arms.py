"""Fills a page's table of the arms of a preset, between two comments:

    <!-- arms: variants -->
    <!-- end -->

The rest of the page is the author's. The table has the last evaluation of each arm's runs, and what training took.
"""

import math
import re
from collections.abc import Mapping, Sequence

from benchmarks.suites.plan import Plan
from reports.analysis.evidence import ArmRuns
from reports.analysis.summaries import Summary, summarize
from reports.pages.templates import render_markdown

METRICS = ("fid", "coverage", "accuracy")
_MISSING = "*Not trained yet.*"


def fill_arms(text: str, plan: Plan, arms: Sequence[ArmRuns]) -> tuple[str, int]:
    """Returns the page with the tables of this plan's preset rewritten, and how many there are."""
    name = re.escape(plan.preset.name)
    place = re.compile(rf"(?P<head><!-- arms: {name} -->\n).*?(?P<tail><!-- end -->)", re.DOTALL)
    table = render_arms(plan, arms) if any(arm.ended for arm in arms) else _MISSING
    return place.subn(lambda found: f"{found['head']}{table.rstrip()}\n{found['tail']}", text)


def render_arms(plan: Plan, arms: Sequence[ArmRuns]) -> str:
    """Returns a Markdown table with a row for each arm, and a line on how it was measured."""
    ended = [run for arm in arms for run in arm.ended]
    return render_markdown(
        "arms.md.j2",
        arms=arms,
        summaries={arm.name: _summaries(arm) for arm in arms},
        machines=sorted({_machine(run.environment) for run in ended}),
        together=sorted({int(run.environment.get("together", 1)) for run in ended}),
        samples=sorted({f"{run.config.samples:,}" for run in ended}),
        data=sorted({run.config.dataset.name for run in ended}),
        hash=plan.hash[:12],
    )


def _summaries(arm: ArmRuns) -> Mapping[str, Summary]:
    """Returns the mean and deviation over an arm's runs that did not fail, of each metric and of the seconds."""
    runs = arm.not_failed
    found = {name: summarize(run.metrics.get(name, math.nan) for run in runs) for name in METRICS}
    # A metric that applies to no run is left out, not missing.
    found = {name: value for name, value in found.items() if value.count}
    seconds = summarize(run.seconds / run.epoch for run in runs if run.epoch)
    updates = summarize(run.epoch * run.updates for run in runs if run.updates)
    return {name: found.get(name, Summary(math.nan, math.nan, 0)) for name in METRICS} | {
        "seconds": seconds,
        "updates": updates,
    }


def _machine(environment: Mapping[str, object]) -> str:
    threads = environment.get("threads")
    return f"{environment.get('processor')}, {threads} thread{'s' * (threads != 1)}, {environment.get('device')}"
