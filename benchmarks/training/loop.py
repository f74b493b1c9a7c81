"""The training of one run: epochs of updates, evaluations, pictures and checkpoints, all written to its run folder.

`train` is the one way to train. Everything that can change a result is in the RunConfig that it is given; what else it
takes (device, folders, pictures, who watches) is recorded as the run's environment.
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
from benchmarks.algorithm.random_streams import stream
from benchmarks.algorithm.sampling import sampler
from benchmarks.config import RunConfig
from benchmarks.datasets import Dataset, place_split
from benchmarks.evaluation import probes
from benchmarks.evaluation.matching import match_reference
from benchmarks.pictures import animate, draw_loss_curves, draw_networks, draw_power_spectra, encode_png
from benchmarks.pictures.epochs import draw_samples
from benchmarks.run_folder.folder import ABSENT, ABSENT_REFERENCE, FACTS, REAL_DATA, REFERENCE, RunFolder
from benchmarks.run_folder.symptoms import SymptomWatch
from benchmarks.training.cache import get_evaluator, measure_reference
from benchmarks.training.checkpoint import TrainState
from benchmarks.training.listener import ProgressListener
from metrics.spectrum import mean_power
from variants import UserError, Variant
from variants.objective import objective

# Seconds between checkpoints; chosen, not tuned. A run that is killed loses at most this and one epoch.
CHECKPOINT_SECONDS = 15.0
# Images in the picture of a power spectrum; chosen, not tuned.
SPECTRUM_IMAGES = 1000


class Diverged(Exception):
    """A loss is no longer finite. Its text says which, and in which epoch."""


class Training:
    """One run while it is trained."""

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
        self.evaluator = get_evaluator(dataset, config.samples, device, torch.get_num_threads())
        self.updates = recipe.epoch_updates or len(self.data) // recipe.batch_size
        self.pictured = pictured
        self.watch = SymptomWatch(recipe.epochs, probabilities=self.objective.adversarial.cross_entropy)
        self.untrained: GAN | None = None
        both = build_gan(variant, dataset.spec, recipe, config.seed, device, config.precision)
        self.state, self.recorder = TrainState(both), recorder
        self.steps = make_updates(both, self.objective, recipe, recorder)

    def run(self) -> None:
        """Trains to the end, or to where it was stopped, and leaves the folder telling which."""
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

    def end(self, error: BaseException | None = None) -> None:
        """Writes down how the training ended: FAILED by what training itself did, KILLED by anything else."""
        state, cause = "FINISHED", {}
        if error is not None:
            state, cause = "FAILED" if isinstance(error, Diverged) else "KILLED", {"cause": describe_error(error)}
        self.folder.set_status(state, epoch=self.state.epoch, **cause, **self.watch.mark)

    def restore(self) -> None:
        """Goes back to the last checkpoint, if there is one; what the journal has beyond it is done again."""
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
        """What comes before the epochs that are left. Epoch 0, the untrained generator, is judged after the first."""
        # What could not be measured before an interruption is still so.
        self.facts = facts(self.dataset, self.state.gan, self.updates) | absences(self.folder.facts())
        self.facts[REAL_DATA] = self.evaluator.real_data_note
        self.folder.write_json(FACTS, self.facts)
        self.folder.set_status("RUNNING", epoch=self.state.epoch, **self.watch.mark)
        self.listener.start(self.config, self.updates, self.state.epoch)
        if self.state.epoch == 0:
            if 0 in self.pictured:
                self.picture(0)
            # Judging needs the real side, which takes seconds; it waits until training has been seen to run.
            self.untrained = copy.deepcopy(self.state.gan)

    def complete(self, epoch: int, measured: dict[str, dict[str, float]]) -> None:
        """Judges and writes down what an epoch gave. Raises Diverged where that is no longer finite."""
        if self.untrained is not None:
            trained, self.state.gan = self.state.gan, self.untrained
            self.write({"epoch": 0, "curves": {}})
            self.state.gan, self.untrained = trained, None
        self.state.epoch = epoch
        if epoch in self.pictured:
            self.picture(epoch)
        self.write({"epoch": epoch, **measured})
        curves = measured["curves"]
        if broken := [name for name, value in curves.items() if not math.isfinite(value)]:
            raise Diverged(f"{broken[0]} is {curves[broken[0]]} in epoch {epoch}")

    def save(self) -> None:
        """A checkpoint, from which training goes on."""
        self.folder.save_checkpoint(self.state.tensors(), {}, self.state.epoch)

    def write(self, line: dict) -> None:
        """Adds what is due to a line of the journal, and writes it."""
        epoch, config = line["epoch"], self.config
        finite = all(map(math.isfinite, line["curves"].values()))
        if finite and (epoch == config.recipe.epochs or epoch % config.evaluate_every == 0):
            began = time.perf_counter()
            line["metrics"] = self.evaluate(epoch)
            line.setdefault("timing", {})["evaluation_seconds"] = time.perf_counter() - began
            if probed := self.probe(epoch, line["metrics"]):
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

    def train_epoch(self, epoch: int) -> dict[str, dict[str, float]]:
        """One epoch of updates: its curves and its timing."""
        began = time.perf_counter()
        measured: list[dict[str, Tensor]] = []
        for measurements in train_updates(self.steps, self.data, self.config.seed, epoch, self.updates):
            measured.append(measurements)
            self.listener.update(epoch, len(measured))
        return {"curves": mean_values(measured), "timing": self.timing(time.perf_counter() - began)}

    def timing(self, seconds: float) -> dict[str, float]:
        """What an epoch that took so long says of the speed."""
        seen = self.updates * self.config.recipe.critic_steps * self.config.recipe.batch_size
        return {"seconds": seconds, "images_per_second": seen / seconds}

    def evaluate(self, epoch: int) -> dict[str, float]:
        generate = sampler(
            self.generator, self.config.recipe, stream(self.config.seed, "evaluation", epoch, self.device)
        )
        recipe = self.config.recipe
        measured = self.evaluator.evaluate(
            generate, final=self.config.thorough and epoch == recipe.epochs, conditional=recipe.conditioning != "none"
        )
        self.note(ABSENT, self.evaluator.absent)
        return measured

    def note(self, name: str, absent: dict[str, str]) -> None:
        """Writes down which metrics could not be measured, and why."""
        if self.facts.get(name, {}) != absent:
            self.facts[name] = dict(absent)
            self.folder.write_json(FACTS, self.facts)

    def probe(self, epoch: int, metrics: dict[str, float]) -> dict[str, float]:
        gan, objective, evaluator = self.state.gan, self.objective, self.evaluator
        moment = probes.Moment(self.config, self.dataset, gan, objective, evaluator, self.folder, epoch, metrics)
        return probes.measure_probes(moment)

    def picture(self, epoch: int) -> None:
        """Samples from noise that is the same in every epoch of the run."""
        generate = sampler(self.generator, self.config.recipe, stream(self.config.seed, "pictures", 0, self.device))
        picture = draw_samples(generate, self.dataset, self.config.recipe, f"epoch {epoch}")
        self.folder.write_bytes(self.folder.picture_name(epoch), encode_png(picture))

    @property
    def generator(self) -> nn.Module:
        """The generator that is judged and kept: the averaged one, if there is one."""
        gan = self.state.gan
        return gan.generator if gan.ema_generator is None else gan.ema_generator

    def finish(self) -> None:
        """What a finished run leaves besides its journal: the generator, and the pictures that need all epochs."""
        gan = self.state.gan
        measured, absent = measure_reference(self.evaluator, self.config, self.folder.path.parent)
        self.folder.write_json(REFERENCE, measured)
        self.note(ABSENT_REFERENCE, absent)
        self.folder.save_tensors("generator.safetensors", self.generator.state_dict(), {})
        spec, recipe = self.dataset.spec, self.config.recipe
        if frames := list(self.folder.pictures().values()):
            animate(frames, self.folder.file("samples.gif"))
        if self.pictured:
            unit = "nats" if self.objective.adversarial.cross_entropy else "of logits"
            draw_loss_curves(self.folder.lines(), self.folder.file("losses.png"), unit=unit)
            draw_networks(gan.generator, gan.discriminator, spec, recipe, self.folder.file("networks.png"))
            if "large" in self.evaluator.facts:
                self.spectrum()

    def spectrum(self) -> None:
        """The power spectrum of samples beside that of the reference, whose frequencies of labels they have."""
        generate = sampler(self.generator, self.config.recipe, stream(self.config.seed, "pictures", 1, self.device))
        chosen = match_reference(self.dataset.reference, SPECTRUM_IMAGES)
        samples = mean_power(generate(self.dataset.reference.condition(chosen), len(chosen)))
        title = f"{self.config.variant} on {self.dataset.name}: power spectra"
        draw_power_spectra(samples, self.evaluator.reference.power, self.folder.file("spectrum.png"), title)


def describe_error(error: BaseException) -> str:
    """Words the cause of a run's end in one line. An error that no sentence was written for is told with its kind."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text, kind = " ".join(str(error).split()), type(error).__name__
    return text if text and isinstance(error, UserError | Diverged) else f"{kind}: {text}".removesuffix(": ")


def absences(facts: dict) -> dict:
    """What the facts of a run tell of metrics that could not be measured."""
    return {name: facts[name] for name in (ABSENT, ABSENT_REFERENCE) if name in facts}


def facts(dataset: Dataset, gan: GAN, updates: int) -> dict:
    """What is known of a run beforehand, and needed to use its generator without the data."""
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
