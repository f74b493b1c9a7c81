"""The pictures of a question's page: which ones it has, of which arms, and what is said below them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.questions import Question
from reports import figures
from reports.analysis.answers import Answers
from reports.analysis.evidence import ArmRuns
from reports.analysis.standings import late_mean
from reports.analysis.tables import spell_metric
from reports.analysis.words import compared, kind, unit
from reports.figures import training
from reports.figures.training import Curve
from reports.reading.runs import RunRecord

PICTURES = "pictures"
SAMPLED_ARMS = 6
SAMPLE_COLORS = 16
"""Of a sample grid, whose greys are few. Chosen, not tuned."""

_NORMS = {
    "probes/gradient_norm_saturating": "saturating loss",
    "probes/gradient_norm_non_saturating": "non-saturating loss",
}
_LABELS = {
    "curves/d_fake": "mean D(fake)",
    "curves/generator_loss": "generator's loss (nats)",
    "curves/discriminator_loss": "discriminator's loss (nats)",
    "metrics/fid_normalized": "FID",
    "metrics/overlap": "overlap with the true mixture",
    "metrics/checkerboard": "checkerboard above real images (decades)",
    "metrics/caption_agreement_held_out": "share that fits a new caption",
    "probes/generalization_gap": "share of training images above test images",
    "probes/label_use": "share of right labels above wrong ones",
}
_CHANCE = {"probes/generalization_gap": 0.5, "probes/label_use": 0.5}


@dataclass(frozen=True)
class Picture:
    """A figure of a page: its heading, its path from the page, and what it shows."""

    title: str
    path: str
    caption: str


@dataclass(frozen=True)
class Sample:
    """Samples of one run of an arm, and where their picture lies."""

    arm: ArmRuns
    run: RunRecord
    path: str


def pictures(answers: Answers, question: Question) -> Iterator[tuple[Picture, bytes]]:
    """The figures of a question's page with their bytes; those for which there are no runs yet are left out."""
    stem = f"{PICTURES}/{question.name}"
    arms = answers.evidence.of(question.name)
    if groups := _effects(answers, question):
        yield (
            Picture(
                "The effects",
                f"{stem}-effects.svg",
                "A circle is the shift (Hodges–Lehmann), right of zero where the first arm is better. The thick line "
                "is the exact interval at 95 %, the thin one the interval corrected for all tests of the report. What "
                "is shaded is too little to matter; a dashed line is the one margin of a one-sided claim. Words and "
                "colours are the verdicts of the decisions, of which some need several parts.",
            ),
            figures.draw_forests(groups),
        )
    for title, panels, path in _curves(answers, question, arms):
        yield (
            Picture(
                title,
                f"{stem}-{path}.svg",
                "Lines are medians over the seeds, bands reach from the lower to the upper quartile. Dotted across: "
                "the value of real data, or of chance."
                if any(math.isfinite(curve.reference) for curve, _ in panels)
                else "Lines are medians over the seeds, bands reach from the lower to the upper quartile.",
            ),
            training.draw_training(panels),
        )
    if points := _by_modes(arms):
        labels = {"overlap": "overlap with the true mixture", "modes_captured": "modes captured"}
        shown = {name: label for name, label in labels.items() if any(found.get(name) for found in points.values())}
        yield (
            Picture(
                "Against the number of modes",
                f"{stem}-modes.svg",
                "A point is a run, the line joins the medians. The number of captured modes never decides: uniform "
                "noise captures most of them.",
            ),
            training.draw_against_modes(points, shown),
        )
    norms = [arm for arm in arms if any(training.band(arm, figure) for figure in _NORMS)][:SAMPLED_ARMS]
    if norms and question.curve == "curves/d_fake":
        yield (
            Picture(
                "The gradients of both losses",
                f"{stem}-gradients.svg",
                "Both norms are taken at the same weights and on the same noise, whatever loss the arm is trained "
                "with: medians over the seeds, in bands between the quartiles, on a logarithmic axis.",
            ),
            training.draw_gradient_norms(norms, _NORMS),
        )


