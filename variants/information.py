"""Gives a generator codes that its fakes have to show: the mutual information of Chen et al. 2016 (InfoGAN).

The first numbers of the noise are the codes. A categorical code is which of its numbers is the largest: with numbers
drawn alike and without ties, each class has the same chance. The next numbers are continuous codes as they stand. A
head of the discriminator, Q in the paper, reads the codes back from an image.
"""

import torch
from torch import Tensor, nn

from variants.batch import LossInputs
from variants.blocks import Examples, Noise
from variants.losses import class_loss


class Coded(nn.Module):
    """Calls a generator with the first `classes` numbers of the noise as a one-hot code: (batch, noise) in and on."""

    def __init__(self, generator: nn.Module, classes: int) -> None:
        super().__init__()
        self.generator, self.classes = generator, classes

    def forward(self, noise: Noise, condition: Tensor | None = None) -> Examples:
        numbers = noise[:, : self.classes]
        code = numbers.argmax(1, keepdim=True) == torch.arange(self.classes, device=noise.device)
        return self.generator(torch.cat((code.to(noise.dtype), noise[:, self.classes :]), 1), condition)


def code_loss(inputs: LossInputs, classes: int) -> Tensor:
    """Returns -log Q(c | G(z, c)) of fakes, which both networks minimise (Chen et al. 2016, equation 5): (*seeds).

    Up to a constant it bounds the mutual information of codes and fakes from above, with the sign turned. A continuous
    code is normal around what the head says, with deviation 1.
    """
    said, noise = inputs.fake.code, inputs.batch.noise
    loss = (said[..., classes:] - noise[..., classes : said.shape[-1]]).square().sum(-1).mean(-1) / 2
    return loss + class_loss(said[..., :classes], noise[..., :classes].argmax(-1)) if classes else loss
