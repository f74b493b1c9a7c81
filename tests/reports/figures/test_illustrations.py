"""The pictures of questions: every question has its own, and nothing of them is cut off."""

import pytest

from benchmarks.questions.presets import PRESETS
from benchmarks.statistics.verdicts import NO_VERDICT
from benchmarks.suites.plan import make_plan
from reports.build import answer_questions
from reports.figures.illustrations import draw_findings, draw_pictures
from reports.reading.runs import FoundRuns
from tests.made_runs import decided, made, outcome, smoke, tuned


def test_the_gradients_of_both_losses_are_drawn():
    plan = smoke("diminished_gradient", seeds=2)
    report = answer_questions(FoundRuns(tuple(made(plan))), plan)
    assert "pictures/diminished_gradient-gradients.svg" in report.pictures
    assert outcome(decided(plan, made(plan)), "B2-tuned") == NO_VERDICT


def test_all_verdicts_are_in_one_figure_each_in_its_own_margins(monkeypatch: pytest.MonkeyPatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    plan = make_plan(PRESETS["mnist"], ["critic_steps", "control", "loss_curves", "conditioning"], tuned=tuned("mnist"))
    answers = decided(plan, made(plan), tuned=tuned("mnist"))
    draw_findings(answers)
    (ax,) = drawn[0].axes
    found = [answer for answer in answers.answers if answer.planned.decision.claim != "control"]
    assert [text.get_text().replace("\n", " ") for text in ax.texts] == [answer.outcome for answer in found]
    assert {answer.verdict is None for answer in found} == {True, False}
    bars = [line for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_linewidth() == 3]
    effects = [effect for answer in found for _, effect in answer.parts]
    assert len(bars) == len(effects)
    for bar, effect in zip(bars, effects, strict=True):
        margin = max(abs(effect.contrast.low), abs(effect.contrast.high))
        assert bar.get_xdata() == pytest.approx([min(max(end / margin, -4), 4) for end in effect.wide])
    rows = sorted(round(bar.get_ydata()[0]) for bar in bars)
    assert rows == [place for place, answer in enumerate(found) for _ in answer.parts]


def test_a_report_begins_with_the_figure_of_its_verdicts_and_samples_of_their_arms():
    plan = smoke("critic_steps", "control")
    report = answer_questions(FoundRuns(tuple(made(plan))), plan)
    assert next(iter(report.pages)) == "index.md"
    first, strip = report.pages["index.md"].split("\n\n")[1:4:2]
    assert first.endswith("](pictures/verdicts.svg)")
    assert "pictures/verdicts.svg" in report.pictures
    assert "![Samples: conditional GAN, linear layers](pictures/samples-conditional.png)" in strip
    assert "ten times" not in strip  # an arm of a control alone


@pytest.mark.long
def test_nothing_of_a_figure_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    plan, labels, written = make_plan(PRESETS["mnist"], tuned=tuned("mnist")), [], Figure.savefig

    def measured(figure: Figure, *words: object, **options: object) -> None:
        # As wide as an SVG has it, whatever it was laid out with.
        FigureCanvasSVG(figure)
        figure.set_dpi(FigureCanvasSVG.fixed_dpi)
        drawn, (width, height) = figure.get_tightbbox(figure._get_renderer()), figure.get_size_inches()
        assert drawn.min.min() > -0.01
        assert (drawn.x1 < width + 0.01, drawn.y1 < height + 0.01) == (True, True)
        labels.extend(ax.get_ylabel() for ax in figure.axes)
        written(figure, *words, **options)

    monkeypatch.setattr(Figure, "savefig", measured)
    answers = decided(plan, made(plan), tuned=tuned("mnist"))
    for question in plan.questions:
        assert all(picture.data for picture in draw_pictures(answers, question))
    assert draw_findings(answers).data
    assert "share of training images\nabove test images" in labels
