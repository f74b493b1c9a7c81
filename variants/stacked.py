"""The networks of several seeds as one: every parameter and every buffer gets a leading axis of seeds.

The examples of all seeds go through such a network as one long batch, one seed's after the other's. What treats each
example alone does not notice. What has weights, draws at random, or compares the examples of a batch would, and has a
forward pass for several seeds here:

linear layers                   a batched matrix product
convolutions, normalisation     the channels of all seeds beside each other, in groups
what draws                      each seed's part from its own stream
"""

import copy
from collections.abc import Callable, Sequence
from types import MethodType

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import ParametrizationList, type_before_parametrizations

from variants.base import DiscriminatorOutput
from variants.blocks import BatchNorm, Dropout, FromImage, SpectralNorm, ToImage
from variants.losses import AdversarialLoss
from variants.recipe import UserError
from variants.remedies import MinibatchDiscrimination, Noisy, Replay


class StackedNetwork(nn.Module):
    """Networks that differ in nothing but their weights, called as each of them is: (seeds, batch, ...) -> the same.

    Its parameters and buffers are copies of theirs, in their order, each (seeds, ...); the weights of a linear layer
    may have more inputs (`padding`). What it draws from is a sequence of streams, one a seed. Raises UserError for
    networks with a layer that cannot be told of seeds.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.seeds = len(networks)
        self.network = copy.deepcopy(networks[0])
        if len(list(self.network.named_parameters(remove_duplicate=False))) > len(list(self.network.parameters())):
            raise UserError("two of its layers share their weights")
        for module, *alone in zip(self.network.modules(), *(each.modules() for each in networks), strict=True):
            kind = type_before_parametrizations(module)
            if kind in LAYERS and is_usual(module):
                module.forward = MethodType(LAYERS[kind], module)
                if kind is nn.GRU:
                    module.flatten_parameters = as_they_lie
            elif kind is not ParametrizationList and (has_tensors(module) or hasattr(module, "stream")):
                raise UserError(f"there is no forward pass of several seeds for the layer {module}")
            for name, parameter in list(module.named_parameters(recurse=False)):
                stacked = torch.stack([each.get_parameter(name).detach() for each in alone]).contiguous()
                if kind in (nn.Linear, nn.GRU) and stacked.ndim > 2:
                    stacked = as_multiplied(stacked, padding(stacked) if kind is nn.Linear else 0)
                module.register_parameter(name, nn.Parameter(stacked, parameter.requires_grad))
            for name, _ in list(module.named_buffers(recurse=False)):
                module.register_buffer(name, torch.stack([each.get_buffer(name) for each in alone]))

    def forward(self, inputs: Tensor, condition: Tensor | None = None) -> Tensor | DiscriminatorOutput:
        made = self.network(inputs.flatten(0, 1), None if condition is None else condition.flatten(0, 1))
        if isinstance(made, Tensor):
            return made.unflatten(0, (self.seeds, -1))
        return DiscriminatorOutput(*(None if part is None else part.unflatten(0, (self.seeds, -1)) for part in made))


class StackedReplay:
    """The old fakes of several seeds, of each its own."""

    def __init__(self, replays: Sequence[Replay]) -> None:
        self.replays = replays

    def mix(
        self, fakes: Tensor, condition: Tensor | None, streams: Sequence[Generator]
    ) -> tuple[Tensor, Tensor | None]:
        """As `Replay.mix`, of (seeds, batch, ...)."""
        conditions = [None] * len(fakes) if condition is None else condition
        mixed = [replay.mix(*each) for replay, *each in zip(self.replays, fakes, conditions, streams, strict=True)]
        fakes = torch.stack([each for each, _ in mixed])
        return fakes, None if condition is None else torch.stack([each for _, each in mixed])


def as_multiplied(weight: Float[Tensor, "seeds outputs inputs"], more: int) -> Float[Tensor, "seeds outputs padded"]:
    """The weights and more inputs of 0, laid out in memory as a product of examples and `weight.mT` makes a gradient.

    Or autograd would copy the gradient of every weight in every update, across the order of memory.
    """
    return functional.pad(weight.mT, (0, 0, 0, more)).contiguous().mT


def padding(weight: Float[Tensor, "seeds outputs inputs"]) -> int:
    """How many inputs of 0 a linear layer gets. Their weights have no gradient, and stay 0.

    On a GPU, a product whose rows do not all begin at a multiple of 16 bytes takes twice as long.
    """
    return 0 if weight.device.type == "cpu" else -weight.shape[-1] % 8


def as_they_lie() -> None:
    """In the place of what lays out a GRU's weights for cuDNN, whenever it is copied: these are of several."""


