"""Draws the pictures of the pages: chooses which there are, of which arms or seed groups, and where they lie."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.questions import Question
from reports import figures
from reports.analysis.amounts import describe_outcome, effect_scale, level_unit
from reports.analysis.answers import Answers
from reports.analysis.evidence import ArmRuns
from reports.analysis.names import spell_metric
from reports.analysis.sections import Section, SeedGroup
from reports.analysis.standings import late_mean
from reports.figures import training
from reports.figures.demonstrations import draw_transposed_convolution
from reports.figures.training import Curve, Line
from reports.reading.runs import RunRecord

PICTURES_FOLDER = "pictures"
SAMPLE_COLORS = 16
"""Of a sample grid, whose greys are few. Chosen, not tuned."""
_SAMPLED_ARMS = 6

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
_LOSSES_IN_NATS = {"saturating", "non_saturating"}
_QUALITY = ("fid", "accuracy", "overlap", "mode_coverage", "kid")
_CHANCE = {"probes/generalization_gap": 0.5, "probes/label_use": 0.5}


@dataclass(frozen=True)
class Picture:
    """Holds a figure of a page."""

    kind: Literal["losses", "quality", "effects", "training", "modes", "gradients", "verdicts", "demonstration"]
    path: str
    """Place of its file, from the page."""
    data: bytes
    part: int = 0
    """Number of the figure where there are several of a kind; 0 for the only one."""
    groups: Sequence[SeedGroup] = ()
    """Shown rows of a section."""
    with_reference: bool = False
    """Whether it shows the value of real data, or of chance."""


@dataclass(frozen=True)
class Sample:
    """Holds samples of one run of an arm, or of a seed group."""

    arm: ArmRuns | SeedGroup
    run: RunRecord
    path: str
    data: bytes


@dataclass(frozen=True)
class IllustratedSection:
    """Holds a section with its pictures."""

    section: Section
    pictures: Sequence[Picture] = ()
    samples: Sequence[Sample] = ()


def illustrate_section(section: Section, number: int) -> IllustratedSection:
    """Draws the pictures of a section of the page that compares all runs. number: its place on the page."""
    stem = f"{PICTURES_FOLDER}/{number}-{re.sub('[^a-z0-9]+', '-', section.dataset.lower())[:40].strip('-') or 'data'}"
    parts = list(training.split_evenly([group for group in section.groups if group.finished]))
    pictures, samples = [], []
    for kind, curves in (("losses", _loss_curves(section)), ("quality", _quality_curves(section))):
        for part, groups in enumerate(parts, start=1):
            lines = [Line(f"{group.number}. {group.name}", group.finished) for group in groups]
            drawn = [curve for curve in curves if any(training.band(line, curve.figure) for line in lines)]
            if drawn:
                place = part if len(parts) > 1 else 0
                path = f"{stem}-{kind}{f'-{place}' if place else ''}.svg"
                data = training.draw_training([(curve, lines) for curve in drawn])
                reference = any(math.isfinite(curve.reference) for curve in drawn)
                pictures.append(Picture(kind, path, data, place, groups, with_reference=reference))
    for group in section.groups:
        run = next((run for run in group.finished if run.pictured), None)
        if run and (data := figures.compact_picture(run.picture)):
            samples.append(Sample(group, run, f"{stem}-samples-{group.number}.png", data))
    return IllustratedSection(section, pictures, samples)


def _loss_curves(section: Section) -> list[Curve]:
    nats = all(group.config.recipe.loss in _LOSSES_IN_NATS for group in section.groups)
    unit = " (nats)" if nats else ""
    return [Curve(f"curves/{network}_loss", f"{network} loss{unit}") for network in ("generator", "discriminator")]


def _quality_curves(section: Section) -> list[Curve]:
    """Returns the curves of the two most telling metrics, with their values on real data."""
    names = [name for name in _QUALITY if name in section.metrics] or section.metrics
    references = {name: summary.mean for name, summary in section.reference.items()}
    return [
        Curve(f"metrics/{name}", spell_metric(name), name == "fid", references.get(name, math.nan))
        for name in names[:2]
    ]


def draw_pictures(answers: Answers, question: Question) -> Iterator[Picture]:
    """Draws the figures of a question's page; figures of runs are left out where there are none."""
    stem = f"{PICTURES_FOLDER}/{question.name}"
    arms = answers.evidence.of(question.name)
    if question.demonstrates == "transposed_convolution":
        yield Picture("demonstration", f"{stem}-by-hand.svg", draw_transposed_convolution())
    if groups := _group_effects(answers, question):
        yield Picture("effects", f"{stem}-effects.svg", figures.draw_forests(groups))
    lines = {arm.name: Line(arm.label, [run for run in arm.ended if run.finished]) for arm in arms}
    panels = _choose_panels(answers, question, arms, lines)
    for place in range(0, len(panels), 2):
        part, shown = place // 2 + 1, panels[place : place + 2]
        path = f"{stem}-training{f'-{part}' if len(panels) > 2 else ''}.svg"
        reference = any(math.isfinite(curve.reference) for curve, _ in shown)
        yield Picture("training", path, training.draw_training(shown), part, with_reference=reference)
    if points := _metrics_by_modes(arms):
        labels = {"overlap": "overlap with the true mixture", "modes_captured": "modes captured"}
        shown = {name: label for name, label in labels.items() if any(found.get(name) for found in points.values())}
        yield Picture("modes", f"{stem}-modes.svg", training.draw_against_modes(points, shown))
    norms = [line for line in lines.values() if any(training.band(line, figure) for figure in _NORMS)][:_SAMPLED_ARMS]
    if norms and question.curve == "curves/d_fake":
        yield Picture("gradients", f"{stem}-gradients.svg", training.draw_gradient_norms(norms, _NORMS))


