"""Trains one run: epochs of updates, evaluations, pictures and checkpoints, all written to its run folder.

Everything that can change a result is in the RunConfig; the rest, such as device and threads, is recorded as the run's
environment.
"""

import copy
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.algorithm.cuda_graphs import Recorder, make_updates
from benchmarks.algorithm.device import peak_memory
from benchmarks.algorithm.epoch import mean_values, train_updates
from benchmarks.algorithm.gan import GAN, build_gan
from benchmarks.algorithm.operations import count_forward
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.sampling import Generate, sampler
from benchmarks.config import RunConfig
from benchmarks.datasets import Dataset, place_split
from benchmarks.evaluation import probes
from benchmarks.pictures import animate, draw_loss_curves, draw_networks, encode_png
from benchmarks.pictures.epochs import draw_samples
from benchmarks.run_folder.folder import ABSENT, ABSENT_REFERENCE, FACTS, GENERATOR, REAL_DATA, REFERENCE, RunFolder
from benchmarks.run_folder.symptoms import SymptomWatch
from benchmarks.training.cache import get_evaluator, measure_reference
from benchmarks.training.checkpoint import TrainState
from benchmarks.training.listener import ProgressListener
from variants import UserError, Variant
from variants.objective import objective

# Seconds between checkpoints; chosen, not tuned. A run that is killed loses at most this and one epoch.
CHECKPOINT_SECONDS = 15.0


class Diverged(Exception):
    """Says which loss is no longer finite, and in which epoch."""


