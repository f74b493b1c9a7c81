"""Made-up runs of a plan, with planted effects, as a report reads them."""

import io
import math
import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw

from benchmarks.config import PROTOCOL_VERSION, RunConfig
from benchmarks.questions import QUESTIONS, load_question
from benchmarks.questions.presets import PRESETS
from benchmarks.run_folder.folder import RunFolder
from benchmarks.suites.plan import Plan, PlannedArm, make_plan, select_arms
from reports import pages
from reports.analysis import standings
from reports.analysis.answers import Answers, answer_plan
from reports.analysis.evidence import gather_evidence
from reports.reading.runs import RunRecord

EXTRACTOR = "e" * 64
ENVIRONMENT = {"device": "cpu", "threads": 1, "recipe": "small", "code": "c0de" * 16, "notes": []} | {
    "protocol_version": PROTOCOL_VERSION
}
PARAMETERS = {"generator": 123_456, "discriminator": 65_432}
UPDATES = 30
IN_PRACTICE = 0.08  # deviation between seeds of ln FID, as measured on digits


@cache
def tuned(preset: str) -> dict:
    """As benchmarks.tune would write it, every arm with the same winner."""
    arms = select_arms(PRESETS[preset], map(load_question, QUESTIONS))
    grid = {"0.0002": [3.1, 3.2, None], "0.0005": [2.9, 2.9, 3.0], "0.001": [2.7, 2.8, 2.6], "0.002": [3.0, 3.3, 2.9]}
    entry = {"metric": "ln fid_normalized", "grid": grid, "winner": 0.001, "edge": False, "quality": 20.0}
    return {
        "arms": {arm.name: {**entry, "edge": arm.name == "transposed-4"} for arm, _ in arms},
        "seconds_per_update": {arm.name: 0.002 if arm.name == "dcgan" else 0.001 for arm, _ in arms},
    }


