"""The pictures of questions: every question has its own, and nothing of them is cut off."""

import pytest

from benchmarks.questions.presets import PRESETS
from benchmarks.statistics.verdicts import NO_VERDICT
from benchmarks.suites.plan import make_plan
from reports.build import answer_questions
from reports.figures.illustrations import draw_pictures
from reports.reading.runs import FoundRuns
from tests.made_runs import decided, made, outcome, smoke, tuned


def test_the_gradients_of_both_losses_are_drawn():
    plan = smoke("diminished_gradient", seeds=2)
    report = answer_questions(FoundRuns(tuple(made(plan))), plan)
    assert "pictures/diminished_gradient-gradients.svg" in report.pictures
    assert outcome(decided(plan, made(plan)), "B2-tuned") == NO_VERDICT


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
    assert "share of training images\nabove test images" in labels
