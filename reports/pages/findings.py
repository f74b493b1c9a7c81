"""Fills a page's list of what a report found, between two comments:

    <!-- findings: quick in reports/published/quick -->
    <!-- end -->

The path leads from the page to the report. The rest of the page is the author's.
"""

import re

from benchmarks.statistics.verdicts import OUTCOMES
from reports.analysis.answers import Answers
from reports.pages.questions import page_of
from reports.pages.templates import render_markdown


def fill_findings(text: str, answers: Answers) -> tuple[str, int]:
    """Returns the page with the findings of this report rewritten, and how many places there are for them."""
    name = re.escape(answers.plan.preset.name)
    place = re.compile(
        rf"(?P<head><!-- findings: {name} in (?P<folder>[\w./-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
    )

    def write(found: re.Match[str]) -> str:
        return f"{found['head']}{render_findings(answers, found['folder']).rstrip()}\n{found['tail']}"

    return place.subn(write, text)


def render_findings(answers: Answers, folder: str) -> str:
    """Returns a paragraph on the report in `folder`, and a line for each decision that it is about."""
    found = [answer for answer in answers.answers if answer.is_finding]
    evidence = answers.evidence
    return render_markdown(
        "findings.md.j2",
        plan=answers.plan,
        complete=answers.complete,
        controls=answers.controls,
        findings=sorted(found, key=lambda answer: OUTCOMES.index(answer.outcome)),
        runs=sum(len(arm.ended) for arm in evidence.arms),
        arms=len(evidence.arms),
        index=f"{folder}/index.md",
        page_of=lambda question: f"{folder}/{page_of(question)}",
    )
