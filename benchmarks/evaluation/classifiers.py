"""Finds the classifiers that give features and predicted classes of images, and trains those that are missing.

Images without labels have a classifier, too: it learns which way up an image is (Gidaris, Singh & Komodakis 2018), for
which it has to know what the images show. Its features serve the distribution metrics; there are no classes to predict.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn import functional

from benchmarks.datasets import Dataset, Split
from metrics.features import (
    ARCHITECTURE,
    BadExtractor,
    Classifier,
    Extractor,
    pinned_path,
    read_extractor,
    save_extractor,
)
from variants.recipe import UserError

_BATCH = 128
_LEARNING_RATE = 4e-3
_WEIGHT_DECAY = 1e-4
# Epochs of a pinned classifier, and the least number of updates. Chosen, not tuned.
EPOCHS, LEAST_UPDATES = 25, 3_000
# Updates of a classifier that is trained while somebody waits for it.
QUICK_UPDATES = 2_500
PINNED_SEEDS = (0, 1, 2)
# The accuracy on test images, and the examples of the reference, below which a run bears a note. Chosen, not tuned.
_LEAST_ACCURACY, _LEAST_REFERENCE = 0.9, 500
# Views of each image without a label, which the classifier tells apart.
VIEWS = 4
_LARGEST_TURN, _LARGEST_SHIFT, _LARGEST_ZOOM = math.radians(12), 0.07, 0.1
_RECIPE = (
    f"AdamW, one cycle to {_LEARNING_RATE:g}, weight decay {_WEIGHT_DECAY:g}, cross-entropy, batch {_BATCH}; each "
    "image turned by up to 12 degrees, shifted by up to 7 % and scaled by up to 10 %, each uniformly"
)


def jitter(images: Tensor, generator: Generator) -> Tensor:
    """Turns, shifts and scales each image of (batch, channels, height, width) a little at random."""
    turn, across, down, zoom = torch.rand(4, len(images), generator=generator) * 2 - 1
    turn, zoom = turn * _LARGEST_TURN, 1 + zoom * _LARGEST_ZOOM
    cosine, sine = zoom * turn.cos(), zoom * turn.sin()
    # The plane of affine_grid is 2 wide, so a share of the width is twice that there.
    rows = torch.stack([cosine, -sine, 2 * _LARGEST_SHIFT * across, sine, cosine, 2 * _LARGEST_SHIFT * down], dim=1)
    grid = functional.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def make_views(images: Tensor) -> Tensor:
    """Returns four views of (batch, channels, height, width): all images upright, then all in the next view, and so on.

    Square images are turned by 0, 90, 180 and 270 degrees. Others stay, are turned by 180 degrees, and are mirrored
    from left to right and from top to bottom, so that they keep their shape.
    """
    if images.shape[2] == images.shape[3]:
        return torch.cat([images.rot90(quarters, (2, 3)) for quarters in range(VIEWS)])
    return torch.cat([images, images.rot90(2, (2, 3)), images.flip(3), images.flip(2)])


def label_views(count: int) -> Tensor:
    """Returns which view each of the images of `make_views` is, for so many images."""
    return torch.arange(VIEWS).repeat_interleave(count)


def train_classifier(
    images: Tensor,
    labels: Tensor | None,
    classes: int,
    seed: int,
    *,
    updates: int,
    progress: Callable[[int, float], None] = lambda update, loss: None,
) -> Classifier:
    """Trains a classifier on uint8 images (n, channels, height, width) with int64 labels (n,), and fuses it.

    Without labels, the views of each image are its classes, and a batch holds all views of a quarter as many images.
    The same seed, machine and thread count give the same bits; the global random state is unchanged. progress: called
    about a hundred times, with the number of updates done and the last loss.
    """
    generator = Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        classifier = Classifier(tuple(images.shape[1:]), classes, batch_norm=True)
    classifier = classifier.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=updates)
    size = _BATCH if labels is not None else _BATCH // VIEWS
    for update, chosen in enumerate(_batches(len(images), size, updates, generator), start=1):
        batch = images[chosen].float() / 127.5 - 1
        batch = jitter(batch if labels is not None else make_views(batch), generator)
        _, logits = classifier(batch.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits, labels[chosen] if labels is not None else label_views(len(chosen)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if update % max(1, updates // 100) == 0:
            progress(update, loss.item())
    return classifier.fused()


def _batches(count: int, size: int, updates: int, generator: Generator) -> Iterator[Tensor]:
    batch = min(size, count)
    done = 0
    while True:
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - batch + 1, batch):
            if done == updates:
                return
            done += 1
            yield order[start : start + batch]


def train_extractor(dataset: Dataset, path: Path, seed: int, updates: int, say: Callable[[str], None]) -> Extractor:
    """Trains a classifier on a dataset's training images, tests it on the test images, and writes it to a file.

    Images that have neither labels nor known modes are told apart by their views. updates: 0 for as many as a pinned
    classifier has. Raises UserError for points, and for images whose labels are not classes.
    """
    unlabelled = dataset.spec.is_image and dataset.modes is None
    if not dataset.spec.is_image or not (dataset.spec.classes or unlabelled):
        raise UserError(f"a classifier needs labelled images, and {dataset.name} has none")
    train, test = dataset.train, dataset.test
    classes = VIEWS if unlabelled else dataset.spec.classes
    updates = updates or max(LEAST_UPDATES, EPOCHS * (len(train) // _BATCH))
    classifier = train_classifier(
        train.data,
        train.labels,
        classes,
        seed,
        updates=updates,
        progress=lambda update, loss: say(f"update {update} of {updates}, loss {loss:.4f}"),
    ).eval()
    with torch.no_grad():
        features = torch.cat([classifier(train.images(slice(i, i + 500)))[0] for i in range(0, len(train), 500)])
        tested = [_test(classifier, test, slice(i, i + 500), unlabelled) for i in range(0, len(test), 500)]
    logits, labels = (torch.cat(column) for column in zip(*tested, strict=True))
    facts = {
        "name": dataset.extractor,
        "seed": seed,
        "accuracy": (logits.argmax(1) == labels).double().mean().item(),
        "test_loss": round(functional.cross_entropy(logits, labels).item(), 5),
        "shape": dataset.spec.shape,
        "classes": classes,
        "dataset": dataset.name,
        "checksum": dataset.checksum,
        "architecture": ARCHITECTURE,
        "recipe": f"{_RECIPE}; {updates} updates",
        "torch": torch.__version__.partition("+")[0],
    }
    if unlabelled:
        facts["task"] = "views"
    try:
        save_extractor(path, classifier, features.double().mean(0), features.double().std(0), facts)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another folder") from None
    return read_extractor(path)


def _test(classifier: Classifier, test: Split, part: slice, unlabelled: bool) -> tuple[Tensor, Tensor]:
    """Returns the class logits of some test images, or of their views, and the true classes."""
    images = test.images(part)
    if unlabelled:
        return classifier(make_views(images))[1], label_views(len(images))
    return classifier(images)[1], test.labels[part]


def _extractor_path(dataset: Dataset, seed: int) -> Path:
    """Returns the path of a dataset's classifier: the pinned file if it exists, else a file beside the data."""
    if (pinned := pinned_path(dataset.extractor, seed)).is_file():
        return pinned
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", dataset.extractor).strip(".-")[-60:]
    return dataset.data_dir / "extractors" / f"{name}-{seed}-{dataset.checksum[:8]}.safetensors"


