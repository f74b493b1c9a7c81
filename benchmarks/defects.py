"""python -m benchmarks.defects: plants known defects into real data, and writes down which metric notices which.

python -m benchmarks.defects --dataset digits mnist ring8 --out docs/defects.md
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import plugins
from benchmarks.cli.options import Parser, run_command
from benchmarks.evaluation.defects import REPEATED, SPLITS, USUAL_SPLITS, measure, page
from variants.recipe import UserError

DEFAULT = ("digits", "mnist", "ring8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser("benchmarks.defects", description="Which metric notices which planted defect.")
    parser.add_argument(
        "--dataset", nargs="+", default=list(DEFAULT), metavar="NAME", help=f"datasets ({' '.join(DEFAULT)})"
    )
    parser.add_argument(
        "--samples", type=int, default=0, metavar="N", help="samples in a comparison (0: as many as the data allow)"
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="datasets ($GANBENCH_DATA, else data)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write (by default the page is printed)")
    plugins.add_option(parser)
    chosen = parser.parse_args(arguments)
    plugins.load_plugins(chosen.plugin)

    from benchmarks.config import DatasetConfig
    from benchmarks.datasets import load

    def say(sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    tables = []
    for name in chosen.dataset:
        dataset = load(DatasetConfig(name), chosen.data_dir)
        if dataset.test.labels is None:
            raise UserError(f"defects are planted by class, and {name} has no labels; choose another dataset")
        if (classes := len(dataset.class_names)) <= REPEATED:
            raise UserError(
                f"defects are planted into {REPEATED + 1} classes, and {name} has {classes}; choose another dataset"
            )
        tables.append(measure(dataset, SPLITS.get(name, USUAL_SPLITS), say, chosen.samples))
    text = page(tables)
    if chosen.out is None:
        print(text)
        return 0
    try:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {chosen.out}: {error.strerror}") from None
    print(f"wrote {chosen.out}")
    return 0


if __name__ == "__main__":
    run_command(main)
