"""BlackVIP by dataset (docs/configuration.md of changdaeoh/BlackVIP 66606fb)."""

_ROWS = {
    "Caltech101": (0.9, 0.2, 0.005, 0.2),
    "OxfordPets": (0.9, 0.1, 0.01, 1.0),
    "StanfordCars": (0.9, 0.2, 0.01, 0.3),
    "OxfordFlowers": (0.5, 0.2, 0.02, 1.0),
    "Food101": (0.9, 0.1, 0.01, 0.3),
    "FGVCAircraft": (0.3, 0.1, 0.01, 0.5),
    "SUN397": (0.5, 0.1, 0.01, 1.0),
    "DTD": (0.7, 0.2, 0.01, 0.3),
    "SVHN": (0.9, 0.2, 0.005, 1.0),
    "EuroSAT": (0.9, 0.2, 0.005, 0.4),
    "RESISC45": (0.95, 0.1, 0.01, 0.3),
    "CLEVR": (0.9, 0.2, 0.005, 1.0),
    "UCF101": (0.9, 0.1, 0.01, 0.3),
    "ImageNet": (0.9, 0.2, 0.005, 0.3),
}
"""Momentum, γ, c and ε."""

SETTINGS = {
    setting: {dataset: row[place] for dataset, row in _ROWS.items()}
    for place, setting in enumerate(("momentum", "size_decay", "size", "strength"))
}
"""{setting: {dataset: value}}; elsewhere 0.9, 0.1, 0.01 and 1."""
