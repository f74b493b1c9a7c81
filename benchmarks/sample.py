"""python -m benchmarks.sample: draws new samples from a finished run."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_plugin, add_runs_dir, add_tracking, run_command
from benchmarks.inference import drawing
from variants.recipe import UserError


def parser() -> Parser:
    parser = Parser("benchmarks.sample", description=__doc__.partition(": ")[2])
    parser.add_argument("--run", required=True, metavar="RUN", help="a run folder, a run's name, or its MLflow id")
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
        help=f"number of samples ({drawing.DEFAULT_IMAGES} images or {drawing.DEFAULT_POINTS} points)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the noise (0)")
    parser.add_argument(
        "--interpolate", action="store_true", help="draw rows of images from one noise vector to another"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="file to write (RUN.png in this folder)")
    add_runs_dir(parser)
    add_tracking(parser)
    add_plugin(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    if asked.count is not None and not 1 <= asked.count <= drawing.MOST_SAMPLES:
        raise UserError(f"--count is from 1 to {drawing.MOST_SAMPLES}, not {asked.count}")
    if asked.seed < 0:
        raise UserError(f"--seed is at least 0, not {asked.seed}")
    if asked.out and asked.out.suffix.lower() != ".png":
        raise UserError(f"--out is the name of a .png file, not {str(asked.out)!r}")

    from benchmarks.inference.find import find_run

    run = find_run(asked.run, asked.runs_dir, asked.tracking_uri, asked.experiment)
    label = None if asked.label is None else drawing.find_class(run, asked.label)
    draw = drawing.draw_interpolations if asked.interpolate else drawing.draw_new_samples
    drawn = draw(run, asked.count, label, asked.prompt, asked.seed)
    out = asked.out or Path(f"{run.folder.name}.png")
    try:
        drawn.save(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from None
    print(f"wrote {out}")
    return 0


if __name__ == "__main__":
    run_command(main)
