"""Parses command lines: one definition for each shared option, one sentence for each mistake. Needs no torch."""

import argparse
import difflib
import re
import sys
from argparse import _ActionsContainer as Options  # a parser, or one of its groups
from collections.abc import Callable, Iterable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.config import DEFAULT_SAMPLES
from benchmarks.training.options import RunOptions
from variants.recipe import UserError, checked, unknown


class Parser(argparse.ArgumentParser):
    """Refuses a mistake with one sentence and exit code 2, and suggests the nearest option."""

    def __init__(self, module: str, description: str, **rest: Any) -> None:
        description = description[:1].upper() + description[1:]
        super().__init__(prog=f"python -m {module}", description=description, allow_abbrev=False, **rest)

    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        parsed, extra = self.parse_known_args(args, namespace)
        for word in extra:
            if word.startswith("--"):
                known = [option for action in self._actions for option in action.option_strings]
                near = difflib.get_close_matches(word.partition("=")[0], known, n=1)
                self.error(f"unknown option {word}" + (f"; did you mean {near[0]}?" if near else ""))
            self.error(f"unexpected {word!r}; options begin with --")
        return parsed

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help shows all options)\n")


def add_runs_dir(options: Options, default: str = "runs") -> None:
    options.add_argument(
        "--runs-dir", type=Path, default=Path(default), metavar="DIR", help=f"folder that holds run folders ({default})"
    )


def add_data_dir(options: Options) -> None:
    options.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="folder that holds the datasets ($GANBENCH_DATA, else data)"
    )


def add_tracking(options: Options) -> None:
    """Adds --tracking-uri and --experiment, which say where MLflow is."""
    options.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow store or server ($MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)"
    )
    options.add_argument(
        "--experiment", metavar="NAME", help="MLflow experiment ($MLFLOW_EXPERIMENT_NAME, else gan-benchmark)"
    )


def add_no_tracking(options: Options) -> None:
    options.add_argument("--no-tracking", action="store_true", help="write run folders only, and nothing to MLflow")


def add_plugin(options: Options) -> None:
    options.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="load your own variants, datasets, questions, … from a Python file; repeat for several files",
    )


def add_dataset(options: Options) -> None:
    options.add_argument(
        "--dataset",
        default="auto",
        metavar="NAME",
        help="a dataset, or folder:PATH for your own images (auto: MNIST, else digits)",
    )


def add_recipe(options: Options) -> None:
    options.add_argument(
        "--recipe",
        default="",
        metavar="NAME",
        help="settings to start from: a recipe of the variant, a .toml file, or a run folder",
    )


def add_evaluation(options: Options) -> None:
    """Adds --evaluate-every and --samples, which say when and on how much a run is judged."""
    options.add_argument(
        "--evaluate-every", type=int, default=0, metavar="N", help="epochs between evaluations (a tenth of all)"
    )
    options.add_argument(
        "--samples",
        type=int,
        default=DEFAULT_SAMPLES,
        metavar="N",
        help=f"generated samples in each evaluation ({DEFAULT_SAMPLES})",
    )


def add_thoroughness(options: Options) -> None:
    """Adds --quick-metrics and --extractor, which say what is measured besides the usual metrics."""
    options.add_argument("--quick-metrics", action="store_true", help="leave out the metrics that take long to measure")
    options.add_argument(
        "--extractor",
        default="",
        metavar="NAME",
        help="another network that measures at the end: inception, whose figures compare with papers (none)",
    )


def refuse_extractor(asked: argparse.Namespace) -> None:
    """Raises UserError for an --extractor that does not exist, or that --quick-metrics switches off."""
    refuse_unread(asked, "quick_metrics", "extractor")
    if asked.extractor not in ("", "inception"):
        raise unknown("extractor", asked.extractor, ["inception"], see="it is inception")


