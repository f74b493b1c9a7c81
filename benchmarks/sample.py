"""python -m benchmarks.sample: draws new samples from a finished run, as a picture, or as files to be used elsewhere.

python -m benchmarks.sample RUN --count 50000 --out samples.npy
"""

import argparse
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import plugins
from benchmarks.cli.options import (
    Parser,
    add_data_dir,
    add_plugin,
    add_runs_dir,
    add_tracking,
    refuse_unread,
    run_command,
)
from benchmarks.cli.output import refuse_existing, refuse_unwritable
from benchmarks.inference import drawing, writing
from variants.recipe import UserError, unknown

if TYPE_CHECKING:
    from PIL.Image import Image

    from benchmarks.inference.run import Run

_PICTURE = ".png"


def parser() -> Parser:
    parser = Parser("benchmarks.sample", description=__doc__.partition(": ")[2].partition("\n")[0])
    which = "a run folder, a run's name, or its MLflow id"
    parser.add_argument("run", nargs="?", default=argparse.SUPPRESS, metavar="RUN", help=which)
    parser.add_argument("--run", default=argparse.SUPPRESS, metavar="RUN", help="the same, as earlier commands have it")
    parser.add_argument(
        "--label", metavar="NAME", help="class of the samples, for conditional variants (all classes in turn)"
    )
    parser.add_argument(
        "--prompt", metavar="TEXT", help='description, for text variants, such as "a bold seven leaning left"'
    )
    parser.add_argument(
        "--count",
        type=int,
        metavar="N",
        help=f"number of samples ({drawing.DEFAULT_IMAGES} images, {drawing.DEFAULT_NEAREST} with --nearest, or "
        f"{drawing.DEFAULT_POINTS} points)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the noise (0)")
    parser.add_argument(
        "--truncation",
        type=float,
        metavar="PSI",
        help="draw Gaussian noise again where it is farther than PSI from 0 (Brock et al. 2019)",
    )
    parser.add_argument(
        "--interpolate", action="store_true", help="draw rows of images from one noise vector to another"
    )
    parser.add_argument(
        "--nearest", action="store_true", help="draw samples beside the training images nearest in features and pixels"
    )
    parser.add_argument(
        "--evaluation", action="store_true", help="write the very samples that the run's last evaluation judged"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.png|DIR|FILE.npy",
        help="one picture of all samples, a new folder of images, or a new array (RUN.png in this folder)",
    )
    parser.add_argument(
        "--dtype",
        default="",
        metavar="|".join(writing.TYPES),
        help=f"type of the values in FILE{writing.ARRAY} ({writing.TYPES[0]}; points: {writing.TYPES[1]})",
    )
    add_runs_dir(parser)
    add_data_dir(parser)
    add_tracking(parser)
    add_plugin(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    if "run" not in asked:
        parser().error("which run? give a run folder, a run's name, or its MLflow id")
    _refuse(asked)

    from benchmarks.inference.find import find_run

    run = find_run(asked.run, asked.runs_dir, asked.tracking_uri, asked.experiment)
    label = None if asked.label is None else drawing.find_class(run, asked.label)
    if _is_picture(asked.out):
        out = asked.out or Path(f"{run.folder.name}{_PICTURE}")
        drawn = _draw(asked, run, label)
        try:
            drawn.save(out)
        except OSError as error:
            raise UserError(f"cannot write {out}: {error.strerror or error}") from None
        written = [out]
    else:
        written = _write(asked, run, label)
    for path in written:
        print(f"wrote {path}")
    return 0


def _is_picture(out: Path | None) -> bool:
    return out is None or out.suffix.lower() == _PICTURE


def _refuse(asked: argparse.Namespace) -> None:
    """Raises UserError for what can be refused without torch, before any work."""
    out, picture = asked.out, _is_picture(asked.out)
    if picture and asked.count is not None and not 1 <= asked.count <= drawing.MOST_SAMPLES:
        raise UserError(f"--count is from 1 to {drawing.MOST_SAMPLES}, not {asked.count}")
    if asked.count is not None and asked.count < 1:
        raise UserError(f"--count is at least 1, not {asked.count}")
    if asked.seed < 0:
        raise UserError(f"--seed is at least 0, not {asked.seed}")
    if asked.dtype and asked.dtype not in writing.TYPES:
        raise unknown("dtype", asked.dtype, writing.TYPES, see="it is one of " + ", ".join(writing.TYPES))
    refuse_unread(asked, "evaluation", "label", "prompt", "count", "seed", "truncation", "interpolate", "nearest")
    refuse_unread(asked, "interpolate", "nearest", "truncation")
    if asked.data_dir is not None and not (asked.nearest or asked.evaluation):
        raise UserError("--data-dir is read with --nearest and --evaluation alone; leave it out")
    if out and out.suffix not in ("", writing.ARRAY) and not picture:
        raise UserError(
            f"--out is a {_PICTURE} file for a picture, or a {writing.ARRAY} file or a folder, whose name has no "
            f"ending, for single images, not {str(out)!r}"
        )
    if asked.evaluation and picture:
        raise UserError(f"--evaluation writes single images; give --out a folder or a {writing.ARRAY} file")
    for option in ("interpolate", "nearest"):
        if getattr(asked, option) and not picture:
            raise UserError(f"--{option} draws one picture; --out is the name of a {_PICTURE} file, not {str(out)!r}")
    if asked.dtype and (picture or out.suffix != writing.ARRAY):
        raise UserError(f"--dtype is of the values in a {writing.ARRAY} file, and --out is none; leave it out")
    if not picture:
        refuse_existing(out, *([writing.labels_file(out)] if out.suffix == writing.ARRAY else []))
    elif out is not None:
        refuse_unwritable(out)
        if not out.parent.is_dir():
            raise UserError(f"cannot write {out}: {os.strerror(errno.ENOENT)}")


def _draw(asked: argparse.Namespace, run: "Run", label: int | None) -> "Image":
    if asked.nearest:
        from benchmarks.inference.nearest import draw_nearest

        dataset = run.load_dataset(asked.data_dir)
        return draw_nearest(run, dataset, asked.count, label, asked.prompt, asked.seed, asked.truncation)
    if asked.interpolate:
        return drawing.draw_interpolations(run, asked.count, label, asked.prompt, asked.seed)
    return drawing.draw_new_samples(run, asked.count, label, asked.prompt, asked.seed, asked.truncation)


def _write(asked: argparse.Namespace, run: "Run", label: int | None) -> list[Path]:
    """Writes single samples. Returns the files, or the folder."""
    from benchmarks.evaluation.given import name_class_folders

    array = asked.out.suffix == writing.ARRAY
    points, dtype = not run.spec.is_image, asked.dtype or writing.TYPES[not run.spec.is_image]
    if points and (not array or dtype == writing.TYPES[0]):
        raise UserError(
            f"{run.config.dataset.name} has points of the plane, which are floats; give --out a {writing.ARRAY} file"
        )
    if not array and run.spec.shape[0] not in (1, 3):
        raise UserError(f"a {_PICTURE} file has 1 or 3 channels, and these images have {run.spec.shape[0]}")
    if asked.evaluation:
        from benchmarks.inference.judged import draw_judged

        samples = draw_judged(run, run.load_dataset(asked.data_dir))
        count, batches = len(samples[0]), [samples]
    else:
        count = asked.count or drawing.default_count(run)
        batches = run.iterate(count, label, asked.prompt, asked.seed, asked.truncation)
    if array:
        writing.refuse_full(asked.out, count * run.spec.size * (1 if dtype == writing.TYPES[0] else 4))
        return writing.write_array(asked.out, count, batches, dtype)
    labelled = run.config.recipe.conditioning not in ("none", "text")
    folders = name_class_folders(run.class_names, run.spec.classes) if labelled else ()
    return writing.write_images(asked.out, count, batches, folders)


if __name__ == "__main__":
    run_command(main)
