"""Draws the power spectrum of samples beside that of real images, where a checkerboard stands out."""

from pathlib import Path

import torch
from torch import Tensor

from benchmarks.pictures.colours import FAKE_COLOUR, INK
from benchmarks.pictures.samples import write_figure
from metrics.spectrum import contrasts, lattice


def draw_power_spectra(samples: Tensor, real: Tensor, out: Path | str, title: str = "") -> None:
    """Draws both spectra on one scale, and their difference, into a PNG file.

    samples, real: (height, width), from metrics.spectrum.mean_power. Frequency 0 is in the middle. Circles mark the
    frequencies of checkerboards (Odena et al. 2016), smaller ones for longer periods. Captions give the contrast of
    each period, and its difference between samples and real images.
    """
    from matplotlib.figure import Figure

    logs = [power.cpu().clamp_min(1e-12).log10() for power in (samples, real)]
    low, high = min(log.min().item() for log in logs), max(log.max().item() for log in logs)
    above = logs[0] - logs[1]
    # The largest difference may be at the few frequencies where real images have no power at all.
    most = max(above.abs().quantile(0.98).item(), 0.1)
    ours, theirs = contrasts(samples), contrasts(real)
    panels = (
        (logs[0], f"samples\n{_caption(ours)}", low, high, "viridis"),
        (logs[1], f"real images\n{_caption(theirs)}", low, high, "viridis"),
        (above, f"samples above real\n{_caption({p: ours[p] - theirs[p] for p in ours})}", -most, most, "PuOr_r"),
    )
    figure = Figure(figsize=(9.6, 3.4), dpi=100)
    axes = figure.subplots(1, len(panels))
    # matplotlib's automatic layout takes as long as all the rest.
    figure.subplots_adjust(left=0.01, right=0.925, bottom=0.04, top=0.76 if title else 0.86, wspace=0.2)
    height, width = samples.shape
    for axis, (values, caption, least, largest, colours) in zip(axes, panels, strict=True):
        image = axis.imshow(torch.fft.fftshift(values).numpy(), cmap=colours, vmin=least, vmax=largest)
        for period in ours:
            rows, columns = zip(*lattice(height, width, period), strict=True)
            across, down = (torch.tensor(columns) + width // 2) % width, (torch.tensor(rows) + height // 2) % height
            axis.scatter(across, down, s=180 / period, facecolors="none", edgecolors=FAKE_COLOUR, linewidths=1.8)
        axis.set_title(caption, fontsize=9, color=INK)
        axis.set_xticks([])
        axis.set_yticks([])
        label = "log10 of the power" if colours == "viridis" else "decades"
        figure.colorbar(image, ax=axis, fraction=0.046, pad=0.03, label=label)
    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    write_figure(out, figure)


def _caption(contrasts: dict[int, float]) -> str:
    return "period " + ", ".join(f"{period}: {contrast:+.2f}" for period, contrast in contrasts.items())
