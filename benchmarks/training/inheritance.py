"""Lets a run go on from the last checkpoint of a finished run, its parent: for more epochs, or by another recipe.

Continued are the number of epochs done, both networks with their buffers, the state of both optimisers, the averaged
generator and the replayed fakes. Random streams are seeded afresh every epoch from seed, name and epoch, so they go on
by themselves. With the parent's recipe but for its epochs, the weights are therefore those of one long run, to the bit,
unless something in the recipe falls over the whole run: learning rates with a decay, instance noise.

Not continued are the journal, the pictures and what is read from the journal, such as symptoms: those of the run begin
after its parent's last epoch. What the new recipe keeps in another form, such as the state of another optimiser, begins
anew, and the run has a note of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.algorithm.gan import SkipInitialisation
from benchmarks.config import PENDING, RunConfig
from benchmarks.run_folder.folder import CHECKPOINT, CONFIG, RunFolder
from benchmarks.training.checkpoint import TrainState
from benchmarks.training.options import RunOptions
from benchmarks.training.provenance import fingerprint
from variants import DataSpec, Recipe, UserError, Variant
from variants.recipe import FIELDS, shown

# How the note of a run begins that tells in what it is no plain continuation.
NOTE = "it goes on from "


@dataclass(frozen=True)
class Parent:
    """Holds what another run goes on from."""

    config: RunConfig
    # The last checkpoint, as `TrainState.tensors` names it.
    tensors: dict[str, Tensor]
    # Fingerprint of the code that trained it; "" where that is not recorded.
    code: str

    def hand_over(self, state: TrainState, recipe: Recipe) -> None:
        """Puts the checkpoint into the state of a run that begins. Raises UserError where it does not fit."""
        left_out = [role for role, _ in iter_new_parts(self.config.recipe, recipe)]
        tensors = {name: each for name, each in self.tensors.items() if name.partition(".")[0] not in left_out}
        if "averaged" in left_out:
            tensors |= {
                name.replace("generator", "averaged", 1): each
                for name, each in self.tensors.items()
                if name.startswith("generator.")
            }
        try:
            state.restore(tensors, self.config.recipe.epochs)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            cause = (str(error) or type(error).__name__).partition("\n")[0][:200]
            raise UserError(f"the checkpoint of {self.config.name} does not fit this run ({cause})") from None


def load_parent(config: RunConfig, options: RunOptions) -> Parent:
    """Loads the parent of a run. Raises UserError where it is not there, not finished, or has no checkpoint."""
    folder = RunFolder(options.parent_dir or options.runs_dir / config.parent_name)
    if not (folder.path / CONFIG).is_file():
        raise UserError(f"the run {config.parent_name}, from which this one goes on, is not in {folder.path.parent}")
    parent = folder.config()
    if parent.identity != config.parent:
        raise UserError(f"{folder.path} does not hold the run {config.parent_name}, from which this one goes on")
    refuse_no_more_epochs(parent, config.recipe)
    if (state := folder.status()["state"]) != "FINISHED":
        raise UserError(f"{parent.name} is {state}, and only a finished run can be gone on from")
    kept = folder.load_tensors(CHECKPOINT)
    if kept is None:
        raise UserError(
            f"{folder.path} keeps no checkpoint, as no run of a suite does and none from before they were kept; "
            "python -m benchmarks.run with --retrain trains it again, and keeps one"
        )
    if kept[1].get("epoch") != parent.recipe.epochs:
        raise UserError(f"{folder.path / CHECKPOINT} is damaged: it is not of the run's last epoch")
    code = folder.environment().get("code")
    return Parent(parent, kept[0], code if isinstance(code, str) else "")


def check_parent(config: RunConfig, options: RunOptions, variant: Variant, spec: DataSpec) -> Parent | None:
    """Returns the parent of a run that has yet to begin; None for a run without one, and for one that has begun.

    Raises UserError where the run cannot go on from its parent.
    """
    if not config.parent:
        return None
    if config.extractor != PENDING and not options.retrain:
        own = RunFolder(options.runs_dir / config.name)
        # It no longer needs its parent, which may be gone.
        if own.status()["state"] == "FINISHED" or own.checkpoint_epoch() is not None:
            return None
    parent = load_parent(config, options)
    refuse_other_networks(parent, config, variant, spec)
    return parent


def refuse_no_more_epochs(parent: RunConfig, recipe: Recipe) -> None:
    """Raises UserError where a recipe ends when the parent did: its epochs count from the first one of the parent."""
    done = parent.recipe.epochs
    if recipe.epochs <= done:
        raise UserError(
            f"{parent.name} has done {done} epochs already, and --epochs counts them; give more than {done}, such as "
            f"--epochs {2 * done}"
        )


def refuse_other_networks(parent: Parent, config: RunConfig, variant: Variant, spec: DataSpec) -> None:
    """Raises UserError, which names what differs, where the networks of a run have not the shapes of its parent's."""
    with torch.device("meta"), SkipInitialisation():
        networks = dict(zip(("generator", "discriminator"), variant.build(spec, config.recipe), strict=True))
    here = {f"{role}.{name}": each for role, network in networks.items() for name, each in network.state_dict().items()}
    there = {name: each for name, each in parent.tensors.items() if name.partition(".")[0] in networks}
    for name in {**here, **there}:
        sizes = [_size(tensors.get(name)) for tensors in (here, there)]
        if sizes[0] != sizes[1]:
            causes = ", ".join(_iter_causes(config, parent.config))
            raise UserError(
                f"the networks are not those of {parent.config.name}: the {name.replace('.', chr(39) + 's ', 1)} is "
                f"{sizes[0]} here and {sizes[1]} there" + (f" ({causes})" if causes else "")
            )


