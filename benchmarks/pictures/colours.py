"""The colours of all pictures.

They are from the palette of Okabe & Ito (2008), which people who see colours differently can tell apart.
"""

GENERATOR, DISCRIMINATOR = "#0072B2", "#D55E00"
REAL, FAKE = "#009E73", "#CC79A7"
SATURATING, NON_SATURATING = "#E69F00", "#56B4E9"
INK, GREY = "#222222", "#6b6b6b"