def add_executor(options: Options) -> None:
    """Adds --executor and --address, which say where runs are trained."""
    options.add_argument(
        "--executor", default="processes", metavar="NAME", help="where to train: inline, processes or ray (processes)"
    )
    options.add_argument(
        "--address", default="", metavar="ADDRESS", help="address of a Ray cluster (starts one on this machine)"
    )


def add_device(options: Options, default: str = "auto") -> None:
    options.add_argument(
        "--device", default=default, metavar="auto|cpu|cuda|mps", help=f"device to compute on ({default})"
    )


def add_workers(options: Options) -> None:
    options.add_argument(
        "--workers", type=int, default=0, metavar="N", help="runs to train at once (one per CPU core, 2 on a GPU)"
    )


def add_stack(options: Options) -> None:
    options.add_argument(
        "--stack", default="auto", metavar="auto|on|off", help="train several seeds as one network (auto: on a GPU)"
    )


def add_cuda_graphs(options: Options) -> None:
    options.add_argument(
        "--cuda-graphs", action="store_true", help="record the updates as CUDA graphs and replay them (on a GPU)"
    )


def add_retrain(options: Options) -> None:
    options.add_argument("--retrain", action="store_true", help="train runs anew even if they are finished")


def add_pictures(options: Options, default: str) -> None:
    options.add_argument(
        "--pictures",
        default=default,
        metavar="all|milestones|none",
        help=f"epochs after which sample pictures are drawn ({default})",
    )


def add_json(options: Options) -> None:
    options.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this JSON file, too")


def add_field(options: Options, field: Field) -> None:
    """Adds an option for a dataclass field; the parsed result lacks it unless it is given."""
    options.add_argument(
        "--" + field.name.replace("_", "-"),
        dest=field.name,
        default=argparse.SUPPRESS,
        type=_reader(field),
        nargs="+" if isinstance(field.default, tuple) else None,
        metavar=_metavar(field),
        help=field.metadata["help"].replace("%", "%%"),
    )


def read_fields(asked: argparse.Namespace, wanted: Iterable[Field]) -> dict[str, Any]:
    """Returns the fields that were given as options, checked. Raises UserError for a value out of range."""
    return {f.name: checked(f, getattr(asked, f.name)) for f in wanted if hasattr(asked, f.name)}


def read_run_options(asked: argparse.Namespace) -> RunOptions:
    """Returns the options of a command that trains runs. Raises UserError for a choice that does not exist."""
    names = {f.name for f in fields(RunOptions)} - {"threads", "track"}
    return RunOptions(**{name: getattr(asked, name) for name in names}, track=not asked.no_tracking)


def refuse_unread(asked: argparse.Namespace, by: str, *options: str) -> None:
    """Raises UserError for an option that was given although the option `by` switches it off."""
    for option in options:
        if getattr(asked, by) and getattr(asked, option, None):
            words = [f"--{name.replace('_', '-')}" for name in (option, by)]
            raise UserError(f"{words[0]} is not read beside {words[1]}; leave one of them out")


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Runs a command and ends the process: 2 and one sentence for a user's mistake, 130 for Ctrl-C."""
    try:
        sys.exit(command() or 0)
    except UserError as refused:
        print(f"error: {refused}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def _reader(field: Field) -> Callable[[str], Any]:
    sample = field.default[0] if isinstance(field.default, tuple) and field.default else field.default
    kind = int if sample == () else type(sample)

    def read(text: str) -> Any:
        if field.metadata.get("pattern") and re.fullmatch(field.metadata["pattern"], text):
            return text
        try:
            return {"true": True, "false": False}[text] if kind is bool else kind(text)
        except (ValueError, KeyError):
            wanted = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
            wanted += ", or two with an x between them" if field.metadata.get("pattern") else ""
            raise argparse.ArgumentTypeError(f"it is {wanted}, not {text!r}") from None

    return read


def _metavar(field: Field) -> str:
    if choices := field.metadata.get("choices"):
        return "|".join(choices)
    return "N" if isinstance(field.default, tuple | int | float) else "NAME"
