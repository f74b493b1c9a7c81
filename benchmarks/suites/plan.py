"""Makes the plan of a suite: every arm with its whole config, every decision with its margins and seeds, and a hash.

A plan depends only on the questions, a preset and the tuned settings, and exists before any run; a report makes it
again and prints its hash.
"""

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import variance
from typing import Any

from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.questions import QUESTIONS, Arm, Contrast, Decision, Outcome, Question, load_question
from benchmarks.questions.base import unique
from benchmarks.questions.presets import SGD_FACTOR, Preset
from benchmarks.statistics.looks import Looks
from benchmarks.suites.tuned_settings import load_tuned_settings, tuning_command
from variants import Recipe, UserError, load_variant

# Deciding figures that are measured only at the end of a run, and only where they are needed, because they are costly.
COSTLY = frozenset({"metrics/gan_train"})

# Fields of an outcome that have other names in plans.
_SERIALISED = {"label": "words", "reference": "than"}


@dataclass(frozen=True)
class PlannedArm:
    """Completes an arm to everything that determines its runs."""

    arm: Arm
    recipe: Recipe
    dataset: DatasetConfig
    seeds: tuple[int, ...]
    evaluate_every: int
    samples: int
    thorough: bool
    probes: tuple[str, ...]
    questions: tuple[str, ...]
    """Names of the questions that it serves, in order."""
    rates: tuple[float, ...] = ()
    """Learning rates over which its seeds are spread in turn; () where the recipe has the only one."""

    @property
    def name(self) -> str:
        return self.arm.name

    def block_of(self, seed: int) -> int:
        """Returns the place of a seed's learning rate; 0 where there is one rate."""
        return (seed - self.seeds[0]) % len(self.rates) if self.rates else 0

    def recipe_of(self, seed: int) -> Recipe:
        """Returns the recipe of a seed, with its learning rate."""
        if not self.rates:
            return self.recipe
        rate = self.arm.lr_factor * self.rates[self.block_of(seed)]
        return self.recipe.with_({"generator_lr": rate, "discriminator_lr": rate})

    def config(self, seed: int, data_dir: Path | str | None = None) -> RunConfig:
        """Returns the config of one of its runs. Loads the data. Raises UserError where it cannot be trained."""
        from benchmarks.training.configure import configure

        return configure(
            self.arm.variant,
            self.dataset,
            seed=seed,
            evaluate_every=self.evaluate_every,
            samples=self.samples,
            thorough=self.thorough,
            probes=self.probes,
            data_dir=data_dir,
            **self.recipe_of(seed).as_dict(),
        )

    def matches(self, config: RunConfig) -> bool:
        """Tells whether a run of this config, whatever its seed, belongs to this arm."""
        recipe = self.recipe_of(config.seed)
        return (
            (config.variant, config.recipe, config.dataset) == (self.arm.variant, recipe, self.dataset)
            and (config.evaluate_every, config.samples) == (self.evaluate_every, self.samples)
            and (config.thorough, set(config.probes)) == (self.thorough, set(self.probes))
            # A run that went on from another one had, for a part of its epochs, any recipe.
            and not config.parent
        )

    def evaluated_epochs(self, until: float = math.inf, curves: bool = False) -> list[int]:
        """Returns the evaluated epochs from 1 up to `until`; with `curves`, all epochs."""
        epochs, every = self.recipe.epochs, 1 if curves else self.evaluate_every
        return [epoch for epoch in range(1, epochs + 1) if epoch <= until and (epoch % every == 0 or epoch == epochs)]

    def as_dict(self) -> dict[str, Any]:
        rates = {"rates": list(self.rates)} if self.rates else {}
        return rates | {
            "variant": self.arm.variant,
            "recipe": self.recipe.as_dict(neutral=False),
            "dataset": self.dataset.as_dict(neutral=False),
            "seeds": list(self.seeds),
            "evaluate_every": self.evaluate_every,
            "samples": self.samples,
            "thorough": self.thorough,
            "probes": list(self.probes),
        }


