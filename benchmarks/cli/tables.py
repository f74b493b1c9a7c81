"""Prints the metrics of a run, and the choices that options have."""

from rich.markup import escape
from rich.table import Table

from benchmarks.cli.progress import clean_text, console, say
from benchmarks.evaluation.catalogue import find_metric
from benchmarks.evaluation.probes import PROBES
from benchmarks.inference.run import Run
from benchmarks.run_folder.folder import ABSENT, ABSENT_REFERENCE
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
    console.print(metrics_table(run))
    if told := run.folder.real_data():
        say(f"real data: {told}")
    for which, of in ((ABSENT, ""), (ABSENT_REFERENCE, " of real data")):
        reasons: dict[str, list[str]] = {}
        for name, reason in run.folder.absent(which).items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            say(f"not measured{of}: {', '.join(names)}: {reason}")


def metrics_table(run: Run) -> Table:
    """Returns the metrics of the last evaluation beside those of real data, and the results of probes."""
    reference = run.folder.reference()
    table = Table(title=escape(run.config.name), title_justify="left")
    table.add_column("metric")
    table.add_column("samples", justify="right")
    table.add_column("real data", justify="right")
    table.add_column("better")
    for name, value in run.metrics.items():
        real = f"{reference[name]:.4g}" if name in reference else ""
        table.add_row(escape(clean_text(name)), f"{value:.4g}", real, _better(name))
    if probed := [line["probes"] for line in run.folder.lines() if line.get("probes")]:
        table.add_section()
        for name, value in probed[-1].items():
            table.add_row(escape(clean_text(name)), f"{value:.4g}")
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
