"""Implements the stock loop: training as a good user of torch writes it in an afternoon, nothing slow on purpose.

The networks and the recipe are those of the variant. The rest is as in tutorials: a DataLoader that turns each image
into a tensor and normalises it, torch's own layers, plain Adam, binary cross-entropy, `.item()` for the log in each
step, the default memory layout and allocator, float32. In two points it differs from the variants: the discriminator's
batch-norm statistics move in the generator's step too, and dropout draws from the global random state.
"""

import copy
from collections.abc import Iterable, Iterator
from types import MethodType

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmarks.datasets import Split
from variants.blocks import BatchNorm, Dropout, FromImage, ToImage, Unflatten
from variants.recipe import FIELDS, NEUTRAL, Recipe, UserError

# Layers that differ from torch's own in their forward pass alone.
_PLAIN = {FromImage: nn.Conv2d, ToImage: nn.ConvTranspose2d, Unflatten: nn.Unflatten}

# Fields of a recipe's training that this loop knows; with the values that it knows, or () for all.
_KNOWN: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian",),
    "loss": ("non_saturating", "saturating"),
    "optimizer": ("adam",),
} | dict.fromkeys(
    """noise_size epochs epoch_updates batch_size critic_steps critic_batch generator_lr discriminator_lr beta1 beta2
    averaging""".split(),
    (),
)

_cross_entropy = nn.BCEWithLogitsLoss()


class Images(Dataset):
    """Yields images one by one as torchvision's datasets do: from an array to a picture, through the transform."""

    def __init__(self, images: Tensor, conditions: Tensor, transform) -> None:
        pixels = images.permute(0, 2, 3, 1).numpy()
        self.pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        self.conditions = conditions.tolist() if conditions.ndim == 1 else conditions
        self.transform = transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.pixels[index])), self.conditions[index]


def make_loader(data: Split, batch_size: int, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> DataLoader:
    """Returns a loader of shuffled batches of examples and their conditions; zeros where there are none.

    margins: black pixels that are added to images on the left, right, top and bottom.
    """
    from torchvision import transforms

    everything = data.images(slice(0, 1)).shape[1:]
    conditions = data.condition(slice(None))
    if conditions is None:
        conditions = torch.zeros(len(data), dtype=torch.int64)
    if data.data.dtype == torch.uint8 and data.data.shape[1:] == everything:
        half = (0.5,) * data.data.shape[1]
        left, right, top, bottom = margins
        padding = [transforms.Pad((left, top, right, bottom))] if any(margins) else []
        transform = transforms.Compose([*padding, transforms.ToTensor(), transforms.Normalize(half, half)])
        examples: Dataset = Images(data.data, conditions, transform)
    elif len(everything) == 1:
        examples = TensorDataset(data.data, conditions)
    else:
        raise UserError("the stock loop reads images and points of the plane, not stacked images")
    return DataLoader(examples, batch_size, shuffle=True, drop_last=True)


def refuse_unknown(recipe: Recipe) -> None:
    """Raises UserError for a recipe that this loop does not implement."""
    for name, field in FIELDS.items():
        value, names = getattr(recipe, name), _KNOWN.get(name, ())
        strange = field.metadata["part"] == "training" and name not in _KNOWN and value != getattr(NEUTRAL, name)
        terms = (name, value) == ("conditioning", "auxiliary") or (name in ("code_classes", "code_values") and value)
        if strange or (names and value not in names) or terms:
            option = f"--{name.replace('_', '-')} {str(value).lower()}"
            raise UserError(f"the stock loop does not know {option}; leave it out with --against none")


def use_torch_layers(network: nn.Module) -> nn.Module:
    """Replaces this project's layers in a network by torch's own, with the same weights."""
    images = any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in network.modules())
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, BatchNorm):
                kind = nn.BatchNorm2d if images else nn.BatchNorm1d
                affine = child.weight is not None
                layer = kind(child.running_mean.numel(), child.epsilon, child.momentum, affine)
                layer.weight, layer.bias = child.weight, child.bias
                setattr(module, name, layer)
            elif isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.share))
            for ours, torchs in _PLAIN.items():
                if isinstance(child, ours):
                    child.forward = MethodType(torchs.forward, child)
    return network


def train(generator: nn.Module, discriminator: nn.Module, loader: Iterable, recipe: Recipe) -> Iterator[dict]:
    """Trains without end; yields what a tutorial logs after each generator update."""
    device = next(generator.parameters()).device
    betas = (recipe.beta1, recipe.beta2)
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=recipe.generator_lr, betas=betas)
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=recipe.discriminator_lr, betas=betas)
    averaged = copy.deepcopy(generator) if recipe.averaging else None
    conditions = _all_conditions(loader).to(device)

    def noise() -> Tensor:
        return torch.randn(recipe.batch_size, recipe.noise_size, device=device)

    generator.train()
    discriminator.train()
    step = 0
    while True:
        for real, condition in loader:
            real, condition = real.to(device), condition.to(device)
            for _ in range(recipe.critic_steps if recipe.critic_batch == "same" else 1):
                logged = discriminator_step(generator, discriminator, discriminator_optimizer, real, condition, noise())
                step += 1
            if step % recipe.critic_steps:
                continue
            drawn = conditions[torch.randint(len(conditions), (recipe.batch_size,), device=device)]
            logged |= generator_step(generator, discriminator, generator_optimizer, noise(), drawn, recipe.loss)
            if averaged is not None:
                _average(averaged, generator, recipe.averaging)
            yield logged


def _all_conditions(loader: Iterable) -> Tensor:
    examples = loader.dataset
    return examples.tensors[1] if isinstance(examples, TensorDataset) else torch.as_tensor(examples.conditions)


def discriminator_step(
    generator: nn.Module, discriminator: nn.Module, optimizer, real: Tensor, condition: Tensor, noise: Tensor
) -> dict[str, float]:
    optimizer.zero_grad()
    with torch.no_grad():
        fakes = generator(noise, condition)
    real_logits = discriminator(real, condition).logits
    fake_logits = discriminator(fakes, condition).logits
    loss = _cross_entropy(real_logits, torch.ones_like(real_logits)) + _cross_entropy(
        fake_logits, torch.zeros_like(fake_logits)
    )
    loss.backward()
    optimizer.step()
    return {
        "discriminator_loss": loss.item(),
        "d_real": real_logits.sigmoid().mean().item(),
        "d_fake": fake_logits.sigmoid().mean().item(),
    }


def generator_step(
    generator: nn.Module, discriminator: nn.Module, optimizer, noise: Tensor, condition: Tensor, loss_name: str
) -> dict[str, float]:
    optimizer.zero_grad()
    logits = discriminator(generator(noise, condition), condition).logits
    if loss_name == "saturating":
        loss = -_cross_entropy(logits, torch.zeros_like(logits))
    else:
        loss = _cross_entropy(logits, torch.ones_like(logits))
    loss.backward()
    optimizer.step()
    return {"generator_loss": loss.item()}


@torch.no_grad()
def _average(averaged: nn.Module, generator: nn.Module, decay: float) -> None:
    for mean, parameter in zip(averaged.parameters(), generator.parameters(), strict=True):
        mean.lerp_(parameter, 1 - decay)
    for mean, buffer in zip(averaged.buffers(), generator.buffers(), strict=True):
        mean.copy_(buffer)
