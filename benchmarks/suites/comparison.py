"""Plans a comparison of arms that somebody names, by one outcome: each against the first, or each against each."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.config import PRECISIONS, RunConfig
from benchmarks.datasets import Centres, Dataset
from benchmarks.evaluation.catalogue import METRICS, find_metric
from benchmarks.evaluation.evaluator import Evaluator
from benchmarks.questions import Arm, Contrast, Decision, Outcome, Question
from benchmarks.questions.base import LN_FID, OVERLAP
from benchmarks.questions.outcomes import FAILED
from benchmarks.questions.presets import Budget, Preset
from benchmarks.statistics.looks import Looks, plan_looks
from benchmarks.suites.plan import Plan, PlannedArm, PlannedContrast, PlannedDecision
from variants.recipe import UserError, unknown

FEWEST = 5
"""Seeds of the first look; fewer give no verdict."""
RATE_FACTORS = (0.5, 1.0, 2.0)
"""Of the first arm's learning rate: the rates that all arms share."""
COSTS = ("seconds", "failures")

_FACTOR, _SHARE = 1.25, 0.05
_MARGINS = {"overlap": 0.10, "mode_coverage": 0.10}
"""Chosen, not tuned: one mode of eight is .125 of the overlap, one class of ten .1 of the coverage of classes."""


@dataclass(frozen=True)
class Criterion:
    """Says by what arms are compared, and how large a difference has to be to matter."""

    by: str
    outcome: Outcome
    # Of the outcome's own scale; 0 where any difference counts.
    margin: float
    # The margin as a person gives it: a factor for outcomes on a log scale, else a difference.
    shown: float
    why: str
    # Needs of the metric, as in Metric.needs, and whether it is measured only at the end.
    needs: frozenset[str] = frozenset()
    final: bool = False


def find_criterion(by: str, margin: float | None, dataset: Dataset) -> Criterion:
    """Returns what arms on this dataset are compared by. by: "" for FID of images, and overlap of points.

    margin: a factor above 1 where the outcome is compared by its ratio, such as FID and seconds, else a difference
    above 0; None for the default. Raises UserError for a name that does not exist, and for a margin out of range or
    without a default.
    """
    by = by or ("overlap" if isinstance(dataset.modes, Centres) else "fid")
    needs: frozenset[str] = frozenset()
    final = False
    if by == "failures":
        if margin is not None:
            raise UserError("--margin is not read beside --by failures, where any difference of the rates counts")
        return Criterion(by, Outcome("rate of failed runs", (FAILED,), "less", "final"), 0.0, 0.0, "")
    if by == "seconds":
        outcome = Outcome("seconds of an epoch", ("timing/seconds",), "less", scale="ln", noun="seconds of training")
    elif by == "fid" and dataset.extractor:
        outcome = LN_FID
    elif by == "overlap":
        outcome, needs = OVERLAP, METRICS[by].needs
    else:
        if by not in METRICS:
            raise unknown("metric", by, [*METRICS, *COSTS], see="it is one of " + ", ".join([*METRICS, *COSTS]))
        metric = find_metric(by)
        if metric.family:
            raise UserError(f"--by {by} is a family of metrics, of which one has to decide")
        needs, final = metric.needs, metric.cost == "final"
        ratio = metric.direction == "min" and metric.range == (0.0, math.inf)
        outcome = Outcome(
            f"{'ln ' * ratio}{by}, {'at the end' if final else 'over the last quarter'} of training",
            (f"metrics/{by}",),
            "less" if metric.direction == "min" else "more",
            "final" if final else "late",
            scale="ln" if ratio else "",
            noun=by.replace("_", " "),
        )
    ratio = outcome.scale == "ln"
    if margin is None:
        if not ratio and METRICS[by].range != (0.0, 1.0):
            raise UserError(f"--by {by} has no usual margin; say by --margin which difference matters")
        margin, why = _FACTOR if ratio else _MARGINS.get(by, _SHARE), "the default; chosen, not tuned"
    else:
        why = "as asked for"
    if not math.isfinite(margin) or margin <= ratio:
        wanted = "a factor above 1" if ratio else "above 0"
        raise UserError(f"--margin of {by} is {wanted}, not {margin:g}: without a margin nothing is ever settled")
    return Criterion(by, outcome, math.log(margin) if ratio else margin, margin, why, needs, final)


