"""Reads hostile files, as from a stranger, and uses their content: the answer has to be a value or one sentence.

A reader is a valid file, ways to make hostile files of it, and a typical use. Anything but a value or a refusal is a
finding: another exception, a file written elsewhere, or an answer that takes seconds.
"""

import hashlib
import json
import os
import random
import time
import traceback
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.config import PROTOCOL_VERSION
from benchmarks.questions.base import LN_FID
from tests.soak.figures import Steps, code
from tests.soak.hostile import change, change_json, change_json_lines, choose, damage, encode, forge_tensors, make_value

SLOW = 20.0
"""Seconds of the processor after which an answer counts as none; chosen, many times the longest."""
DRAWN = 50
"""One report in so many is drawn with its figures; chosen."""
STEP = 20.0
"""Seconds of one step of the long check."""


@dataclass(frozen=True)
class Reader:
    """Reads one kind of file."""

    name: str
    file: str
    """Path below its folder."""
    valid: bytes
    hostile: Callable[[bytes, random.Random], bytes]
    """Makes hostile content of valid content."""
    use: Callable[[Path], object]
    """Reads the file in its folder and uses the content."""


NAMES = (
    *("config", "journal", "status", "environment", "facts", "reference", "recipe", "plans", "tuned", "mlflow"),
    *("checkpoint", "generator", "extractor", "idx", "prepared", "png"),
)


def list_readers() -> list[Reader]:
    """Returns every reader of files that may come from a stranger, in the order of NAMES."""
    return [*list_json_readers(), *list_tensor_readers(), *list_data_readers()]


def configs() -> tuple[Any, Any]:
    from benchmarks.config import DatasetConfig, RunConfig
    from variants import load_variant

    recipe = load_variant("cgan_mlp").recipe("small").with_({"generator_widths": (8,), "discriminator_widths": (8,)})
    return RunConfig("cgan_mlp", recipe, DatasetConfig("digits"), 3, "ab" * 32, "cd" * 32, plugins=()), recipe


FACTS = {
    "spec": {"shape": [1, 8, 8], "bounded": True, "classes": 10, "vocabulary": []},
    "class_names": list("0123456789"),
    "parameters": {"generator": 10, "discriminator": 20},
    "updates_per_epoch": 22,
}
ENVIRONMENT = {
    "device": "cpu",
    "threads": 1,
    "protocol_version": PROTOCOL_VERSION,
    "versions": {"torch": "2"},
    "code": "c0de",
    "recipe": "small",
    "command": "python -m benchmarks.run",
    "extractor": {"name": "digits", "sha256": "cd" * 32, "accuracy": [0.98]},
    "notes": ["a note"],
    "protocol": "against real images",
}


