"""python -m benchmarks.show: shows a run's settings and metrics, where its pictures are, and how to repeat it."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_plugin, add_runs_dir, add_tracking, run_command
from benchmarks.cli.output import refuse_unwritable, write_output
from benchmarks.run_folder.symptoms import describe_symptoms
from benchmarks.tracking.tensorboard import EVENTS, make_events, refuse_without_tensorboard

if TYPE_CHECKING:
    from benchmarks.inference.run import Run


def parser() -> Parser:
    parser = Parser("benchmarks.show", description=__doc__.partition(": ")[2])
    parser.add_argument("run", metavar="RUN", help="a run folder, a run's name, or its MLflow id")
    parser.add_argument(
        "--tensorboard", type=Path, metavar="DIR", help="write curves, pictures and settings for TensorBoard, too"
    )
    add_runs_dir(parser)
    add_tracking(parser)
    add_plugin(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    if asked.tensorboard:
        refuse_without_tensorboard()
        refuse_unwritable(asked.tensorboard / EVENTS)

    from benchmarks.cli.progress import say
    from benchmarks.cli.tables import show_metrics
    from benchmarks.inference.find import find_run

    run = find_run(asked.run, asked.runs_dir, asked.tracking_uri, asked.experiment)
    if asked.tensorboard:
        refuse_unwritable(asked.tensorboard / run.config.name / EVENTS)
        write_output(asked.tensorboard / run.config.name / EVENTS, make_events(run.folder))
    say(format_heading(run))
    for name, value in iter_facts(run):
        say(f"{name:<11}{value}")
    if run.metrics:
        show_metrics(run)
    if run.fetched:
        say("its folder is not here; its pictures are among its artifacts in MLflow")
    else:
        say(f"folder {run.path}, with its pictures")
    if asked.tensorboard:
        say(f"written for TensorBoard: {shlex.join(['tensorboard', '--logdir', str(asked.tensorboard)])}")
    if line := make_repeat_command(run, asked.runs_dir):
        say("to run it again")
        say(f"  {line}")
    return 0


def make_repeat_command(run: "Run", runs_dir: Path) -> str:
    """Returns the command that trains the run again where it is, on the data folder it had here; "" if unknown.

    runs_dir: takes the place of the run's own folder if only MLflow has that.
    """
    from benchmarks.run_folder.folder import HERE

    command, here = run.folder.environment().get("command"), run.folder.read_json(HERE)
    if not isinstance(command, str) or not command:
        return ""
    words, place = [], runs_dir if run.fetched else run.path.parent
    if place.absolute() != Path("runs").absolute():
        words += ["--runs-dir", str(place)]
    if isinstance(here, dict) and isinstance(data_dir := here.get("data_dir"), str):
        words += ["--data-dir", data_dir]
    return " ".join((command, *map(shlex.quote, words)))


def format_heading(run: "Run") -> str:
    """Returns the name of a run, and how far it is."""
    status = run.folder.status()
    at = f", epoch {status['epoch']} of {run.config.recipe.epochs}" if "epoch" in status else ""
    why = f": {status['cause']}" if status.get("cause") else ""
    return f"{run.config.name}: {status['state']}{at}{why}"


def iter_facts(run: "Run") -> Iterator[tuple[str, str]]:
    """Yields the settings and circumstances of a run, as pairs of a name and a value."""
    from benchmarks.training.provenance import fingerprint

    config, environment = run.config, run.folder.environment()
    data = config.dataset
    options = [f"{name} {value}" for name, value in data.options().items()]
    yield "variant", config.variant
    yield "recipe", describe_recipe(run)
    yield "dataset", ", ".join((data.name, *options, f"checksum {config.checksum[:8]}"))
    yield "seed", str(config.seed)
    if config.parent:
        lines = run.folder.lines()
        yield "parent", config.parent_name + (f", after its epoch {lines[0]['epoch'] - 1}" if lines else "")
    classifier = f", by classifier {config.extractor[:8]}" if config.extractor else ""
    yield "judged", f"on {config.samples:,} samples, epochs between evaluations {config.evaluate_every}{classifier}"
    for plugin in config.plugins:
        yield "plugin", plugin.rpartition(":")[0]
    if environment:
        versions = environment.get("versions")
        torch = versions.get("torch") if isinstance(versions, dict) else None
        yield "trained", f"on {environment.get('device')}, threads {environment.get('threads')}, torch {torch}"
        if environment.get("code") != fingerprint():
            yield "stale", "the code that decides results has changed since; --retrain trains it again"
        for note in run.folder.notes():
            yield "note", note
    if symptoms := describe_symptoms(run.folder.status()):
        yield "symptoms", symptoms


def describe_recipe(run: "Run") -> str:
    """Returns the name of the recipe and the fields that differ from it; all its fields if the variant is unknown."""
    from variants import VARIANTS, load_variant

    config = run.config
    if config.variant in VARIANTS:
        name, changes = load_variant(config.variant).nearest(config.recipe)
    else:
        name, changes = str(run.folder.environment().get("recipe", "?")), config.recipe.as_dict(neutral=False)
    return name + "".join(f", {field} {value}" for field, value in changes.items())


if __name__ == "__main__":
    run_command(main)