def plan_comparison(
    configs: Sequence[RunConfig],
    dataset: Dataset,
    criterion: Criterion,
    *,
    labels: Sequence[str] = (),
    most: int = 40,
    rates: bool = False,
    all_pairs: bool = False,
) -> Plan:
    """Plans a comparison of these arms, whose seeds are not read.

    labels: short names of the arms; by default what differs between them. most: seeds of an arm. rates: spread the
    seeds over three learning rates that all arms share, the first arm's and half and twice that. all_pairs: compare
    each with each, and not only with the first. Raises UserError for arms that cannot be compared.
    """
    refuse_incomparable(configs, dataset, criterion)
    labels = tuple(labels) or label_arms(configs)
    looks = _plan_looks(most, rates)
    first = configs[0]
    role = "images" if dataset.spec.is_image else "points"
    rate = first.recipe.generator_lr
    seeds = tuple(range(looks.last))
    shared = tuple(factor * rate for factor in RATE_FACTORS) if rates else ()
    arms = tuple(
        PlannedArm(
            Arm(_slug(label), config.variant, role, label, tuned=False),
            config.recipe,
            config.dataset,
            seeds,
            config.evaluate_every,
            config.samples,
            config.thorough or criterion.final,
            config.probes,
            ("comparison",),
            shared,
        )
        for label, config in zip(labels, configs, strict=True)
    )
    if len({arm.name for arm in arms}) < len(arms):
        raise UserError(f"two arms are called the same: {', '.join(labels)}; give them other names")
    pairs = itertools.combinations(arms, 2) if all_pairs else ((arms[0], treatment) for treatment in arms[1:])
    decisions = tuple(_decide_pair(treatment, control, criterion, seeds) for control, treatment in pairs)
    quality = "fid_normalized" if dataset.extractor else "overlap" if isinstance(dataset.modes, Centres) else "fid"
    budget = Budget(first.dataset.name, "", {}, first.evaluate_every, first.samples, quality=quality)
    question = Question(
        name="comparison",
        title=f"{arms[1].arm.label} against {arms[0].arm.label}" if len(arms) == 2 else "Arms compared",
        asks=f"Which is better by {_say(criterion.by)}, on {first.dataset.name}?",
        claims={},
        decisions=tuple(planned.decision for planned in decisions),
        curve=criterion.outcome.figures[0] if criterion.outcome.figures[0] != FAILED else f"metrics/{quality}",
        table_metrics=_table_metrics(criterion, quality),
        related_work=(),
        limits=(
            "The networks are compared as they are: with their sizes and costs, which the tables have.",
            "One recipe an arm"
            + ("" if rates else ", at its own learning rate")
            + ": another one may turn the verdict round.",
        ),
    )
    preset = Preset(
        _name(arms, criterion, all_pairs),
        f"{len(arms)} arms on {first.dataset.name}, at most {looks.last} seeds each",
        {role: budget},
        seeds=looks.last,
        seeds_alone=looks.last,
        tuned=False,
        looks=looks,
    )
    return Plan(preset, (question,), arms, decisions, ())


