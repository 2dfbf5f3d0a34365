"""R-AMT, AMT, PMT and MMT by dataset (README of R-AMT 07f8d2c)."""

from promptgrid.tracks.image.methods.parts.published import NAMES

RATES = {"ImageNet": 3e-5}
"""Learning rates where not 8e-5."""

EPOCHS = {"ImageNet": 10}
"""Where not 30."""

LEVELS = dict.fromkeys([name for name in NAMES if name not in ("ImageNet", "SUN397", "Food101")], 0.3)
"""l at 16 shots where not 1. The README's own example lines have it the other way round."""
