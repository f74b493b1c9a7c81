"""python -m tests.soak: runs the long checks, all of them or some; each can be stopped, and resumes where it was."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cli.options import Parser, run_command
from benchmarks.cli.output import refuse_unwritable
from tests.soak import calibration_page, endurance, figures, fuzzing, kills, metrics, mutants, null, peers, repetitions
from variants.recipe import UserError, unknown

PARTS = {
    "kills": kills.kills,
    "fuzzing": fuzzing.fuzzing,
    "metrics": metrics.metrics,
    "mutants": mutants.check_mutants,
    "endurance": endurance.endurance,
    "repetitions": repetitions.repetitions,
    "coverage": repetitions.coverage,
    "calibration": calibration_page.calibration,
    "null": null.null,
    "peers": peers.peers,
}
NAMED = {"peers"}
"""Parts that need packages of their own, and so run only where they are named."""


def parser() -> Parser:
    parser = Parser("tests.soak", description=__doc__.partition(": ")[2])
    parser.add_argument("part", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (all but peers)")
    parser.add_argument(
        "--size", type=float, default=1.0, metavar="SHARE", help="of the whole; below 1 no figures are kept (1)"
    )
    parser.add_argument("--work", type=Path, default=Path(".soak"), metavar="DIR", help="where steps are kept (.soak)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    for name in asked.part:
        if name not in PARTS:
            raise unknown("part", name, PARTS, see="one of " + ", ".join(PARTS))
    if asked.size <= 0:
        raise UserError(f"--size is above 0, not {asked.size}")
    # Parts change folders.
    work = asked.work.absolute()
    refuse_unwritable(work / "steps")
    if asked.size >= 1:
        refuse_unwritable(figures.FIGURES)
    for name in asked.part or [name for name in PARTS if name not in NAMED]:
        began = time.monotonic()
        found = PARTS[name](work, asked.size, lambda text, name=name: print(f"{name}: {text}", flush=True))
        found |= {"code": figures.code(), "date": datetime.now(UTC).date().isoformat()}
        print(f"{name}, {time.monotonic() - began:.0f} s: {found}", flush=True)
        if asked.size >= 1:
            figures.keep_figures(name, found)
    return 0


if __name__ == "__main__":
    run_command(main)
