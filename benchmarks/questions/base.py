"""Defines a question: the claims, the arms that are trained, and the contrasts that decide.

Data only: nothing here knows a run, and nothing needs torch. docs/method.md gives the reasons.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

FID_MARGIN = math.log(1.25)
"""On ln FID: about twice the effect of another extractor. Chosen, not tuned."""
OVERLAP_MARGIN = 0.10
"""On overlap: one of eight modes is .125. Chosen, not tuned."""

BOTH = ("generator", "discriminator")

LINEAR_ONLY = ("vanilla_gan", "cgan_mlp", "separate_gans")


@dataclass(frozen=True)
class Arm:
    """Describes a way to train: a variant, changes to its recipe, and a dataset role. Its runs differ only in seeds.

    Raises ValueError for a `rate` beside `lr_from` or `tuned=False`.
    """

    name: str
    """Identifies one arm over all questions: an arm that several questions share is trained once."""
    variant: str
    dataset_role: str
    """Such as images or points; the preset maps it to a dataset and a budget."""
    label: str
    """Short description, for tables and sentences."""
    recipe: str = ""
    """Recipe of the variant; "" for the one that the preset names for this role."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Recipe fields that are changed."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the dataset."""
    probes: tuple[str, ...] = ()
    """Probes that are measured besides the usual ones."""
    lr_from: str = ""
    """Arm whose tuned learning rate is used, where a rate of its own would be a second change; "" for its own."""
    tuned: bool = True
    """False where the settings are the claim's own."""
    lr_factor: float = 1.0
    """Multiplies the learning rates."""
    rate: float | None = None
    """Learning rate of both networks that is chosen instead of tuned; None for none."""

    def __post_init__(self) -> None:
        if self.rate is not None and (self.lr_from or not self.tuned):
            raise ValueError(f"the arm {self.name} names a rate, so it cannot have lr_from, or tuned=False")

    @property
    def takes_tuning(self) -> bool:
        """Whether its learning rate comes from tuning, its own or that of `lr_from`."""
        return self.tuned and self.rate is None

    def vary(self, name: str, label: str, **changes: Any) -> "Arm":
        """Returns a changed copy. Names of Arm fields (`recipe`, `variant`, …) change those, others recipe fields."""
        own = {key: changes.pop(key) for key in list(changes) if key in self.__dataclass_fields__}
        fields = {**self.fields, **own.pop("fields", {}), **changes}
        return replace(self, name=name, label=label, fields=fields, **own)

    @property
    def linear(self) -> bool:
        """Whether both networks have linear layers only."""
        layers = (self.fields.get(f"{network}_layers", "linear") for network in ("generator", "discriminator"))
        return self.variant in LINEAR_ONLY and set(layers) == {"linear"}


@dataclass(frozen=True)
class Outcome:
    """Turns the journal of a run into one number: the mean of some figures, read at some part of the run.

    The names of the fields in plans are fixed by `suites.plan`: plan hashes depend on them.
    """

    label: str
    """Describes the number in full."""
    figures: tuple[str, ...]
    """Of the journal, as section/name."""
    better: Literal["less", "more"]
    """The side on which a claim's word "better" lies."""
    reading: Literal["late", "final", "early", "rise", "change", "reaching"] = "late"
    """late: mean over the last quarter of the evaluations. final: last evaluation. early: mean over the first 2 % of
    the updates. rise: later mean minus the early one. change: mean of the last tenth of the updates minus that of the
    first epoch. reaching: ln of the generator updates until the figure first is at the threshold, interpolated between
    evaluations; infinite where it never is."""
    scale: Literal["", "ln", "ln_error"] = ""
    """"" as it is, "ln", or "ln_error" for ln(1 − figure)."""
    noun: str = ""
    """Short label for sentences and headings; "" for `label` up to its first comma."""
    unit: Literal["", "ln", "decades", "nats"] = ""
    """ln or decades where the figure itself is a logarithm: a difference is then reported as a factor."""
    reference: str = ""
    """What a within-run difference is measured from; completes "lower than …". "" for any other number."""
    threshold_of: str = ""
    """Arm whose tuning runs set the threshold."""
    threshold_factor: float = 1.0
    """Multiplies the quality that this arm reached in tuning."""

    @property
    def short_label(self) -> str:
        return self.noun or self.label.partition(",")[0]


