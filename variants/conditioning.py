"""Lets a label enter the networks: claims I1a, I1b and I2 of the source, and what later papers do instead.

kind         in the generator            in the discriminator
embedding    joins the noise             joins the flattened image (linear) or the last feature map (convolutional)
channel      joins as a feature map      joins as an image channel
projection   as embedding                its inner product with the last features is added to the logit
auxiliary    as embedding                unseen; a second head names the class
generator    as embedding                unseen: the control that is blind to labels
none         unseen                      unseen
text         its encoding, in the places of an embedding

With --generator-normalization conditional_batch, a residual generator takes the label by the gains and biases of its
normalisations instead of by an embedding that joins the noise.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot

from variants.base import DataSpec, DiscriminatorOutput
from variants.blocks import BatchNorm, channels_last, in_its_layout
from variants.recipe import Recipe, UserError, code_size
from variants.remedies import MinibatchDiscrimination


class LabelEmbedding(nn.Module):
    """Looks up a learned vector for each class: (batch,) -> (batch, size). I1b; Mirza & Osindero 2014."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.table = nn.Embedding(classes, size)

    def forward(self, labels: Int[Tensor, " batch"]) -> Float[Tensor, "batch size"]:
        return self.table(labels)


class LabelChannel(nn.Module):
    """Maps a one-hot label to one more channel by a dense layer: (batch,) -> (batch, 1, height, width). I1a."""

    def __init__(self, classes: int, height: int, width: int) -> None:
        super().__init__()
        self.classes, self.height, self.width = classes, height, width
        self.size = height * width
        self.dense = nn.Linear(classes, self.size)

    def forward(self, labels: Int[Tensor, " batch"]) -> Float[Tensor, "batch 1 height width"]:
        code = one_hot(labels, self.classes).to(self.dense.weight.dtype)
        return self.dense(code).unflatten(1, (1, self.height, self.width))


class ConditionalBatchNorm(nn.Module):
    """Normalises a batch, with gains and biases of each label's own: (batch, features, height, width) -> the same.

    De Vries et al. 2017; in GANs, Miyato & Koyama 2018, appendix A. Gains begin near 1, biases at 0.
    """

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.normal = BatchNorm(features, affine=False)
        self.gain, self.bias = nn.Embedding(classes, features), nn.Embedding(classes, features)
        nn.init.normal_(self.gain.weight, 1.0, 0.02)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, condition: Int[Tensor, " batch"]) -> Tensor:
        gain, bias = (table(condition)[:, :, None, None] for table in (self.gain, self.bias))
        return self.normal(x) * gain + bias


class TextEncoder(nn.Module):
    """Encodes a caption by word embeddings and a gated recurrent unit: (batch, words) -> (batch, size). C4."""

    def __init__(self, words: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.table = nn.Embedding(words, size)
        self.reader = nn.GRU(size, size, batch_first=True)

    def forward(self, tokens: Int[Tensor, "batch words"]) -> Float[Tensor, "batch size"]:
        return self.reader(self.table(tokens))[1][0]


def join_label(x: Tensor, label: Tensor) -> Tensor:
    """Concatenates along the second axis, after giving the label the form of x: flat, or a feature map."""
    if x.ndim == 2:
        return torch.cat((x, label.flatten(1)), dim=1)
    if label.ndim == 2:
        label = label[:, :, None, None].expand(-1, -1, *x.shape[2:])
    if x.is_contiguous(memory_format=torch.channels_last):
        # Otherwise all that follows would be in another layout.
        x, label = in_its_layout(x), channels_last(label)
    return torch.cat((x, label), dim=1)


def embedding(spec: DataSpec, recipe: Recipe) -> LabelEmbedding | TextEncoder:
    """Makes the layer that turns a condition, labels or words, into a vector."""
    if recipe.conditioning == "text":
        return TextEncoder(len(spec.vocabulary), recipe.embedding_size or len(spec.vocabulary))
    return LabelEmbedding(spec.classes, recipe.embedding_size or spec.classes)


def generator_label(
    spec: DataSpec, recipe: Recipe, halvings: int = 0
) -> LabelEmbedding | TextEncoder | LabelChannel | None:
    """Makes the layer for the generator's second input; a channel has the image's size, halved so often."""
    if recipe.conditioning == "none":
        return None
    return label_channel(spec, halvings) if recipe.conditioning == "channel" else embedding(spec, recipe)


def label_channel(spec: DataSpec, halvings: int = 0) -> LabelChannel:
    if not spec.is_image:
        raise UserError("--conditioning channel needs images, not points of the plane; take embedding")
    _, height, width = spec.shape
    return LabelChannel(spec.classes, height >> halvings, width >> halvings)


class Head(nn.Module):
    """Ends a discriminator: features (batch, features) and labels (batch,) or None -> DiscriminatorOutput."""

    def __init__(self, features: int, spec: DataSpec, recipe: Recipe) -> None:
        super().__init__()
        self.compare = None
        if recipe.minibatch_discrimination:
            self.compare = MinibatchDiscrimination(features, recipe.minibatch_discrimination)
            features = self.compare.size
        self.dense = nn.Linear(features, 1)
        # Miyato & Koyama 2018, equation 3; Odena et al. 2017, section 3.
        self.projection = nn.Embedding(spec.classes, features) if recipe.conditioning == "projection" else None
        self.classes = nn.Linear(features, spec.classes) if recipe.conditioning == "auxiliary" else None
        self.code = nn.Linear(features, code_size(recipe)) if code_size(recipe) else None

    def forward(self, features: Float[Tensor, "batch features"], condition: Tensor | None) -> DiscriminatorOutput:
        if self.compare is not None:
            features = self.compare(features)
        logits = self.dense(features).squeeze(1)
        if self.projection is not None:
            logits = logits + (self.projection(condition) * features).sum(1)
        others = (None if layer is None else layer(features) for layer in (self.classes, self.code))
        return DiscriminatorOutput(logits, *others)
