"""Stacks the networks of several seeds: every parameter and every buffer gets a leading axis of seeds.

The examples of all seeds go through a stacked network as one long batch, one seed's after the other's. Layers that
treat each example alone need no change. Layers that have weights, draw at random, or compare the examples of a batch
get a forward pass for several seeds:

linear layers                   a batched matrix product
convolutions, normalisation     the channels of all seeds side by side, in groups
layers that draw                each seed's part from its own stream
"""

import copy
from collections.abc import Callable, Sequence
from types import MethodType

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import ParametrizationList, type_before_parametrizations

from variants.augmentation import Augmented, augment
from variants.base import DiscriminatorOutput
from variants.blocks import BatchNorm, Dropout, FromImage, Scale, SpectralNorm, ToImage
from variants.losses import AdversarialLoss
from variants.recipe import UserError
from variants.remedies import MinibatchDiscrimination, Noisy, Replay


class StackedNetwork(nn.Module):
    """Stacks networks that differ in nothing but their weights: (seeds, batch, ...) -> (seeds, batch, ...).

    The parameters and buffers are copies, in the same order, each (seeds, ...); the weights of a linear layer may have
    more inputs (`padding`). The layers draw from a sequence of streams, one a seed. Raises UserError for networks with
    a layer that has no forward pass for several seeds.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.seeds = len(networks)
        self.network = copy.deepcopy(networks[0])
        if len(list(self.network.named_parameters(remove_duplicate=False))) > len(list(self.network.parameters())):
            raise UserError("two of its layers share their weights")
        for module, *alone in zip(self.network.modules(), *(each.modules() for each in networks), strict=True):
            kind = type_before_parametrizations(module)
            if kind in _FORWARD and _uses_usual_options(module):
                module.forward = MethodType(_FORWARD[kind], module)
                if kind is nn.GRU:
                    module.flatten_parameters = _keep_layout
            elif kind is not ParametrizationList and (_has_tensors(module) or hasattr(module, "stream")):
                raise UserError(f"there is no forward pass of several seeds for the layer {module}")
            for name, parameter in list(module.named_parameters(recurse=False)):
                stacked = torch.stack([each.get_parameter(name).detach() for each in alone]).contiguous()
                if kind in (nn.Linear, nn.GRU) and stacked.ndim > 2:
                    stacked = lay_out_for_product(stacked, padding(stacked) if kind is nn.Linear else 0)
                module.register_parameter(name, nn.Parameter(stacked, parameter.requires_grad))
            for name, _ in list(module.named_buffers(recurse=False)):
                module.register_buffer(name, torch.stack([each.get_buffer(name) for each in alone]))

    def forward(self, inputs: Tensor, condition: Tensor | None = None) -> Tensor | DiscriminatorOutput:
        made = self.network(inputs.flatten(0, 1), None if condition is None else condition.flatten(0, 1))
        if isinstance(made, Tensor):
            return made.unflatten(0, (self.seeds, -1))
        return DiscriminatorOutput(*(None if part is None else part.unflatten(0, (self.seeds, -1)) for part in made))


class StackedReplay:
    """Keeps the old fakes of several seeds, each seed's apart."""

    def __init__(self, replays: Sequence[Replay]) -> None:
        self.replays = replays

    def mix(
        self, fakes: Tensor, condition: Tensor | None, streams: Sequence[Generator]
    ) -> tuple[Tensor, Tensor | None]:
        """Mixes old fakes into each seed's, as `Replay.mix` does; (seeds, batch, ...)."""
        conditions = [None] * len(fakes) if condition is None else condition
        mixed = [replay.mix(*each) for replay, *each in zip(self.replays, fakes, conditions, streams, strict=True)]
        fakes = torch.stack([each for each, _ in mixed])
        return fakes, None if condition is None else torch.stack([each for _, each in mixed])


def lay_out_for_product(
    weight: Float[Tensor, "seeds outputs inputs"], more: int
) -> Float[Tensor, "seeds outputs padded"]:
    """Appends inputs of 0, and lays the weights out in memory as the product with `weight.mT` lays out their gradient.

    Otherwise autograd would copy the gradient of every weight in every update, across the order of memory.
    """
    return functional.pad(weight.mT, (0, 0, 0, more)).contiguous().mT


