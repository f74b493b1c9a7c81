"""What a question is: the words of a claim, the arms that are trained, and the contrasts that decide.

Data only: nothing here knows a run, and nothing needs torch. docs/method.md has the reasons.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

FID_MARGIN = math.log(1.25)
"""On ln FID: about twice what another extractor moves it. Chosen, not tuned."""
OVERLAP_MARGIN = 0.10
"""On overlap: one of eight modes is .125. Chosen, not tuned."""

BOTH = ("generator", "discriminator")

LINEAR_ONLY = ("vanilla_gan", "cgan_mlp", "separate_gans")


@dataclass(frozen=True)
class Arm:
    """One way to train: a variant with changes, on the data that a role stands for. Its runs differ in their seeds.

    name: one name for one arm in all questions, so that arms that several questions share are trained once.
    data: a role, such as images or points; a preset says which dataset it is, and the budget. recipe: of the variant,
    "" for its own for such data. fields: of the recipe, changed. options: of the dataset. probes: measured besides.
    like: the name of the arm whose tuned learning rate it takes, where a rate of its own would be a second change;
    "" where it is tuned itself. tuned: False for settings that are the claim's own. lr_factor: on the tuned rate.
    rate: a learning rate of both networks that is chosen, not tuned; None where it is tuned, another arm's, or the
    claim's own. Raises ValueError for a rate beside one of these.
    """

    name: str
    variant: str
    data: str
    words: str
    recipe: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    probes: tuple[str, ...] = ()
    like: str = ""
    tuned: bool = True
    lr_factor: float = 1.0
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and (self.like or not self.tuned):
            raise ValueError(f"the arm {self.name} names a rate, so it cannot have like, or tuned=False")

    @property
    def takes_tuning(self) -> bool:
        """Whether its learning rate comes from tuning: its own, or that of the arm that it is like."""
        return self.tuned and self.rate is None

    def but(self, name: str, words: str, **changes: Any) -> "Arm":
        """This arm with some recipe fields changed; `recipe`, `data`, `variant` and the like are its own fields."""
        own = {key: changes.pop(key) for key in list(changes) if key in self.__dataclass_fields__}
        fields = {**self.fields, **own.pop("fields", {}), **changes}
        return replace(self, name=name, words=words, fields=fields, **own)

    @property
    def linear(self) -> bool:
        """Whether both its networks are linear."""
        layers = (self.fields.get(f"{network}_layers", "linear") for network in ("generator", "discriminator"))
        return self.variant in LINEAR_ONLY and set(layers) == {"linear"}


@dataclass(frozen=True)
class Outcome:
    """How a run becomes one number.

    words: what the number is. noun: the same in short, for sentences and headings; "" for the words up to their first
    comma. unit: nats; or ln or decades where the figure itself is a logarithm, so that a difference is told as a
    factor. than: what a number that is itself a difference, within a run, is held against; "" where it is none.
    figures: of the journal, as section/name; the number is their mean. better: the side on which a claim's word
    "better" lies. scale: "" as it is, "ln", or "ln_error" for ln(1 − figure).
    reading: late: the mean over the last quarter of the evaluations. final: the last evaluation. early: the mean over
    the first 2 % of the updates. rise: what the later mean is above the early one. change: the mean of the last tenth
    of the updates less that of the first epoch. reaching: ln of the generator updates until the figure first is at the
    threshold, between evaluations by interpolation; infinite where it never is.
    threshold_of: the arm whose tuning runs set the threshold, times threshold_factor.
    """

    words: str
    figures: tuple[str, ...]
    better: Literal["less", "more"]
    reading: Literal["late", "final", "early", "rise", "change", "reaching"] = "late"
    scale: Literal["", "ln", "ln_error"] = ""
    noun: str = ""
    unit: Literal["", "ln", "decades", "nats"] = ""
    than: str = ""
    threshold_of: str = ""
    threshold_factor: float = 1.0

    @property
    def called(self) -> str:
        return self.noun or self.words.partition(",")[0]


@dataclass(frozen=True)
class Contrast:
    """A treatment against a control, or one arm against a constant, by one outcome, and where the margins lie.

    Oriented so that larger is better: the outcome's sign is turned where less is better. low, high: the margins on the
    difference, or on the number less `constant`. claims: that it lies above both, between them, or outside of both.
    until: at which equal budget the arms are read: generator updates, updates of both networks, or seconds, each arm
    timed alone. other_seeds: the control is the same arm with as many other seeds. twice: with twice the seeds.
    networks: which of BOTH differ between the arms, by what the decision says.
    """

    treatment: Arm
    control: Arm | None
    outcome: Outcome
    low: float
    high: float
    claims: Literal["above", "inside", "different"] = "above"
    constant: float = 0.0
    until: Literal["updates", "all_updates", "seconds"] = "updates"
    other_seeds: bool = False
    twice: bool = False
    networks: tuple[str, ...] = ()

    @property
    def arms(self) -> tuple[Arm, ...]:
        return (self.treatment,) if self.control is None else (self.treatment, self.control)


@dataclass(frozen=True)
class Check:
    """A construct check: a condition on the runs of one arm without which a decision does not test its claim.

    Where it fails the verdict is *not tested*, whatever the numbers of the contrasts say. It is fixed with the
    decision, before the runs. It holds where the median of `figure` over the arm's runs lies in [low, high].
    """

    kind: Literal["reach", "learned", "disease", "sees"]
    """reach: the arm has the setup and the budget that the sentence speaks of. learned: it has left chance. disease: it
    shows the effect that a remedy is to mend. sees: the measure moves where the effect is known to be there."""
    arm: Arm
    figure: str
    """Of the journal, section/name, read as its late mean; or one that `reports.analysis.checks` derives from runs."""
    needs: str
    """What is needed, in words that complete "it needs …"."""
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise ValueError(f"the range of {self.figure}, {self.low} to {self.high}, excludes nothing or everything")


@dataclass(frozen=True)
class Decision:
    """One thing that a claim says, to be decided: contrasts that are all necessary.

    name: unique over all questions. claim: its id in docs/claims.md. says: what is claimed, in plain words. why: of the
    margin. contradicted_by: what would contradict it. equal: what is held equal. expected: of a control, the verdicts
    with which it passes. full_only: too costly for a small preset. only: the presets that have it; () for all.
    checks: construct checks of its own; `reports.analysis.checks` adds those that every decision has to pass.
    sizes_differ: why its networks differ in size, where that is part of the claim; "" where sizes have to match.
    may_stay_at_chance: arms of which the claim itself says that they learn badly.
    """

    name: str
    claim: str
    says: str
    contrasts: tuple[Contrast, ...]
    why: str
    contradicted_by: str
    equal: str = "generator updates, batch, generator, evaluation, tuning budget"
    expected: tuple[str, ...] = ()
    full_only: bool = False
    only: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    sizes_differ: str = ""
    may_stay_at_chance: tuple[Arm, ...] = ()

    @property
    def arms(self) -> tuple[Arm, ...]:
        return unique(arm for contrast in self.contrasts for arm in contrast.arms)


@dataclass(frozen=True)
class Question:
    """One page of the report.

    asks: the question as a student would ask it. claims: the source's words, by id. decisions: what decides, the main
    one first. more: arms that are shown and decide nothing. curve: the figure of the journal that its picture shows
    over training. shown: metrics that its table has besides what decides. others: what others found, with the citation
    and the difference in setup. limits: what its answer does not reach.
    """

    name: str
    title: str
    asks: str
    claims: Mapping[str, str]
    decisions: tuple[Decision, ...]
    curve: str
    shown: tuple[str, ...]
    others: tuple[str, ...]
    limits: tuple[str, ...]
    more: tuple[Arm, ...] = ()

    @property
    def arms(self) -> tuple[Arm, ...]:
        return unique([*(arm for decision in self.decisions for arm in decision.arms), *self.more])


def unique(arms: Iterable[Arm]) -> tuple[Arm, ...]:
    """Each arm once, in the order in which they come. Raises ValueError where two have one name."""
    found: dict[str, Arm] = {}
    for arm in arms:
        if found.setdefault(arm.name, arm) != arm:
            raise ValueError(f"two arms are called {arm.name}")
    return tuple(found.values())


def better(
    treatment: Arm, control: Arm, outcome: Outcome, margin: float, until: str = "updates", **rest: Any
) -> Contrast:
    """That the treatment is better than the control by more than the margin; contradicted where it is worse by it."""
    return Contrast(treatment, control, outcome, -margin, margin, until=until, **rest)


def different(
    treatment: Arm, control: Arm, outcome: Outcome, margin: float, until: str = "updates", **rest: Any
) -> Contrast:
    """That the two differ by more than the margin; the verdict names the better one."""
    return Contrast(treatment, control, outcome, -margin, margin, claims="different", until=until, **rest)


def not_worse(treatment: Arm, control: Arm, outcome: Outcome, margin: float, **rest: Any) -> Contrast:
    """That the treatment is not worse than the control by as much as the margin; contradicted where it is."""
    return Contrast(treatment, control, outcome, -margin, -margin, **rest)


LN_FID = Outcome(
    "ln FID, over the last quarter of training", ("metrics/fid_normalized",), "less", scale="ln", noun="FID"
)
LN_FID_BOTH = Outcome(
    "mean of ln FID by the classifiers and ln FID of pixels, over the last quarter of training",
    ("metrics/fid_normalized", "metrics/fid_pixels"),
    "less",
    scale="ln",
    noun="FID (mean of the classifiers' and of pixels')",
)
OVERLAP = Outcome("overlap with the true mixture, over the last quarter of training", ("metrics/overlap",), "more")
COVERAGE = Outcome("coverage, over the last quarter of training", ("metrics/coverage",), "more")
GAN_TRAIN_ERROR = Outcome(
    "ln of the GAN-train error",
    ("metrics/gan_train",),
    "less",
    "final",
    "ln_error",
    noun="GAN-train error",
)
CHECKERBOARD = Outcome(
    "power of the checkerboard above that of real images, in decades",
    ("metrics/checkerboard",),
    "less",
    noun="the excess power of the checkerboard",
    unit="decades",
)