def list_json_readers() -> list[Reader]:
    from benchmarks.evaluation.catalogue import METRICS
    from benchmarks.inference.find import load_run
    from benchmarks.questions.presets import find_preset
    from benchmarks.run_folder.folder import RunFolder
    from benchmarks.show import describe_recipe, format_heading, iter_facts
    from benchmarks.suites.plan import make_plan, pilot_deviation
    from benchmarks.suites.plan_history import describe_changes, load_plans
    from benchmarks.suites.tuned_settings import read_tuning, tuning_file
    from benchmarks.tracking.entities import iter_metrics, make_params, make_tags
    from benchmarks.tracking.upload import find_page, read_memory
    from benchmarks.training.configure import read_recipe
    from reports.analysis.sections import group_into_sections
    from reports.build import compare_runs
    from reports.figures.illustrations import IllustratedSection
    from reports.pages import render_comparison, render_html
    from reports.reading.runs import FoundRuns, RunRecord, read_run
    from variants import DataSpec, load_variant
    from variants.recipe import FIELDS

    config, _ = configs()
    identity = {"config": config.as_dict(), "key": config.key, "id": "0" * 16}
    lines = [
        {
            "epoch": epoch,
            "curves": {"generator_loss": 1.0, "discriminator_loss": 1.0, "d_real": 0.5, "d_fake": 0.5} if epoch else {},
            "metrics": {"fid": 3.0 / (epoch + 1), "accuracy": 0.5},
            "probes": {"label_use": 0.5},
            "timing": {"seconds": 1.0, "time": 1e9},
        }
        for epoch in range(4)
    ]
    status = {"state": "FINISHED", "epoch": 3, "cause": "x", "symptoms": {"collapse": 2}}

    def whole(folder: Path, name: str) -> RunFolder:
        """Completes a run folder around the file of this name."""
        run = RunFolder(folder)
        others = {"config.json": identity, "status.json": status, "environment.json": ENVIRONMENT, "facts.json": FACTS}
        for other, document in {**others, "reference.json": {"fid": 0.1}}.items():
            if other != name and not (folder / other).exists():
                (folder / other).write_bytes(encode(document))
        if name != "metrics.jsonl" and not (folder / "metrics.jsonl").exists():
            (folder / "metrics.jsonl").write_bytes(b"".join(encode(line) + b"\n" for line in lines))
        return run

    def shown(name: str) -> Callable[[Path], object]:
        def use(folder: Path) -> object:
            run = whole(folder, name)
            record = read_run(run)
            loaded = load_run(folder)
            told = [format_heading(loaded), *iter_facts(loaded)]
            told += [describe_recipe(loaded)]
            reported(record, drawn=zlib.crc32((folder / name).read_bytes()) % DRAWN == 0)
            sent = make_tags(run, run.lines(), run.status()), make_params(run), list(iter_metrics(lines))
            return record, told, sent, record.metrics, record.seconds, run.id

        return use

    def reported(record: RunRecord, drawn: bool) -> None:
        """Reports on the run, with figures, which take long, or without."""
        if drawn:
            pages = compare_runs(FoundRuns((record,))).pages
        else:
            made, left_out = group_into_sections([record], list(METRICS), "c0de")
            pages = {
                "index.md": render_comparison([IllustratedSection(section) for section in made], left_out, METRICS)
            }
        assert "<script" not in render_html(pages, {}, "A report")

    def resigned(data: bytes, rng: random.Random) -> bytes:
        """Returns a changed config whose key fits it."""
        from benchmarks.config import RunConfig

        document = json.loads(data)
        document["config"] = change(document["config"], rng)
        try:
            document["key"] = RunConfig.from_dict(document["config"]).key
        except Exception:
            return encode(document)
        return encode(document)

    def trained(folder: Path) -> object:
        spec, variant = DataSpec((1, 8, 8), classes=10), load_variant("cgan_mlp")
        read_ = read_recipe(variant, folder / "mine.toml", spec)
        variant.check(read_, spec)
        return read_

    def chosen(data: bytes, rng: random.Random) -> bytes:
        """Returns a TOML file in which fields have values of any kind."""
        names = [*FIELDS, "recipe", "no_such"]
        lines = [f"{rng.choice(names)} = {json.dumps(make_value(rng, 3))}" for _ in range(rng.randrange(1, 4))]
        return "\n".join(lines).replace("Infinity", "inf").replace("NaN", "nan").replace("null", '"none"').encode()

    def planned(folder: Path) -> object:
        (folder / "plans").mkdir(exist_ok=True)
        (folder / "plans" / "smoke.json").write_bytes((folder / "smoke.json").read_bytes())
        kept = load_plans(folder, "smoke")
        return [describe_changes(one["plan"], other["plan"]) for one in kept for other in kept]

    def tuned(folder: Path) -> object:
        kept = read_tuning("quick", folder / "quick.json")
        return pilot_deviation(kept, "images", LN_FID), make_plan(find_preset("quick"), tuned=kept).hash

    def known(folder: Path) -> object:
        run = whole(folder, "mlflow.json")
        return read_memory(run, "http://host"), find_page(run, "http://host")

    toml = 'recipe = "small"\nloss = "hinge"\nepochs = 3\ngenerator_lr = 0.001\ngenerator_widths = [16, 16]\n'
    made = make_plan(find_preset("smoke"))
    smoke = [{"hash": made.hash, "since": "2020-01-01", "plan": made.as_dict()}] * 2
    memory = {"http://host": {"run_id": "r", "experiment_id": "1", "epoch": 2, "files": {}, "folder_id": "0" * 16}}
    ways, changing = choose(damage, change_json), choose(damage, change_json, change_json)
    journal = b"".join(encode(line) + b"\n" for line in lines)

    def continued(folder: Path) -> object:
        run = whole(folder, "metrics.jsonl")
        shown("metrics.jsonl")(folder)
        run.truncate(2)
        run.append({"epoch": 10**8, "curves": {"a": 1.0}})
        return run.lines()

    return [
        Reader("config", "config.json", encode(identity), choose(damage, change_json, resigned), shown("config.json")),
        Reader("journal", "metrics.jsonl", journal, choose(damage, change_json_lines), continued),
        Reader("status", "status.json", encode(status), ways, shown("status.json")),
        Reader("environment", "environment.json", encode(ENVIRONMENT), changing, shown("environment.json")),
        Reader("facts", "facts.json", encode(FACTS), changing, shown("facts.json")),
        Reader("reference", "reference.json", encode({"fid": 0.1, "kid": 0.0}), ways, shown("reference.json")),
        Reader("recipe", "mine.toml", toml.encode(), choose(damage, chosen), trained),
        Reader("plans", "smoke.json", encode(smoke), changing, planned),
        Reader("tuned", "quick.json", tuning_file("quick").read_bytes(), changing, tuned),
        Reader("mlflow", "mlflow.json", encode(memory), ways, known),
    ]