def _size(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else "×".join(map(str, tensor.shape)) or "a number"


def _iter_causes(config: RunConfig, parent: RunConfig) -> Iterator[str]:
    """Yields the settings that shape networks, where two runs differ in them."""
    pairs = {"variant": (config.variant, parent.variant), "dataset": (config.dataset.name, parent.dataset.name)}
    for name, field in FIELDS.items():
        if field.metadata["part"] == "architecture" or name in ("noise_size", "pack"):
            pairs[name] = getattr(config.recipe, name), getattr(parent.recipe, name)
    for name, (now, before) in pairs.items():
        if now != before:
            yield f"--{name.replace('_', '-')} is {_words(now)}, not {_words(before)}"


def _words(value: object) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def iter_new_parts(before: Recipe, now: Recipe) -> Iterator[tuple[str, str]]:
    """Yields the parts of a checkpoint that do not fit a new recipe, by their role, with what happens to them."""
    if now.optimizer != before.optimizer:
        why = f"its optimisers begin anew ({before.optimizer} before, {now.optimizer} now)"
        yield "generator_optimizer", why
        yield "discriminator_optimizer", why
    if now.averaging and not before.averaging:
        yield "averaged", "its averaged weights begin with those of the parent's last epoch"
    if now.replay and before.replay and now.replay_size != before.replay_size:
        yield "replay", f"its replayed fakes begin anew (room for {before.replay_size} before, {now.replay_size} now)"


def describe_breaks(parent: Parent, config: RunConfig) -> tuple[str, ...]:
    """Returns a note on what a run does not take over from its parent as it was; none for a plain continuation."""
    breaks = dict.fromkeys(what for _, what in iter_new_parts(parent.config.recipe, config.recipe))
    if parent.config.checksum != config.checksum:
        breaks[f"its parent saw other data ({shown(parent.config.dataset.name)})"] = None
    if parent.code != fingerprint():
        breaks["its parent was trained by other code"] = None
    return (f"{NOTE}{parent.config.name}: {'; '.join(breaks)}",) if breaks else ()