@dataclass(frozen=True)
class PlannedContrast:
    """Completes a contrast with the seeds of each side, and the epochs up to which it is read."""

    contrast: Contrast
    treatment_seeds: tuple[int, ...]
    control_seeds: tuple[int, ...]
    treatment_epochs: float
    """Infinite for whole runs."""
    control_epochs: float
    threshold: float
    """Of an outcome that reaches one; else NaN."""

    def up_to(self, seeds: int) -> "PlannedContrast":
        """Returns the contrast with the first so many seeds of each side."""
        return replace(self, treatment_seeds=self.treatment_seeds[:seeds], control_seeds=self.control_seeds[:seeds])

    @property
    def reads_curves(self) -> bool:
        """Tells whether it reads loss curves, which have a line every epoch, and not evaluations."""
        return any(figure.startswith("curves/") for figure in self.contrast.outcome.figures)

    @property
    def sides(self) -> tuple[tuple[Arm, tuple[int, ...], float], ...]:
        """Returns the treatment, and any control: the arm, its seeds, and the epochs up to which it is read."""
        treatment = (self.contrast.treatment, self.treatment_seeds, self.treatment_epochs)
        control = self.contrast.control
        return (treatment,) if control is None else (treatment, (control, self.control_seeds, self.control_epochs))


@dataclass(frozen=True)
class PlannedDecision:
    decision: Decision
    question: str
    contrasts: tuple[PlannedContrast, ...]
    exploratory: bool = False
    """Whether it is judged beside the decisions that a report is about."""


@dataclass(frozen=True)
class NotTaken:
    """Names a decision that this preset does not take, and why."""

    decision: Decision
    question: str
    why: str


@dataclass(frozen=True)
class Plan:
    """Lists everything that a suite trains and decides. Each decision stands once, at its first question."""

    preset: Preset
    questions: tuple[Question, ...]
    arms: tuple[PlannedArm, ...]
    decisions: tuple[PlannedDecision, ...]
    not_taken: tuple[NotTaken, ...]
    whole: str = ""
    """Hash of the plan of which this is a part; "" for a whole plan."""

    @property
    def families(self) -> tuple[tuple[PlannedDecision, ...], ...]:
        """The decisions that share an error of 5 %: the primary ones, and any exploratory ones."""
        primary = tuple(each for each in self.decisions if not each.exploratory)
        exploratory = tuple(each for each in self.decisions if each.exploratory)
        return tuple(family for family in (primary, exploratory) if family)

    @property
    def looks(self) -> Looks | None:
        """The looks at which the decisions are judged; None where they are judged once."""
        return self.preset.looks

    def up_to(self, seeds: int, names: Collection[str]) -> "Plan":
        """Returns the plan of a look: these decisions, with the first so many seeds of each side of a contrast.

        Keeps the arms that they need; an arm that only shows something has the seeds of the first look.
        """
        decisions = tuple(
            replace(planned, contrasts=tuple(contrast.up_to(seeds) for contrast in planned.contrasts))
            for planned in self.decisions
            if planned.decision.name in names
        )
        needed: dict[str, set[int]] = {}
        for planned in decisions:
            for contrast in planned.contrasts:
                for arm, own, _ in contrast.sides:
                    needed.setdefault(arm.name, set()).update(own)
        deciding = {arm.name for planned in self.decisions for arm in planned.decision.arms}
        if self.looks is None or seeds == self.looks.seeds[0]:
            needed |= {arm.name: set(arm.seeds[:seeds]) for arm in self.arms if arm.name not in deciding}
        arms = tuple(replace(arm, seeds=tuple(sorted(needed[arm.name]))) for arm in self.arms if arm.name in needed)
        return replace(self, arms=arms, decisions=decisions, whole=self.hash)

    def arm(self, name: str) -> PlannedArm:
        return next(arm for arm in self.arms if arm.name == name)

    def arms_for(self, question: str) -> tuple[PlannedArm, ...]:
        return tuple(arm for arm in self.arms if question in arm.questions)

    @property
    def runs(self) -> int:
        return sum(len(arm.seeds) for arm in self.arms)

    def as_dict(self) -> dict[str, Any]:
        """Returns all of it as JSON values, over which the hash is taken."""
        return {
            "preset": self.preset.name,
            "arms": {arm.name: arm.as_dict() for arm in self.arms},
            "decisions": {d.decision.name: _serialise_decision(d) for d in self.decisions},
            "not taken": {d.decision.name: d.why for d in self.not_taken},
        } | ({"looks": asdict(self.looks)} if self.looks else {})

    @property
    def hash(self) -> str:
        """SHA-256 of the whole plan, in hexadecimal."""
        return self.whole or hash_plan(self.as_dict())