def has_tensors(module: nn.Module) -> bool:
    """Whether it has parameters or buffers of its own."""
    return any(True for _ in module.parameters(recurse=False)) or any(True for _ in module.buffers(recurse=False))


def is_usual(module: nn.Module) -> bool:
    """Whether it uses no option that the forward passes below leave out."""
    if isinstance(module, nn.GRU):
        return module.num_layers == 1 and module.bias and module.batch_first and not module.bidirectional
    if isinstance(module, nn.Embedding):
        return module.max_norm is None and module.padding_idx is None and not module.scale_grad_by_freq
    return getattr(module, "padding_mode", "zeros") == "zeros"


def check_loss(loss: AdversarialLoss) -> None:
    """Raises UserError for a loss that is not the same for each seed of several as for that seed alone."""
    logits = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(2, 3, 4)
    for function in (loss.discriminator, loss.generator):
        together, alone = function(*logits), torch.stack([function(*each) for each in logits.unbind(1)])
        if together.shape != alone.shape or not torch.allclose(together, alone):
            raise UserError("its loss does not keep a leading axis of seeds")


# Layers. In each, x is (seeds·batch, ...), and weights are (seeds, ...).


def linear(self: nn.Linear, x: Float[Tensor, "batch *axes inputs"]) -> Float[Tensor, "batch *axes outputs"]:
    weight = self.weight
    parts = x.reshape(len(weight), -1, x.shape[-1])
    if more := weight.shape[-1] - x.shape[-1]:
        # Not `pad`, whose gradient is copied.
        parts = torch.cat((parts, parts.new_zeros(*parts.shape[:-1], more)), -1)
    made = torch.bmm(parts, weight.mT) if self.bias is None else torch.baddbmm(self.bias[:, None], parts, weight.mT)
    return made.reshape(*x.shape[:-1], -1)


def beside(x: Tensor, seeds: int) -> Tensor:
    """(seeds·batch, channels, ...) -> (batch, seeds·channels, ...)."""
    return x.unflatten(0, (seeds, -1)).transpose(0, 1).flatten(1, 2)


def behind(x: Tensor, seeds: int) -> Tensor:
    """The inverse of `beside`."""
    x = x.unflatten(1, (seeds, -1)).transpose(0, 1)
    if x.ndim < 5:
        return x.flatten(0, 1)
    # Images stay channels_last, as alone: what is drawn for them follows the order in memory.
    return x.movedim(2, -1).flatten(0, 1).movedim(-1, 1)


