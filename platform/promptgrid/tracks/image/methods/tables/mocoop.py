"""MoCoOp by dataset (``configs/datasets/*.yaml`` and the configuration for ImageNet of dyabel/mocoop 04b5d2a)."""

from typing import Any

from promptgrid.tracks.image.methods.parts.templates import GROUPS as FIRST

Groups = tuple[tuple[str, ...], ...]
_LOW, _GOOD = FIRST["Caltech101"][-2:]
_PLAIN, _MANY = ("a photo of a {}.",), ("a photo of many {}.",)
_COMMON = (_PLAIN, _MANY, _LOW, _GOOD)

GROUPS: dict[str, Groups] = {
    **FIRST,
    "DTD": FIRST["Caltech101"],
    "OxfordFlowers": (("a photo of a {}, a type of flower.",), *_COMMON),
    "FGVCAircraft": (("a photo of a {}, a type of aircraft.",), *_COMMON),
    "StanfordCars": (
        ("a photo of the high-performance {}.", "a photo of the modern {}.", "a photo of the fast {}."),
        *_COMMON,
    ),
    "SUN397": _COMMON,
    "UCF101": (("a photo of a person doing {}.",), ("a {} in a video game.",), *_COMMON),
    "Food101": (
        _PLAIN,
        ("a photo of the delicious {}.", "a photo of the tasty {}.", "a dish of the {}."),
        _LOW,
        _GOOD,
    ),
    "ImageNet": (
        ("a photo of a {}, a type of flower.",),
        ("a photo of a person doing {}.",),
        ("a centered satellite photo of {}.",),
        ("a photo of a {}, a type of aircraft.",),
        ("itap of a {}.", "itap of the {}."),
        ("a photo of the large {}.", "a photo of a large {}."),
        ("art of the {}.", "a rendering of a {}.", "a rendering of the {}."),
        ("a photo of the small {}.",),
        _PLAIN,
        _MANY,
        (*_LOW, "a jpeg corrupted photo of the {}.", "a blurry photo of a {}.", "a bad photo of the {}."),
        ("a cropped photo of the {}.", "a cropped photo of a {}."),
        ("a bright photo of the {}.",),
        _GOOD,
        ("a close-up photo of the {}.",),
        ("a photo of the clean {}.",),
        ("a {} in a video game.",),
        ("a photo of the hard to see {}.",),
        ("a origami {}.",),
        ("{} texture.",),
    ),
}
"""Groups of templates."""

RATES = {"ImageNet": 0.002}
"""Learning rates where not .032."""

PLAIN: dict[str, dict[str, Any]] = {"ImageNet": {"batch_size": 1, "epochs": 10, "warmup_epochs": 1}}
"""Where not batches of 32, 25 epochs, 3 of them warm-up."""
