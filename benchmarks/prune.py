"""python -m benchmarks.prune: removes old checkpoints and pictures of finished runs, after telling what and how much.

Of a finished run stay its config, journal, results, generator, animation and last sample picture: all that reports,
new samples and the same command need. Runs that are not finished, or that some process is using, are left as they are.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.options import Parser, run_command
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.run_folder.folder import RunFolder


@dataclass(frozen=True)
class Removal:
    """What can go of one run."""

    folder: "RunFolder"
    checkpoints: tuple[Path, ...]
    pictures: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return self.checkpoints + self.pictures

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(path.lstat().st_size for path in self.files)


def parser() -> Parser:
    parser = Parser("benchmarks.prune", description=__doc__.partition(": ")[2].partition("\n")[0])
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="of the run folders (runs)")
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
            if why := not_to_touch(folder):
                left.append(f"{folder.name} is left as it is: {why}")
            elif (removal := removal_of(folder, asked.keep_milestones)).files:
                removals.append(removal)
        except UserError as refused:
            left.append(f"{folder.name} is left as it is: {refused}")
    for removal in removals:
        parts = [f"checkpoints {len(removal.checkpoints)}", f"pictures {len(removal.pictures)}"]
        print(f"{removal.folder.name}: {', '.join(parts)}, {mebibytes(removal.size)}")
    for line in left:
        print(line)
    if not removals:
        print(f"there is nothing to remove in {asked.runs_dir}")
        return 0
    files, size = sum(len(removal.files) for removal in removals), sum(removal.size for removal in removals)
    if not (asked.yes or agreed(f"remove {files} files, {mebibytes(size)}? [y/N] ")):
        print("nothing is removed; --yes does it without asking")
        return 0
    removed, failed = 0, False
    for removal in removals:
        size, refusals = remove(removal, asked.keep_milestones)
        removed, failed = removed + size, failed or bool(refusals)
        for refused in refusals:
            print(f"{removal.folder.name}: {refused}", file=sys.stderr)
    print(f"removed {mebibytes(removed)}")
    return 1 if failed else 0


def not_to_touch(folder: "RunFolder") -> str:
    """Why nothing may be removed of a run, or "" where it may."""
    if folder.in_use():
        return "some process is using it"
    state = folder.status()["state"]
    return "" if state == "FINISHED" else f"it is not finished ({state}), and may go on from its checkpoint"


def removal_of(folder: "RunFolder", keep_milestones: bool) -> Removal:
    """The checkpoints, and the sample pictures but for those that stay; links are not among them."""
    from benchmarks.pictures.epochs import pictured_epochs
    from benchmarks.run_folder.folder import CHECKPOINT, DAMAGED, PREVIOUS

    checkpoints = [path for path in (folder.path / name for name in (CHECKPOINT, PREVIOUS, DAMAGED)) if _is_file(path)]
    samples = folder.pictures()
    last = folder.config().recipe.epochs
    stay = pictured_epochs("milestones", last) if keep_milestones else {max(samples, default=last)}
    pictures = [path for epoch, path in samples.items() if epoch not in stay and _is_file(path)]
    return Removal(folder, tuple(checkpoints), tuple(pictures))


def remove(removal: Removal, keep_milestones: bool) -> tuple[int, list[UserError]]:
    """Removes what was told: the bytes that are gone, and what was refused: files, or a run that was started again."""
    size, refusals = 0, []
    try:
        with removal.folder.lock():
            if removal.folder.status()["state"] != "FINISHED":
                raise UserError("it was started again in the meantime")
            still = set(removal_of(removal.folder, keep_milestones).files)
            for path in removal.files:
                try:
                    size += _removed(path) if path in still else 0
                except UserError as refused:
                    refusals.append(refused)
    except UserError as refused:
        refusals.append(refused)
    return size, refusals


def agreed(question: str) -> bool:
    """Whether the person says yes; where nobody is there to answer, it is no."""
    print(question, end="", flush=True)
    answer = sys.stdin.readline() if sys.stdin is not None and sys.stdin.isatty() else ""
    if not answer.endswith("\n"):
        print()
    return answer.strip().lower() in ("y", "yes")


def mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _removed(path: Path) -> int:
    size = path.lstat().st_size
    try:
        path.unlink()
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror or error}") from None
    return size


if __name__ == "__main__":
    run_command(main)