def convolution(self: nn.Conv2d, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch d i j"]:
    weight, bias = self.weight, None if self.bias is None else self.bias.flatten()
    seeds, groups = len(weight), len(weight) * self.groups
    grouped = functional.conv2d(
        beside(x, seeds), weight.flatten(0, 1), bias, self.stride, self.padding, self.dilation, groups
    )
    return behind(grouped, seeds)


def transposed(self: nn.ConvTranspose2d, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch d i j"]:
    weight, bias = self.weight, None if self.bias is None else self.bias.flatten()
    seeds, groups = len(weight), len(weight) * self.groups
    grouped = functional.conv_transpose2d(
        beside(x, seeds),
        weight.flatten(0, 1),
        bias,
        self.stride,
        self.padding,
        self.output_padding,
        groups,
        self.dilation,
    )
    return behind(grouped, seeds)


def embedding(self: nn.Embedding, x: Int[Tensor, "batch *words"]) -> Float[Tensor, "batch *words size"]:
    weight = self.weight
    if x.device.type != "cpu":
        # On a GPU the gradient of a small table takes as long as that of a layer; these products do not.
        codes = (x[..., None] == torch.arange(self.num_embeddings, device=x.device)).to(weight.dtype)
        return torch.bmm(codes.reshape(len(weight), -1, self.num_embeddings), weight).reshape(*x.shape, -1)
    # In the tables of all seeds, one under the other.
    places = torch.arange(len(weight), device=x.device).repeat_interleave(len(x) // len(weight)) * self.num_embeddings
    return functional.embedding(x + places.reshape(-1, *[1] * (x.ndim - 1)), weight.flatten(0, 1))


def recurrent(self: nn.GRU, x: Float[Tensor, "batch words inputs"]) -> tuple[None, Float[Tensor, "1 batch units"]]:
    """The last hidden state alone, by the equations of torch.nn.GRU."""
    seeds = len(self.weight_ih_l0)
    parts = x.unflatten(0, (seeds, -1))
    h = x.new_zeros(*parts.shape[:2], self.hidden_size)
    for word in parts.unbind(2):
        of_word = torch.baddbmm(self.bias_ih_l0[:, None], word, self.weight_ih_l0.mT).chunk(3, -1)
        of_state = torch.baddbmm(self.bias_hh_l0[:, None], h, self.weight_hh_l0.mT).chunk(3, -1)
        reset, update = (of_word[0] + of_state[0]).sigmoid(), (of_word[1] + of_state[1]).sigmoid()
        new = (of_word[2] + reset * of_state[2]).tanh()
        h = new + update * (h - new)
    return None, h.flatten(0, 1)[None]


def normalized(self: BatchNorm, x: Float[Tensor, "batch features *axes"]) -> Float[Tensor, "batch features *axes"]:
    seeds, keep = len(self.weight), self.training and self.held
    mean, variance = (None, None) if keep else (self.running_mean.view(-1), self.running_var.view(-1))
    weight, bias, momentum = self.weight.flatten(), self.bias.flatten(), 0.0 if keep else self.momentum
    normal = functional.batch_norm(
        beside(x, seeds), mean, variance, weight, bias, self.training, momentum, self.epsilon
    )
    return behind(normal, seeds)


def spectral(self: SpectralNorm, weight: Float[Tensor, "seeds outputs *axes"]) -> Float[Tensor, "seeds outputs *axes"]:
    matrix = weight.flatten(2)
    with torch.no_grad():
        right = functional.normalize((matrix.mT @ self.left[..., None]).squeeze(-1), dim=-1, eps=self.epsilon)
        left = functional.normalize((matrix @ right[..., None]).squeeze(-1), dim=-1, eps=self.epsilon)
        if self.training and not self.held:
            self.left.copy_(left)
    value = (left * (matrix @ right[..., None]).squeeze(-1)).sum(-1)
    return weight / value.reshape(-1, *[1] * (weight.ndim - 1))


def dropout(self: Dropout, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    if not self.training or not self.share:
        return x
    keep = torch.empty_like(x)
    for part, stream in parts_and_streams(keep, self):
        part.bernoulli_(1 - self.share, generator=stream)
    return x * keep.div_(1 - self.share)


def noisy(self: Noisy, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
    if self.training and self.deviation:
        noise = torch.empty_like(examples)
        for part, stream in parts_and_streams(noise, self):
            part.normal_(std=self.deviation, generator=stream)
        examples = examples + noise
    return self.discriminator(examples, condition)


def parts_and_streams(x: Tensor, layer: Dropout | Noisy) -> "zip[tuple[Tensor, Generator]]":
    """Each seed's part of a batch, to be written to, and the seed's stream."""
    if layer.stream is None:
        raise RuntimeError("a layer has no streams to draw from: call draw_from(network, streams) first")
    return zip(x.chunk(len(layer.stream)), layer.stream, strict=True)


def compared(self: MinibatchDiscrimination, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch more"]:
    seeds = len(self.tensor.weight)
    m = self.tensor(x).reshape(seeds, -1, self.kernels, self.dimensions)
    distances = (m[:, :, None] - m[:, None]).abs().sum(-1)
    return torch.cat((x, (distances.neg().exp().sum(2) - 1).flatten(0, 1)), dim=1)


LAYERS: dict[type[nn.Module], Callable] = {
    nn.Linear: linear,
    nn.Conv2d: convolution,
    nn.ConvTranspose2d: transposed,
    FromImage: convolution,
    ToImage: transposed,
    nn.Embedding: embedding,
    nn.GRU: recurrent,
    BatchNorm: normalized,
    SpectralNorm: spectral,
    Dropout: dropout,
    Noisy: noisy,
    MinibatchDiscrimination: compared,
}