def list_tensor_readers() -> list[Reader]:
    import torch

    from benchmarks.algorithm.gan import make_gan
    from benchmarks.algorithm.random_streams import initialisation
    from benchmarks.inference.run import Run
    from benchmarks.run_folder.folder import RunFolder
    from benchmarks.run_folder.tensors import pack
    from benchmarks.training.checkpoint import TrainState
    from benchmarks.training.listener import ProgressListener
    from benchmarks.training.loop import Training
    from metrics.features import pinned_path, read_extractor
    from variants import DataSpec, load_variant

    config, recipe = configs()
    spec, variant = DataSpec((1, 8, 8), classes=10), load_variant("cgan_mlp")

    def state() -> TrainState:
        with initialisation(0):
            return TrainState(make_gan(*variant.build(spec, recipe), recipe))

    trained = state()
    for optimizer in (trained.gan.generator_optimizer, trained.gan.discriminator_optimizer):
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()

    def goes_on(folder: Path) -> object:
        run = RunFolder(folder)
        run.checkpoint_epoch()
        training = object.__new__(Training)
        training.folder, training.state, training.listener = run, state(), ProgressListener()
        training.watch, training.config = None, config
        training.restore()
        optimizer = training.state.gan.generator_optimizer
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        return training.state.epoch

    def sampled(folder: Path) -> object:
        if not (folder / "config.json").exists():
            identity = {"config": config.as_dict(), "key": config.key, "id": "0" * 16}
            (folder / "config.json").write_bytes(encode(identity))
            (folder / "facts.json").write_bytes(encode(FACTS))
        return Run(RunFolder(folder)).generate(labels=[1, 2])

    def judged(folder: Path) -> object:
        extractor = read_extractor(folder / "judge.safetensors")
        return extractor.standardize(extractor.read(torch.zeros(2, *extractor.shape)).features)

    def checked(key: str) -> Callable[[bytes, random.Random], bytes]:
        return choose(damage, lambda data, rng: forge_tensors(data, rng, key))

    checkpoint = b"".join(pack(trained.tensors(), {"epoch": 3}))
    generator = b"".join(pack(trained.gan.generator.state_dict(), {}))
    judge = pinned_path("digits").read_bytes()
    return [
        Reader("checkpoint", "checkpoint.safetensors", checkpoint, checked("state"), goes_on),
        Reader("generator", "generator.safetensors", generator, checked("state"), sampled),
        Reader("extractor", "judge.safetensors", judge, checked("extractor"), judged),
    ]


def list_data_readers() -> list[Reader]:
    from dataclasses import replace
    from tempfile import TemporaryDirectory

    import numpy as np
    from PIL import Image

    from benchmarks.datasets import published
    from benchmarks.datasets.decoding import read_image
    from benchmarks.datasets.prepared import Allocate, Images, _read_kept, prepare
    from reports.figures import compact_picture
    from variants.recipe import UserError

    files = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    mine = replace(published.kmnist.row, files=(files, files))
    labels = bytes((0, 0, 8, 1, 0, 0, 0, 2, 3, 7))

    def idx(folder: Path) -> object:
        if not (folder / "train-labels-idx1-ubyte").exists():
            (folder / "train-labels-idx1-ubyte").write_bytes(labels)
        part = mine.read(mine, folder, 0)
        published._check(mine, part, 10)
        return part

    def kept(folder: Path) -> object:
        (folder / "set.json").write_text(facts)
        if (images := _read_kept(folder / "set", "key")) is None:
            raise UserError("they are prepared again")
        return images

    def fill(allocate: Allocate) -> Images:
        data = allocate((2, 3, 4, 4))
        data[:] = np.arange(96).reshape(data.shape)
        return Images(data, np.arange(2), 1, ("a", "b"))

    def picture(folder: Path) -> object:
        return read_image(str(folder / "mine.png"), (8, 8)), compact_picture((folder / "mine.png").read_bytes())

    drawn = BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(drawn, "png")
    with TemporaryDirectory() as place:
        prepare(Path(place) / "set", "key", fill)
        array, facts = (Path(place) / "set.npy").read_bytes(), (Path(place) / "set.json").read_text()
    pixels = bytes((0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28)) + bytes(range(256)) * 6 + bytes(32)
    return [
        Reader("idx", "train-images-idx3-ubyte", pixels, damage, idx),
        Reader("prepared", "set.npy", array, damage, kept),
        Reader("png", "mine.png", drawn.getvalue(), damage, picture),
    ]


