"""torchvision's folders: each at its true names and small size is opened, checked, planned and run."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests.contracts.small_world import SmallBackbones, track
from tests.tracks.image.datasets.conftest import Write
from tests.tracks.image.datasets.torchvision_copies import MAKE, Hdf5
from tests.tracks.image.small_study import cells_of, run_study

from promptgrid.contract.clip import Dataset
from promptgrid.contract.conformance.plugins import check_dataset
from promptgrid.engine.datasets.published.checking import check_named
from promptgrid.engine.datasets.published.torchvision_layouts import TORCHVISION
from promptgrid.spec import Refused
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.tracks.image.datasets.torchvision_folders import TorchvisionFolders
from promptgrid.tracks.image.track import ImageTrack

SPLITS = {
    **dict.fromkeys(("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST", "SVHN", "STL10"), (50, 0, 10)),
    "PCAM": (6, 4, 4),
    "OxfordIIITPet": (6, 0, 6),
    "Flowers102": (4, 2, 6),
    "Food101": (6, 0, 6),
    "StanfordCars": (4, 0, 4),
    "EuroSAT": (15, 0, 3),
    "GTSRB": (9, 0, 3),
    "SUN397": (10, 0, 2),
    **dict.fromkeys(("DTD", "FGVCAircraft", "Country211", "RenderedSST2"), (4, 4, 4)),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small copies have no published md5: that files are there is enough. HDF5 is read by a stand-in."""
    monkeypatch.setitem(sys.modules, "h5py", SimpleNamespace(File=Hdf5))
    torchvision_cure.apply()
    import torchvision.datasets

    for name in ("cifar", "svhn", "stl10", "flowers102"):
        module = sys.modules[f"torchvision.datasets.{name}"]
        monkeypatch.setattr(module, "check_integrity", lambda path, md5=None: os.path.isfile(path))
    assert torchvision.datasets


def opened(root: Path, name: str, query: str = "") -> Dataset:
    return TorchvisionFolders().open(f"torchvision:{root}/{name}{query}")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", MAKE)
def test_each_opens_and_is_checked(name: str, tmp_path: Path, write: Write) -> None:
    MAKE[name](tmp_path, write)
    dataset = opened(tmp_path, name)
    check_dataset(dataset)
    assert tuple(dataset.card.splits.get(split, 0) for split in ("train", "val", "test")) == SPLITS[name]
    assert dataset.read(0).mode == "RGB"
    assert opened(tmp_path, name, f"?sha256={dataset.card.sha256}").card == dataset.card
    with pytest.raises(Refused, match="not those pinned"):
        opened(tmp_path, name, f"?sha256={'0' * 64}")
    if TORCHVISION[name].folder:
        assert opened(tmp_path, TORCHVISION[name].folder).card.sha256 == dataset.card.sha256
    (found,) = check_named([TorchvisionFolders()], f"torchvision:{name}", str(tmp_path))
    assert found.splits == {split: count for split, count in dataset.card.splits.items() if count}
    assert not found.missing, "only the size is not the published one"
    assert any("the paper has" in line for line in found.wrong)
    assert TorchvisionFolders().open(found.address).card.sha256 == dataset.card.sha256


def test_all_have_a_small_copy_and_plan_without_their_data() -> None:
    assert TORCHVISION.keys() == MAKE.keys()
    for name, known in TORCHVISION.items():
        if known.splits:
            card = TorchvisionFolders().unseen(f"torchvision:${{NOWHERE}}/{name}").card
            assert (len(card.classes), card.splits) == (known.classes, known.splits)
        else:
            with pytest.raises(Refused, match="nothing is published of how large"):
                TorchvisionFolders().unseen(f"torchvision:/nowhere/{name}")


@pytest.mark.usefixtures("small")
def test_arrays_are_the_images_that_torchvision_gives(tmp_path: Path, write: Write) -> None:
    MAKE["SVHN"](tmp_path, write)
    import torchvision.datasets

    own = torchvision.datasets.SVHN(tmp_path, split="test")
    dataset = opened(tmp_path, "SVHN")
    for place in (0, 9):
        image, label = own[place]
        index = dataset.splits["test"][place]
        assert np.array_equal(np.asarray(dataset.read(index)), np.asarray(image))
        assert dataset.labels[index] == label
    assert dataset.labels[dataset.splits["test"][0]] == 0, "ten means nought"
    assert dataset.card.classes[0] == "0"


