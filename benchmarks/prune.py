"""python -m benchmarks.prune: removes checkpoints and old pictures of finished runs, after listing them.

Keeps the config, journal, results, generator, animation and last sample picture of a finished run: everything that
reports, new samples and the same command need. Changes no run that is not finished, or that a process is using.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.options import Parser, add_runs_dir, run_command
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.run_folder.folder import RunFolder


@dataclass(frozen=True)
class Removal:
    """Holds the files of one run that can be removed."""

    folder: "RunFolder"
    checkpoints: tuple[Path, ...]
    pictures: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return self.checkpoints + self.pictures

    @property
    def size(self) -> int:
        """Returns the bytes of all files."""
        return sum(path.lstat().st_size for path in self.files)


def parser() -> Parser:
    parser = Parser("benchmarks.prune", description=__doc__.partition(": ")[2].partition("\n")[0])
    add_runs_dir(parser)
    parser.add_argument(
        "--keep-milestones", action="store_true", help="keep the sample pictures of epochs 0, 1 and every tenth, too"
    )
    parser.add_argument("--yes", action="store_true", help="remove without asking")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)

    from benchmarks.run_folder.folder import list_run_folders

    removals, left = [], []
    for folder in list_run_folders(asked.runs_dir):
        try:
            if why := reason_to_keep(folder):
                left.append(f"{folder.name} is left as it is: {why}")
            elif (removal := plan_removal(folder, asked.keep_milestones)).files:
                removals.append(removal)
        except UserError as refused:
            left.append(f"{folder.name} is left as it is: {refused}")
    for removal in removals:
        parts = [f"checkpoints {len(removal.checkpoints)}", f"pictures {len(removal.pictures)}"]
        print(f"{removal.folder.name}: {', '.join(parts)}, {format_size(removal.size)}")
    for line in left:
        print(line)
    if not removals:
        print(f"there is nothing to remove in {asked.runs_dir}")
        return 0
    files, size = sum(len(removal.files) for removal in removals), sum(removal.size for removal in removals)
    if not (asked.yes or confirm(f"remove {files} files, {format_size(size)}? [y/N] ")):
        print("nothing is removed; --yes does it without asking")
        return 0
    removed, failed = 0, False
    for removal in removals:
        size, refusals = remove(removal, asked.keep_milestones)
        removed, failed = removed + size, failed or bool(refusals)
        for refused in refusals:
            print(f"{removal.folder.name}: {refused}", file=sys.stderr)
    print(f"removed {format_size(removed)}")
    return 1 if failed else 0


def reason_to_keep(folder: "RunFolder") -> str:
    """Returns why nothing of a run may be removed, or "" where it may."""
    if folder.in_use():
        return "a process is using it"
    state = folder.status()["state"]
    return "" if state == "FINISHED" else f"it is not finished ({state}), and may resume from its checkpoint"


def plan_removal(folder: "RunFolder", keep_milestones: bool) -> Removal:
    """Returns the checkpoints, and the sample pictures but for those that stay; never a link."""
    from benchmarks.pictures.epochs import choose_epochs
    from benchmarks.run_folder.folder import CHECKPOINT, DAMAGED, PREVIOUS

    checkpoints = [path for path in (folder.path / name for name in (CHECKPOINT, PREVIOUS, DAMAGED)) if _is_file(path)]
    samples = folder.pictures()
    last = folder.config().recipe.epochs
    stay = choose_epochs("milestones", last) if keep_milestones else {max(samples, default=last)}
    pictures = [path for epoch, path in samples.items() if epoch not in stay and _is_file(path)]
    return Removal(folder, tuple(checkpoints), tuple(pictures))


def remove(removal: Removal, keep_milestones: bool) -> tuple[int, list[UserError]]:
    """Removes the listed files; returns the bytes that are gone, and what was refused."""
    size, refusals = 0, []
    try:
        with removal.folder.lock():
            if removal.folder.status()["state"] != "FINISHED":
                raise UserError("it was started again in the meantime")
            # Its files may be others by now.
            for path in set(removal.files).intersection(plan_removal(removal.folder, keep_milestones).files):
                try:
                    size += _remove_file(path)
                except UserError as refused:
                    refusals.append(refused)
    except UserError as refused:
        refusals.append(refused)
    return size, refusals


def confirm(question: str) -> bool:
    """Asks a person, and tells whether the answer is yes; without a terminal it is no."""
    print(question, end="", flush=True)
    answer = sys.stdin.readline() if sys.stdin is not None and sys.stdin.isatty() else ""
    if not answer.endswith("\n"):
        print()
    return answer.strip().lower() in ("y", "yes")


def format_size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _remove_file(path: Path) -> int:
    size = path.lstat().st_size
    try:
        path.unlink()
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror or error}") from None
    return size


if __name__ == "__main__":
    run_command(main)
