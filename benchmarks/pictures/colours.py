"""Assigns each thing one colour in all pictures, from the colour-blind-safe palette of Okabe & Ito (2008)."""

GENERATOR_COLOUR, DISCRIMINATOR_COLOUR = "#0072B2", "#D55E00"
REAL_COLOUR, FAKE_COLOUR = "#009E73", "#CC79A7"
SATURATING_COLOUR, NON_SATURATING_COLOUR = "#E69F00", "#56B4E9"
INK, GREY = "#222222", "#6b6b6b"
