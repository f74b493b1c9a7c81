"""python -m benchmarks.defects: plants known defects into real data, and writes down which metric notices which.

python -m benchmarks.defects --dataset digits mnist ring8 --out docs/defects.md
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import plugins
from benchmarks.cli.options import Parser, add_data_dir, add_plugin, run_command
from benchmarks.cli.output import refuse_unwritable, write_output

_DATASETS = ("digits", "mnist", "ring8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        "benchmarks.defects", description="plants known defects into real data, and reports which metric notices which."
    )
    parser.add_argument(
        "--dataset", nargs="+", default=list(_DATASETS), metavar="NAME", help=f"datasets ({' '.join(_DATASETS)})"
    )
    parser.add_argument(
        "--samples", type=int, default=0, metavar="N", help="samples in each comparison (0: as many as the data allow)"
    )
    add_data_dir(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="file to write (printed by default)")
    add_plugin(parser)
    chosen = parser.parse_args(arguments)
    plugins.load_plugins(chosen.plugin)
    if chosen.out is not None:
        refuse_unwritable(chosen.out)

    from benchmarks.config import DatasetConfig
    from benchmarks.datasets import load
    from benchmarks.evaluation.defects import format_page, measure_defects

    def say(sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    datasets = (load(DatasetConfig(name), chosen.data_dir) for name in chosen.dataset)
    text = format_page([measure_defects(dataset, say, chosen.samples) for dataset in datasets])
    if chosen.out is None:
        print(text)
        return 0
    write_output(chosen.out, text)
    print(f"wrote {chosen.out}")
    return 0


if __name__ == "__main__":
    run_command(main)
