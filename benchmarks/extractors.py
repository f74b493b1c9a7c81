"""python -m benchmarks.extractors: trains the classifiers whose features and predictions judge the generators.

    python -m benchmarks.extractors --dataset mnist --seeds 0 1 2

writes `metrics/extractors/<dataset>-<seed>.safetensors`, which are part of the project: train them again only to
replace them, for that changes the identity of every figure measured with them. For data without a pinned
classifier, `extractor_for` trains one at its first use and keeps it beside the data.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import plugins
from benchmarks.cli.options import Parser, run_command

if TYPE_CHECKING:
    pass

from benchmarks.evaluation.classifiers import BATCH, EPOCHS, LEAST_UPDATES, SEEDS, pin


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser("benchmarks.extractors", description="Trains and pins the classifiers that judge a dataset.")
    parser.add_argument("--dataset", default="mnist", metavar="NAME", help="a dataset of labelled images (mnist)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=list(SEEDS), metavar="N", help="one classifier each (0 1 2)"
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="datasets ($GANBENCH_DATA, else data)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (metrics/extractors)")
    plugins.add_option(parser)
    chosen = parser.parse_args(arguments)
    plugins.load_plugins(chosen.plugin)

    from benchmarks.config import DatasetConfig
    from benchmarks.datasets import load
    from metrics.features import PINNED

    dataset = load(DatasetConfig(chosen.dataset), chosen.data_dir)
    updates = max(LEAST_UPDATES, EPOCHS * (len(dataset.train) // BATCH))
    for seed in chosen.seeds:
        path = (chosen.out or PINNED) / f"{dataset.extractor}-{seed}.safetensors"
        pinned = pin(dataset, path, seed, updates, lambda sentence: print(sentence, flush=True))
        print(f"{path}: accuracy {pinned.accuracy:.2%}, {path.stat().st_size} bytes, sha256 {pinned.sha256}")
    return 0


if __name__ == "__main__":
    run_command(main)