def samples(answers: Answers, question: Question) -> Iterator[tuple[Sample, bytes]]:
    """Pictures of the first arms of a question: of each the run with the lowest seed, not the one that looks best."""
    arms = {arm.name: arm for arm in answers.evidence.of(question.name)}
    shown = 0
    for arm in (arms[each.name] for each in question.arms if each.name in arms):
        run = next((run for run in arm.ended if run.finished and run.pictured), None)
        if run and shown < SAMPLED_ARMS and (data := figures.compact_picture(run.picture, SAMPLE_COLORS)):
            shown += 1
            yield Sample(arm, run, f"{PICTURES}/samples-{_slug(arm.name)}.png"), data


def _effects(answers: Answers, question: Question) -> list[tuple[list[tuple], figures.Axis]]:
    """Rows of the forest plot in groups of one axis, which is what an outcome measures."""
    groups: dict[figures.Axis, list[tuple]] = {}
    for answer in answers.of(question):
        if answer.verdict is None:
            continue
        contrasts = [part.contrast for part in answer.planned.contrasts]
        for contrast, effect in zip(contrasts, answer.verdict.effects, strict=True):
            outcome, told = contrast.outcome, kind(contrast.outcome)
            label = compared(outcome)
            measured = f" ({unit(outcome)})" if unit(outcome) else ""
            if contrast.control is not None or outcome.reference:
                label += ": factor" if told != "level" else f": difference{measured}"
            else:
                label += measured
            side = "first arm better →" if contrast.control is not None else "as claimed →" if outcome.reference else ""
            axis = figures.Axis(
                f"{label}  ({side})" if side else label,
                told,
                outcome.better == "less",
                contrast.constant,
            )
            against = f" against {contrast.control.label}" if contrast.control is not None else ""
            if contrast.other_seeds:
                against = ", other seeds against these"
            label = f"{answer.name}\n{contrast.treatment.label}{against}"
            groups.setdefault(axis, []).append((label, answer.outcome, effect))
    return [(rows, axis) for axis, rows in groups.items()]


def _curves(
    answers: Answers, question: Question, arms: Sequence[ArmRuns]
) -> Iterator[tuple[str, list[tuple[Curve, Sequence[ArmRuns]]], str]]:
    """The question's figure over training, a panel for each role of the data, as titles, panels and names of files."""
    panels = []
    for role in dict.fromkeys(arm.planned.arm.dataset_role for arm in arms):
        here = [arm for arm in arms if arm.planned.arm.dataset_role == role]
        quality = f"metrics/{answers.plan.preset.budgets[role].quality}"
        # Of points there is no FID by a classifier, and of images no overlap.
        wanted = [quality] if question.curve == "metrics/fid_normalized" else [question.curve, quality]
        for figure in wanted:
            curve = Curve(
                figure,
                _LABELS.get(figure, spell_metric(figure.partition("/")[2])),
                figure == "metrics/fid_normalized",
                _CHANCE.get(figure, math.nan),
            )
            if groups := training.drawable(here, curve):
                panels += [(curve, group) for group in groups]
                break
    if question.curve == "curves/generator_loss" and panels:
        # The claim is about both.
        other = Curve("curves/discriminator_loss", _LABELS["curves/discriminator_loss"])
        panels += [(other, group) for _, shown in panels for group in training.drawable(shown, other)]
    for place in range(0, len(panels), 2):
        number = place // 2 + 1
        title = "Over training" if number == 1 else f"Over training, {number}"
        yield title, panels[place : place + 2], f"training-{number}" if len(panels) > 2 else "training"


def _by_modes(arms: Sequence[ArmRuns]) -> Mapping[int, Mapping[str, Sequence[float]]]:
    """Metrics of the runs by the number of modes, where a question varies that; else nothing."""
    found: dict[int, dict[str, list[float]]] = {}
    for arm in arms:
        if arm.planned.dataset.modes and arm.sound:
            at = found.setdefault(arm.planned.dataset.modes, {})
            for name in ("overlap", "modes_captured"):
                values = [late_mean(run, name) for run in arm.sound]
                at.setdefault(name, []).extend(value for value in values if math.isfinite(value))
    return found if len(found) > 2 else {}


def _slug(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())[:60]
