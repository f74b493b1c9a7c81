"""What all command lines share: options from dataclass fields, mistakes told in one sentence. Needs no torch."""

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field
from typing import Any, NoReturn

from variants.recipe import UserError, checked


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses with one sentence and exit code 2, and names the nearest option."""

    def __init__(self, module: str, **rest: Any) -> None:
        super().__init__(prog=f"python -m {module}", allow_abbrev=False, **rest)

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

    def add_field(self, group: argparse._ArgumentGroup, field: Field) -> None:
        """An option for a dataclass field; one that is not given is not in the parsed result."""
        group.add_argument(
            "--" + field.name.replace("_", "-"),
            dest=field.name,
            default=argparse.SUPPRESS,
            type=_reader(field),
            nargs="+" if isinstance(field.default, tuple) else None,
            metavar=_metavar(field),
            help=field.metadata["help"].replace("%", "%%"),
        )


def add_tracking(group: "argparse._ActionsContainer") -> None:
    """The options that say where MLflow is: --tracking-uri and --experiment."""
    group.add_argument(
        "--tracking-uri", metavar="URI", help="of MLflow ($MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)"
    )
    group.add_argument("--experiment", metavar="NAME", help="of MLflow ($MLFLOW_EXPERIMENT_NAME, else gan-benchmark)")


def given(parsed: argparse.Namespace, fields: Mapping[str, Field] | Iterable[Field]) -> dict[str, Any]:
    """The fields that were given as options, checked. Raises UserError for a value out of range."""
    known = fields.values() if isinstance(fields, Mapping) else fields
    return {f.name: checked(f, getattr(parsed, f.name)) for f in known if hasattr(parsed, f.name)}


def refuse_unread(asked: argparse.Namespace, by: str, *options: str) -> None:
    """Raises UserError for an option that was given and is not read, because the option `by` was given as well."""
    for option in options:
        if getattr(asked, by) and getattr(asked, option, None):
            words = [f"--{name.replace('_', '-')}" for name in (option, by)]
            raise UserError(f"{words[0]} is not read beside {words[1]}; leave one of them out")


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Runs a command and ends the process: 2 and one sentence for a person's mistake, 130 for Ctrl-C."""
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
        try:
            return {"true": True, "false": False}[text] if kind is bool else kind(text)
        except (ValueError, KeyError):
            wanted = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
            raise argparse.ArgumentTypeError(f"it is {wanted}, not {text!r}") from None

    return read


def _metavar(field: Field) -> str:
    if choices := field.metadata.get("choices"):
        return "|".join(choices)
    return "N" if isinstance(field.default, tuple | int | float) else "NAME"
