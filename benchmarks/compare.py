"""python -m benchmarks.compare: tells which arm is better, with as few seeds as it takes, and writes a page on it."""

import itertools
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import plugins
from benchmarks.cli import options
from benchmarks.cli.options import Parser, read_fields, read_run_options, refuse_unread, run_command
from benchmarks.cli.output import refuse_unwritable
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.executors import EXECUTORS
from benchmarks.training.options import RunOptions
from variants import VARIANTS
from variants.recipe import FIELDS, UserError, checked, unknown

if TYPE_CHECKING:
    import pandas

    from benchmarks.statistics.ranks import Interval
    from benchmarks.statistics.verdicts import JudgedLook, Verdict
    from benchmarks.suites.plan import Plan
    from reports.analysis.answers import Answers
    from reports.analysis.looks import Judged
    from reports.build import Report

OUT = Path("reports/out/comparison")
_DATASET_OPTIONS = [f for f in fields(DatasetConfig) if f.metadata]


@dataclass(frozen=True)
class Comparison:
    """Holds what a comparison found; every pair has a verdict, the first one under `verdict`."""

    plan: "Plan"
    judged: "Judged"
    # Holds the runs.
    runs_dir: Path

    @property
    def verdicts(self) -> "tuple[Verdict, ...]":
        """One for each pair of arms that was planned and could be judged."""
        return tuple(self.judged.verdicts.values())

    @property
    def verdict(self) -> "Verdict":
        """The verdict of the first pair. Raises LookupError where nothing could be judged."""
        if not self.verdicts:
            raise LookupError("no pair of arms could be judged")
        return self.verdicts[0]

    @property
    def interval(self) -> "Interval":
        """The interval of the first pair's shift, corrected for looks and pairs; above 0 the second arm is better."""
        return self.verdict.effects[0].wide

    @property
    def settled(self) -> bool:
        """Whether no pair is open."""
        from benchmarks.statistics.verdicts import SETTLED

        return len(self.verdicts) == len(self.plan.decisions) and all(v.outcome in SETTLED for v in self.verdicts)

    @cached_property
    def frame(self) -> "pandas.DataFrame":
        """The runs of all arms as `reports.results` returns them."""
        from reports.analysis.dataframe import make_dataframe

        return make_dataframe(self.answers.evidence.ended)

    @property
    def sentences(self) -> tuple[str, ...]:
        """One line for each pair: what came out, by how much, with how many seeds."""
        return self._report.said

    def page(self, out: Path | str | None = None, html: bool = False) -> str:
        """Returns the page in Markdown; writes it with its pictures to a folder, if one is given.

        html: writes one self-contained HTML file as well. Raises UserError where the folder cannot be written.
        """
        from reports.build import write_report

        if out is not None:
            write_report(self._report, Path(out), html)
        return next(iter(self._report.pages.values()))

    @cached_property
    def answers(self) -> "Answers":
        """What the page says, as records."""
        from reports.analysis.answers import answer_plan
        from reports.analysis.evidence import gather_evidence
        from reports.reading.runs import find_runs

        evidence = gather_evidence(self.judged.needed, find_runs(runs_dir=self.runs_dir).runs)
        return answer_plan(evidence, judged=self.judged)

    @cached_property
    def _report(self) -> "Report":
        from reports.build import describe_comparison

        return describe_comparison(self.answers)


