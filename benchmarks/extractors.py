"""python -m benchmarks.extractors: trains the classifiers that give the features and predicted classes of images.

    python -m benchmarks.extractors --dataset mnist --seeds 0 1 2

writes `metrics/extractors/<dataset>-<seed>.safetensors`. These files are part of the project: train them again only to
replace them, because that changes the identity of every value measured with them. A classifier of data that has no
pinned one is trained at its first use and kept beside the data.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_data_dir, add_plugin, run_command
from benchmarks.cli.output import refuse_unwritable


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        "benchmarks.extractors", description="trains the classifiers that evaluate a dataset, and writes them to files."
    )
    parser.add_argument("--dataset", default="mnist", metavar="NAME", help="a dataset of labelled images (mnist)")
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="seeds, of one classifier each (0 1 2)")
    add_data_dir(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write to (metrics/extractors)")
    add_plugin(parser)
    chosen = parser.parse_args(arguments)
    plugins.load_plugins(chosen.plugin)

    from benchmarks.config import DatasetConfig
    from benchmarks.datasets import load
    from benchmarks.evaluation.classifiers import PINNED_SEEDS, train_extractor
    from metrics.features import PINNED

    dataset = load(DatasetConfig(chosen.dataset), chosen.data_dir)
    seeds = chosen.seeds or PINNED_SEEDS
    paths = {seed: (chosen.out or PINNED) / f"{dataset.extractor}-{seed}.safetensors" for seed in seeds}
    for path in paths.values():
        refuse_unwritable(path)
    for seed, path in paths.items():
        pinned = train_extractor(dataset, path, seed, 0, lambda sentence: print(sentence, flush=True))
        print(f"{path}: accuracy {pinned.accuracy:.2%}, {path.stat().st_size} bytes, sha256 {pinned.sha256}")
    return 0


if __name__ == "__main__":
    run_command(main)
