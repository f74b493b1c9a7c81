"""gan-benchmark NAME: starts the command of that name, as python -m benchmarks.NAME does; alone, lists the commands."""

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from benchmarks.cli.options import PROGRAMS, run_command
from variants.recipe import unknown

# The module of each command, in the order of their list.
COMMANDS = {
    name: f"benchmarks.{name}"
    for name in "run suite compare tune evaluate sample show export sync extractors defects speed".split()
} | {"report": "reports.build"}


def main(program: str = "gan-benchmark") -> NoReturn:
    """Starts the command that the command line names, and ends the process. program: how this one was called."""
    run_command(partial(start, program, sys.argv[1:]))


def start(program: str, words: Sequence[str]) -> int | None:
    """Runs the command of that name with the other words, and imports no other one. Raises UserError for no command."""
    if not words or words[0] in ("-h", "--help"):
        print(format_list(program))
        return 0
    name = words[0]
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS, see=f"{program} lists all")
    PROGRAMS[COMMANDS[name]] = f"{program} {name}"
    sys.argv = [sys.argv[0], *words[1:]]
    return import_module(COMMANDS[name]).main()


def format_list(program: str) -> str:
    """Returns every command with what it does."""
    lines = [f"  {name:<12}{summarize(module)}" for name, module in COMMANDS.items()]
    return "\n".join(
        [f"usage: {program} COMMAND [options]", "", *lines, "", f"{program} COMMAND --help shows its options"]
    )


def summarize(module: str) -> str:
    """Returns what a command does, as the first line of its file says, without importing it."""
    with Path(find_spec(module).origin).open(encoding="utf-8") as file:
        return file.readline().partition(": ")[2].strip().strip('".')


if __name__ == "__main__":
    main("python -m benchmarks")
