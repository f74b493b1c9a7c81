"""The checkerboard, seen: the power spectrum of samples beside that of real images."""

from pathlib import Path

import torch
from torch import Tensor

from benchmarks.pictures.colours import FAKE, INK
from benchmarks.pictures.samples import write_figure
from metrics.spectrum import checkerboard_contrast


def power_spectra(samples: Tensor, real: Tensor, out: Path | str, title: str = "", stride: int = 2) -> None:
    """Draws both spectra on one scale, and how far samples lie above real images, into a PNG file.

    samples, real: (height, width), as metrics.spectrum.mean_power gives them. Frequency 0 is in the middle; a circle is
    at each frequency of the stride's lattice, where a checkerboard would stand out (Odena et al. 2016).
    """
    from matplotlib.figure import Figure

    logs = [power.cpu().clamp_min(1e-12).log10() for power in (samples, real)]
    low, high = min(log.min().item() for log in logs), max(log.max().item() for log in logs)
    above = logs[0] - logs[1]
    # A bound that is not set by a few frequencies at which real images have no power at all.
    most = max(above.abs().quantile(0.98).item(), 0.1)
    panels = (
        (logs[0], f"samples, contrast {checkerboard_contrast(samples, stride):+.2f}", low, high, "viridis"),
        (logs[1], f"real images, contrast {checkerboard_contrast(real, stride):+.2f}", low, high, "viridis"),
        (above, "samples above real", -most, most, "PuOr_r"),
    )
    figure = Figure(figsize=(9.6, 3.4), dpi=100)
    axes = figure.subplots(1, len(panels))
    # Not a layout that matplotlib finds out: that takes as long as all the rest.
    figure.subplots_adjust(left=0.01, right=0.925, bottom=0.04, top=0.82 if title else 0.92, wspace=0.2)
    height, width = samples.shape
    lattice = [
        ((c * width // stride + width // 2) % width, (r * height // stride + height // 2) % height)
        for r in range(stride)
        for c in range(stride)
        if r or c
    ]
    for axis, (values, caption, least, largest, colours) in zip(axes, panels, strict=True):
        shown = axis.imshow(torch.fft.fftshift(values).numpy(), cmap=colours, vmin=least, vmax=largest)
        axis.scatter(*zip(*lattice, strict=True), s=90, facecolors="none", edgecolors=FAKE, linewidths=1.8)
        axis.set_title(caption, fontsize=9, color=INK)
        axis.set_xticks([])
        axis.set_yticks([])
        label = "log10 of the power" if colours == "viridis" else "decades"
        figure.colorbar(shown, ax=axis, fraction=0.046, pad=0.03, label=label)
    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    write_figure(out, figure)