def hash_plan(plan: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a plan's canonical JSON."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _serialise_decision(planned: PlannedDecision) -> dict[str, Any]:
    contrasts = []
    for each in planned.contrasts:
        contrast = each.contrast
        contrasts.append(
            {
                "treatment": contrast.treatment.name,
                "control": contrast.control.name if contrast.control else "",
                "outcome": _serialise_outcome(contrast.outcome),
                "margins": [contrast.low, contrast.high],
                "claims": contrast.claims,
                "constant": contrast.constant,
                "until": contrast.until,
                "treatment seeds": list(each.treatment_seeds),
                "control seeds": list(each.control_seeds),
                "epochs": [_finite(each.treatment_epochs), _finite(each.control_epochs)],
                "threshold": _finite(each.threshold),
            }
        )
    decision = planned.decision
    exploratory = {"exploratory": True} if planned.exploratory else {}
    return exploratory | {
        "question": planned.question,
        "claim": decision.claim,
        "says": decision.says,
        "why": decision.why,
        "contradicted by": decision.contradicted_by,
        "held equal": decision.equal,
        "contrasts": contrasts,
        "checks": [
            {
                "kind": check.kind,
                "arm": check.arm.name,
                "figure": check.figure,
                "range": [_finite(check.low), _finite(check.high)],
            }
            for check in decision.checks
        ],
        "sizes differ": decision.sizes_differ,
        "may stay at chance": [arm.name for arm in decision.may_stay_at_chance],
    }


def _serialise_outcome(outcome: Outcome) -> dict[str, Any]:
    """Lists the fields under the names that plans have, on which hashes depend, with lists for tuples as in JSON."""
    fields = {_SERIALISED.get(name, name): value for name, value in asdict(outcome).items()}
    return fields | {"figures": list(outcome.figures)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def make_plan(
    preset: Preset,
    questions: Sequence[str] = (),
    *,
    tuned: Mapping[str, Any] | None = None,
    dataset: str = "",
    seeds: int = 0,
) -> Plan:
    """Makes the plan of a preset.

    Args:
        questions: names; all by default.
        tuned: settings that benchmarks.tune wrote; by default those kept for the preset.
        dataset: replaces the dataset of the preset's images.
        seeds: replaces the preset's numbers of seeds.

    A preset with arms of its own has no questions. Raises UserError for unknown names, for questions to such a preset
    or that it decides nothing of, for a number of seeds below 1, and for missing tuned settings.
    """
    if seeds < 0:
        raise UserError(f"--seeds is at least 1, not {seeds}")
    if dataset:
        if "images" not in preset.budgets:
            raise UserError(f"the preset {preset.name} has no images, so --dataset would change nothing")
        budgets = {**preset.budgets, "images": replace(preset.budgets["images"], dataset=dataset, why_linear="")}
        preset = replace(preset, budgets=budgets)
    if seeds:
        preset = preset.with_seeds(seeds)
    if questions and preset.arms:
        raise UserError(f"the preset {preset.name} asks no questions; leave --questions out")
    names = questions or (() if preset.arms else QUESTIONS)
    chosen = tuple(load_question(name) for name in dict.fromkeys(names))
    if preset.takes:
        concerned = tuple(question for question in chosen if preset.decisions(question))
        if questions and (other := [question.name for question in chosen if question not in concerned]):
            raise UserError(f"the preset {preset.name} decides nothing of {', '.join(other)}")
        chosen = concerned
    tuned = load_tuned_settings(preset) if tuned is None else tuned
    taken, not_taken = select_decisions(preset, chosen)
    _refuse_untuned(preset, [arm for arm, _ in select_arms(preset, chosen)], tuned)
    arms = _plan_arms(preset, chosen, taken, tuned)
    named = {arm.name: arm for arm in arms}
    decisions = tuple(
        PlannedDecision(
            decision,
            question,
            tuple(_plan_contrast(c, preset, named, tuned) for c in decision.contrasts),
            bool(preset.primary) and decision.name not in preset.primary,
        )
        for decision, question in taken
    )
    once, again = split_duplicates(decisions, named)
    return Plan(preset, chosen, arms, once, (*not_taken, *again))


def select_decisions(
    preset: Preset, questions: Iterable[Question]
) -> tuple[list[tuple[Decision, str]], list[NotTaken]]:
    """Returns the decisions that a preset takes, each once with its first question, and those that it does not take."""
    taken: dict[str, tuple[Decision, str]] = {}
    not_taken: dict[str, NotTaken] = {}
    for question in questions:
        for decision in preset.decisions(question):
            if why := preset.why_not(decision):
                not_taken.setdefault(decision.name, NotTaken(decision, question.name, why))
            elif taken.setdefault(decision.name, (decision, question.name))[0] != decision:
                raise ValueError(f"two decisions are called {decision.name}")
    return list(taken.values()), list(not_taken.values())


def split_duplicates(
    decisions: Iterable[PlannedDecision], arms: Mapping[str, PlannedArm]
) -> tuple[tuple[PlannedDecision, ...], list[NotTaken]]:
    """Splits decisions into those taken, and later duplicates.

    Two decisions are duplicates if they read the same runs at the same evaluations by the same outcome.
    """
    first: dict[tuple, PlannedDecision] = {}
    again = []
    for planned in decisions:
        known = first.setdefault(tuple(_identify(part, arms) for part in planned.contrasts), planned)
        if known is not planned:
            why = f"it would read the same evaluations as {known.decision.name}"
            again.append(NotTaken(planned.decision, planned.question, why))
    return tuple(first.values()), again


def _identify(part: PlannedContrast, arms: Mapping[str, PlannedArm]) -> tuple:
    """Returns what a contrast reads, whatever its labels: figures, and of each side the arm, the seeds, the epochs."""
    outcome = replace(part.contrast.outcome, label="", noun="", reference="")
    sides = tuple(
        (arm.name, seeds, tuple(arms[arm.name].evaluated_epochs(epochs, part.reads_curves)))
        for arm, seeds, epochs in part.sides
    )
    return outcome, sides, part.contrast.constant, part.threshold if math.isfinite(part.threshold) else None


def select_arms(preset: Preset, questions: Iterable[Question]) -> list[tuple[Arm, tuple[str, ...]]]:
    """Returns the arms that a preset trains, its own first, each with the names of the questions that it serves."""
    served: dict[str, list[str]] = {arm.name: [] for arm in preset.arms}
    wanted: list[Arm] = list(preset.arms)
    for question in questions:
        here = [arm for decision in preset.decisions(question) if not preset.why_not(decision) for arm in decision.arms]
        # Extra arms are shown beside something that decides.
        here += [arm for arm in question.extra_arms if here and preset.trains(arm)]
        for arm in unique(here):
            served.setdefault(arm.name, []).append(question.name)
            wanted.append(arm)
    return [(arm, tuple(served[arm.name])) for arm in unique(wanted)]


def _plan_arms(
    preset: Preset,
    questions: Sequence[Question],
    decisions: Sequence[tuple[Decision, str]],
    tuned: Mapping[str, Any],
) -> tuple[PlannedArm, ...]:
    wanted = select_arms(preset, questions)
    counts, costly = {arm.name: preset.seeds for arm, _ in wanted}, set()
    for decision, _ in decisions:
        for contrast in decision.contrasts:
            least = _count_seeds(contrast, preset) * (1 + contrast.other_seeds)
            for arm in contrast.arms:
                counts[arm.name] = max(counts[arm.name], least)
                if COSTLY & set(contrast.outcome.figures):
                    costly.add(arm.name)
    arms = [
        plan_arm(arm, preset, tuned, seeds=preset.pick_seeds(counts[arm.name]), questions=served)
        for arm, served in wanted
    ]
    return tuple(replace(arm, thorough=arm.thorough or arm.name in costly) for arm in arms)


def plan_arm(
    arm: Arm, preset: Preset, tuned: Mapping[str, Any], *, seeds: Sequence[int], questions: Sequence[str] = ()
) -> PlannedArm:
    """Completes an arm under a preset, with its tuned learning rate if it has one."""
    budget = preset.budgets[arm.dataset_role]
    recipe = load_variant(arm.variant).recipe(arm.recipe or budget.recipe)
    recipe = recipe.with_({**budget.fields, **budget.recipe_fields.get(arm.recipe, {}), **arm.fields})
    rates = budget.rates if arm.takes_tuning else ()
    if recipe.optimizer == "sgd":
        rates = tuple(SGD_FACTOR * rate for rate in rates)
    rate = find_tuned_rate(tuned, arm) if preset.tuned and arm.takes_tuning and not rates else arm.rate
    if rate is not None:
        recipe = recipe.with_({"generator_lr": rate, "discriminator_lr": rate})
    if arm.lr_factor != 1:
        faster = {name: arm.lr_factor * getattr(recipe, name) for name in ("generator_lr", "discriminator_lr")}
        recipe = recipe.with_(faster)
    return PlannedArm(
        arm,
        recipe,
        DatasetConfig(budget.dataset, **{**budget.options, **arm.options}),
        tuple(seeds),
        budget.evaluate_every,
        budget.samples,
        budget.thorough,
        tuple(sorted({"generalization_gap", "label_use", *arm.probes})),
        tuple(questions),
        rates,
    )


def find_tuned_rate(tuned: Mapping[str, Any], arm: Arm) -> float:
    """Returns the tuned learning rate of an arm, or of its `lr_from`. Raises UserError where it was not tuned."""
    name = arm.lr_from or arm.name
    try:
        return float(tuned["arms"][name]["winner"])
    except KeyError:
        raise UserError(f"the arm {name} has no tuned learning rate; python -m benchmarks.tune gives it one") from None


def _refuse_untuned(preset: Preset, arms: Iterable[Arm], tuned: Mapping[str, Any]) -> None:
    """Raises UserError for arms without a tuned learning rate; names all of them, and the command that tunes them."""
    missing: dict[str, Arm] = {}
    for arm in arms if preset.tuned else ():
        try:
            if arm.takes_tuning and not preset.budgets[arm.dataset_role].rates:
                find_tuned_rate(tuned, arm)
        except UserError:
            missing.setdefault(arm.lr_from or arm.name, arm)
    own = {arm.name for arm in list_tuned_arms(preset)}
    for name, arm in missing.items():
        if name not in own:
            raise UserError(
                f"the arm {arm.name} takes the learning rate of {name}, which the preset {preset.name} does not tune; "
                "give it a rate of its own"
            )
    file = tuned.get("file", "")
    if missing:
        command = tuning_command(preset.name, () if set(missing) == own else missing, file)
        some = f"arm {next(iter(missing))} has" if len(missing) == 1 else f"arms {', '.join(missing)} have"
        raise UserError(f"the {some} no tuned learning rate; {command} tunes {'it' if len(missing) == 1 else 'them'}")
    if file and not Path(file).exists():
        raise UserError(f"there is no file {file}, and no arm of this plan needs a tuned rate; leave --tuned out")


def list_tuned_arms(preset: Preset) -> list[Arm]:
    """Returns the arms that a preset tunes, of all questions: those that take no other arm's rate and name none.

    Where a preset names common rates, only arms that set a threshold are tuned.
    """
    questions = [load_question(name) for name in QUESTIONS]
    taken, _ = select_decisions(preset, questions)
    thresholds = {contrast.outcome.threshold_of for decision, _ in taken for contrast in decision.contrasts}
    return [
        arm
        for arm, _ in select_arms(preset, questions)
        if arm.takes_tuning
        and not arm.lr_from
        and (not preset.budgets[arm.dataset_role].rates or arm.name in thresholds)
    ]


def _plan_contrast(
    contrast: Contrast, preset: Preset, arms: Mapping[str, PlannedArm], tuned: Mapping[str, Any]
) -> PlannedContrast:
    treatment, control = arms[contrast.treatment.name], arms[contrast.control.name] if contrast.control else None
    count = _count_seeds(contrast, preset)
    first, others = preset.pick_seeds(count), preset.pick_seeds(count, after=count)
    epochs = (math.inf, math.inf)
    if control is not None and contrast.until != "updates":
        epochs = tuple(_equalise_costs(contrast.until, (treatment, control), preset, tuned))
    return PlannedContrast(
        contrast,
        first,
        () if control is None else others if contrast.other_seeds else first,
        *epochs,
        _find_threshold(contrast, preset, tuned),
    )


def _count_seeds(contrast: Contrast, preset: Preset) -> int:
    """Counts the seeds on each side of a contrast."""
    # Looks go on until a contrast is settled, so that none needs twice the seeds beforehand.
    twice = contrast.twice and not preset.looks
    return preset.seeds_alone if contrast.control is None else preset.seeds * (1 + twice)


def _equalise_costs(
    until: str, arms: Sequence[PlannedArm], preset: Preset, tuned: Mapping[str, Any]
) -> Iterator[float]:
    """Yields the epochs after which each arm has spent what the cheapest of them spends in a whole run."""
    costs = []
    for arm in arms:
        if until == "all_updates":
            costs.append(1.0 + arm.recipe.critic_steps)
        else:
            seconds = tuned.get("seconds_per_update", {}).get(arm.name)
            if not seconds:
                command = tuning_command(preset.name, [arm.name], tuned.get("file", ""))
                raise UserError(f"the arm {arm.name} was not timed; {command} times it")
            costs.append(seconds)
    budget = min(cost * arm.recipe.epochs for cost, arm in zip(costs, arms, strict=True))
    return (round(budget / cost, 6) for cost in costs)


def _find_threshold(contrast: Contrast, preset: Preset, tuned: Mapping[str, Any]) -> float:
    outcome = contrast.outcome
    if not outcome.threshold_of:
        return math.nan
    if not preset.tuned:
        # There are no tuning runs to set it by; the untrained generator is far above 1.
        return 1.0
    try:
        return outcome.threshold_factor * float(tuned["arms"][outcome.threshold_of]["quality"])
    except KeyError:
        command = tuning_command(preset.name, [outcome.threshold_of], tuned.get("file", ""))
        raise UserError(
            f"the arm {outcome.threshold_of} sets a threshold and was not tuned; {command} tunes it"
        ) from None


def pilot_deviation(tuned: Mapping[str, Any], role: str, outcome: Outcome) -> float:
    """Returns the deviation of an outcome between the seeds of tuning, on the data of a role; NaN if not measured.

    Tuning has half the budget, so it is rather too large.
    """
    return float(tuned.get("deviations", {}).get(role, {}).get(outcome.label, math.nan))


def pooled_deviation(groups: Iterable[Sequence[float]]) -> float:
    """Returns the standard deviation of finite values within groups; NaN where no group has two."""
    finite = [[value for value in group if math.isfinite(value)] for group in groups]
    several = [group for group in finite if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    return math.sqrt(sum((len(group) - 1) * variance(group) for group in several) / freedom) if freedom else math.nan
