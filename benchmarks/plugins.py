"""Loads plugins: variants, losses, noises, datasets, metrics, probes, questions and presets from a file.

A plugin is a Python file that defines any of

    VARIANT                                                  a Variant, as the files in variants/ do
    LOSSES, NOISES, DATASETS, METRICS, PROBES,
    QUESTIONS, PRESETS                                       dicts by name, as the project's own of the same names

and is given by its path. Its additions are chosen by name like the project's own. The hash of its source is part of the
config of every run that uses it. Loading a plugin runs its code; only a person who names it causes that, never a run
folder. See docs/plugins.md.
"""

import ast
import hashlib
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from benchmarks.config import RunConfig
from variants import VARIANTS, Variant
from variants.recipe import Recipe, UserError

if TYPE_CHECKING:
    from benchmarks.questions import Question


@dataclass(frozen=True)
class PluginFile:
    """Holds a plugin file with the source that was run, so that another process can load the same."""

    path: str
    source: bytes

    @property
    def name(self) -> str:
        return Path(self.path).name


# Loaded in this process: SHA-256 by the name of the plugin, the files in order, and the plugin of each addition, by the
# list and the name in it.
HASHES: dict[str, str] = {}
FILES: list[PluginFile] = []
ADDED: dict[tuple[str, str], str] = {}


def list_arguments() -> list[str]:
    """Returns command-line arguments that load the plugin files of this process in another one."""
    return [word for file in FILES for word in ("--plugin", file.path)]


def load_plugins(paths: Iterable[Path | str]) -> None:
    """Loads these files; a file that is given twice is loaded once.

    Raises UserError for a plugin that cannot be read, that fails, that adds nothing, or that adds a name which exists.
    """
    for path in paths:
        try:
            source = Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"cannot read the plugin {path}: {error.strerror or error}") from None
        load_file(PluginFile(str(path), source))


def adopt(files: Sequence[PluginFile]) -> None:
    """Loads the plugins of another process from the source that ran there; initialises a worker process."""
    for file in files:
        load_file(file)


def load_file(file: PluginFile) -> None:
    """Loads one plugin; see load_plugins."""
    if not re.fullmatch(r"[\w.-]+\.py", file.name):
        raise UserError(f"a plugin is a .py file whose name has letters, digits, '.', '_' and '-', not {file.path}")
    digest = hashlib.sha256(file.source).hexdigest()
    if HASHES.get(file.name, digest) != digest:
        raise UserError(
            f"a plugin {file.name} is loaded that is not {file.path}; rename one, or start anew if it was changed"
        )
    if file.name in HASHES:
        return
    module = ModuleType(f"gan_benchmark_plugin_{digest[:16]}")
    module.__file__ = file.path
    # Dataclasses look up the module of a class there.
    sys.modules[module.__name__] = module
    try:
        _run(file, module)
        _add(module, file, digest)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    FILES.append(file)


def list_used(variant: str, recipe: Recipe, dataset: str, probes: Iterable[str]) -> tuple[str, ...]:
    """Returns the plugins that such a run depends on, each as name:SHA-256; every run depends on those with metrics."""
    chosen = {("VARIANT", variant), ("LOSSES", recipe.loss), ("NOISES", recipe.noise)}
    chosen |= {("DATASETS", dataset.partition(":")[0]), *(("PROBES", probe) for probe in probes)}
    names = {plugin for added, plugin in ADDED.items() if added in chosen or added[0] == "METRICS"}
    return tuple(f"{name}:{HASHES[name]}" for name in sorted(names))


def require(config: RunConfig, what: str) -> None:
    """Raises UserError where a plugin of a run's config is not loaded, or has another version; what: names the run."""
    for plugin in config.plugins:
        name, _, digest = plugin.rpartition(":")
        if HASHES.get(name) == digest:
            continue
        give = f"give it with --plugin {name}"
        if name in HASHES:
            raise UserError(f"{what} was made with another version of the plugin {name}; {give} as it was then")
        raise UserError(f"{what} was made with the plugin {name}, and a run brings no code of its own; {give}")


