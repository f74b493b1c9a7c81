"""benchmarks.algorithm.cuda_graphs: TODO."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from benchmarks.algorithm.batches import tensors
from benchmarks.algorithm.epoch import Measured, Streams, Update, Updates
from benchmarks.algorithm.gan import GAN
from variants import Recipe, UserError, Variant
from variants.batch import Batch
from variants.objective import Objective

# Updates that come before a recording: they make the optimisers' moments, and have libraries choose their ways.
# torch advises three; chosen, not tuned.
WARM = 3


class Recorder(Protocol):
    """What can record work and replay it. stream: on which it records, where a device has streams."""

    stream: torch.cuda.Stream | None

    def warm(self, work: Callable[[], Tensor]) -> Tensor:
        """Does work that is going to be recorded."""
        ...

    def record(self, work: Callable[[], Tensor], streams: Sequence[Generator]) -> tuple[Tensor, Callable[[], None]]:
        """Records work without doing it: its result, which a replay fills, and the replay.

        streams: all that the work draws from. Raises RuntimeError for work that cannot be recorded.
        """
        ...


class CudaGraphs:
    """Records as CUDA graphs. Warms up on the stream that it records on, as torch asks."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)

    def warm(self, work: Callable[[], Tensor]) -> Tensor:
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = work()
        current.wait_stream(self.stream)
        return result

    def record(self, work: Callable[[], Tensor], streams: Sequence[Generator]) -> tuple[Tensor, Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        for each in streams:
            graph.register_generator_state(each)
        # What other threads do meanwhile, such as sending to MLflow, does not disturb it.
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            result = work()
        return result, graph.replay


class Recorded(Updates):
    """The same updates, recorded once and then replayed; where `unrecordable` says nothing.

    A replay reads and writes the tensors that were there while it was recorded. So a batch is copied to where the
    recordings look for it; networks draw from streams that stay, and are set to where the run's own stand; and what was
    measured is copied out.
    """

    def __init__(self, gan: GAN, objective: Objective, recipe: Recipe, recorder: Recorder) -> None:
        super().__init__(gan, objective, recipe)
        self.layers, self.within = Followers(), Followers()
        self.batch: Batch | None = None
        # What each tensor of it was copied from last: a generator update sees the examples of the one before.
        self.copied: dict[str, Tensor] = {}
        drawn_from = (self.layers, self.within)
        self._discriminator = Recording(super().discriminator, drawn_from, recorder)
        self._generator = Recording(super().generator, drawn_from, recorder)

    def epoch(self, layers: Streams, batches: Iterator[Batch], epoch: int, count: int) -> Iterator[Measured]:
        return super().epoch(self.layers.of(layers), batches, epoch, count)

    def discriminator(self, batch: Batch) -> Measured:
        return self._discriminator(self._placed(batch))

    def generator(self, batch: Batch) -> Measured:
        return self._generator(self._placed(batch))

    def _placed(self, batch: Batch) -> Batch:
        """The batch that recordings read, with what this one holds."""
        here = tensors(batch)
        if self.batch is None:
            own = {name: tensor.clone() for name, tensor in here.items()}
            self.batch = batch._replace(**own, stream=self.within.of(batch.stream))
        else:
            self.within.of(batch.stream)
            for name, tensor in here.items():
                if tensor is not self.copied.get(name):
                    getattr(self.batch, name).copy_(tensor)
        self.copied = here
        return self.batch


class Followers:
    """Streams that stay the same objects, and are set to where each epoch's fresh ones stand."""

    def __init__(self) -> None:
        self.streams: tuple[Generator, ...] = ()
        self.followed: tuple[Generator, ...] = ()

    def of(self, fresh: Streams) -> Streams:
        """Those that follow streams from which nothing is drawn but through these."""
        each = (fresh,) if isinstance(fresh, Generator) else tuple(fresh)
        self.streams = self.streams or tuple(Generator(one.device) for one in each)
        # The same ones come with every batch of an epoch, and are followed once. A Generator is equal to itself alone.
        if each != self.followed:
            for mine, one in zip(self.streams, each, strict=True):
                mine.manual_seed(one.initial_seed())
            self.followed = each
        return self.streams[0] if isinstance(fresh, Generator) else self.streams


class Recording:
    """One of the updates: done as it stands for a while, then recorded, and replayed from then on."""

    def __init__(self, update: Update, drawn_from: Sequence[Followers], recorder: Recorder) -> None:
        self.update, self.drawn_from, self.recorder = update, drawn_from, recorder
        self.done, self.names = 0, ()
        self.replay: Callable[[], None] | None = None

    def __call__(self, batch: Batch) -> Measured:
        """batch: the same one each time, with other values in its tensors."""
        self.done += 1
        if self.done <= WARM:
            return self._named(self.recorder.warm(lambda: self._work(batch)))
        if self.replay is None:
            try:
                streams = [each for followers in self.drawn_from for each in followers.streams]
                self.measured, self.replay = self.recorder.record(lambda: self._work(batch), streams)
            except RuntimeError as error:
                cause = str(error).partition("\n")[0]
                raise UserError(f"this cannot be recorded as a CUDA graph ({cause}); leave out --cuda-graphs") from None
        self.replay()
        return self._named(self.measured.clone())

    def _work(self, batch: Batch) -> Tensor:
        """What it measures, as one tensor, which is copied out at once."""
        measured = self.update(batch)
        self.names = tuple(measured)
        return torch.stack(list(measured.values()))

    def _named(self, measured: Tensor) -> Measured:
        return dict(zip(self.names, measured.unbind(), strict=True))


def unrecordable(variant: Variant, recipe: Recipe) -> str:
    """Why a recording would not do what the updates of a variant do, as the end of a sentence; "" where it would."""
    changes = {
        "--lr-decay": recipe.lr_decay != "none",
        "--instance-noise": bool(recipe.instance_noise),
        "--replay": bool(recipe.replay),
        "--unrolled-steps": bool(recipe.unrolled_steps) and recipe.optimizer == "adam",
    }
    named = [name for name, there in changes.items() if there]
    return (
        f"{named[0]} changes from update to update, and a CUDA graph does not"
        if named
        else variant.not_stackable_because
    )


def refuse_without_graphs(device: torch.device) -> None:
    """Raises UserError for a device that has no CUDA graphs."""
    if device.type != "cuda":
        raise UserError(f"--cuda-graphs needs --device cuda, and this is {device.type}")


def recorder(device: torch.device, variant: Variant, recipe: Recipe, say: Callable[[str], None]) -> Recorder | None:
    """What records the updates of a variant on a device; None, and somebody is told why, where that cannot be.

    Raises UserError for a device without CUDA graphs.
    """
    refuse_without_graphs(device)
    if why := unrecordable(variant, recipe):
        say(f"trained without CUDA graphs: {why}")
        return None
    return CudaGraphs(device)


def updates_of(gan: GAN, objective: Objective, recipe: Recipe, recorder: Recorder | None = None) -> Updates:
    """Both updates of two players; recorded, where there is something to record with."""
    if recorder is None:
        return Updates(gan, objective, recipe)
    return Recorded(gan, objective, recipe, recorder)
