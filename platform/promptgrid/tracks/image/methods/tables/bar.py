"""BAR by dataset (docs/configuration.md of changdaeoh/BlackVIP 66606fb)."""

FIRST = dict.fromkeys(("Caltech101", "OxfordPets", "StanfordCars", "FGVCAircraft", "CLEVR", "ImageNet"), 10.0)
"""First learning rates where not 5."""

LAST = dict.fromkeys(("SUN397", "EuroSAT", "RESISC45", "UCF101"), 0.01)
"""Last learning rates where not 0.1."""
