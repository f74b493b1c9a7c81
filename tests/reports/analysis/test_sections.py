"""Sections: which runs are compared with which, and under which names."""

from dataclasses import replace

import pytest

from reports.analysis.sections import group_into_sections
from tests.compared_runs import ENVIRONMENT, cells, config, lines, page, record


@pytest.mark.parametrize("state", ["KILLED", "RUNNING", "NONE"])
def test_a_run_that_did_not_end_is_left_out_and_said(state: str):
    unfinished = record(config(seed=1), {"fid": 99.0}, state=state, lines=lines({"fid": 99.0})[:2])
    made, left_out = group_into_sections([record(config()), unfinished])
    assert [run.config.seed for arm in made[0].groups for run in arm.runs] == [0]
    assert [(run.id, "after epoch 1 of 3" in run.why) for run in left_out] == [(unfinished.id, True)]


@pytest.mark.parametrize(
    "other",
    [{"dataset": "digits"}, {"checksum": "d" * 64}, {"extractor": "f" * 64}, {"samples": 500}],
    ids=lambda changes: next(iter(changes)),
)
def test_figures_that_mean_different_things_never_share_a_table(other: dict):
    made, _ = group_into_sections([record(config()), record(config(**other)), record(config(seed=1))])
    assert sorted(len(section.groups[0].runs) for section in made) == [1, 2]


def test_data_that_every_seed_draws_for_itself_are_one_dataset():
    drawn = [
        record(config(variant, seed, "ring8", checksum=str(seed) * 64), reference={"fid": seed / 10})
        for variant in ("vanilla_gan", "dcgan")
        for seed in (0, 1, 2)
    ]
    (section,) = group_into_sections(drawn)[0]
    assert [len(arm.runs) for arm in section.groups] == [3, 3]
    markdown = page(drawn)
    assert "Every seed draws its own data." in markdown
    assert cells(markdown, "")[4] == "0.100\xa0±\xa00.089"
    # One seed on two versions of the data, or two seeds on one, and it was not the seed that drew them.
    again = record(config("cgan_mlp", 0, "ring8", checksum="9" * 64))
    assert len(group_into_sections([*drawn, again])[0]) == 4


def test_an_arm_is_the_config_without_its_seed():
    runs = [
        record(config("cgan_mlp", 0)),
        record(config("cgan_mlp", 1)),
        record(config("cgan_conv", 0)),  # the same recipe
        record(config("cgan_mlp", 0, loss="saturating")),
        record(config("cgan_mlp", 0, precision="bfloat16")),
    ]
    arms = group_into_sections(runs)[0][0].groups
    assert {(arm.variant, arm.label): len(arm.runs) for arm in arms} == {
        ("cgan_conv", ""): 1,
        ("cgan_mlp", "loss non_saturating, precision float32"): 2,
        ("cgan_mlp", "loss saturating, precision float32"): 1,
        ("cgan_mlp", "loss non_saturating, precision bfloat16"): 1,
    }


def test_a_run_that_goes_on_from_another_one_is_a_row_of_its_own():
    first = config("cgan_mlp", 0)
    again = [replace(config("cgan_mlp", seed), parent=f"run-{seed}:{'0' * 64}") for seed in (0, 1)]
    made = group_into_sections([record(first), record(config("cgan_mlp", 1)), *map(record, again)])[0]
    assert [(row.label, len(row.runs)) for row in made[0].groups] == [
        ("parent none", 2),
        ("parent run-0", 1),
        ("parent run-1", 1),
    ]


def test_a_named_recipe_is_called_by_its_name_and_only_changes_within_it_are_spelled_out():
    report = {**ENVIRONMENT, "recipe": "report"}
    runs = [
        record(config(generator_widths=(256, 512))),
        record(config(critic_steps=5, beta1=0.9, batch_size=64), environment=report),
        record(config(critic_steps=1, beta1=0.9, batch_size=64), environment=report),
    ]
    assert [arm.label for arm in group_into_sections(runs)[0][0].groups] == [
        "default",
        "report, critic steps 1",
        "report, critic steps 5",
    ]


def test_one_seed_never_counts_twice():
    first = record(config(), {"fid": 10.0}, id="a" * 32)
    again = replace(first, id="b" * 32, lines=(*first.lines[:-1], {**first.lines[-1], "timing": {"time": 2e9}}))
    failed = replace(first, id="c" * 32, state="FAILED")
    made, left_out = group_into_sections([again, failed, first])
    assert [run.id for run in made[0].groups[0].runs] == [again.id]
    assert {run.id for run in left_out} == {first.id, failed.id}
    assert all("the same config and seed" in run.why for run in left_out)