def padding(weight: Float[Tensor, "seeds outputs inputs"]) -> int:
    """Counts the inputs of 0 that a linear layer gets. Their weights have no gradient, and stay 0.

    On a GPU, a product whose rows do not all begin at a multiple of 16 bytes takes twice as long.
    """
    return 0 if weight.device.type == "cpu" else -weight.shape[-1] % 8


def _keep_layout() -> None:
    """Replaces the method by which a copied GRU lays out its weights for cuDNN, which cannot hold several seeds."""


def _has_tensors(module: nn.Module) -> bool:
    """Tells whether a module has parameters or buffers of its own."""
    return any(True for _ in module.parameters(recurse=False)) or any(True for _ in module.buffers(recurse=False))


def _uses_usual_options(module: nn.Module) -> bool:
    """Tells whether a layer uses no option that the forward passes below leave out."""
    if isinstance(module, nn.GRU):
        return module.num_layers == 1 and module.bias and module.batch_first and not module.bidirectional
    if isinstance(module, nn.Embedding):
        return module.max_norm is None and module.padding_idx is None and not module.scale_grad_by_freq
    return getattr(module, "padding_mode", "zeros") == "zeros"


def check_loss(loss: AdversarialLoss) -> None:
    """Raises UserError for a loss that does not treat each of several seeds as it treats that seed alone."""
    logits = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(2, 3, 4)
    for function in (loss.discriminator, loss.generator):
        together, alone = function(*logits), torch.stack([function(*each) for each in logits.unbind(1)])
        if together.shape != alone.shape or not torch.allclose(together, alone):
            raise UserError("its loss does not keep a leading axis of seeds")


# Forward passes of layers: x is (seeds·batch, ...), and weights are (seeds, ...).


def _linear(self: nn.Linear, x: Float[Tensor, "batch *axes inputs"]) -> Float[Tensor, "batch *axes outputs"]:
    weight = self.weight
    parts = x.reshape(len(weight), -1, x.shape[-1])
    if more := weight.shape[-1] - x.shape[-1]:
        # Not `pad`, whose gradient is copied.
        parts = torch.cat((parts, parts.new_zeros(*parts.shape[:-1], more)), -1)
    made = torch.bmm(parts, weight.mT) if self.bias is None else torch.baddbmm(self.bias[:, None], parts, weight.mT)
    return made.reshape(*x.shape[:-1], -1)


def _side_by_side(x: Tensor, seeds: int) -> Tensor:
    """Puts the channels of all seeds side by side: (seeds·batch, channels, ...) -> (batch, seeds·channels, ...)."""
    return x.unflatten(0, (seeds, -1)).transpose(0, 1).flatten(1, 2)


def _one_after_another(x: Tensor, seeds: int) -> Tensor:
    """Undoes `_side_by_side`."""
    x = x.unflatten(1, (seeds, -1)).transpose(0, 1)
    if x.ndim < 5:
        return x.flatten(0, 1)
    # Images stay channels_last, as alone: random draws for them follow the order in memory.
    return x.movedim(2, -1).flatten(0, 1).movedim(-1, 1)