def compare(
    configs: Sequence[RunConfig],
    *,
    by: str = "",
    margin: float | None = None,
    labels: Sequence[str] = (),
    most: int = 40,
    hours: float = 0.0,
    rates: bool = False,
    all_pairs: bool = False,
    run_options: RunOptions | None = None,
    executor: str = "processes",
    workers: int = 0,
    address: str = "",
) -> Comparison:
    """Trains arms in groups of seeds until it is settled which is better by more than the margin.

    configs: one for each arm, of any seed. by: a metric, seconds or failures; "" for FID of images and overlap of
    points. margin: see `suites.comparison.find_criterion`. most: seeds of an arm. hours: begins no group of seeds that
    would end later; 0 for no limit. rates, all_pairs, labels: see `suites.comparison.plan_comparison`. The others are
    those of a suite. Finished runs are found, so the same call goes on where it was stopped. Raises UserError for arms
    that cannot be compared, and for a run that did not end.
    """
    from benchmarks.cli.progress import SuiteProgress
    from benchmarks.suites import scheduler
    from benchmarks.suites.comparison import find_criterion, plan_comparison
    from benchmarks.suites.plan_history import record_plan
    from benchmarks.training.cache import load_dataset
    from reports.analysis.looks import judge_at_looks
    from reports.reading.runs import find_runs

    if not configs:
        raise UserError("a comparison needs two arms")
    run_options = run_options or RunOptions()
    data = load_dataset(configs[0].dataset, run_options.data_dir, configs[0].seed)
    criterion = find_criterion(by, margin, data)
    plan = plan_comparison(configs, data, criterion, labels=labels, most=most, rates=rates, all_pairs=all_pairs)
    began, looks = time.monotonic(), plan.looks
    with SuiteProgress("comparison", 0) as live:
        live.say(
            f"{' against '.join(arm.arm.label for arm in plan.arms)}, by {criterion.by}: judged with "
            f"{', '.join(map(str, looks.seeds))} seeds an arm; plan {plan.hash[:12]}"
        )
        record_plan(plan, run_options.runs_dir, datetime.now(UTC).isoformat(timespec="seconds"))
        trainer = scheduler.Trainer(run_options, live, executor, workers, address, run_options.data_dir)

        def train(part: "Plan") -> bool:
            seconds = [result.seconds for result in trainer.results.values() if result.seconds]
            left = part.runs - len(trainer.results)
            if hours and seconds:
                more = left * sum(seconds) / len(seconds) / max(1, live.workers)
                if time.monotonic() - began + more > 3600 * hours:
                    return False
            trainer.train(part, f"{max(len(arm.seeds) for arm in part.arms)} seeds an arm")
            scheduler.require_all_ended(list(trainer.results.values()))
            return True

        def told(look: "JudgedLook") -> None:
            live.say(scheduler.describe_look(look, looks))

        judged = judge_at_looks(plan, lambda: find_runs(runs_dir=run_options.runs_dir).runs, train, told)
        if not judged.complete:
            live.say(f"another group of seeds would take longer than the {hours:g} h")
    return Comparison(plan, judged, run_options.runs_dir)


def parser() -> Parser:
    parser = Parser(
        "benchmarks.compare",
        usage="%(prog)s [ARM ...] [options]",
        description=__doc__.partition(": ")[2],
    )
    what = parser.add_argument_group("what")
    what.add_argument(
        "arms",
        nargs="*",
        metavar="ARM",
        help="a variant, with fields after a colon (dcgan:loss=hinge,r1=0.1), or a .toml file with a recipe",
    )
    what.add_argument("--variant", default="", metavar="NAME", help="variant of arms that name none (cgan_mlp)")
    options.add_dataset(what)
    options.add_recipe(what)
    what.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="FIELD=VALUE,VALUE",
        help="an arm for each value of a recipe field; repeat for every combination",
    )
    what.add_argument("--all-pairs", action="store_true", help="compare each arm with each, not only with the first")
    options.add_plugin(what)
    how = parser.add_argument_group("how it is decided")
    how.add_argument("--by", default="", metavar="NAME", help="a metric, seconds or failures (fid; of points, overlap)")
    how.add_argument(
        "--margin",
        type=float,
        metavar="X",
        help="what matters: a factor of FID and seconds, else a difference (1.25, or .05)",
    )
    how.add_argument("--most", type=int, default=40, metavar="N", help="most seeds of an arm (40)")
    how.add_argument("--hours", type=float, default=0.0, metavar="H", help="begin no seeds that would end later (none)")
    how.add_argument(
        "--rates", action="store_true", help="spread the seeds over half, once and twice the first arm's learning rate"
    )
    options.add_evaluation(how)
    train = parser.add_argument_group("how it is trained")
    options.add_executor(train)
    options.add_workers(train)
    options.add_device(train)
    options.add_stack(train)
    options.add_cuda_graphs(train)
    options.add_retrain(train)
    options.add_pictures(train, "milestones")
    where = parser.add_argument_group("where")
    options.add_runs_dir(where)
    options.add_data_dir(where)
    options.add_tracking(where)
    options.add_no_tracking(where)
    where.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"folder for the page ({OUT})")
    where.add_argument("--html", action="store_true", help="write one self-contained HTML file as well")
    recipe = parser.add_argument_group("recipe fields of all arms")
    for field in FIELDS.values():
        options.add_field(recipe, field)
    data = parser.add_argument_group("dataset options, for the datasets that take them")
    for field in _DATASET_OPTIONS:
        options.add_field(data, field)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    plugins.load_plugins(asked.plugin)
    refuse_unread(asked, "no_tracking", "tracking_uri", "experiment")
    if asked.executor not in EXECUTORS:
        raise unknown("executor", asked.executor, EXECUTORS, see="one of " + ", ".join(EXECUTORS))
    if asked.hours < 0:
        raise UserError(f"--hours is at least 0, not {asked.hours:g}")
    refuse_unwritable(asked.out / "index.md")
    wanted = list_arms(asked)
    found = compare(
        _configure(asked, wanted),
        by=asked.by,
        margin=asked.margin,
        labels=[arm.label for arm in wanted] if all(arm.label for arm in wanted) else (),
        most=asked.most,
        hours=asked.hours,
        rates=asked.rates,
        all_pairs=asked.all_pairs,
        run_options=read_run_options(asked),
        executor=asked.executor,
        workers=asked.workers,
        address=asked.address,
    )
    from benchmarks.cli.progress import say

    found.page(asked.out, asked.html)
    for sentence in found.sentences:
        say(sentence)
    say(f"the page: {asked.out / 'index.md'}")
    return 0


