"""python -m benchmarks.export: writes the generator of a finished run for other programs, and checks what it wrote."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_plugin, add_runs_dir, add_tracking, run_command
from benchmarks.cli.output import refuse_unwritable, write_output
from benchmarks.inference.exporting import FORMATS, TOLERANCE, refuse_missing_packages
from variants.recipe import UserError, unknown


def parser() -> Parser:
    parser = Parser("benchmarks.export", description=__doc__.partition(": ")[2])
    parser.add_argument("run", metavar="RUN", help="a run folder, a run's name, or its MLflow id")
    parser.add_argument(
        "--format",
        default="onnx",
        metavar="|".join(FORMATS),
        help="an ONNX model, a program of torch.export, or weights with their config (onnx)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="file to write (RUN.onnx, .pt2 or .safetensors here)")
    parser.add_argument("--log-model", action="store_true", help="log the ONNX model to the run in MLflow, too")
    add_runs_dir(parser)
    add_tracking(parser)
    add_plugin(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    if asked.format not in FORMATS:
        raise unknown("format", asked.format, FORMATS, see="it is one of " + ", ".join(FORMATS))
    ending = FORMATS[asked.format]
    if asked.out and asked.out.suffix.lower() != ending:
        raise UserError(f"--out is the name of a {ending} file for --format {asked.format}, not {str(asked.out)!r}")
    if asked.log_model and asked.format != "onnx":
        raise UserError(f"--log-model logs an ONNX model, and the format is {asked.format}; leave one of them out")
    refuse_missing_packages(asked.format)
    if asked.out:
        refuse_unwritable(asked.out)

    from benchmarks.cli.progress import say
    from benchmarks.inference.exporting import export_generator, make_inputs, measure_difference
    from benchmarks.inference.find import find_run

    run = find_run(asked.run, asked.runs_dir, asked.tracking_uri, asked.experiment)
    out = asked.out or Path(f"{run.config.name}{ending}")
    refuse_unwritable(out)
    exported = export_generator(run, asked.format)
    difference = measure_difference(run, asked.format, exported)
    # Not a number is not within it, either.
    if not difference <= TOLERANCE:
        raise UserError(
            f"the exported generator is not that of {run.config.name}: its samples differ by {difference:.2g}, and at "
            f"most {TOLERANCE:g} is rounding; nothing was written"
        )
    write_output(out, exported)
    say(f"wrote {out}: {len(exported):,} bytes; its samples are those of the run to {difference:.1g}")
    if asked.log_model:
        from benchmarks.tracking.models import log_onnx_model

        examples = {name: each.numpy() for name, each in make_inputs(run, 3).items()}
        name = log_onnx_model(run.folder, exported, examples, run.spec.shape, asked.tracking_uri, asked.experiment)
        say(f"logged to MLflow: {name}")
    return 0


if __name__ == "__main__":
    run_command(main)
