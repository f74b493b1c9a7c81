"""Draws pictures of one run. No function draws random numbers or needs a system package.

samples.py    draws grids of images and points of the plane, animates them, and writes picture files
epochs.py     chooses the epochs with pictures, and draws the picture that fits the data
curves.py     draws both losses and the discriminator's outputs over the epochs
gradients.py  draws the generator's gradient while the discriminator is trained further
networks.py   draws the layers of both networks, with their shapes and parameter counts
colours.py    assigns each thing one colour in all pictures
"""

from benchmarks.pictures.curves import draw_loss_curves
from benchmarks.pictures.gradients import draw_gradient_curves
from benchmarks.pictures.networks import draw_networks
from benchmarks.pictures.samples import animate, draw_grid, draw_points, encode_png

__all__ = [
    "animate",
    "draw_gradient_curves",
    "draw_grid",
    "draw_loss_curves",
    "draw_networks",
    "draw_points",
    "encode_png",
]
