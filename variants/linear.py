"""Builds the linear generator and discriminator: I3 of the source, and every variant with linear layers."""

from torch import Tensor, nn

from variants.base import DataSpec, DiscriminatorOutput
from variants.blocks import Examples, Noise, dropout, hidden, output
from variants.conditioning import Head, embedding, generator_label, join_label, label_channel
from variants.recipe import Recipe


class LinearGenerator(nn.Module):
    """Maps noise to examples by linear layers with LeakyReLU (I3b), and tanh where the data is bounded.

    A label's embedding joins the noise.
    """

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        self.shape = spec.shape
        self.label = generator_label(spec, recipe)
        width = recipe.noise_size + (self.label.size if self.label else 0)
        self.layers = nn.Sequential()
        for units in recipe.generator_widths:
            self.layers.extend(hidden(nn.Linear, width, units, recipe.generator_normalization, recipe.negative_slope))
            width = units
        self.layers.extend(output(nn.Linear(width, spec.size), spec))

    def forward(self, noise: Noise, condition: Tensor | None = None) -> Examples:
        x = noise if self.label is None else join_label(noise, self.label(condition))
        return self.layers(x).unflatten(1, self.shape)


class LinearDiscriminator(nn.Module):
    """Judges flattened examples, joined by a label (I1b), by linear layers with LeakyReLU and dropout (I3b, I3c)."""

    def __init__(self, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        self.label = None
        if recipe.conditioning in ("embedding", "text"):
            self.label = embedding(spec, recipe)
        elif recipe.conditioning == "channel":
            self.label = label_channel(spec)
        width = spec.size + (self.label.size if self.label else 0)
        self.layers = nn.Sequential()
        kind, slope = recipe.discriminator_normalization, recipe.negative_slope
        for units in recipe.discriminator_widths:
            self.layers.extend(hidden(nn.Linear, width, units, kind, slope))
            self.layers.extend(dropout(recipe))
            width = units
        self.head = Head(width, spec, recipe)

    def forward(self, examples: Examples, condition: Tensor | None = None) -> DiscriminatorOutput:
        x = examples.flatten(1)
        x = x if self.label is None else join_label(x, self.label(condition))
        return self.head(self.layers(x), condition)
