"""VP with SPSA-GC by dataset (docs/configuration.md of changdaeoh/BlackVIP 66606fb)."""

_ROWS = {
    "Caltech101": (0.3, 20.0, 0.01),
    "OxfordPets": (0.3, 10.0, 0.005),
    "StanfordCars": (0.5, 10.0, 0.01),
    "OxfordFlowers": (0.3, 10.0, 0.005),
    "SUN397": (0.3, 20.0, 0.01),
    "DTD": (0.9, 10.0, 0.01),
    "SVHN": (0.9, 10.0, 0.01),
    "EuroSAT": (0.3, 10.0, 0.005),
    "CLEVR": (0.9, 20.0, 0.01),
    "UCF101": (0.3, 20.0, 0.01),
    "ImageNet": (0.3, 20.0, 0.01),
}
"""Momentum, a and c."""

SETTINGS = {
    setting: {dataset: row[place] for dataset, row in _ROWS.items()}
    for place, setting in enumerate(("momentum", "learning_rate", "size"))
}
"""{setting: {dataset: value}}; elsewhere 0.3, 10 and 0.01."""
