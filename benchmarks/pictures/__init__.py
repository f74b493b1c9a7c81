"""Pictures of a run. Each function draws one; none draws random numbers or needs a system package.

samples.py    sample_grid, scatter: what a generator makes, in milliseconds; animate: the epochs as a GIF; png: a file
curves.py     loss_curves: both losses and the discriminator's opinion over the epochs
gradients.py  gradient_curves: what is left of the generator's gradient as the discriminator goes on learning
networks.py   network_graph: the layers of both networks, with their shapes and parameter counts
growth.py     growth_curves: how time and memory grow with sizes
spectrum.py   power_spectra: the checkerboard, where it would stand out
colours.py    one colour for one thing in all of them
"""

from benchmarks.pictures.curves import draw_loss_curves
from benchmarks.pictures.gradients import draw_gradient_curves
from benchmarks.pictures.growth import growth_curves
from benchmarks.pictures.networks import draw_networks
from benchmarks.pictures.samples import animate, draw_grid, draw_points, encode_png
from benchmarks.pictures.spectrum import draw_power_spectra

__all__ = [
    "animate",
    "draw_gradient_curves",
    "draw_grid",
    "draw_loss_curves",
    "draw_networks",
    "draw_points",
    "draw_power_spectra",
    "encode_png",
    "growth_curves",
]
