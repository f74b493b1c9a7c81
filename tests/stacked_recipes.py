"""Recipes of every kind that seeds are trained as one by."""

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from benchmarks.algorithm.gan import GAN, make_gan
from benchmarks.algorithm.random_streams import initialisation
from benchmarks.config import DatasetConfig
from benchmarks.datasets import Split, load
from variants import Recipe, load_variant
from variants.losses import LOSSES

loaded = cache(load)
SEEDS = (0, 7, 3)
EXAMPLES = 200
SMALL = {"batch_size": 16, "noise_size": 6, "generator_widths": (12, 10), "discriminator_widths": (10, 12)}

# Every variant that can be trained so, and every field of the recipe that changes what a step computes.
RECIPES: list[tuple[str, str, dict]] = [
    ("vanilla_gan", "ring8", {}),
    ("vanilla_gan", "digits", {"generator_normalization": "none"}),
    ("vanilla_gan", "stacked_digits", {"instance_noise": 0.3, "dropout": 0.2}),
    *(("cgan_mlp", "digits", {"conditioning": c}) for c in ("embedding", "channel", "projection", "generator")),
    ("cgan_mlp", "digits", {"conditioning": "auxiliary", "pack": 2}),
    ("cgan_mlp", "digits", {"embedding_size": 3, "discriminator_normalization": "batch", "averaging": 0.9}),
    ("cgan_mlp", "digits", {"discriminator_normalization": "spectral", "dropout": 0.3}),
    ("cgan_mlp", "digits", {"minibatch_discrimination": 3, "critic_steps": 2}),
    ("cgan_mlp", "digits", {"pack": 4, "critic_steps": 3, "critic_batch": "same"}),
    ("cgan_mlp", "digits", {"replay": 0.5, "replay_size": 60}),
    ("cgan_mlp", "digits", {"instance_noise": 0.5, "lr_decay": "linear"}),
    ("cgan_mlp", "digits", {"optimizer": "sgd", "beta1": 0.0, "generator_lr": 0.05, "discriminator_lr": 0.05}),
    ("cgan_mlp", "digits", {"optimizer": "sgd", "beta1": 0.5, "generator_lr": 0.05, "discriminator_lr": 0.05}),
    ("cgan_mlp", "digits", {"loss": "wasserstein", "gradient_penalty": 10.0, "pack": 2}),
    ("cgan_mlp", "digits", {"loss": "wasserstein", "weight_clip": 0.1}),
    ("cgan_mlp", "digits", {"loss": "relativistic", "r1": 1.0, "r2": 1.0}),
    ("cgan_mlp", "digits", {"r1": 1.0, "discriminator_normalization": "spectral"}),
    ("cgan_mlp", "digits", {"label_smoothing": 0.1, "shuffled_conditions": True}),
    ("vanilla_gan", "ring8", {"unrolled_steps": 3}),
    ("vanilla_gan", "ring8", {"unrolled_steps": 2, "optimizer": "sgd"}),
    ("dcgan", "digits", {}),
    ("dcgan", "stacked_digits", {"dropout": 0.3, "instance_noise": 0.3}),
    ("dcgan", "digits", {"upsampling": "resize", "downsampling": "pool", "upsampling_kernel": 3}),
    ("dcgan", "digits", {"discriminator_normalization": "spectral", "r1": 1.0, "upsampling": "pixel_shuffle"}),
    ("dcgan", "stacked_digits", {"diff_augment": "color,translation,cutout", "pack": 2}),
    ("cgan_mlp", "digits", {"diff_augment": "translation", "instance_noise": 0.1, "r1": 0.5}),
    ("cgan_conv", "digits", {"minibatch_discrimination": 2}),
    ("cgan_conv", "digits", {"conditioning": "embedding", "averaging": 0.0, "discriminator_normalization": "none"}),
    ("dcgan_text", "captions_digits", {"matching_aware": True, "embedding_size": 5}),
    ("dragan", "stacked_digits", {"pack": 2}),
    ("sngan", "digits", {"dropout": 0.2}),
    ("projection_gan", "digits", {"diff_augment": "translation"}),
    ("sagan", "digits", {"generator_spectral": True}),
    ("sagan", "stacked_digits", {"conditioning": "none", "generator_normalization": "batch", "pack": 2}),
    ("r3gan", "digits", {}),
    ("acgan", "digits", {"generator_spectral": True}),
    ("infogan", "digits", {"noise_size": 14}),
    ("cgan_mlp", "digits", {"code_classes": 3, "code_values": 1, "information": 0.5}),
    *(("vanilla_gan", "ring8", {"loss": loss}) for loss in LOSSES if loss not in ("wasserstein", "relativistic")),
]


@cache
def examples(dataset: str, seed: int, dtype: torch.dtype, few: bool = True) -> Split:
    """A few examples of a seed, or all of them, the same float32 numbers whatever the type.

    To shuffle 100,000 takes longer than a step. So few are gone through within 20 updates, and shuffled anew.
    """
    data = loaded(DatasetConfig(dataset), seed=seed).train
    if few:
        data = data.select(torch.arange(EXAMPLES))
    if hasattr(data, "source"):
        return replace(data, source=(data.source.float() / 127.5 - 1).to(dtype))
    return replace(data, data=data.images(slice(None)).to(dtype))


def recipe_of(variant: str, dataset: str, changes: dict) -> Recipe:
    small = "points" if dataset == "ring8" else "small"
    return load_variant(variant).recipe(small).with_({**SMALL, "epochs": 2, **changes})


def names(recipes: list[tuple[str, str, dict]]) -> list[str]:
    return [f"{variant}-{dataset}-{'-'.join(map(str, changes.values()))}" for variant, dataset, changes in recipes]


def started(variant: str, recipe: Recipe, dataset: str, seed: int) -> GAN:
    with initialisation(seed):
        networks = load_variant(variant).build(loaded(DatasetConfig(dataset)).spec, recipe)
    return make_gan(*(network.to(memory_format=torch.channels_last) for network in networks), recipe)


def farthest(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference between two states, relative to the largest value of its tensor."""
    assert set(ours) == set(theirs)
    worst = 0.0
    for name, value in theirs.items():
        assert ours[name].shape == value.shape
        assert value.isfinite().all()
        difference = (ours[name].double() - value.double()).abs().max()
        worst = max(worst, (difference / value.double().abs().max().clamp(min=1e-6)).item())
    return worst
