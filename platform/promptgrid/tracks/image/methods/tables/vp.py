"""White-box VP by dataset (docs/configuration.md of changdaeoh/BlackVIP 66606fb)."""

RATES = {"StanfordCars": 5.0, "ImageNet": 1.0}
"""Learning rates where not 40."""

EPOCHS = {"SUN397": 500, "ImageNet": 400}
"""Where not 1000."""
