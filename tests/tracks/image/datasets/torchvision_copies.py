"""Small copies of what ``torchvision.datasets`` leaves on a disk, with its names of files and folders."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io

Write = Callable[..., Path]
Bytes = npt.NDArray[np.uint8]


def pixels(count: int, shape: tuple[int, ...], seed: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def cifar(root: Path, write: Write, folder: str, files: dict[str, int], meta: tuple[str, str], key: str) -> None:
    """``files``: name -> images, labels in turn."""
    home = root / folder
    home.mkdir()
    for seed, (name, count) in enumerate(files.items()):
        entry = {"data": pixels(count, (3072,), seed), key: [i % 10 for i in range(count)]}
        (home / name).write_bytes(pickle.dumps(entry))
    (home / meta[0]).write_bytes(pickle.dumps({meta[1]: [f"thing_{i}" for i in range(10)]}))


def cifar10(root: Path, write: Write) -> None:
    files = {f"data_batch_{i}": 10 for i in range(1, 6)} | {"test_batch": 10}
    cifar(root, write, "cifar-10-batches-py", files, ("batches.meta", "label_names"), "labels")


def cifar100(root: Path, write: Write) -> None:
    files = {"train": 50, "test": 10}
    cifar(root, write, "cifar-100-python", files, ("meta", "fine_label_names"), "fine_labels")


def mnist(root: Path, write: Write, name: str) -> None:
    home = root / name / "raw"
    home.mkdir(parents=True)
    for seed, (part, count) in enumerate((("train", 50), ("t10k", 10))):
        images = struct.pack(">4i", 2051, count, 28, 28) + pixels(count, (28, 28), seed).tobytes()
        labels = struct.pack(">2i", 2049, count) + bytes(i % 10 for i in range(count))
        for what, raw in (("images-idx3", images), ("labels-idx1", labels)):
            (home / f"{part}-{what}-ubyte").write_bytes(raw)
            (home / f"{part}-{what}-ubyte.gz").write_bytes(gzip.compress(raw))


def svhn(root: Path, write: Write) -> None:
    for seed, (part, count) in enumerate((("train", 50), ("test", 10))):
        images = np.transpose(pixels(count, (32, 32, 3), seed), (1, 2, 3, 0))
        labels = np.array([[i % 10 or 10] for i in range(count)])  # nought is written as ten
        scipy.io.savemat(root / f"{part}_32x32.mat", {"X": images, "y": labels})


def stl10(root: Path, write: Write) -> None:
    home = root / "stl10_binary"
    home.mkdir()
    for seed, (part, count) in enumerate((("train", 50), ("test", 10))):
        pixels(count, (3, 96, 96), seed).tofile(home / f"{part}_X.bin")
        np.array([1 + i % 10 for i in range(count)], dtype=np.uint8).tofile(home / f"{part}_y.bin")
    pixels(2, (3, 96, 96), 7).tofile(home / "unlabeled_X.bin")
    (home / "fold_indices.txt").write_text("\n".join(" ".join(map(str, range(5))) for _ in range(10)))
    (home / "class_names.txt").write_text("\n".join(f"thing {i}" for i in range(10)))


def pets(root: Path, write: Write) -> None:
    home = root / "oxford-iiit-pet"
    for part, first in (("trainval", 0), ("test", 5)):
        lines = []
        for label, name in enumerate(("Abyssinian", "american_bulldog")):
            for i in range(first, first + 3):
                write(home / "images" / f"{name}_{i}.jpg", 100 * label + i)
                lines.append(f"{name}_{i} {label + 1} 1 1")
        (home / "annotations").mkdir(exist_ok=True)
        (home / "annotations" / f"{part}.txt").write_text("\n".join(lines) + "\n")


def flowers(root: Path, write: Write) -> None:
    home = root / "flowers-102"
    for number in range(1, 13):
        write(home / "jpg" / f"image_{number:05}.jpg", number)
    scipy.io.savemat(home / "imagelabels.mat", {"labels": np.array([[1, 2] * 6])})
    scipy.io.savemat(home / "setid.mat", {"trnid": [[1, 2, 3, 4]], "valid": [[5, 6]], "tstid": [[7, 8, 9, 10, 11, 12]]})


def food(root: Path, write: Write) -> None:
    home = root / "food-101"
    (home / "meta").mkdir(parents=True)
    for part, first in (("train", 0), ("test", 3)):
        names = {name: [f"{name}/{i}" for i in range(first, first + 3)] for name in ("baklava", "apple_pie")}
        for seed, path in enumerate(path for paths in names.values() for path in paths):
            write(home / "images" / f"{path}.jpg", 100 * first + seed)
        (home / "meta" / f"{part}.json").write_text(json.dumps(names))


def textures(root: Path, write: Write) -> None:
    home = root / "dtd" / "dtd"
    (home / "labels").mkdir(parents=True)
    for place, part in enumerate(("train", "val", "test")):
        names = [f"{name}/{name}_{i:04}.jpg" for name in ("banded", "woven") for i in range(2 * place, 2 * place + 2)]
        for seed, path in enumerate(names):
            write(home / "images" / path, 100 * place + seed)
        (home / "labels" / f"{part}1.txt").write_text("\n".join(names) + "\n")


def aircraft(root: Path, write: Write) -> None:
    home = root / "fgvc-aircraft-2013b" / "data"
    home.mkdir(parents=True)
    (home / "variants.txt").write_text("707-320\nF-16A/B\n")
    for place, part in enumerate(("train", "val", "test")):
        lines = []
        for i in range(4):
            number = f"{100 * place + i:07}"
            write(home / "images" / f"{number}.jpg", 100 * place + i)
            lines.append(f"{number} {('707-320', 'F-16A/B')[i % 2]}")
        (home / f"images_variant_{part}.txt").write_text("\n".join(lines) + "\n")


def cars(root: Path, write: Write) -> None:
    home = root / "stanford_cars"
    (home / "devkit").mkdir(parents=True)
    for seed, (part, file) in enumerate((("train", "devkit/cars_train_annos"), ("test", "cars_test_annos_withlabels"))):
        rows = []
        for i in range(4):
            write(home / f"cars_{part}" / f"{i:05}.jpg", 100 * seed + i)
            rows.append((f"{i:05}.jpg", 1 + i % 2))
        kind = np.dtype([("fname", object), ("class", object)])
        scipy.io.savemat(home / f"{file}.mat", {"annotations": np.array(rows, dtype=kind)})
    names = np.array(["Audi R8 Coupe 2012", "Volvo 240 Sedan 1993"], dtype=object)
    scipy.io.savemat(home / "devkit" / "cars_meta.mat", {"class_names": names})


def land(root: Path, write: Write) -> None:
    for label, name in enumerate(("AnnualCrop", "Forest", "SeaLake")):
        for i in range(6):
            write(root / "eurosat" / "2750" / name / f"{name}_{i}.jpg", 100 * label + i)


def signs(root: Path, write: Write) -> None:
    home = root / "gtsrb"
    for label in range(3):
        for i in range(3):
            write(home / "GTSRB" / "Training" / f"{label:05}" / f"0000{i}.ppm", 100 * label + i)
    rows = ["Filename;Width;ClassId"]
    for i in range(3):
        write(home / "GTSRB" / "Final_Test" / "Images" / f"{i:05}.ppm", 500 + i)
        rows.append(f"{i:05}.ppm;30;{2 - i}")
    (home / "GT-final_test.csv").write_text("\n".join(rows) + "\n")


def classes_below(
    folder: str, parts: tuple[str, ...], names: tuple[str, ...], suffix: str
) -> Callable[[Path, Write], None]:
    def made(root: Path, write: Write) -> None:
        for place, part in enumerate(parts):
            for label, name in enumerate(names):
                for i in range(2):
                    write(root / folder / part / name / f"{i}{suffix}", 100 * place + 10 * label + i)

    return made


def scenes(root: Path, write: Write) -> None:
    home = root / "SUN397"
    for label, name in enumerate(("a/abbey", "a/apse/indoor")):
        for i in (5, 0, 4, 1, 3, 2):
            write(home / name / f"sun_a{i}.jpg", 100 * label + i)
    (home / "ClassName.txt").write_text("/a/abbey\n/a/apse/indoor\n")


def lymph_nodes(root: Path, write: Write) -> None:
    """The arrays of PCAM's HDF5 files, kept as :class:`Hdf5` reads them."""
    home = root / "pcam"
    home.mkdir()
    for seed, (part, count) in enumerate((("train", 6), ("valid", 4), ("test", 4))):
        arrays = {"x": pixels(count, (96, 96, 3), seed), "y": np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1) % 2}
        for name, values in arrays.items():
            with (home / f"camelyonpatch_level_2_split_{part}_{name}.h5").open("wb") as file:
                np.savez(file, **{name: values})