@pytest.mark.usefixtures("small")
def test_patches_of_lymph_nodes_come_from_their_arrays(tmp_path: Path, write: Write) -> None:
    MAKE["PCAM"](tmp_path, write)
    dataset = opened(tmp_path, "PCAM")
    with Hdf5(tmp_path / "pcam" / "camelyonpatch_level_2_split_valid_x.h5") as arrays:
        wanted = arrays["x"][3]
    index = dataset.splits["val"][3]
    assert np.array_equal(np.asarray(dataset.read(index)), wanted)
    assert [dataset.labels[each] for each in dataset.splits["val"]] == [0, 1, 0, 1]
    assert dataset.card.classes == (
        "lymph node",
        "lymph node containing metastatic tumor tissue",
    )
    assert dataset.card.template == "this is a photo of {}"


def test_without_h5py_patches_are_refused_with_what_to_install(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    MAKE["PCAM"](tmp_path, write)
    with pytest.raises(Refused, match=r"torchvision cannot read PCAM: h5py is not found.*pip install h5py"):
        opened(tmp_path, "PCAM")
    (found,) = check_named([TorchvisionFolders()], "torchvision:PCAM", str(tmp_path))
    assert any("pip install h5py" in line for line in (*found.missing, *found.wrong))


@pytest.mark.usefixtures("small")
def test_classes_are_called_by_words_where_torchvision_has_numbers(tmp_path: Path, write: Write) -> None:
    for name in ("GTSRB", "Flowers102", "EuroSAT", "SUN397", "FGVCAircraft"):
        MAKE[name](tmp_path, write)
    assert opened(tmp_path, "GTSRB").card.classes[14] == "stop"
    assert opened(tmp_path, "Flowers102").card.classes[0] == "pink primrose"
    assert opened(tmp_path, "EuroSAT").card.classes == ("AnnualCrop", "Forest", "SeaLake"), "not all ten: as on disk"
    assert opened(tmp_path, "SUN397").card.classes == ("abbey", "indoor apse")
    assert opened(tmp_path, "FGVCAircraft").card.classes == ("707-320", "F-16A/B")
    (tmp_path / "eurosat" / "classnames.txt").write_text("fields\nwoods\nwater\n")
    assert opened(tmp_path, "EuroSAT").card.classes == ("fields", "woods", "water")


@pytest.mark.usefixtures("small")
def test_scenes_stand_in_the_order_of_their_names(tmp_path: Path, write: Write) -> None:
    """torchvision takes them in the order of the disk: few-shot draws would differ between machines."""
    MAKE["SUN397"](tmp_path, write)
    dataset = opened(tmp_path, "SUN397")
    names = [dataset.example_name(index) for index in dataset.splits["train"]]
    assert names == sorted(names)


def test_a_pickle_that_is_not_the_published_one_is_never_opened(tmp_path: Path, write: Write) -> None:
    class Bomb:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "exploded"),)

    MAKE["CIFAR10"](tmp_path, write)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(Refused, match="not found or corrupted"):
        opened(tmp_path, "CIFAR10")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.usefixtures("small")
def test_what_is_missing_is_named(tmp_path: Path, write: Write) -> None:
    MAKE["Food101"](tmp_path, write)
    (tmp_path / "food-101" / "images" / "baklava" / "0.jpg").unlink()
    (found,) = check_named([TorchvisionFolders()], "Food101", str(tmp_path))
    assert any("baklava/0.jpg: 1 of the 6 files of train" in line for line in found.missing)
    (tmp_path / "food-101" / "meta" / "test.json").unlink()
    (found,) = check_named([TorchvisionFolders()], "Food101", str(tmp_path))
    assert any(line.startswith("meta/test.json") for line in found.missing)
    (found,) = check_named([TorchvisionFolders()], "torchvision:DTD", str(tmp_path))
    assert any("no such folder" in line for line in found.missing)
    with pytest.raises(Refused, match="torchvision cannot read DTD"):
        opened(tmp_path, "DTD")
    with pytest.raises(Refused, match="did you mean 'Food101'"):
        opened(tmp_path, "Food102")


@pytest.mark.usefixtures("small")
def test_arrays_and_files_are_planned_and_run(tmp_path: Path, write: Write) -> None:
    for name in ("STL10", "Food101"):
        MAKE[name](tmp_path, write)
    found = track().resolver
    wing = ImageTrack(found.methods, [TorchvisionFolders()], [SmallBackbones()], found.protocols, found.columns)
    addresses = [f"torchvision:{tmp_path}/{name}" for name in ("STL10", "Food101")]
    coop = {"name": "coop", "epochs": 1, "context_length": 2}
    cells = cells_of(wing, protocol="few_shot", methods=["zero_shot", coop], datasets=addresses)
    outcomes = run_study(wing, cells)
    assert {outcome.record.status for outcome in outcomes.values()} == {"done"}