def _convolution(self: nn.Conv2d, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch d i j"]:
    weight, bias = self.weight, None if self.bias is None else self.bias.flatten()
    seeds, groups = len(weight), len(weight) * self.groups
    grouped = functional.conv2d(
        _side_by_side(x, seeds), weight.flatten(0, 1), bias, self.stride, self.padding, self.dilation, groups
    )
    return _one_after_another(grouped, seeds)


def _transposed_convolution(self: nn.ConvTranspose2d, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch d i j"]:
    weight, bias = self.weight, None if self.bias is None else self.bias.flatten()
    seeds, groups = len(weight), len(weight) * self.groups
    grouped = functional.conv_transpose2d(
        _side_by_side(x, seeds),
        weight.flatten(0, 1),
        bias,
        self.stride,
        self.padding,
        self.output_padding,
        groups,
        self.dilation,
    )
    return _one_after_another(grouped, seeds)


def _embedding(self: nn.Embedding, x: Int[Tensor, "batch *words"]) -> Float[Tensor, "batch *words size"]:
    weight = self.weight
    if x.device.type != "cpu":
        # On a GPU the gradient of a small table takes as long as that of a layer; these products do not.
        codes = (x[..., None] == torch.arange(self.num_embeddings, device=x.device)).to(weight.dtype)
        return torch.bmm(codes.reshape(len(weight), -1, self.num_embeddings), weight).reshape(*x.shape, -1)
    # In the tables of all seeds, one under the other.
    places = torch.arange(len(weight), device=x.device).repeat_interleave(len(x) // len(weight)) * self.num_embeddings
    return functional.embedding(x + places.reshape(-1, *[1] * (x.ndim - 1)), weight.flatten(0, 1))


def _gru(self: nn.GRU, x: Float[Tensor, "batch words inputs"]) -> tuple[None, Float[Tensor, "1 batch units"]]:
    """Returns only the last hidden state, by the equations of torch.nn.GRU."""
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


def _batch_norm(self: BatchNorm, x: Float[Tensor, "batch features *axes"]) -> Float[Tensor, "batch features *axes"]:
    seeds, keep = len(self.running_mean), self.training and self.frozen_buffers
    mean, variance = (None, None) if keep else (self.running_mean.view(-1), self.running_var.view(-1))
    weight, bias = (None if each is None else each.flatten() for each in (self.weight, self.bias))
    momentum = 0.0 if keep else self.momentum
    normal = functional.batch_norm(
        _side_by_side(x, seeds), mean, variance, weight, bias, self.training, momentum, self.epsilon
    )
    return _one_after_another(normal, seeds)


def _scale(self: Scale, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    factors = self.factor.reshape(-1, *[1] * x.ndim)
    return (x.unflatten(0, (len(factors), -1)) * factors).flatten(0, 1)


def _spectral_norm(
    self: SpectralNorm, weight: Float[Tensor, "seeds outputs *axes"]
) -> Float[Tensor, "seeds outputs *axes"]:
    matrix = weight.flatten(2)
    with torch.no_grad():
        right = functional.normalize((matrix.mT @ self.left[..., None]).squeeze(-1), dim=-1, eps=self.epsilon)
        left = functional.normalize((matrix @ right[..., None]).squeeze(-1), dim=-1, eps=self.epsilon)
        if self.training and not self.frozen_buffers:
            self.left.copy_(left)
    value = (left * (matrix @ right[..., None]).squeeze(-1)).sum(-1)
    return weight / value.reshape(-1, *[1] * (weight.ndim - 1))


def _dropout(self: Dropout, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
    if not self.training or not self.share:
        return x
    keep = torch.empty_like(x)
    for part, stream in _parts_and_streams(keep, self):
        part.bernoulli_(1 - self.share, generator=stream)
    return x * keep.div_(1 - self.share)


def _noisy(self: Noisy, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
    if self.training and self.deviation:
        noise = torch.empty_like(examples)
        for part, stream in _parts_and_streams(noise, self):
            part.normal_(std=self.deviation, generator=stream)
        examples = examples + noise
    return self.discriminator(examples, condition)


def _augmented(self: Augmented, examples: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
    if self.training:
        uniform = self.empty_draws(examples)
        for part, stream in _parts_and_streams(uniform, self):
            part.uniform_(generator=stream)
        examples = augment(examples, uniform, self.policy)
    return self.discriminator(examples, condition)


def _parts_and_streams(x: Tensor, layer: Augmented | Dropout | Noisy) -> "zip[tuple[Tensor, Generator]]":
    """Pairs each seed's part of a batch, to be written to, with the seed's stream."""
    if layer.stream is None:
        raise RuntimeError("a layer has no streams to draw from: call draw_from(network, streams) first")
    return zip(x.chunk(len(layer.stream)), layer.stream, strict=True)


def _minibatch_discrimination(
    self: MinibatchDiscrimination, x: Float[Tensor, "batch features"]
) -> Float[Tensor, "batch more"]:
    seeds = len(self.tensor.weight)
    m = self.tensor(x).reshape(seeds, -1, self.kernels, self.dimensions)
    distances = (m[:, :, None] - m[:, None]).abs().sum(-1)
    return torch.cat((x, (distances.neg().exp().sum(2) - 1).flatten(0, 1)), dim=1)


_FORWARD: dict[type[nn.Module], Callable] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed_convolution,
    FromImage: _convolution,
    ToImage: _transposed_convolution,
    nn.Embedding: _embedding,
    nn.GRU: _gru,
    BatchNorm: _batch_norm,
    Scale: _scale,
    SpectralNorm: _spectral_norm,
    Dropout: _dropout,
    Noisy: _noisy,
    Augmented: _augmented,
    MinibatchDiscrimination: _minibatch_discrimination,
}