class Hdf5:
    """In the place of ``h5py.File``, which tests do without: named arrays of a file, to be opened in a ``with``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        self.arrays = np.load(self.path)
        return self.arrays

    def __exit__(self, *raised: object) -> None:
        self.arrays.close()


MAKE: dict[str, Callable[[Path, Write], Any]] = {
    "CIFAR10": cifar10,
    "CIFAR100": cifar100,
    "MNIST": lambda root, write: mnist(root, write, "MNIST"),
    "FashionMNIST": lambda root, write: mnist(root, write, "FashionMNIST"),
    "KMNIST": lambda root, write: mnist(root, write, "KMNIST"),
    "SVHN": svhn,
    "STL10": stl10,
    "PCAM": lymph_nodes,
    "OxfordIIITPet": pets,
    "Flowers102": flowers,
    "Food101": food,
    "DTD": textures,
    "FGVCAircraft": aircraft,
    "StanfordCars": cars,
    "EuroSAT": land,
    "GTSRB": signs,
    "Country211": classes_below("country211", ("train", "valid", "test"), ("AD", "AE"), ".jpg"),
    "SUN397": scenes,
    "RenderedSST2": classes_below("rendered-sst2", ("train", "valid", "test"), ("negative", "positive"), ".png"),
}
"""All that is read."""
