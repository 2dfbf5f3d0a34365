"""Tip-Adapter and Tip-Adapter-F by dataset (configurations of gaopengcuhk/Tip-Adapter d0e2d6f)."""

ALPHAS = {
    "Caltech101": 3.0,
    "DTD": 2.0,
    "EuroSAT": 2.0,
    "FGVCAircraft": 5.0,
    "OxfordFlowers": 10.0,
    "StanfordCars": 3.0,
    "UCF101": 3.0,
}
"""alpha before the search; 1.17 on the others."""

REACHES = {
    "Caltech101": (12.0, 5.0),
    "DTD": (13.0, 13.0),
    "EuroSAT": (12.0, 10.0),
    "FGVCAircraft": (30.0, 30.0),
    "Food101": (10.0, 10.0),
    "OxfordFlowers": (50.0, 50.0),
    "StanfordCars": (20.0, 10.0),
    "SUN397": (12.0, 10.0),
}
"""How far the grid of beta, and that of alpha, reaches."""

REACH = (7.0, 3.0)
"""On the others."""

EPOCHS = {"EuroSAT": 100}
"""Of Tip-Adapter-F; 20 on the others."""