@cache
def picture(seed: int) -> bytes:
    image = Image.new("L", (200, 216), 255)
    draw = ImageDraw.Draw(image)
    noise = random.Random(seed)
    for place in range(100):
        x, y = 20 * (place % 10), 16 + 20 * (place // 10)
        draw.rectangle((x, y, x + 18, y + 18), fill=noise.randrange(256))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def run_config(arm: PlannedArm, seed: int) -> RunConfig:
    image = not arm.arm.dataset_role.startswith(("points", "arc"))
    # Points are drawn by the seed; images are the same for all runs of one version of the data.
    data = f"{arm.dataset}{'' if image else seed}"
    return RunConfig(
        arm.arm.variant,
        arm.recipe_of(seed),
        arm.dataset,
        seed,
        checksum=f"{hash_of(data):064x}",
        extractor=EXTRACTOR if image else "",
        evaluate_every=arm.evaluate_every,
        samples=arm.samples,
        thorough=arm.thorough,
        probes=arm.probes,
    )


def hash_of(text: str) -> int:
    return random.Random(text).getrandbits(255)


def journal(arm: PlannedArm, seed: int, figures: Mapping[str, float], spread: float) -> tuple[dict, ...]:
    """A run that gets from the untrained generator to its own level, which is drawn round that of its arm.

    figures: levels of the arm, by section/name.
    """
    own = random.Random(f"{arm.name}/{seed}")
    epochs = arm.recipe.epochs
    deviations = {name: own.gauss(0, 1) for name in sorted(figures)}
    lines = []
    for epoch in range(epochs + 1):
        done = 1 - math.exp(-6 * epoch / epochs)
        sections: dict[str, dict[str, float]] = {"curves": {}, "metrics": {}, "probes": {}}
        evaluated = epoch % arm.evaluate_every == 0 or epoch == epochs
        for name, level in figures.items():
            section, _, figure = name.partition("/")
            if (section == "curves" and not epoch) or (section != "curves" and not evaluated):
                continue
            wobble = own.gauss(0, 1)
            if figure.startswith("fid"):
                value = math.exp(math.log(400) + (math.log(level) + spread * deviations[name] - math.log(400)) * done)
                value *= math.exp(0.3 * spread * wobble) if epoch else 1
            else:
                value = level * done if section == "metrics" else level
                value += 0.3 * spread * (deviations[name] + 0.3 * wobble) * (1 if epoch else 0)
            if figure.endswith("loss"):
                value += {"generator_loss": 1.5, "discriminator_loss": -0.6}[figure] * (1 - done)
            sections[section][figure] = value
        timing = {"time": 1e9 + epoch, "seconds": 0.2 if epoch else 0.0}
        lines.append({"epoch": epoch, **{name: found for name, found in sections.items() if found}, "timing": timing})
    return tuple(lines)


def levels(arm: PlannedArm) -> dict[str, float]:
    """Figures of an arm about which nothing is planted."""
    found = {
        "curves/generator_loss": 1.2,
        "curves/discriminator_loss": 1.0,
        "curves/d_fake": 0.3,
        "probes/generalization_gap": 0.55,
    }
    if arm.arm.dataset_role in ("points", "arc"):
        found |= {"metrics/overlap": 0.6, "metrics/modes_captured": 6.0, "metrics/high_quality": 0.7}
        found |= {"metrics/mode_spread": 0.8, "metrics/mode_kl": 0.4, "metrics/fid": 0.3}
    else:
        names = ("fid_normalized", "fid_pixels", *(f"fid_normalized_extractor_{k}" for k in range(3)))
        found |= {f"metrics/{name}": 20.0 for name in names}
        found |= {"metrics/coverage": 0.5, "metrics/precision": 0.6, "metrics/kid": 0.4, "metrics/accuracy": 0.9}
        found |= {"metrics/gan_train": 0.85, "metrics/diversity_worst": 0.7, "metrics/memorization": 0.5}
        found |= {"metrics/mode_coverage": 0.8, "probes/label_use": 0.7}
    if arm.arm.dataset_role == "captions":
        found |= {f"metrics/caption_{name}": 0.5 for name in ("digit", "thickness", "slant")}
        found |= {"metrics/caption_agreement_held_out": 0.3, "metrics/caption_agreement_seen": 0.4}
    if arm.arm.dataset_role == "large":
        found |= {"metrics/checkerboard": 0.2}
    if "noise_swap" in arm.probes:
        found |= {"probes/noise_swap_uniform_unit": 0.05}
    if "gradient_norms" in arm.probes:
        found |= {
            "probes/gradient_norm_saturating": -1.5,
            "probes/gradient_norm_non_saturating": 0.0,
            "probes/gradient_norm_ratio": -1.5,
        }
    return found


Planted = Mapping[str, Mapping[str, float]]


def made(
    plan: Plan,
    planted: Planted | None = None,
    spread: float = IN_PRACTICE,
    seeds: Sequence[int] | None = None,
) -> list[RunRecord]:
    """All runs of a plan. planted: by the name of an arm, what its figures are instead of those of `levels`."""
    runs = []
    for arm in plan.arms:
        figures = {**levels(arm), **(planted or {}).get(arm.name, {})}
        for seed in arm.seeds if seeds is None else seeds:
            config = run_config(arm, seed)
            runs.append(
                RunRecord(
                    id=config.name,
                    name=config.name,
                    config=config,
                    state="FINISHED",
                    cause="",
                    lines=journal(arm, seed, figures, spread),
                    reference={"fid_normalized": 0.5, "coverage": 0.97, "overlap": 0.98},
                    parameters=PARAMETERS,
                    environment=ENVIRONMENT,
                    picture=picture(seed),
                    pictured=arm.recipe.epochs,
                    updates=UPDATES,
                    classes=tuple("0123456789"),
                    shape=(1, 28, 28),
                )
            )
    return runs


def on_disk(runs_dir: Path, run: RunRecord) -> None:
    """Writes a run as a finished run folder."""
    folder = RunFolder.create(runs_dir, run.config)
    folder.write_environment(run.environment)
    folder.write_json("reference.json", run.reference)
    folder.write_json("facts.json", {"parameters": run.parameters, "updates_per_epoch": UPDATES})
    for line in run.lines:
        folder.append(line)
    folder.write_bytes(folder.picture_name(run.pictured), run.picture)
    folder.set_status(run.state, epoch=run.epoch)


def fid(value: float) -> dict[str, float]:
    names = ("fid_normalized", "fid_pixels", *(f"fid_normalized_extractor_{k}" for k in range(3)))
    return {f"metrics/{name}": value for name in names}


def smoke(*questions: str, seeds: int = 10) -> Plan:
    """A plan of a few questions, with enough seeds to decide and next to no epochs."""
    return make_plan(PRESETS["smoke"], questions, seeds=seeds)


def decided(plan: Plan, runs: Sequence[RunRecord], **rest: object) -> Answers:
    return answer_plan(gather_evidence(plan, runs), **rest)


def outcome(answers: Answers, name: str) -> str:
    return next(answer.outcome for answer in answers.answers if answer.name == name)


def effect(answers: Answers, name: str, part: int = 0):
    return next(answer.verdict.effects[part] for answer in answers.answers if answer.name == name)


def index(answers: Answers, runs: Sequence[RunRecord] = ()) -> str:
    return pages.render_overview(answers, standings.compute_standings(answers.evidence), (), len(runs))


def page(answers: Answers, name: str) -> str:
    question = next(question for question in answers.plan.questions if question.name == name)
    return pages.render_question(answers, question)


def rows(markdown: str, start: str) -> list[str]:
    return [line for line in markdown.splitlines() if line.startswith(f"| {start}")]
