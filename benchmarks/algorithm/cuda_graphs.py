"""Records the updates of a GAN as CUDA graphs, and replays them.

On a GPU a small network waits for Python, which launches each kernel of every update anew. A CUDA graph holds all
kernels of an update, recorded once, and is launched by one call. The calculation is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from benchmarks.algorithm.batches import tensors_of
from benchmarks.algorithm.epoch import Measured, Streams, Update, Updates
from benchmarks.algorithm.gan import GAN
from variants import Recipe, UserError, Variant
from variants.batch import Batch
from variants.objective import Objective

# Updates before a recording: they make the optimisers' moments, and let libraries choose their algorithms.
# torch advises three; chosen, not tuned.
WARM_UPDATES = 3


class Recorder(Protocol):
    """Records work and replays it. stream: the stream it records on, where a device has streams."""

    stream: torch.cuda.Stream | None

    def warm(self, work: Callable[[], Tensor]) -> Tensor:
        """Does work that will be recorded."""
        ...

    def record(self, work: Callable[[], Tensor], streams: Sequence[Generator]) -> tuple[Tensor, Callable[[], None]]:
        """Records work without doing it; returns its result, which a replay fills, and the replay.

        streams: all streams that the work draws from. Raises RuntimeError for work that cannot be recorded.
        """
        ...


class CudaGraphs:
    """Records CUDA graphs. Warms up on the stream that it records on, as torch asks."""

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
        # With "thread_local", other threads, such as the one that sends to MLflow, do not disturb the recording.
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            result = work()
        return result, graph.replay


class Recorded(Updates):
    """Does the same updates, recorded once and then replayed, where `why_unrecordable` returns "".

    A replay reads and writes the tensors of its recording. So each batch is copied to where the recordings look for it,
    networks draw from persistent streams that are set to where the run's own stand, and measurements are copied out.
    """

    def __init__(self, gan: GAN, objective: Objective, recipe: Recipe, recorder: Recorder) -> None:
        super().__init__(gan, objective, recipe)
        self.layers, self.within = PersistentStreams(), PersistentStreams()
        self.batch: Batch | None = None
        # The source of each tensor's last copy: a generator update reads the examples of the update before it.
        self.copied: dict[str, Tensor] = {}
        drawn_from = (self.layers, self.within)
        self._discriminator = RecordedUpdate(super().discriminator, drawn_from, recorder)
        self._generator = RecordedUpdate(super().generator, drawn_from, recorder)

    def epoch(self, layers: Streams, batches: Iterator[Batch], epoch: int, count: int) -> Iterator[Measured]:
        return super().epoch(self.layers.match(layers), batches, epoch, count)

    def discriminator(self, batch: Batch) -> Measured:
        return self._discriminator(self._copy_in(batch))

    def generator(self, batch: Batch) -> Measured:
        return self._generator(self._copy_in(batch))

    def _copy_in(self, batch: Batch) -> Batch:
        """Copies a batch into the one that the recordings read, and returns that one."""
        here = tensors_of(batch)
        if self.batch is None:
            own = {name: tensor.clone() for name, tensor in here.items()}
            self.batch = batch._replace(**own, stream=self.within.match(batch.stream))
        else:
            self.within.match(batch.stream)
            for name, tensor in here.items():
                if tensor is not self.copied.get(name):
                    getattr(self.batch, name).copy_(tensor)
        self.copied = here
        return self.batch


class PersistentStreams:
    """Holds persistent streams, and sets them to where each epoch's fresh streams stand."""

    def __init__(self) -> None:
        self.streams: tuple[Generator, ...] = ()
        self.followed: tuple[Generator, ...] = ()

    def match(self, fresh: Streams) -> Streams:
        """Returns persistent generators, reseeded to match `fresh`. Draw from these, never from `fresh`."""
        each = (fresh,) if isinstance(fresh, Generator) else tuple(fresh)
        self.streams = self.streams or tuple(Generator(one.device) for one in each)
        # Every batch of an epoch brings the same streams, which are matched once. A Generator equals only itself.
        if each != self.followed:
            for mine, one in zip(self.streams, each, strict=True):
                mine.manual_seed(one.initial_seed())
            self.followed = each
        return self.streams[0] if isinstance(fresh, Generator) else self.streams


class RecordedUpdate:
    """Does one of the updates: a few times as it stands, then recorded, and replayed from then on."""

    def __init__(self, update: Update, drawn_from: Sequence[PersistentStreams], recorder: Recorder) -> None:
        self.update, self.drawn_from, self.recorder = update, drawn_from, recorder
        self.done, self.names = 0, ()
        self.replay: Callable[[], None] | None = None

    def __call__(self, batch: Batch) -> Measured:
        """Does the update. batch: the same object each time, with other values in its tensors."""
        self.done += 1
        if self.done <= WARM_UPDATES:
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
        """Does the update; returns the measurements as one tensor, which is copied out at once."""
        measured = self.update(batch)
        self.names = tuple(measured)
        return torch.stack(list(measured.values()))

    def _named(self, measured: Tensor) -> Measured:
        return dict(zip(self.names, measured.unbind(), strict=True))


def why_unrecordable(variant: Variant, recipe: Recipe) -> str:
    """Tells why a recording would not do what the updates do, as the end of a sentence; "" where it would."""
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


def make_recorder(
    device: torch.device, variant: Variant, recipe: Recipe, say: Callable[[str], None]
) -> Recorder | None:
    """Makes what records the updates of a variant on a device; returns None, and says why, where it cannot be recorded.

    Raises UserError for a device without CUDA graphs.
    """
    refuse_without_graphs(device)
    if why := why_unrecordable(variant, recipe):
        say(f"trained without CUDA graphs: {why}")
        return None
    return CudaGraphs(device)


def make_updates(gan: GAN, objective: Objective, recipe: Recipe, recorder: Recorder | None = None) -> Updates:
    """Makes the updates of a GAN; recorded ones if there is a recorder."""
    if recorder is None:
        return Updates(gan, objective, recipe)
    return Recorded(gan, objective, recipe, recorder)
