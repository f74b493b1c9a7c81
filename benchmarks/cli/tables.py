"""Prints the metrics of a run, and the choices that options have."""

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from benchmarks.cli.progress import clean_text, console, say
from benchmarks.evaluation.catalogue import find_metric
from benchmarks.evaluation.probes import PROBES
from benchmarks.inference.run import Run
from benchmarks.run_folder.folder import ABSENT_REFERENCE
from benchmarks.training.provenance import fingerprint
from variants import VARIANTS, UserError, load_variant
from variants.losses import LOSSES
from variants.noise import NOISES


def show_summary(run: Run, tracking_uri: str | None, experiment: str | None = None, *, tracked: bool) -> None:
    """Prints the metrics of a run beside those of real data, its probes, where it is, and how to open it."""
    if run.found:
        say(f"already trained, here: {run.path} (--retrain does it again)")
        if run.folder.environment().get("code") != fingerprint():
            say("stale: the code that decides results has changed since it was trained")
    show_metrics(run)
    say(f"run folder: {run.path}")
    if tracked:
        from benchmarks.tracking.client import SYNC_COMMAND
        from benchmarks.tracking.upload import find_page

        where = find_page(run.folder, tracking_uri, experiment)
        say(f"in MLflow:  {where}" if where else f"not in MLflow yet: {SYNC_COMMAND} sends it")


def show_metrics(run: Run) -> None:
    """Prints the metrics of the last evaluation, and why others could not be measured."""
    console.print(make_metrics_table(run))
    tell_unmeasured(run.folder.real_data(), run.folder.absent(), run.folder.absent(ABSENT_REFERENCE))


def tell_unmeasured(real_data: str, absent: Mapping[str, str], absent_real_data: Mapping[str, str]) -> None:
    """Prints which examples stand for real data, and which metrics could not be measured, with the reasons."""
    if real_data:
        say(f"real data: {real_data}")
    for without, of in ((absent, ""), (absent_real_data, " of real data")):
        reasons: dict[str, list[str]] = {}
        for name, reason in without.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            say(f"not measured{of}: {', '.join(names)}: {reason}")


def make_metrics_table(run: Run) -> Table:
    """Returns the metrics of the last evaluation beside those of real data, and the results of probes."""
    table = make_figures_table(run.config.name, run.metrics, run.folder.reference())
    if probed := [line["probes"] for line in run.folder.lines() if line.get("probes")]:
        table.add_section()
        for name, value in probed[-1].items():
            table.add_row(escape(clean_text(name)), f"{value:.4g}")
    return table


def make_figures_table(title: str, metrics: Mapping[str, float], real_data: Mapping[str, float]) -> Table:
    """Returns metrics of samples beside those of real data."""
    table = Table(title=escape(clean_text(title)), title_justify="left")
    table.add_column("metric")
    table.add_column("samples", justify="right")
    table.add_column("real data", justify="right")
    table.add_column("better")
    for name, value in metrics.items():
        real = f"{real_data[name]:.4g}" if name in real_data else ""
        table.add_row(escape(clean_text(name)), f"{value:.4g}", real, _better(name))
    return table


def _better(metric: str) -> str:
    try:
        return {"min": "lower", "max": "higher"}[find_metric(metric).direction]
    except UserError:
        # The metric of a plugin that is not loaded here.
        return ""


def show_choices() -> int:
    """Prints every name that an option takes, with one line about it."""
    from benchmarks.datasets import DATASETS, describe_dataset

    groups = {
        "variants": {name: load_variant(name).summary for name in VARIANTS},
        "datasets": {name: describe_dataset(name) for name in DATASETS},
        "losses": {name: loss.summary for name, loss in LOSSES.items()},
        "noises": {name: (noise.__doc__ or "").strip().partition("\n")[0] for name, noise in NOISES.items()},
        "probes": {name: probe.summary for name, probe in PROBES.items()},
        "recipes": {name: ", ".join(load_variant(name).recipes) for name in VARIANTS},
    }
    for title, choices in groups.items():
        console.print(f"[bold]{title}[/]")
        for name, line in choices.items():
            console.print(f"  {name:<20} {escape(line)}", soft_wrap=True)
    return 0
