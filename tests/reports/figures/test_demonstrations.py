"""What a page shows of an operation is what torch computes."""

import numpy as np
import torch
from torch.nn.functional import conv_transpose2d

from reports.figures.demonstrations import INPUT, KERNEL, draw_transposed_convolution, transpose_convolve


def test_two_by_two_becomes_four_by_four_as_torch_has_it() -> None:
    parts, output = transpose_convolve(INPUT, KERNEL)
    values, kernel = (torch.tensor(each, dtype=torch.float64)[None, None] for each in (INPUT, KERNEL))
    assert output.shape == (4, 4)
    assert np.array_equal(output, conv_transpose2d(values, kernel)[0, 0].numpy())
    for place, part in enumerate(parts):
        alone = torch.zeros(4, dtype=torch.float64)
        alone[place] = values.flatten()[place]
        assert np.array_equal(part, conv_transpose2d(alone.view(1, 1, 2, 2), kernel)[0, 0].numpy())


def test_the_picture_is_the_same_each_time() -> None:
    assert draw_transposed_convolution() == draw_transposed_convolution()