@dataclass(frozen=True)
class _Arm:
    variant: str
    # Name of a recipe, or a file.
    recipe: str
    fields: dict[str, Any]
    label: str = ""


def list_arms(asked: Namespace) -> list[_Arm]:
    """Returns the arms that a command line names. Raises UserError for one that cannot be read."""
    common = read_fields(asked, FIELDS.values())
    named = [_read_arm(text, asked) for text in asked.arms or [asked.variant or "cgan_mlp"]]
    varied = [_read_values(text) for text in asked.vary]
    return [
        replace(arm, fields={**common, **arm.fields, **dict(values)}, label="" if values else arm.label)
        for arm in named
        for values in itertools.product(*varied)
    ]


def _read_arm(text: str, asked: Namespace) -> _Arm:
    """Reads an arm: NAME, NAME:FIELD=VALUE,… or FILE.toml."""
    if text.endswith(".toml"):
        return _Arm(_known(asked.variant or "cgan_mlp"), text, {}, Path(text).stem)
    name, _, rest = text.partition(":")
    pairs = dict(_read_pair(pair) for pair in rest.split(",") if pair)
    return _Arm(_known(name), asked.recipe, pairs)


def _known(variant: str) -> str:
    if variant not in VARIANTS:
        raise unknown("variant", variant, VARIANTS)
    return variant


def _read_values(text: str) -> list[tuple[str, Any]]:
    """Reads FIELD=VALUE,VALUE as pairs of the field and each value."""
    name, _, values = text.partition("=")
    pairs = [_read_pair(f"{name}={value}") for value in values.split(",")]
    if len(pairs) < 2:
        raise UserError(f"--vary takes FIELD=VALUE,VALUE with two values or more, not {text!r}")
    return pairs


def _read_pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not value:
        raise UserError(f"a field of an arm is given as FIELD=VALUE, not {text!r}")
    if name not in FIELDS:
        raise unknown("recipe field", name, FIELDS, see="--help shows all")
    return name, checked(FIELDS[name], _parse(FIELDS[name].default, value))


def _parse(default: Any, text: str) -> Any:
    """Reads a value of a field as text: a tuple as 128+256."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text]
        if isinstance(default, tuple):
            return tuple(int(part) for part in text.split("+"))
        return text if isinstance(default, str) else type(default)(text)
    except (KeyError, ValueError):
        wanted = (
            "true or false"
            if isinstance(default, bool)
            else "numbers such as 128+256"
            if isinstance(default, tuple)
            else "a number"
        )
        raise UserError(f"{text!r} is not {wanted}") from None


def _configure(asked: Namespace, arms: Sequence[_Arm]) -> list[RunConfig]:
    """Makes a config of each arm. Raises UserError for one that cannot be trained."""
    from benchmarks.training.cache import load_dataset
    from benchmarks.training.configure import configure

    dataset = DatasetConfig(asked.dataset, **read_fields(asked, _DATASET_OPTIONS))
    data = load_dataset(dataset, asked.data_dir, 0)
    return [
        configure(
            arm.variant,
            replace(dataset, name=data.name),
            recipe=arm.recipe,
            evaluate_every=asked.evaluate_every,
            samples=asked.samples,
            data_dir=asked.data_dir,
            thorough=False,
            **arm.fields,
        )
        for arm in arms
    ]


if __name__ == "__main__":
    run_command(main)