def draw_findings(answers: Answers) -> Picture | None:
    """Draws all decisions that a report is about in one figure; None where it is about none."""
    found = [answer for answer in answers.answers if answer.is_finding]
    rows = []
    for answer in found:
        decision = answer.planned.decision
        rows.append((f"{decision.claim}. {decision.says}", answer.outcome, [effect for _, effect in answer.parts]))
    return Picture("verdicts", f"{PICTURES_FOLDER}/verdicts.svg", figures.draw_verdicts(rows)) if rows else None


def choose_samples(answers: Answers, question: Question) -> list[Sample]:
    """Returns pictures of the first arms of a question, each of the run with the lowest seed, not of the best one."""
    arms = {arm.name: arm for arm in answers.evidence.of(question.name)}
    samples = []
    for arm in (arms[each.name] for each in question.arms if each.name in arms):
        run = next((run for run in arm.ended if run.finished and run.pictured), None)
        if run and len(samples) < _SAMPLED_ARMS and (data := figures.compact_picture(run.picture, SAMPLE_COLORS)):
            name = "".join(c if c.isascii() and c.isalnum() else "-" for c in arm.name.lower())[:60]
            samples.append(Sample(arm, run, f"{PICTURES_FOLDER}/samples-{name}.png", data))
    return samples


def _group_effects(answers: Answers, question: Question) -> list[tuple[list[tuple], figures.Axis]]:
    """Returns rows of the forest plot, in groups that share an axis."""
    groups: dict[figures.Axis, list[tuple]] = {}
    for answer in answers.of(question):
        for part, effect in answer.parts:
            contrast, outcome = part.contrast, part.contrast.outcome
            scale = effect_scale(outcome)
            label = describe_outcome(outcome)
            measured = f" ({level_unit(outcome)})" if level_unit(outcome) else ""
            if contrast.control is not None or outcome.reference:
                label += ": factor" if scale != "level" else f": difference{measured}"
            else:
                label += measured
            side = "first arm better →" if contrast.control is not None else "as claimed →" if outcome.reference else ""
            axis = figures.Axis(
                f"{label}  ({side})" if side else label,
                scale,
                outcome.better == "less",
                contrast.constant,
            )
            against = f" against {contrast.control.label}" if contrast.control is not None else ""
            if contrast.other_seeds:
                against = ", other seeds against these"
            label = f"{answer.name}\n{contrast.treatment.label}{against}"
            groups.setdefault(axis, []).append((label, answer.outcome, effect))
    return [(rows, axis) for axis, rows in groups.items()]


def _choose_panels(
    answers: Answers, question: Question, arms: Sequence[ArmRuns], lines: Mapping[str, Line]
) -> list[tuple[Curve, Sequence[Line]]]:
    """Returns the question's figure over training, in panels of arms on the same data."""
    panels = []
    for role in dict.fromkeys(arm.planned.arm.dataset_role for arm in arms):
        here = [lines[arm.name] for arm in arms if arm.planned.arm.dataset_role == role]
        quality = f"metrics/{answers.plan.preset.budgets[role].quality}"
        # Points have no FID by a classifier, and images no overlap.
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
        # The claim is about both losses.
        other = Curve("curves/discriminator_loss", _LABELS["curves/discriminator_loss"])
        panels += [(other, group) for _, shown in panels for group in training.drawable(shown, other)]
    return panels


def _metrics_by_modes(arms: Sequence[ArmRuns]) -> Mapping[int, Mapping[str, Sequence[float]]]:
    """Returns metrics of the runs by the number of modes; nothing for fewer than three numbers."""
    found: dict[int, dict[str, list[float]]] = {}
    for arm in arms:
        if arm.planned.dataset.modes and arm.not_failed:
            at = found.setdefault(arm.planned.dataset.modes, {})
            for name in ("overlap", "modes_captured"):
                values = [late_mean(run, name) for run in arm.not_failed]
                at.setdefault(name, []).extend(value for value in values if math.isfinite(value))
    return found if len(found) > 2 else {}