def _run(file: PluginFile, module: ModuleType) -> None:
    """Runs a plugin's code. Any exception becomes a UserError of one sentence with the file and line."""
    try:
        exec(compile(file.source, file.path, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            frames.append((error.filename, error.lineno))
        foreign = [place for place in frames if place[0] != __file__ and not str(place[0]).startswith("<")]
        # The line of the plugin, not of what it called.
        places = [place for place in foreign if place[0] == file.path] or foreign
        at = "" if not places else f" at line {places[-1][1]}"
        at += f" of {places[-1][0]}" if places and places[-1][0] != file.path else ""
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserError(f"the plugin {file.path} is broken{at}: {kind}{' '.join(text.split())[:300]}") from error


@dataclass(frozen=True)
class _List:
    """Describes a dict to which plugins may add: the kind of its entries, and the check that they pass."""

    kind: str
    entries: dict[str, Any]
    fits: Callable[[str, Any], bool]
    wanted: str


def _lists() -> dict[str, _List]:
    """Returns the dicts to which plugins may add, by their names in a plugin."""
    from benchmarks.datasets import DATASETS
    from benchmarks.evaluation.catalogue import METRICS
    from benchmarks.evaluation.probes import PROBES, Probe
    from benchmarks.questions import QUESTIONS, Question
    from benchmarks.questions.presets import PRESETS, Preset
    from metrics.base import Metric
    from variants.losses import LOSSES, AdversarialLoss
    from variants.noise import NOISES

    def named(kind: type) -> Callable[[str, Any], bool]:
        return lambda name, value: isinstance(value, kind) and value.name == name

    def function(_: str, value: Any) -> bool:
        return callable(value) and not isinstance(value, type)

    def loss(_: str, value: Any) -> bool:
        return isinstance(value, AdversarialLoss)

    return {
        "VARIANT": _List("variant", VARIANTS, named(Variant), "a variants.Variant"),
        "LOSSES": _List("loss", LOSSES, loss, "a variants.losses.AdversarialLoss"),
        "NOISES": _List("noise", NOISES, function, "a function (shape, stream) -> tensor"),
        "DATASETS": _List("dataset", DATASETS, function, "a function (config, data_dir, seed) -> Dataset"),
        "METRICS": _List("metric", METRICS, named(Metric), "a metrics.base.Metric of that name"),
        "PROBES": _List("probe", PROBES, named(Probe), "a benchmarks.evaluation.probes.Probe of that name"),
        "QUESTIONS": _List("question", QUESTIONS, named(Question), "a benchmarks.questions.Question of that name"),
        "PRESETS": _List("preset", PRESETS, named(Preset), "a benchmarks.questions.presets.Preset of that name"),
    }


def _add(module: ModuleType, file: PluginFile, digest: str) -> None:
    """Adds everything that a plugin defines, or nothing."""
    lists = _lists()
    additions: list[tuple[str, str, Any]] = []
    for kind, known in lists.items():
        if not hasattr(module, kind):
            continue
        defined = getattr(module, kind)
        at = f"the plugin {file.path}{_line_of(kind, file.source)}: {kind}"
        entries = {getattr(defined, "name", ""): defined} if kind == "VARIANT" else defined
        if not isinstance(entries, Mapping):
            raise UserError(f"{at} is a dict by name, not {type(defined).__name__}")
        for name, value in entries.items():
            if not known.fits(name, value):
                raise UserError(f"{at} holds {repr(value)[:100]}, which is not {known.wanted}")
            if not isinstance(name, str) or not re.fullmatch(r"\w+", name, re.ASCII):
                raise UserError(f"{at} has the name {name!r}; names are made of letters, digits and '_'")
            if name in known.entries:
                raise UserError(f"{at} has the name {name!r}, and there is a {known.kind} of that name already")
            additions.append((kind, name, value))
    if not additions:
        raise UserError(f"the plugin {file.path} adds nothing; it defines none of {', '.join(lists)}")
    _check_names([question for kind, _, question in additions if kind == "QUESTIONS"], file.path)
    for kind, name, value in additions:
        lists[kind].entries[name] = value
        ADDED[kind, name] = file.name
    HASHES[file.name] = digest


def _check_names(questions: "Sequence[Question]", path: str) -> None:
    """Raises UserError where two arms or decisions of all questions share a name and differ."""
    from benchmarks.questions import QUESTIONS, load_question

    every = [*map(load_question, QUESTIONS), *questions] if questions else []
    known: dict[tuple[str, str], Any] = {}
    for question in every:
        contrasts = [contrast for decision in question.decisions for contrast in decision.contrasts]
        arms = [*(arm for contrast in contrasts for arm in contrast.arms), *question.extra_arms]
        for kind, each in (*(("arm", arm) for arm in arms), *(("decision", one) for one in question.decisions)):
            if known.setdefault((kind, each.name), each) != each:
                raise UserError(
                    f"the plugin {path}: the question {question.name} has the {kind} {each.name}, and there is another "
                    f"{kind} of that name; call it otherwise"
                )


def _line_of(name: str, source: bytes) -> str:
    """Returns ", line N" of the assignment to a name in a plugin, or ""."""
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return f", line {node.lineno}"
    return ""
