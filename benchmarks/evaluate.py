"""python -m benchmarks.evaluate: measures every metric of images that anything made, beside the same of real images.

python -m benchmarks.evaluate FOLDER --against mnist
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import plugins
from benchmarks.cli import options
from benchmarks.cli.options import Parser, read_fields, run_command
from benchmarks.cli.output import refuse_unwritable, write_output
from benchmarks.config import FOLDER, PROTOCOL_VERSION, DatasetConfig
from variants.recipe import UserError

if TYPE_CHECKING:
    from benchmarks.datasets import Dataset
    from benchmarks.evaluation.given import GivenSamples, Judgement

_DATASET_OPTIONS = [f for f in fields(DatasetConfig) if f.metadata]


def parser() -> Parser:
    parser = Parser("benchmarks.evaluate", description=__doc__.partition(": ")[2].partition("\n")[0])
    parser.add_argument(
        "images",
        type=Path,
        metavar="FOLDER|FILE.npy",
        help="a folder of images, or of one folder a class, or an array: uint8, or floats whose white is 1",
    )
    parser.add_argument(
        "--against",
        required=True,
        metavar="DATASET|FOLDER",
        help="real images to compare with: a dataset, or a folder as --dataset folder:PATH takes it",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE.npy", help="class of each image, in their order (the class folders)"
    )
    parser.add_argument(
        "--black",
        type=int,
        metavar="-1|0",
        help="black of floats (-1, if a value is below 0; otherwise it has to be given)",
    )
    options.add_thoroughness(parser)
    options.add_device(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of data that are drawn (0)")
    options.add_data_dir(parser)
    options.add_json(parser)
    options.add_plugin(parser)
    data = parser.add_argument_group("dataset options, for the datasets that take them")
    for field in _DATASET_OPTIONS:
        options.add_field(data, field)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    options.refuse_extractor(asked)
    if asked.black not in (None, -1, 0):
        raise UserError(f"--black is -1 or 0, not {asked.black}")
    if asked.seed < 0:
        raise UserError(f"--seed is at least 0, not {asked.seed}")
    if not asked.images.exists():
        raise UserError(f"there is no folder or .npy file {asked.images}")
    if asked.json is not None:
        refuse_unwritable(asked.json)

    from benchmarks.algorithm.device import resolve_device
    from benchmarks.cli.progress import console, say
    from benchmarks.cli.tables import make_figures_table, tell_unmeasured
    from benchmarks.datasets import load
    from benchmarks.evaluation.given import judge_samples, read_samples
    from benchmarks.evaluation.inception import load_inception, refuse_inception

    device = resolve_device(asked.device)
    config = DatasetConfig(_name_dataset(asked.against), **read_fields(asked, _DATASET_OPTIONS))
    dataset = load(config, asked.data_dir, asked.seed)
    if asked.extractor:
        refuse_inception(dataset)
    given = read_samples(asked.images, dataset, asked.labels, asked.black)
    for note in (*dataset.notes, *given.notes):
        say(note)
    found = judge_samples(
        given,
        dataset,
        thorough=not asked.quick_metrics,
        device=device,
        inception=load_inception(dataset.data_dir) if asked.extractor else None,
    )
    for caveat in found.caveats:
        say(caveat)
    title = f"{len(given.images):,} samples of {asked.images} against {dataset.name}"
    console.print(make_figures_table(title, found.metrics, found.real_data))
    say(f"reference: {dataset.reference_note}")
    tell_unmeasured(found.real_data_note, found.absent, found.absent_real_data)
    if asked.json is not None:
        record = describe(str(asked.images), given, config, dataset, found)
        write_output(asked.json, json.dumps(record, indent=1) + "\n")
        say(f"wrote {asked.json}")
    return 0


def describe(
    images: str, given: "GivenSamples", config: DatasetConfig, dataset: "Dataset", found: "Judgement"
) -> dict[str, object]:
    """Returns the figures, and by what they were measured, as JSON values; infinities as Python's json spells them."""
    return {
        "images": images,
        "samples": len(given.images),
        "labels": given.labels is not None,
        "against": {"name": dataset.name, **config.options()},
        "checksum": dataset.checksum,
        "protocol": dataset.reference_note,
        "protocol_version": PROTOCOL_VERSION,
        "notes": [*dataset.notes, *given.notes],
        **asdict(found),
    }


def _name_dataset(text: str) -> str:
    """Returns the name of a dataset: the text itself, or folder:PATH for the path of a folder."""
    from benchmarks.datasets import DATASETS

    known = text in DATASETS or text.startswith(FOLDER)
    return text if known or not Path(text).is_dir() else FOLDER + text


if __name__ == "__main__":
    run_command(main)
