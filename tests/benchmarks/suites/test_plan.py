"""A plan has what its questions need, once, and its hash is of everything that was decided beforehand."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.algorithm.gan import SkipInitialisation
from benchmarks.config import DEFAULT_SAMPLES
from benchmarks.evaluation.catalogue import find_metric
from benchmarks.questions.base import BOTH
from benchmarks.questions.presets import EVERY_VARIANT, FULL, MNIST, PRESETS, QUICK, SMOKE, SOURCE
from benchmarks.suites.plan import COSTLY, PlannedArm, make_plan
from benchmarks.suites.tuned_settings import read_tuning
from metrics.captions import WORDS
from tests.made_tuning import TUNED, TUNED_QUICK, Tuned
from variants import VARIANTS, DataSpec, load_variant
from variants.recipe import UserError

# All but that of a table.
ASKING = {name: preset for name, preset in PRESETS.items() if not preset.arms}


def test_arms_that_questions_share_are_trained_once() -> None:
    plan = make_plan(QUICK, tuned=TUNED)
    assert len({arm.name for arm in plan.arms}) == len(plan.arms)
    configs = [(arm.arm.variant, arm.recipe, arm.dataset, arm.probes) for arm in plan.arms]
    assert all(configs.count(config) == 1 for config in configs)
    assert plan.arm("plain").questions[0] == "collapse_remedies"
    assert set(plan.arm("conditional").questions) >= {"loss_curves", "label_use", "critic_steps", "dropout"}


def test_seeds_are_as_many_as_the_most_that_a_decision_needs() -> None:
    plan = make_plan(TUNED_QUICK, tuned=TUNED)
    # Those below a hundred are spent, on the pilot.
    assert plan.arm("uniform").seeds == tuple(range(100, 110))
    assert plan.arm("conditional").seeds == tuple(range(100, 112))  # against a constant
    assert plan.arm("plain").seeds == tuple(range(100, 120))  # against itself with other seeds
    (control,) = next(d for d in plan.decisions if d.decision.name == "control-nothing-images").contrasts
    assert control.treatment_seeds == tuple(range(100, 110))
    assert control.control_seeds == tuple(range(110, 120))
    (remedy,) = next(d for d in plan.decisions if d.decision.name == "B1a-packing-points").contrasts
    assert remedy.treatment_seeds == remedy.control_seeds == plan.arm("packing-points").seeds
    assert len(remedy.treatment_seeds) == 20
    few = make_plan(TUNED_QUICK, tuned=TUNED, seeds=3)
    assert few.arm("conditional").seeds == (100, 101, 102)
    assert few.arm("plain").seeds == tuple(range(100, 106))


def test_budgets_are_read_off_where_the_cheaper_arm_ends() -> None:
    plan = make_plan(QUICK, ["critic_steps"], tuned=TUNED)
    limits = {
        decision.contrasts[0].contrast.until: (
            decision.contrasts[0].treatment_epochs,
            decision.contrasts[0].control_epochs,
        )
        for decision in plan.decisions
    }
    # 60 epochs of one and one update are 120; of five and one, they are used up in 20 epochs. Equal costs would read
    # what equal generator updates read.
    assert limits == {"updates": (math.inf, math.inf), "all_updates": (20.0, 60.0)}
    timed = {"arms": Tuned(), "seconds_per_update": {"conditional": 0.002, "critic-5": 0.005}}
    plan = make_plan(QUICK, ["critic_steps"], tuned=timed)
    (contrast,) = next(d for d in plan.decisions if d.decision.name == "D-five-seconds").contrasts
    assert (contrast.treatment_epochs, contrast.control_epochs) == (24.0, 60.0)


@pytest.mark.parametrize("preset", [QUICK, MNIST, FULL], ids=lambda preset: preset.name)
def test_a_preset_without_tuned_settings_is_refused(preset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"benchmarks\.tune"):
        make_plan(preset, tuned={"arms": {}})
    monkeypatch.setattr("benchmarks.suites.tuned_settings.tuning_file", lambda name: Path("nowhere.json"))
    with pytest.raises(UserError, match=r"python -m benchmarks\.tune --preset"):
        make_plan(preset)


def test_what_a_preset_does_not_take_is_told_with_the_reason() -> None:
    why = {each.decision.name: each.why for each in make_plan(MNIST, tuned=TUNED).not_taken}
    assert "convolutions" in why["C-convolutions"]
    assert "points" in why["B1a-packing-points"]
    assert why["A2-truncated"] == "too costly for this preset"
    assert "control-dropped-labels takes its place" in why["control-dropped"]
    equal = {each.decision.name for each in make_plan(FULL, tuned=TUNED).not_taken}
    assert equal == {"D-five-seconds", "C-convolutions-seconds"}  # every arm was timed alike

    class Timed(Tuned):
        def get(self, name: str, default: Any = None) -> float:
            return {"critic-5": 0.0025, "dcgan": 0.004}.get(name, 0.001)

    assert not make_plan(FULL, tuned={"arms": Tuned(), "seconds_per_update": Timed()}).not_taken


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_no_two_decisions_read_the_same_evaluations_of_the_same_runs(preset: Any) -> None:
    """Equal updates of both networks and equal seconds end within the same two evaluations: one number, told twice."""
    kept = preset.name in ("quick", "mnist")
    for tuned in (TUNED, *([read_tuning(preset.name)] if kept else [])):
        plan = make_plan(preset, tuned=tuned)
        arms = {arm.name: arm for arm in plan.arms}
        seen: dict[tuple, str] = {}
        for planned in plan.decisions:
            read = tuple(
                (
                    (part.contrast.outcome.figures, part.contrast.outcome.reading, part.contrast.outcome.scale),
                    (part.contrast.constant, None if math.isnan(part.threshold) else part.threshold),
                    *(
                        (arm.name, seeds, *arms[arm.name].evaluated_epochs(until, part.reads_curves))
                        for arm, seeds, until in part.sides
                    ),
                )
                for part in planned.contrasts
            )
            assert seen.setdefault(read, planned.decision.name) == planned.decision.name
    if kept:
        why = {each.decision.name: each.why for each in plan.not_taken}
        assert why["D-five-seconds"] == "it would read the same evaluations as D-five-all-updates"


def test_an_arm_tells_which_of_its_epochs_are_evaluated() -> None:
    arm = make_plan(SMOKE, ["dropout"]).arms[0]
    arm = replace(arm, evaluate_every=3, recipe=arm.recipe.with_({"epochs": 10}))
    assert arm.evaluated_epochs() == [3, 6, 9, 10]
    assert arm.evaluated_epochs(6.7) == [3, 6]
    assert arm.evaluated_epochs(2.9, curves=True) == [1, 2]


@pytest.mark.parametrize("preset", ASKING.values(), ids=ASKING)
def test_what_decides_is_measured_in_every_arm_that_it_compares(preset: Any) -> None:
    plan = make_plan(preset, tuned=TUNED)
    arms, seen = {arm.name: arm for arm in plan.arms}, set()
    for planned in plan.decisions:
        for contrast in planned.decision.contrasts:
            for section, name in (figure.split("/") for figure in contrast.outcome.figures):
                if section == "metrics" and find_metric(name).cost == "final":
                    assert contrast.outcome.reading == "final"
                    assert all(arms[arm.name].thorough for arm in contrast.arms), planned.decision.name
                    seen.add(name)
    costly = {f"metrics/{name}" for name in seen}
    assert costly <= COSTLY
    assert preset.takes or costly == COSTLY


def test_a_decision_of_some_presets_is_no_part_of_the_plan_of_others() -> None:
    def named(preset: Any) -> set[str]:
        plan = make_plan(preset, ["control"], tuned=TUNED)
        return {each.decision.name for each in (*plan.decisions, *plan.not_taken)}

    assert "control-dropped-labels" in named(MNIST) & named(FULL)
    assert "control-dropped-labels" not in named(QUICK) | named(SMOKE)


def test_a_preset_that_names_its_decisions_has_no_others_and_only_their_questions_and_arms() -> None:
    plan = make_plan(SOURCE)
    assert {each.decision.name for each in plan.decisions} == set(SOURCE.takes)
    assert plan.not_taken == ()
    assert all(SOURCE.decisions(question) for question in plan.questions)
    assert {arm.name for arm in plan.arms} == {arm.name for each in plan.decisions for arm in each.decision.arms}
    with pytest.raises(UserError, match="the preset source decides nothing of dcgan"):
        make_plan(SOURCE, ["dropout", "dcgan"])


def test_the_source_is_repeated_to_the_letter() -> None:
    """I3 and I3d; the source gives no widths."""
    recipe = make_plan(SOURCE).arm("report").recipe
    assert (recipe.epochs, recipe.batch_size, recipe.critic_steps, recipe.critic_batch) == (60, 128, 5, "same")
    assert (recipe.generator_lr, recipe.discriminator_lr, recipe.optimizer) == (1e-4, 1e-4, "adam")
    assert (recipe.noise_size, recipe.dropout) == (100, 0.3)
    assert (recipe.loss, recipe.conditioning) == ("non_saturating", "embedding")
    changed = {"generator_widths": (128, 256), "discriminator_widths": (256, 128)}
    assert recipe == load_variant("cgan_mlp").recipe("report").with_(changed)


def test_what_a_preset_has_no_data_for_trains_nothing() -> None:
    assert make_plan(SMOKE, ["upsampling"]).arms == ()


def test_the_hash_is_of_all_that_was_decided_beforehand() -> None:
    plan = make_plan(TUNED_QUICK, ["dropout"], tuned=TUNED)
    assert plan.hash == make_plan(TUNED_QUICK, ["dropout"], tuned=TUNED).hash
    faster = {**TUNED, "arms": {"conditional": {"winner": 2e-3}, "dropout-3": {"winner": 1e-3}}}
    others = [
        make_plan(TUNED_QUICK, ["dropout"], tuned=faster),
        make_plan(TUNED_QUICK, ["dropout"], tuned=TUNED, seeds=11),
        make_plan(TUNED_QUICK, ["label_use"], tuned=TUNED),
    ]
    assert len({plan.hash, *(other.hash for other in others)}) == 4


def test_an_arm_knows_its_own_runs() -> None:
    plan = make_plan(SMOKE, ["dropout", "loss_curves"])
    configs = {arm.name: arm.config(1) for arm in plan.arms}
    for arm in plan.arms:
        assert [name for name, config in configs.items() if arm.matches(config)] == [arm.name]
        assert not arm.matches(replace(configs[arm.name], samples=299))
        # Whatever it was trained by before.
        assert not arm.matches(replace(configs[arm.name], parent=f"run:{64 * '0'}"))


def test_a_preset_with_arms_of_its_own_trains_every_built_in_variant_and_asks_nothing() -> None:
    plan = make_plan(EVERY_VARIANT)
    assert [arm.arm.variant for arm in plan.arms] == list(VARIANTS)
    assert (plan.questions, plan.decisions, plan.not_taken) == ((), (), ())
    for arm in plan.arms:
        assert arm.recipe == load_variant(arm.arm.variant).recipe("default")
        assert (arm.seeds, arm.questions, arm.samples) == ((0, 1, 2), (), DEFAULT_SAMPLES)
    with pytest.raises(UserError, match="the preset variants asks no questions; leave --questions out"):
        make_plan(EVERY_VARIANT, ["control"])


@pytest.mark.long
@pytest.mark.parametrize("name", PRESETS)
def test_every_arm_of_a_preset_can_be_trained(name: str, request: pytest.FixtureRequest) -> None:
    plan = make_plan(PRESETS[name], tuned=TUNED)
    needs = any("mnist" in arm.dataset.name for arm in plan.arms)
    data_dir = request.getfixturevalue("mnist_dir") if needs else None
    for arm in plan.arms:
        if "captions_mnist" not in arm.dataset.name:  # which takes seconds to caption
            arm.config(0, data_dir)


SPECS = {
    **{name: DataSpec((1, 28, 28), classes=10) for name in ("mnist", "auto")},
    "digits": DataSpec((1, 8, 8), classes=10),
    "captions_mnist": DataSpec((1, 28, 28), vocabulary=WORDS),
    "captions_digits": DataSpec((1, 8, 8), vocabulary=WORDS),
    "ring8": DataSpec((2,), bounded=False, classes=8),
    "grid25": DataSpec((2,), bounded=False, classes=25),
    "arc": DataSpec((2,), bounded=False, classes=8),
}


def built(arm: PlannedArm) -> dict[str, tuple[Any, ...]]:
    """The structure of both networks of an arm: their layers, and the shapes of their weights."""
    with torch.device("meta"), SkipInitialisation():
        networks = load_variant(arm.arm.variant).build(SPECS[arm.dataset.name], arm.recipe)
    return {
        name: (repr(network), [(key, tuple(value.shape)) for key, value in network.state_dict().items()])
        for name, network in zip(BOTH, networks, strict=True)
    }


@pytest.mark.parametrize("name", PRESETS)
def test_the_arms_of_every_contrast_differ_and_where_the_decision_says_so(name: str) -> None:
    plan = make_plan(PRESETS[name], tuned=TUNED)
    networks = {arm.name: built(arm) for arm in plan.arms}
    wrong = {}
    for planned in plan.decisions:
        for contrast in planned.decision.contrasts:
            if contrast.control is None:
                continue
            treatment, control = (plan.arm(arm.name) for arm in contrast.arms)
            differ = tuple(n for n in BOTH if networks[treatment.name][n] != networks[control.name][n])
            same = (treatment.recipe, treatment.dataset) == (control.recipe, control.dataset)
            # On 8×8 convolutional networks have too few layers, which is why every such decision has a check on sides.
            small = any(check.figure == "side" for check in planned.decision.checks)
            if small and SPECS[treatment.dataset.name].shape[-1] < 16:
                continue
            if differ != contrast.networks or same != contrast.other_seeds:
                wrong[planned.decision.name] = (differ, contrast.networks)
    assert not wrong


@pytest.mark.parametrize("name", ["quick", "mnist", "full"])
def test_a_preset_of_small_images_trains_neither_convolutions_nor_the_sources_recipe_on_them(name: str) -> None:
    plan = make_plan(PRESETS[name], tuned=TUNED)
    small = [arm for arm in plan.arms if 2 < min(SPECS[arm.dataset.name].shape[-2:], default=0) < 16]
    assert [arm.name for arm in small if not arm.arm.linear or arm.arm.recipe == "report"] == []
    assert bool(small) == (name == "quick")
