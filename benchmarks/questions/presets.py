"""How much a suite may cost: what the roles of the questions stand for, with which budget and how many seeds.

Budgets are those of docs/method.md. Needs no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.questions.base import Arm, Decision, Question
from variants.recipe import unknown

RATES = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)
"""The grid of learning rates that every tuned arm gets. In a pilot, 25 of 36 winners were 2e-3, then the largest."""
SGD_RATES = tuple(100 * rate for rate in RATES)
"""The same for SGD, whose steps are the gradient times the rate, where Adam's are about the rate itself."""
TUNING_SEEDS = (1000, 1001, 1002)
"""Used for nothing else."""


@dataclass(frozen=True)
class Budget:
    """What a role stands for. options: of the dataset. recipe: of the variants, for such data.

    fields: of every recipe; more: of one recipe, by its name. evaluate_every: epochs. samples: in an evaluation.
    thorough: with the costly metrics, at the end, also where none of them decides. quality: what learning rates are
    tuned for, a metric. why_linear: why only linear networks are compared on it, as the end of a sentence; "" where all
    are.
    """

    dataset: str
    recipe: str
    fields: Mapping[str, Any]
    evaluate_every: int
    samples: int
    thorough: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    quality: str = "fid_normalized"
    why_linear: str = ""


@dataclass(frozen=True)
class Preset:
    """The budgets of the roles that it has; questions about other roles are not run, and said so.

    seeds: of an arm that is compared with another. seeds_alone: of one that is compared with a constant, or within its
    runs: ranks of fewer cannot survive the correction for so many tests. first_seed: those before it are spent, on
    pilots that set the budgets. tuned: whether it has learning rates from benchmarks.tune, and timings. full: with the
    decisions that are too costly elsewhere. leaves_out: the names of decisions that
    it does not take, each with the reason as the end of a sentence.
    """

    name: str
    summary: str
    budgets: Mapping[str, Budget]
    seeds: int
    seeds_alone: int
    first_seed: int = 0
    tuned: bool = True
    full: bool = False
    leaves_out: Mapping[str, str] = field(default_factory=dict)

    def range_of(self, seeds: int, after: int = 0) -> tuple[int, ...]:
        """So many of its seeds, after the first ones."""
        return tuple(range(self.first_seed + after, self.first_seed + after + seeds))

    def decisions(self, question: Question) -> list[Decision]:
        """The decisions that a question has here, taken or not."""
        return [decision for decision in question.decisions if not decision.only or self.name in decision.only]

    def why_not(self, decision: Decision) -> str:
        """Why a decision is not taken here, as the end of a sentence; "" where it is."""
        if decision.name in self.leaves_out:
            return self.leaves_out[decision.name]
        if decision.full_only and not self.full:
            return "too costly for this preset"
        if missing := sorted({arm.data for arm in decision.arms} - set(self.budgets)):
            return f"this preset has no data for: {', '.join(missing)}"
        for arm in decision.arms:
            if (why := self.budgets[arm.data].why_linear) and not arm.linear:
                return why
        if not self.tuned and any(contrast.until == "seconds" for contrast in decision.contrasts):
            return "equal seconds need the timings of benchmarks.tune"
        return ""

    def trains(self, arm: Arm) -> bool:
        """Whether an arm that decides nothing is trained here, to be shown."""
        return arm.data in self.budgets and (arm.linear or not self.budgets[arm.data].why_linear)


# The claims on the source's own recipe are about its setup, which `questions.arms.source_setup` checks.
NOT_THE_SOURCE = "the source trains on images of 28×28"

# Of the claims on deep convolutional networks nothing can be learnt there.
ONE_CONVOLUTION = "images of 8×8 have room for one strided convolution only"


def _digits(epochs: int, updates: int, every: int, samples: int, **rest: Any) -> Budget:
    fields = {"epochs": epochs, "epoch_updates": updates, "batch_size": 64}
    widths = {"generator_widths": (128, 256), "discriminator_widths": (256, 128)}
    return Budget("digits", "small", fields, every, samples, more={"report": widths}, **rest)


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
QUICK = Preset(
    "quick",
    "digits and the ring, ten seeds, an hour or two on two cores",
    {
        "images": _digits(60, 22, 3, 2500, thorough=True, why_linear=ONE_CONVOLUTION),
        "points": _points("ring8", 20, 250),
        "arc": _points("arc", 20, 250),
        "captions": Budget(
            "captions_digits",
            "small",
            {"epochs": 60, "epoch_updates": 22, "batch_size": 64},
            3,
            2500,
            why_linear=ONE_CONVOLUTION,
        ),
        "large": Budget("mnist", "default", {"epochs": 20, "epoch_updates": 30, **_NARROW}, 1, 2000),
    },
    seeds=10,
    seeds_alone=12,
    first_seed=100,
    leaves_out=dict.fromkeys(
        ("I3e-report", "B2-report", "B2-early-report", "B2-norms-report", "I3a-report"), NOT_THE_SOURCE
    ),
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
            more={"report": {"epoch_updates": 117}},
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
PRESETS = {preset.name: preset for preset in (SMOKE, QUICK, MNIST, FULL)}


def preset(name: str) -> Preset:
    """The preset of that name. Raises UserError for one that does not exist."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS, see="it is one of " + ", ".join(PRESETS))
    return PRESETS[name]
