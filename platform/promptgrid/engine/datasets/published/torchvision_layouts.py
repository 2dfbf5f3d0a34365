"""Datasets that torchvision reads: where it puts them, how it splits them, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PLAIN = "a photo of a {}."
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class TorchvisionLayout:
    """One dataset of ``torchvision.datasets``.

    Attributes:
        folder: its folder in torchvision's root; '' where its files lie in the root itself.
        parts: arguments of its class by split; one part '' where torchvision has no splits.
        classes: how many.
        splits: images by split; empty where torchvision has no splits.
        files: that hold its images, relative to the root, where these are no image files of their own.
        needed: files and folders that it needs, relative to its folder.
        images: the folder of its image files, relative to the root.
        spoken: the dataset of ELEVATER's whose names its classes have, where torchvision has none or only codes.
        template: of its prompts.
        total: images in all, where there are no splits.
    """

    folder: str
    parts: Mapping[str, Arguments]
    classes: int
    splits: Mapping[str, int] = field(default_factory=dict)
    files: Sequence[str] = ()
    needed: Sequence[str] = ()
    images: str = ""
    spoken: str = ""
    template: str = PLAIN
    total: int = 0


OLD: dict[str, Arguments] = {"train": {"train": True}, "test": {"train": False}}
TWO: dict[str, Arguments] = {"train": {"split": "train"}, "test": {"split": "test"}}
THREE: dict[str, Arguments] = {"train": {"split": "train"}, "val": {"split": "val"}, "test": {"split": "test"}}
WHOLE: dict[str, Arguments] = {"": {}}
DIGITS = 'a photo of the number: "{}".'


def _two(train: int, test: int) -> dict[str, int]:
    return {"train": train, "test": test}


def _three(train: int, val: int, test: int) -> dict[str, int]:
    return {"train": train, "val": val, "test": test}


def _cifar(folder: str, files: Sequence[str], classes: int) -> TorchvisionLayout:
    return TorchvisionLayout(folder, OLD, classes, _two(50_000, 10_000), [f"{folder}/{name}" for name in files], files)


def _mnist(name: str, spoken: str = "", template: str = PLAIN) -> TorchvisionLayout:
    files = [f"raw/{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    listed = [f"{name}/{file}" for file in files]
    return TorchvisionLayout(name, OLD, 10, _two(60_000, 10_000), listed, files, spoken=spoken, template=template)


_PCAM = [f"camelyonpatch_level_2_split_{part}_{what}.h5" for part in ("train", "valid", "test") for what in "xy"]
_STL = ["train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt"]
TORCHVISION: dict[str, TorchvisionLayout] = {
    "CIFAR10": _cifar(
        "cifar-10-batches-py", [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"], 10
    ),
    "CIFAR100": _cifar("cifar-100-python", ["train", "test", "meta"], 100),
    "MNIST": _mnist("MNIST", "mnist", DIGITS),
    "FashionMNIST": _mnist("FashionMNIST"),
    "KMNIST": _mnist("KMNIST"),
    "SVHN": TorchvisionLayout(
        "", TWO, 10, _two(73_257, 26_032), ["train_32x32.mat", "test_32x32.mat"], spoken="mnist", template=DIGITS
    ),
    "STL10": TorchvisionLayout(
        "stl10_binary", TWO, 10, _two(5_000, 8_000), [f"stl10_binary/{name}" for name in _STL], _STL
    ),
    "PCAM": TorchvisionLayout(
        "pcam",
        THREE,
        2,
        _three(262_144, 32_768, 32_768),
        [f"pcam/{name}" for name in _PCAM],
        _PCAM,
        spoken="patch-camelyon",
        template="this is a photo of {}",
    ),
    "OxfordIIITPet": TorchvisionLayout(
        "oxford-iiit-pet",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        37,
        _two(3_680, 3_669),
        needed=("annotations/trainval.txt", "annotations/test.txt", "images"),
        images="oxford-iiit-pet/images",
        template="a photo of a {}, a type of pet.",
    ),
    "Flowers102": TorchvisionLayout(
        "flowers-102",
        THREE,
        102,
        _three(1_020, 1_020, 6_149),
        needed=("imagelabels.mat", "setid.mat", "jpg"),
        images="flowers-102/jpg",
        spoken="oxford-flower-102",
        template="a photo of a {}, a type of flower.",
    ),
    "Food101": TorchvisionLayout(
        "food-101",
        TWO,
        101,
        _two(75_750, 25_250),
        needed=("meta/train.json", "meta/test.json", "images"),
        images="food-101/images",
        template="a photo of {}, a type of food.",
    ),
    "DTD": TorchvisionLayout(
        "dtd",
        THREE,
        47,
        _three(1_880, 1_880, 1_880),
        needed=[*(f"dtd/labels/{part}1.txt" for part in ("train", "val", "test")), "dtd/images"],
        images="dtd/dtd/images",
        template="a photo of a {} texture.",
    ),
    "FGVCAircraft": TorchvisionLayout(
        "fgvc-aircraft-2013b",
        THREE,
        100,
        _three(3_334, 3_333, 3_333),
        needed=("data/variants.txt", *(f"data/images_variant_{part}.txt" for part in THREE), "data/images"),
        images="fgvc-aircraft-2013b/data/images",
        template="a photo of a {}, a type of aircraft.",
    ),
    "StanfordCars": TorchvisionLayout(
        "stanford_cars",
        TWO,
        196,
        _two(8_144, 8_041),
        needed=("devkit/cars_train_annos.mat", "devkit/cars_meta.mat", "cars_test_annos_withlabels.mat", "cars_train",
                "cars_test"),
        images="stanford_cars",
    ),
    "EuroSAT": TorchvisionLayout(
        "eurosat",
        WHOLE,
        10,
        needed=("2750",),
        images="eurosat/2750",
        spoken="eurosat_clip",
        template="a centered satellite photo of {}.",
        total=27_000,
    ),
    "GTSRB": TorchvisionLayout(
        "gtsrb",
        TWO,
        43,
        _two(26_640, 12_630),
        needed=("GTSRB/Training", "GTSRB/Final_Test/Images", "GT-final_test.csv"),
        images="gtsrb/GTSRB",
        spoken="gtsrb",
        template='a zoomed in photo of a "{}" traffic sign.',
    ),
    "Country211": TorchvisionLayout(
        "country211",
        {"train": {"split": "train"}, "val": {"split": "valid"}, "test": {"split": "test"}},
        211,
        _three(31_650, 10_550, 21_100),
        needed=("train", "valid", "test"),
        images="country211",
        spoken="country211",
        template="a photo i took in {}.",
    ),
    "SUN397": TorchvisionLayout(
        "SUN397", WHOLE, 397, needed=("ClassName.txt",), images="SUN397", total=108_754
    ),
    "RenderedSST2": TorchvisionLayout(
        "rendered-sst2",
        THREE,
        2,
        _three(6_920, 872, 1_821),
        needed=("train", "valid", "test"),
        images="rendered-sst2",
        template="a {} review of a movie.",
    ),
}  # fmt: skip
"""By the name of the class in ``torchvision.datasets``."""