def try_reader(reader: Reader, folder: Path, data: bytes) -> str:
    """Returns "read", "refused", or a finding."""
    from metrics.features import BadExtractor
    from variants.recipe import UserError

    (folder / reader.file).write_bytes(data)
    beside = {path.name for path in folder.parent.iterdir()}
    # Of the processor, so that other work on the machine is no finding.
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.use(folder)
        told = "read"
    except (UserError, BadExtractor) as refused:
        said = str(refused)
        told = "refused" if said and "\n" not in said and len(said) < 2000 else f"a refusal of no sentence: {said!r}"
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "site-packages" not in frame.filename]
        place = f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "?"
        told = f"{type(error).__name__} in {place}: {str(error)[:200]}"
    if (spent := time.process_time() - began) > SLOW:
        told = f"it took {spent:.0f} s"
    if {path.name for path in folder.parent.iterdir()} != beside:
        told = "it wrote outside its folder"
    return told


def try_one(reader: Reader, folder: Path, rng: random.Random) -> tuple[str, bytes]:
    """Tries one hostile file; returns the outcome and the file."""
    data = reader.hostile(reader.valid, rng)
    if rng.random() < 0.3:
        data = reader.hostile(data, rng) if reader.hostile is damage else damage(data, rng)
    return try_reader(reader, folder, data), data


def fuzz(reader: Reader, folder: Path, seed: int, seconds: float = 0.0, inputs: int = 0) -> dict[str, Any]:
    """Tries hostile files for so many seconds, or so many of them; returns counts and findings."""
    rng, began = random.Random(f"{reader.name} {seed}"), time.monotonic()
    count, refused, findings = 0, 0, {}
    while count < inputs or time.monotonic() - began < seconds:
        told, data = try_one(reader, folder, rng)
        count, refused = count + 1, refused + (told == "refused")
        if told not in ("read", "refused"):
            kept = folder.parent.parent / "findings" / f"{reader.name}-{hashlib.sha256(data).hexdigest()[:8]}"
            if told not in findings:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(data)
                findings[told] = kept.name
    spent = time.monotonic() - began
    return {"reader": reader.name, "seconds": spent, "inputs": count, "refused": refused, "findings": findings}


def fuzzing(work: Path, size: float, say: Callable[[str], None], minutes: float = 10.0) -> dict[str, Any]:
    """Tries each reader for ten minutes, scaled by the size; as many readers at once as there are cores."""
    steps = Steps(work / "fuzzing.jsonl", code())
    wanted, cores = 60 * minutes * size, os.cpu_count() or 1
    spent = {name: sum(step["seconds"] for step in steps.done if step["reader"] == name) for name in NAMES}
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        going: dict[Future[dict[str, Any]], str] = {}
        while True:
            waiting = [name for name in NAMES if spent[name] < wanted and name not in going.values()]
            for name in waiting[: cores - len(going)]:
                number = sum(step["reader"] == name for step in steps.done)
                folder = work / "fuzzing" / f"{name}-{number}" / "own"
                going[pool.submit(step_of, name, folder, number, min(STEP, wanted - spent[name]))] = name
            if not going:
                return summary(steps.done)
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                name = going.pop(future)
                steps.add(future.result())
                spent[name] += steps.done[-1]["seconds"]
                say(f"{name}: {spent[name]:.0f} of {wanted:.0f} s; {steps.done[-1]}")


def step_of(name: str, folder: Path, number: int, seconds: float) -> dict[str, Any]:
    """Does one step of a reader, in a process that goes on to the next one."""
    folder.mkdir(parents=True, exist_ok=True)
    reader = {reader.name: reader for reader in prepared_readers()}[name]
    return fuzz(reader, folder, number, seconds=seconds)


prepared_readers = cache(list_readers)


def summary(steps: list[dict[str, Any]]) -> dict[str, Any]:
    names = sorted({step["reader"] for step in steps})
    of = {name: [step for step in steps if step["reader"] == name] for name in names}
    return {
        "readers": len(names),
        "seconds": round(sum(step["seconds"] for step in steps)),
        "inputs": sum(step["inputs"] for step in steps),
        "refused": sum(step["refused"] for step in steps),
        "findings": sum(len(step["findings"]) for step in steps),
        "seconds_of_each": {name: round(sum(step["seconds"] for step in each)) for name, each in of.items()},
        "inputs_of_each": {name: sum(step["inputs"] for step in each) for name, each in of.items()},
        "found": sorted({f"{step['reader']}: {told}" for step in steps for told in step["findings"]}),
    }