def is_trained(dataset: Dataset) -> bool:
    """Tells whether the deciding classifier of a dataset exists, or none is needed."""
    return not dataset.extractor or _extractor_path(dataset, PINNED_SEEDS[0]).is_file()


def classifier_of(dataset: Dataset, seed: int = 0) -> Extractor:
    """Returns a dataset's classifier: the pinned one, or one that is trained at its first use.

    The latter is kept beside the data, and announced on standard error. Raises UserError as train_extractor does, and
    for a file that cannot be used.
    """
    path = _extractor_path(dataset, seed)
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


def classifiers_of(dataset: Dataset) -> tuple[Extractor, ...]:
    """Returns all classifiers of a dataset, the deciding one first: one a pinned seed, or a single one.

    Empty for data whose samples are their own features.
    """
    if not dataset.extractor:
        return ()
    others = [seed for seed in PINNED_SEEDS[1:] if pinned_path(dataset.extractor, seed).is_file()]
    return tuple(classifier_of(dataset, seed) for seed in (PINNED_SEEDS[0], *others))


def list_caveats(dataset: Dataset, classifiers: Sequence[Extractor]) -> tuple[str, ...]:
    """Lists what a reader of the metrics has to know, as sentences: an inaccurate classifier, a small reference."""
    found = []
    if classifiers and (worst := min(each.accuracy for each in classifiers)) < _LEAST_ACCURACY:
        what = "of the views of" if dataset.modes is None else "of"
        found.append(
            f"the classifier of {dataset.name} is right on only {worst:.0%} {what} the test images, below "
            f"{_LEAST_ACCURACY:.0%}: metrics that use it say little"
        )
    if len(dataset.reference) < _LEAST_REFERENCE:
        found.append(
            f"the reference of {dataset.name} has only {len(dataset.reference)} examples, below {_LEAST_REFERENCE}: "
            "distances such as FID are biased upwards, and metrics vary much by chance"
        )
    return tuple(found)


def classifiers_sha256(dataset: Dataset) -> str:
    """Returns the identity of a dataset's classifiers. Trains the classifier if there is none."""
    return combine_sha256(classifiers_of(dataset))


def combine_sha256(classifiers: Iterable[Extractor]) -> str:
    """Returns the SHA-256 of the one extractor's file, or of the joined digests of several; "" without any."""
    digests = [each.sha256 for each in classifiers]
    return sha256("".join(digests).encode()).hexdigest() if len(digests) > 1 else "".join(digests)