@dataclass(frozen=True)
class Contrast:
    """Compares a treatment with a control, or one arm with a constant, by one outcome.

    Differences are oriented so that larger is better: the sign is turned where less is better.
    """

    treatment: Arm
    control: Arm | None
    outcome: Outcome
    low: float
    """Lower margin on the difference, or on the number minus `constant`."""
    high: float
    """Upper margin."""
    claims: Literal["above", "inside", "different"] = "above"
    """Whether the claim puts the difference above both margins, between them, or outside of both."""
    constant: float = 0.0
    until: Literal["updates", "all_updates", "seconds"] = "updates"
    """Equal budget at which the arms are read: generator updates, updates of both networks, or seconds, each arm timed
    alone."""
    other_seeds: bool = False
    """The control is the same arm with as many other seeds."""
    twice: bool = False
    """Uses twice the seeds."""
    networks: tuple[str, ...] = ()
    """Which of BOTH differ between the arms, according to the decision."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        return (self.treatment,) if self.control is None else (self.treatment, self.control)


@dataclass(frozen=True)
class Check:
    """States a construct check: a condition on the runs of one arm without which a decision does not test its claim.

    It passes where the median of `figure` over the arm's runs lies in [low, high]; where it fails the verdict is *not
    tested*, whatever the contrasts say. Raises ValueError for a range that excludes nothing or everything.
    """

    kind: Literal["reach", "learned", "disease", "sees"]
    """reach: the arm has the setup and budget of the claim. learned: it has left chance. disease: it shows the effect
    that a remedy is to mend. sees: the measure moves where the effect is known to be there."""
    arm: Arm
    figure: str
    """Late mean of a journal figure, section/name; or one that `reports.analysis.checks` derives from runs."""
    needs: str
    """Names the need; completes "it needs …"."""
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise ValueError(f"the range of {self.figure}, {self.low} to {self.high}, excludes nothing or everything")


@dataclass(frozen=True)
class Decision:
    """Decides one statement of a claim, by contrasts that must all hold."""

    name: str
    """Unique over all questions."""
    claim: str
    """Id in docs/claims.md."""
    says: str
    """States the claim in plain language."""
    contrasts: tuple[Contrast, ...]
    why: str
    """Reason for the margin."""
    contradicted_by: str
    """Result that would contradict the claim."""
    equal: str = "generator updates, batch, generator, evaluation, tuning budget"
    """What is held equal."""
    expected: tuple[str, ...] = ()
    """Verdicts with which a control passes."""
    full_only: bool = False
    """Too costly for a small preset."""
    only: tuple[str, ...] = ()
    """Presets that take it; () for all."""
    checks: tuple[Check, ...] = ()
    """Construct checks of its own; `reports.analysis.checks` adds those that every decision has to pass."""
    sizes_differ: str = ""
    """Why the networks differ in size, where that is part of the claim; "" where sizes have to match."""
    may_stay_at_chance: tuple[Arm, ...] = ()
    """Arms that learn badly according to the claim itself."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        return unique(arm for contrast in self.contrasts for arm in contrast.arms)


@dataclass(frozen=True)
class Question:
    """Gathers the claims and decisions of one page of the report."""

    name: str
    title: str
    asks: str
    """The question, as a student would ask it."""
    claims: Mapping[str, str]
    """The source's claims, by id."""
    decisions: tuple[Decision, ...]
    """The main one first."""
    curve: str
    """Figure of the journal that is drawn over training."""
    table_metrics: tuple[str, ...]
    """Metrics of its table, besides the deciding ones."""
    related_work: tuple[str, ...]
    """Results of others, with the citation and the difference in setup."""
    limits: tuple[str, ...]
    """What the answer does not cover."""
    extra_arms: tuple[Arm, ...] = ()
    """Arms that are shown and decide nothing."""
    demonstrates: Literal["", "transposed_convolution"] = ""
    """What its page shows by hand, because a claim describes it; "" for nothing."""

    @property
    def arms(self) -> tuple[Arm, ...]:
        return unique([*(arm for decision in self.decisions for arm in decision.arms), *self.extra_arms])


def unique(arms: Iterable[Arm]) -> tuple[Arm, ...]:
    """Returns each arm once, in order. Raises ValueError where two different arms have one name."""
    found: dict[str, Arm] = {}
    for arm in arms:
        if found.setdefault(arm.name, arm) != arm:
            raise ValueError(f"two arms are called {arm.name}")
    return tuple(found.values())


def better(
    treatment: Arm, control: Arm, outcome: Outcome, margin: float, until: str = "updates", **rest: Any
) -> Contrast:
    """Claims that the treatment is better than the control by more than the margin; contradicted if worse by it."""
    return Contrast(treatment, control, outcome, -margin, margin, until=until, **rest)


def different(
    treatment: Arm, control: Arm, outcome: Outcome, margin: float, until: str = "updates", **rest: Any
) -> Contrast:
    """Claims that the two differ by more than the margin; the verdict names the better one."""
    return Contrast(treatment, control, outcome, -margin, margin, claims="different", until=until, **rest)


def not_worse(treatment: Arm, control: Arm, outcome: Outcome, margin: float, **rest: Any) -> Contrast:
    """Claims that the treatment is not worse than the control by the margin or more; contradicted if it is."""
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
