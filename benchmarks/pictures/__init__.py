"""Pictures of a run. Each function draws one; none draws random numbers or needs a system package.

samples.py    sample_grid, scatter: what a generator makes, in milliseconds; animate: the epochs as a GIF; png: a file
curves.py     loss_curves: both losses and the discriminator's opinion over the epochs
gradients.py  gradient_curves: what is left of the generator's gradient as the discriminator goes on learning
networks.py   network_graph: the layers of both networks, with their shapes and parameter counts
spectrum.py   power_spectra: the checkerboard, where it would stand out
colours.py    one colour for one thing in all of them
"""

from benchmarks.pictures.curves import loss_curves
from benchmarks.pictures.gradients import gradient_curves
from benchmarks.pictures.networks import network_graph
from benchmarks.pictures.samples import animate, png, sample_grid, scatter
from benchmarks.pictures.spectrum import power_spectra

__all__ = [
    "animate",
    "gradient_curves",
    "loss_curves",
    "network_graph",
    "png",
    "power_spectra",
    "sample_grid",
    "scatter",
]
