"""benchmarks.evaluation.classifiers: TODO."""

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmarks.datasets import Dataset
from metrics.features import Extractor
from variants.recipe import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from benchmarks.datasets import Dataset
    from metrics.features import Classifier, Extractor


BATCH = 128
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-4
EPOCHS, LEAST_UPDATES = 25, 3_000
"""For a pinned classifier: so many epochs, and no fewer updates than that. Chosen, not tuned."""
QUICK_UPDATES = 2_500
"""For a classifier that is trained because somebody waits for it."""
PINNED_SEEDS = (0, 1, 2)
LEAST_ACCURACY, LEAST_REFERENCE = 0.9, 500
"""Below these a run bears a note: the share of test images that a classifier is right on, and the examples of the
reference. Chosen, not tuned."""
LARGEST_TURN, LARGEST_SHIFT, LARGEST_ZOOM = math.radians(12), 0.07, 0.1
RECIPE = (
    f"AdamW, one cycle to {LEARNING_RATE:g}, weight decay {WEIGHT_DECAY:g}, cross-entropy, batch {BATCH}; each image "
    f"turned by up to 12 degrees, shifted by up to 7 % and scaled by up to 10 %, each uniformly"
)


def jitter(images: "Tensor", generator: "torch.Generator") -> "Tensor":
    """Images of (batch, channels, height, width), each turned, shifted and scaled a little at random."""
    import torch
    from torch.nn import functional

    turn, across, down, zoom = torch.rand(4, len(images), generator=generator) * 2 - 1
    turn, zoom = turn * LARGEST_TURN, 1 + zoom * LARGEST_ZOOM
    cosine, sine = zoom * turn.cos(), zoom * turn.sin()
    # The plane of affine_grid is 2 wide, so a share of the width is twice that there.
    rows = torch.stack([cosine, -sine, 2 * LARGEST_SHIFT * across, sine, cosine, 2 * LARGEST_SHIFT * down], dim=1)
    grid = functional.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def train_classifier(
    images: "Tensor",
    labels: "Tensor",
    classes: int,
    seed: int,
    *,
    updates: int,
    progress: Callable[[int, float], None] = lambda update, loss: None,
) -> "Classifier":
    """A fused classifier, trained on uint8 images (n, channels, height, width) with int64 labels (n,).

    The same seed, machine and thread count give the same bits, and the global random state is left as it was.
    progress: called about every hundredth of the way with the number of updates done and the last loss.
    """
    import torch
    from torch.nn import functional

    from metrics.features import Classifier

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        classifier = Classifier(tuple(images.shape[1:]), classes, batch_norm=True)
    classifier = classifier.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=updates)
    for update, chosen in enumerate(_batches(len(images), updates, generator), start=1):
        batch = jitter(images[chosen].float() / 127.5 - 1, generator)
        _, logits = classifier(batch.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits, labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if update % max(1, updates // 100) == 0:
            progress(update, loss.item())
    return classifier.fused()


def _batches(count: int, updates: int, generator: "torch.Generator") -> Iterator["Tensor"]:
    import torch

    batch = min(BATCH, count)
    done = 0
    while True:
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - batch + 1, batch):
            if done == updates:
                return
            done += 1
            yield order[start : start + batch]


def train_extractor(dataset: "Dataset", path: Path, seed: int, updates: int, say: Callable[[str], None]) -> "Extractor":
    """Trains a classifier on a dataset's training images, tests it on its test images, and writes it to a file."""
    import torch
    from torch.nn import functional

    from metrics.features import ARCHITECTURE, read_extractor, save_extractor

    if dataset.spec.classes is None or not dataset.spec.is_image:
        raise UserError(f"a classifier needs labelled images, and {dataset.name} has none")
    train, test = dataset.train, dataset.test
    classifier = train_classifier(
        train.data,
        train.labels,
        dataset.spec.classes,
        seed,
        updates=updates,
        progress=lambda update, loss: say(f"update {update} of {updates}, loss {loss:.4f}"),
    ).eval()
    with torch.no_grad():
        features = torch.cat([classifier(train.images(slice(i, i + 500)))[0] for i in range(0, len(train), 500)])
        logits = torch.cat([classifier(test.images(slice(i, i + 500)))[1] for i in range(0, len(test), 500)])
    accuracy = (logits.argmax(1) == test.labels).double().mean().item()
    loss = functional.cross_entropy(logits, test.labels).item()
    facts = {
        "name": dataset.extractor,
        "seed": seed,
        "accuracy": accuracy,
        "test_loss": round(loss, 5),
        "shape": dataset.spec.shape,
        "classes": dataset.spec.classes,
        "dataset": dataset.name,
        "checksum": dataset.checksum,
        "architecture": ARCHITECTURE,
        "recipe": f"{RECIPE}; {updates} updates",
        "torch": torch.__version__.partition("+")[0],
    }
    try:
        save_extractor(path, classifier, features.double().mean(0), features.double().std(0), facts)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another folder") from None
    return read_extractor(path)


def extractor_path(dataset: "Dataset", seed: int = 0) -> Path:
    """Where the classifier that judges a dataset lies, or will: the pinned one, else beside the data."""
    from metrics.features import pinned_path

    if (pinned := pinned_path(dataset.extractor, seed)).is_file():
        return pinned
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", dataset.extractor).strip(".-")[-60:]
    return dataset.data_dir / "extractors" / f"{name}-{seed}-{dataset.checksum[:8]}.safetensors"


def is_trained(dataset: "Dataset") -> bool:
    """Whether the deciding classifier of a dataset is there, or none is needed, so that judging trains nothing."""
    return not dataset.extractor or extractor_path(dataset, PINNED_SEEDS[0]).is_file()


def classifier_of(dataset: "Dataset", seed: int = 0) -> "Extractor":
    """The classifier that judges a dataset: the pinned one, or one that is trained at its first use.

    The latter is kept beside the data, and said on standard error. Raises UserError for data without labelled images,
    and for a file that cannot be used.
    """
    from metrics.features import BadExtractor, read_extractor

    path = extractor_path(dataset, seed)
    try:
        if path.is_file():
            return read_extractor(path)
    except BadExtractor as error:
        raise UserError(str(error)) from None

    def say(sentence: str) -> None:
        print(f"\r{dataset.name}: {sentence}   ", end="", file=sys.stderr, flush=True)

    print(
        f"{dataset.name} has no pinned classifier; one is trained now, once, and kept in {path} (some minutes)",
        file=sys.stderr,
    )
    extractor = train_extractor(dataset, path, seed, QUICK_UPDATES, say)
    print(f"\r{dataset.name}: classifier trained, accuracy {extractor.accuracy:.2%} on test images", file=sys.stderr)
    return extractor


def classifiers_of(dataset: "Dataset") -> "tuple[Extractor, ...]":
    """All classifiers that judge a dataset, the deciding one first: those of every seed that is pinned, else one.

    Empty where samples are their own features.
    """
    from metrics.features import pinned_path

    if not dataset.extractor:
        return ()
    others = [seed for seed in PINNED_SEEDS[1:] if pinned_path(dataset.extractor, seed).is_file()]
    return tuple(classifier_of(dataset, seed) for seed in (PINNED_SEEDS[0], *others))


def list_caveats(dataset: "Dataset", judges: "Sequence[Extractor]") -> tuple[str, ...]:
    """Sentences that a reader of the metrics has to know: the classifier is often wrong, the reference is small."""
    found = []
    if judges and (worst := min(judge.accuracy for judge in judges)) < LEAST_ACCURACY:
        found.append(
            f"the classifier that judges {dataset.name} is right on only {worst:.0%} of the test images, below "
            f"{LEAST_ACCURACY:.0%}: what is measured with it says little"
        )
    if len(dataset.reference) < LEAST_REFERENCE:
        found.append(
            f"the reference of {dataset.name} has only {len(dataset.reference)} examples, below {LEAST_REFERENCE}: "
            "distances such as FID are biased upwards, and metrics differ much by chance"
        )
    return tuple(found)


def classifiers_sha256(dataset: Dataset) -> str:
    """The identity of what judges a dataset, whose classifier is trained now where there is none."""
    return combine_sha256(classifiers_of(dataset))


def combine_sha256(judges: Iterable[Extractor]) -> str:
    """SHA-256 of the extractor's file, or of those of several, joined in order; empty where there is none."""
    digests = [judge.sha256 for judge in judges]
    return sha256("".join(digests).encode()).hexdigest() if len(digests) > 1 else "".join(digests)