def _plan_looks(most: int, rates: bool) -> Looks:
    least = 2 * len(RATE_FACTORS) if rates else FEWEST
    if most < least:
        raise UserError(f"--most is at least {least}{' with --rates' * rates}, not {most}: fewer seeds decide nothing")
    if not rates:
        return plan_looks(most, FEWEST)
    # Each look has as many seeds at every rate.
    looks = plan_looks(most // len(RATE_FACTORS), least // len(RATE_FACTORS))
    return replace(looks, seeds=tuple(len(RATE_FACTORS) * seeds for seeds in looks.seeds))


def refuse_incomparable(configs: Sequence[RunConfig], dataset: Dataset, criterion: Criterion) -> None:
    """Raises UserError for arms that cannot be compared by a criterion: before anything is trained."""
    if len(configs) < 2:
        raise UserError("a comparison needs two arms; name them, or vary a field by --vary FIELD=VALUE,VALUE")
    first = replace(configs[0], seed=0)
    for place, config in enumerate(configs):
        for other in configs[:place]:
            if replace(config, seed=0, variant=other.variant, recipe=other.recipe) == replace(other, seed=0) and (
                (config.variant, config.recipe) == (other.variant, other.recipe)
            ):
                raise UserError(f"two arms are the same: {config.variant} with the same recipe and data")
        for field, what in (
            ("dataset", "on other data"),
            ("checksum", "on another version of the data"),
            ("samples", "judged on another number of samples"),
            ("extractor", "judged by another classifier"),
            ("precision", "of another precision"),
        ):
            if getattr(config, field) != getattr(first, field):
                raise UserError(f"{config.variant} is {what} than {first.variant}; arms differ in variant and recipe")
        if config.precision != PRECISIONS[0]:
            raise UserError(f"arms are compared in {PRECISIONS[0]}, not in {config.precision}")
        if config.dataset != first.dataset or not criterion.needs:
            continue
        facts = Evaluator(dataset, config.samples).facts | (
            {"condition"} if config.recipe.conditioning != "none" and "labels" in _facts(dataset, config) else set()
        )
        if lacking := criterion.needs - facts:
            raise UserError(
                f"{criterion.by} cannot be measured of {config.variant} on {dataset.name}: it needs "
                f"{', '.join(sorted(lacking))}"
            )


def _facts(dataset: Dataset, config: RunConfig) -> frozenset[str]:
    return Evaluator(dataset, config.samples).facts


def label_arms(configs: Sequence[RunConfig]) -> tuple[str, ...]:
    """Returns a short label for each arm: its variant where variants differ, and the fields in which arms differ."""
    variants = [config.variant for config in configs]
    recipes = [config.recipe.as_dict() for config in configs]
    labels = []
    for variant, recipe in zip(variants, recipes, strict=True):
        alike = [other for name, other in zip(variants, recipes, strict=True) if name == variant]
        varied = [name for name in recipe if any(other[name] != recipe[name] for other in alike)]
        words = [variant] * (len(set(variants)) > 1) + [f"{name} {_word(recipe[name])}" for name in varied]
        labels.append(", ".join(words).replace("_", " "))
    return tuple(labels)


def _word(value: Any) -> str:
    return (
        "-".join(map(str, value))
        if isinstance(value, list)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _decide_pair(
    treatment: PlannedArm, control: PlannedArm, criterion: Criterion, seeds: tuple[int, ...]
) -> PlannedDecision:
    margin = criterion.margin
    contrast = Contrast(treatment.arm, control.arm, criterion.outcome, -margin, margin, claims="different")
    matters = (
        ""
        if not margin
        else f", by {criterion.shown:g} times or more"
        if criterion.outcome.scale
        else (f", by {criterion.shown:g} or more")
    )
    decision = Decision(
        f"{treatment.name}-against-{control.name}",
        "",
        f"{treatment.arm.label} and {control.arm.label} differ in {criterion.outcome.short_label}{matters}.",
        (contrast,),
        criterion.why,
        "a difference that is smaller than the margin" if margin else "no difference",
        equal="data, evaluation",
        sizes_differ="the arms are compared as they are",
        may_stay_at_chance=(treatment.arm, control.arm),
    )
    return PlannedDecision(
        decision, "comparison", (PlannedContrast(contrast, seeds, seeds, math.inf, math.inf, math.nan),)
    )


def _table_metrics(criterion: Criterion, quality: str) -> tuple[str, ...]:
    deciding = [name.removeprefix("metrics/") for name in criterion.outcome.figures if name.startswith("metrics/")]
    usual = (quality, "fid_pixels", "accuracy", "mode_coverage", "coverage", "precision", "overlap")
    return tuple(dict.fromkeys([*deciding, *usual]))


def _say(by: str) -> str:
    """Spells a criterion as it stands in a sentence."""
    return by.replace("_", " ").replace("fid", "FID").replace("kid", "KID")


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.")[:60]


def _name(arms: Sequence[PlannedArm], criterion: Criterion, all_pairs: bool) -> str:
    """Names the plan after what it compares, so that the same comparison finds its own history again."""
    what = [[arm.as_dict() | {"seeds": 0} for arm in arms], criterion.by, all_pairs]
    return f"compare-{hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]}"