class Training:
    """Holds one run while it is trained."""

    def __init__(
        self,
        config: RunConfig,
        variant: Variant,
        dataset: Dataset,
        folder: RunFolder,
        device: torch.device,
        pictured: frozenset[int],
        listener: ProgressListener,
        recorder: Recorder | None = None,
    ) -> None:
        recipe = config.recipe
        self.config, self.folder, self.dataset, self.device, self.listener = config, folder, dataset, device, listener
        self.data = place_split(dataset.train, device)
        self.notify: Callable[[], None] = lambda: None
        self.objective = objective(recipe)
        self.evaluator = get_evaluator(dataset, config.samples, device, torch.get_num_threads(), config.inception)
        self.updates = recipe.epoch_updates or len(self.data) // recipe.batch_size
        self.pictured = pictured
        self.watch = SymptomWatch(recipe.epochs, probabilities=self.objective.adversarial.cross_entropy)
        gan = build_gan(variant, dataset.spec, recipe, config.seed, device, config.precision)
        self.state, self.recorder = TrainState(gan), recorder
        self.steps = make_updates(gan, self.objective, recipe, recorder)
        # A copy of the untrained networks, until they have been judged.
        self.untrained: GAN | None = None

    def run(self) -> None:
        """Trains to the last epoch. However that ends, the status of the folder says how."""
        last, saved = self.config.recipe.epochs, time.monotonic()
        try:
            self.start()
            for epoch in range(self.state.epoch + 1, last + 1):
                self.complete(epoch, self.train_epoch(epoch))
                if epoch == last or time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self.save()
                    saved = time.monotonic()
                self.notify()
            self.finish()
        except BaseException as error:
            self.end(error)
            raise
        self.end()

    def restore(self) -> None:
        """Returns to the last checkpoint, if there is one; drops the lines that the journal has beyond it."""
        checkpoint = self.folder.load_checkpoint(self.listener.say)
        if checkpoint is not None:
            tensors, kept = checkpoint
            try:
                if kept["epoch"] not in range(self.config.recipe.epochs + 1):
                    raise ValueError("its epoch is none of them")
                self.state.restore(tensors, kept["epoch"])
            except (KeyError, ValueError, TypeError, RuntimeError) as error:
                cause = (str(error) or type(error).__name__).partition("\n")[0][:200]
                raise UserError(
                    f"the checkpoint in {self.folder.path} is not of this run's networks ({cause}); --retrain "
                    "starts anew"
                ) from None
            self.listener.say(f"going on after epoch {self.state.epoch}, from the last checkpoint")
        self.folder.truncate(self.state.epoch if checkpoint is not None else -1)
        for line in self.folder.lines():
            self.watch.see(line)

    def start(self) -> None:
        """Writes down what is known before the first epoch, and keeps the untrained networks to be judged."""
        kept = self.folder.facts()
        self.facts = collect_facts(self.dataset, self.state.gan, self.updates)
        # What could not be measured before an interruption is still so.
        self.facts |= {name: kept[name] for name in (ABSENT, ABSENT_REFERENCE) if name in kept}
        self.facts[REAL_DATA] = self.evaluator.real_data_note
        self.folder.write_json(FACTS, self.facts)
        self.folder.set_status("RUNNING", epoch=self.state.epoch, **self.watch.mark)
        self.listener.start(self.config, self.updates, self.state.epoch)
        if self.state.epoch == 0:
            if 0 in self.pictured:
                self.draw_picture(0)
            # Judging needs the metrics' side of real data, which takes seconds: the first epoch is trained before.
            self.untrained = copy.deepcopy(self.state.gan)

    def train_epoch(self, epoch: int) -> dict[str, dict[str, float]]:
        """Trains one epoch; returns its curves and its timing."""
        began = time.perf_counter()
        measured: list[dict[str, Tensor]] = []
        for measurements in train_updates(self.steps, self.data, self.config.seed, epoch, self.updates):
            measured.append(measurements)
            self.listener.update(epoch, len(measured))
        return {"curves": mean_values(measured), "timing": self.compute_timing(time.perf_counter() - began)}

    def compute_timing(self, seconds: float) -> dict[str, float]:
        """Returns the timing of an epoch of updates that took so many seconds."""
        seen = self.updates * self.config.recipe.critic_steps * self.config.recipe.batch_size
        return {"seconds": seconds, "images_per_second": seen / seconds}

    def complete(self, epoch: int, measured: dict[str, dict[str, float]]) -> None:
        """Judges the networks after an epoch and writes down the result. Raises Diverged for a curve not finite."""
        if self.untrained is not None:
            self.record(self.untrained, {"epoch": 0, "curves": {}})
            self.untrained = None
        self.state.epoch = epoch
        if epoch in self.pictured:
            self.draw_picture(epoch)
        self.record(self.state.gan, {"epoch": epoch, **measured})
        curves = measured["curves"]
        if broken := [name for name, value in curves.items() if not math.isfinite(value)]:
            raise Diverged(f"{broken[0]} is {curves[broken[0]]} in epoch {epoch}")

    def record(self, gan: GAN, line: dict) -> None:
        """Adds the evaluation that is due to a line of the journal, and writes the line."""
        epoch, config = line["epoch"], self.config
        finite = all(map(math.isfinite, line["curves"].values()))
        if finite and (epoch == config.recipe.epochs or epoch % config.evaluate_every == 0):
            began = time.perf_counter()
            line["metrics"] = self.evaluate(gan, epoch)
            line.setdefault("timing", {})["evaluation_seconds"] = time.perf_counter() - began
            if probed := self.probe(gan, epoch, line["metrics"]):
                line["probes"] = probed
                line["timing"]["probe_seconds"] = time.perf_counter() - began - line["timing"]["evaluation_seconds"]
        line.setdefault("timing", {}).update(time=time.time(), memory_mib=peak_memory(self.device))
        self.folder.append(line)
        self.listener.line(line)
        if new := self.watch.see(line):
            self.folder.set_status("RUNNING", epoch=epoch, **self.watch.mark)
            # A loss that is not finite ends the run, which says so itself.
            for symptom in new if finite else ():
                self.listener.say(str(symptom))

    def evaluate(self, gan: GAN, epoch: int) -> dict[str, float]:
        final = self.config.thorough and epoch == self.config.recipe.epochs
        conditional = self.config.recipe.conditioning != "none"
        measured = self.evaluator.evaluate(self.sample(gan, "evaluation", epoch), final=final, conditional=conditional)
        self.note_absent(ABSENT, self.evaluator.absent)
        return measured

    def probe(self, gan: GAN, epoch: int, metrics: dict[str, float]) -> dict[str, float]:
        return probes.measure_probes(
            probes.Moment(self.config, self.dataset, gan, self.objective, self.evaluator, self.folder, epoch, metrics)
        )

    def note_absent(self, name: str, absent: dict[str, str]) -> None:
        """Writes down which metrics could not be measured, and why."""
        if self.facts.get(name, {}) != absent:
            self.facts[name] = dict(absent)
            self.folder.write_json(FACTS, self.facts)

    def sample(self, gan: GAN, purpose: str, number: int) -> Generate:
        """Returns what draws samples of a GAN, from the noise of a purpose and a number."""
        return sampler(
            select_generator(gan), self.config.recipe, stream(self.config.seed, purpose, number, self.device)
        )

    def draw_picture(self, epoch: int) -> None:
        """Draws samples from noise that is the same in every epoch of the run."""
        generate = self.sample(self.state.gan, "pictures", 0)
        picture = draw_samples(generate, self.dataset, self.config.recipe, f"epoch {epoch}")
        self.folder.write_bytes(self.folder.picture_name(epoch), encode_png(picture))

    def save(self) -> None:
        self.folder.save_checkpoint(self.state.tensors(), {}, self.state.epoch)

    def finish(self) -> None:
        """Writes what a finished run has besides its journal: the generator, and the pictures that need all epochs."""
        gan = self.state.gan
        measured, absent = measure_reference(self.evaluator, self.config, self.folder.path.parent)
        self.folder.write_json(REFERENCE, measured)
        self.note_absent(ABSENT_REFERENCE, absent)
        self.folder.save_tensors(GENERATOR, select_generator(gan).state_dict(), {})
        spec, recipe = self.dataset.spec, self.config.recipe
        self.facts["operations"] = count_forward(gan.generator, gan.discriminator, spec, recipe)
        self.folder.write_json(FACTS, self.facts)
        if frames := list(self.folder.pictures().values()):
            animate(frames, self.folder.file("samples.gif"))
        if self.pictured:
            unit = "nats" if self.objective.adversarial.cross_entropy else "of logits"
            draw_loss_curves(self.folder.lines(), self.folder.file("losses.png"), unit=unit)
            draw_networks(gan.generator, gan.discriminator, spec, recipe, self.folder.file("networks.png"))

    def end(self, error: BaseException | None = None) -> None:
        """Sets the status: FINISHED; FAILED if training itself diverged; KILLED by any other error.

        A finished run keeps no checkpoint.
        """
        state, cause = "FINISHED", {}
        if error is not None:
            state, cause = "FAILED" if isinstance(error, Diverged) else "KILLED", {"cause": describe_error(error)}
        self.folder.set_status(state, epoch=self.state.epoch, **cause, **self.watch.mark)
        if error is None:
            self.folder.remove_checkpoints()


def select_generator(gan: GAN) -> nn.Module:
    """Returns the generator that is judged and saved: the averaged one, if there is one."""
    return gan.generator if gan.ema_generator is None else gan.ema_generator


def describe_error(error: BaseException) -> str:
    """Returns why a run ended, in one line; with the kind of the error if its text was not written for users."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text, kind = " ".join(str(error).split()), type(error).__name__
    return text if text and isinstance(error, UserError | Diverged) else f"{kind}: {text}".removesuffix(": ")


def collect_facts(dataset: Dataset, gan: GAN, updates: int) -> dict:
    """Returns what is known of a run beforehand, and needed to use its generator without the data."""
    spec = dataset.spec
    return {
        "spec": {"shape": spec.shape, "bounded": spec.bounded, "classes": spec.classes, "vocabulary": spec.vocabulary},
        "class_names": dataset.class_names,
        "parameters": {
            "generator": sum(p.numel() for p in gan.generator.parameters()),
            "discriminator": sum(p.numel() for p in gan.discriminator.parameters()),
        },
        "updates_per_epoch": updates,
    }
