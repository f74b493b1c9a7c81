"""Sets what a suite may cost: the dataset and budget of each role, and the number of seeds.

Budgets are those of docs/method.md. Needs no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.config import DEFAULT_SAMPLES
from benchmarks.questions.base import Arm, Decision, Question
from benchmarks.statistics.looks import Looks, plan_looks
from variants import VARIANTS as BUILT_IN
from variants.recipe import unknown

RATES = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)
"""Grid of learning rates for every tuned arm. In a pilot, 25 of 36 winners were 2e-3, then the largest."""
SGD_FACTOR = 100
"""Of the learning rates for SGD, whose steps are the gradient times the rate, where Adam's are about the rate."""
SGD_RATES = tuple(SGD_FACTOR * rate for rate in RATES)
TUNING_SEEDS = (1000, 1001, 1002)
"""Seeds of the tuning runs, used for nothing else."""


@dataclass(frozen=True)
class Budget:
    """Maps a dataset role to a dataset, with the budget for training on it."""

    dataset: str
    recipe: str
    """Of the variants, for such data."""
    fields: Mapping[str, Any]
    """Changed in every recipe."""
    evaluate_every: int
    """Epochs."""
    samples: int
    """In an evaluation."""
    thorough: bool = False
    """Measures the costly metrics at the end of every run, also where none of them decides."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the dataset."""
    recipe_fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Changed in one recipe, by its name."""
    quality: str = "fid_normalized"
    """Metric by which learning rates are tuned."""
    why_linear: str = ""
    """Why only linear networks are compared on it, as the end of a sentence; "" where all are."""
    rates: tuple[float, ...] = ()
    """Learning rates of all arms that take tuning, over which their seeds are spread: blocks of the tests; () for a
    rate of its own for each arm."""


@dataclass(frozen=True)
class Preset:
    """Holds the budgets of some roles, and the seeds. Decisions about other roles are reported as not taken."""

    name: str
    summary: str
    budgets: Mapping[str, Budget]
    """By role."""
    seeds: int
    """Of an arm that is compared with another."""
    seeds_alone: int
    """Of an arm compared with a constant or within its runs: ranks of fewer cannot survive the correction."""
    first_seed: int = 0
    """Those before it are spent, on pilots that set the budgets."""
    tuned: bool = True
    """Takes learning rates, and timings, from benchmarks.tune."""
    full: bool = False
    """Takes the decisions that are too costly elsewhere, too."""
    leaves_out: Mapping[str, str] = field(default_factory=dict)
    """Decisions that are not taken, with the reason as the end of a sentence."""
    takes: tuple[str, ...] = ()
    """The only decisions that concern this preset; () for all."""
    primary: tuple[str, ...] = ()
    """Decisions that a report is about, as a rule one a claim. All others are exploratory: judged in a family of their
    own, and left out of what a report says it found. () where all are primary."""
    looks: Looks | None = None
    """When the tests are judged while seeds are added; None for once, at the end."""
    arms: tuple[Arm, ...] = ()
    """Arms of a preset that asks no question: a table of them is all that it is for."""

    def __post_init__(self) -> None:
        if self.looks and {self.seeds, self.seeds_alone} != {self.looks.last}:
            raise ValueError(f"the preset {self.name} has other numbers of seeds than its last look")

    def with_seeds(self, seeds: int) -> "Preset":
        """Returns this preset with so many seeds an arm, at most. Raises ValueError where looks need more."""
        summary = f"{self.summary}; here {seeds} seed{'s' * (seeds > 1)} an arm"
        looks = plan_looks(seeds, min(seeds, self.looks.seeds[0])) if self.looks else None
        return replace(self, seeds=seeds, seeds_alone=seeds, summary=summary, looks=looks)

    def pick_seeds(self, seeds: int, after: int = 0) -> tuple[int, ...]:
        """Returns `seeds` of its seeds, from the one at place `after` on."""
        return tuple(range(self.first_seed + after, self.first_seed + after + seeds))

    def decisions(self, question: Question) -> list[Decision]:
        """Returns the decisions of a question that concern this preset, taken or not."""
        return [
            decision
            for decision in question.decisions
            if (not decision.only or self.name in decision.only) and (not self.takes or decision.name in self.takes)
        ]

    def why_not(self, decision: Decision) -> str:
        """Returns why a decision is not taken here, as the end of a sentence; "" where it is taken."""
        if decision.name in self.leaves_out:
            return self.leaves_out[decision.name]
        if decision.full_only and not self.full:
            return "too costly for this preset"
        if missing := sorted({arm.dataset_role for arm in decision.arms} - set(self.budgets)):
            return f"this preset has no data for: {', '.join(missing)}"
        for arm in decision.arms:
            if (why := self.budgets[arm.dataset_role].why_linear) and not arm.linear:
                return why
        if not self.tuned and any(contrast.until == "seconds" for contrast in decision.contrasts):
            return "equal seconds need the timings of benchmarks.tune"
        return ""

    def trains(self, arm: Arm) -> bool:
        """Tells whether an extra arm, which is only shown, is trained here.

        None is where the preset names its decisions.
        """
        if self.takes or arm.dataset_role not in self.budgets:
            return False
        return arm.linear or not self.budgets[arm.dataset_role].why_linear


# The claims on the source's own recipe are about its setup, which `questions.arms.source_setup` checks.
NOT_THE_SOURCE = "the source trains on images of 28×28"

# Of the claims on deep convolutional networks nothing can be learnt there.
ONE_CONVOLUTION = "images of 8×8 have room for one strided convolution only"


def _digits(epochs: int, updates: int, every: int, samples: int, **rest: Any) -> Budget:
    fields = {"epochs": epochs, "epoch_updates": updates, "batch_size": 64}
    widths = {"generator_widths": (128, 256), "discriminator_widths": (256, 128)}
    return Budget("digits", "small", fields, every, samples, recipe_fields={"report": widths}, **rest)


def _points(name: str, epochs: int, updates: int, **rest: Any) -> Budget:
    fields = {"epochs": epochs, "epoch_updates": updates, "batch_size": 128}
    return Budget(name, "points", fields, max(1, epochs // 20), rest.pop("samples", 2500), quality="overlap", **rest)


# Of 28×28, and so narrow that a run takes about half a minute of one core.
_NARROW = {"generator_widths": (16, 8), "discriminator_widths": (8, 16), "batch_size": 64}
# Linear ones, likewise; the source's recipe gets them too, so that two recipes are compared and not two sizes.
_NARROW_LINEAR = {"generator_widths": (128, 256), "discriminator_widths": (256, 128), "batch_size": 64}

SMOKE = Preset(
    "smoke",
    "minutes; checks that everything runs, and decides nothing",
    {
        "images": _digits(4, 3, 1, 300),
        "points": _points("ring8", 4, 5, samples=300),
        "arc": _points("arc", 4, 5, samples=300),
        "captions": Budget("captions_digits", "small", {"epochs": 4, "epoch_updates": 3, "batch_size": 64}, 1, 300),
    },
    seeds=2,
    seeds_alone=2,
    tuned=False,
)
# Half, at and twice the rate that lies in the middle of the winners of the linear arms, on digits and on points alike.
_COMMON_RATES = (1e-3, 2e-3, 4e-3)

QUICK = Preset(
    "quick",
    "digits and the ring, linear networks, 9 to 36 seeds an arm as the looks need them; about an hour on two cores",
    {
        "images": _digits(60, 22, 3, 1500, thorough=True, why_linear=ONE_CONVOLUTION, rates=_COMMON_RATES),
        "points": _points("ring8", 20, 250, rates=_COMMON_RATES),
        "arc": _points("arc", 20, 250, rates=_COMMON_RATES),
    },
    seeds=36,
    seeds_alone=36,
    first_seed=200,
    looks=Looks((9, 18, 36), (0.02, 0.015, 0.015)),
    primary=(
        *("A1-points", "A2-uniform-points", "A3-uniform"),
        *("B1-eight", "B1a-packing-points", "B1b-separate-points", "B1c-replay-points", "B2-tuned"),
        *("D-five-updates", "I1b-linear", "I2-used", "I3c-few"),
    ),
    leaves_out=dict.fromkeys(
        ("I3e-report", "B2-report", "B2-early-report", "B2-norms-report", "I3a-report"), NOT_THE_SOURCE
    ),
)
# The source gives no widths; of two that behave alike these are the cheaper (docs/method.md).
_SOURCE_WIDTHS = {"generator_widths": (128, 256), "discriminator_widths": (256, 128)}

SOURCE = Preset(
    "source",
    "the source's own recipe on MNIST, to the letter: 60 epochs of 468 updates, 7 to 16 seeds an arm as the looks need "
    "them; half an hour of one core a run",
    {"images": Budget("mnist", "default", {}, 3, 2500, thorough=True, recipe_fields={"report": _SOURCE_WIDTHS})},
    seeds=16,
    seeds_alone=16,
    first_seed=300,
    tuned=False,
    looks=Looks((7, 11, 16), (0.02, 0.015, 0.015)),
    takes=(
        *("I3e-report", "B2-report", "B2-early-report", "B2-norms-report", "I2-report", "I3c-report"),
        *("D-five-report-updates", "D-five-report-all-updates"),
    ),
    primary=("I3e-report", "B2-report", "B2-early-report", "I2-report", "I3c-report"),
)
MNIST = Preset(
    "mnist",
    "MNIST, the questions that linear networks can answer, ten seeds; hours on two cores",
    {
        "images": Budget(
            "mnist",
            "default",
            {"epochs": 20, "epoch_updates": 351, **_NARROW_LINEAR},
            2,
            2500,
            # As many updates of both networks together, of which five in six are the discriminator's.
            recipe_fields={"report": {"epoch_updates": 117}},
            why_linear="convolutions are too costly for this preset",
        )
    },
    seeds=10,
    seeds_alone=12,
    first_seed=100,
    leaves_out={
        "control-dropped": "a plain GAN of such layers gains as much by three classes less to learn as it loses; "
        "control-dropped-labels takes its place"
    },
)
FULL = Preset(
    "full",
    "MNIST and the grid, fifteen seeds, all arms; for a GPU or many machines",
    {
        "images": Budget("mnist", "default", {"epochs": 20, "batch_size": 128}, 1, 10_000, thorough=True),
        "points": _points("grid25", 60, 500),
        "arc": _points("arc", 20, 500),
        "captions": Budget("captions_mnist", "default", {"epochs": 20, "batch_size": 128}, 1, 10_000),
        "large": Budget("mnist", "default", {"epochs": 20, "batch_size": 128}, 1, 10_000),
    },
    seeds=15,
    seeds_alone=15,
    full=True,
)
# The table of docs/variants.md.
EVERY_VARIANT = Preset(
    "variants",
    "the default recipe of every built-in variant on MNIST, three seeds; no questions, only a table",
    {
        "images": Budget("mnist", "default", {}, 4, DEFAULT_SAMPLES),
        "captions": Budget("captions_mnist", "default", {}, 4, DEFAULT_SAMPLES),
    },
    seeds=3,
    seeds_alone=3,
    tuned=False,
    arms=tuple(
        Arm(f"default-{name}", name, "captions" if name == "dcgan_text" else "images", name, tuned=False)
        for name in BUILT_IN
    ),
)
PRESETS = {preset.name: preset for preset in (SMOKE, QUICK, SOURCE, MNIST, FULL, EVERY_VARIANT)}


def find_preset(name: str) -> Preset:
    """Returns the preset of this name. Raises UserError for one that does not exist."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS, see="it is one of " + ", ".join(PRESETS))
    return PRESETS[name]
