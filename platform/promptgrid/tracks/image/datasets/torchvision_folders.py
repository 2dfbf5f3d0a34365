"""``torchvision:ROOT/NAME``: datasets as ``torchvision.datasets`` leaves them in its root, read through torchvision."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from promptgrid.contract.clip import Dataset
from promptgrid.engine.datasets.files import Row, hashes_below
from promptgrid.engine.datasets.published.checking import LayoutFamily, Published
from promptgrid.engine.datasets.published.domains import held_out
from promptgrid.engine.datasets.published.elevater import spoken_names
from promptgrid.engine.datasets.published.listed import Listed, names_of, twin_notes
from promptgrid.engine.datasets.published.name_lists import CLASSNAMES, read_lines
from promptgrid.engine.datasets.published.torchvision_layouts import TORCHVISION, TorchvisionLayout
from promptgrid.spec import DatasetCard, Refused, digest, nearest
from promptgrid.spec.checked import make_card
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.tracks.image.datasets.beside import FolderDataset
from promptgrid.tracks.image.datasets.decoding import as_rgb
from promptgrid.tracks.image.datasets.files import IMAGES

if TYPE_CHECKING:
    from PIL.Image import Image

PREFIX = "torchvision:"
HELD_OUT = "torchvision has no split: of each class a fifth, by the digest of its path, is held out for testing."


class ArrayDataset(Dataset):
    """Images that lie together in a few files, as torchvision unpacks them, split by split.

    They are known by the bytes of these files: what is read was read when the dataset was opened, but for PCAM.
    """

    def __init__(self, card: DatasetCard, sources: Mapping[str, Any], labels: Mapping[str, Sequence[int]]) -> None:
        self.card = card
        self.labels = [label for own in labels.values() for label in own]
        self._places = [(split, place) for split, own in labels.items() for place in range(len(own))]
        self._sources = sources
        self.splits = {}
        start = 0
        for split, own in labels.items():
            self.splits[split] = list(range(start, start + len(own)))
            start += len(own)

    def read(self, index: int) -> Image:
        split, place = self._places[index]
        return as_rgb(self._sources[split][place][0], self.example_name(index))

    def example_name(self, index: int) -> str:
        split, place = self._places[index]
        return f"{split}/{place}"


class TorchvisionFolders(LayoutFamily):
    """``NAME`` is a class of ``torchvision.datasets``, or the folder that it makes in ``ROOT``; nothing is downloaded.

    Splits are torchvision's (of DTD partition 1). EuroSAT and SUN397 have none there: a fifth of each class is held
    out, by the digest of its path, and SUN397's images are sorted, which torchvision takes in the order of the disk.
    Classes are called as torchvision calls them; digits, countries, traffic signs, flowers, land use and tissue, for
    which it has numbers or codes, as CLIP's prompts do; ``classnames.txt`` in the folder, a name a line, overrides it.

    CIFAR lies in pickles, which torchvision opens only where their md5 is the published one. PCAM needs h5py.
    """

    name, prefix, kind, built = "torchvision", PREFIX, IMAGES, FolderDataset
    options: ClassVar[tuple[str, ...]] = ("sha256",)

    def layouts(self) -> Sequence[str]:
        return list(TORCHVISION)

    def folders(self, layout: str) -> Sequence[str]:
        return (layout, *filter(None, [TORCHVISION[layout].folder]))

    def below(self, layout: str, root: Path) -> Path | None:
        known = TORCHVISION[layout]
        there = (root / known.folder).is_dir() if known.folder else (root / known.files[0]).is_file()
        return root / (known.folder or layout) if there else None

    def facts(self, layout: str) -> dict[str, Any]:
        return {"name": f"torchvision-{layout}", "title": layout, "template": TORCHVISION[layout].template}

    def sizes(self, layout: str, options: Mapping[str, str]) -> Published:
        known = TORCHVISION[layout]
        return Published(known.classes, known.splits, known.total)

    def needed(self, layout: str, folder: Path) -> Sequence[str]:
        return TORCHVISION[layout].needed

    def open(self, dataset: str) -> Dataset:
        path, options = self._address(dataset)
        layout = self._known(path)
        known = TORCHVISION[layout]
        if not known.files:
            return super().open(dataset)
        root = path.parent.resolve()
        sources = _sources(layout, root)
        labels = {split: _labels(source) for split, source in sources.items()}
        classes = _classes(known, root, sources["train"])
        hashes = hashes_below(root, known.files, str(path), "file")
        facts = self.facts(layout) | names_of(classes)
        sha = digest({"files": sorted([name, *fact] for name, fact in hashes.items()), "classes": classes,
                      "template": facts["template"]})  # fmt: skip
        if options.get("sha256", sha) != sha:
            raise Refused("sha256: the files are not those pinned", where=dataset, got=sha, expected=options["sha256"])
        counts = {split: len(own) for split, own in labels.items()}
        return ArrayDataset(make_card(dataset, facts | {"splits": counts, "sha256": sha}), sources, labels)

    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        layout = self._known(path)
        known, root = TORCHVISION[layout], path.parent.resolve()
        sources = _sources(layout, root)
        classes = _classes(known, root, next(iter(sources.values())))
        facts = self.facts(layout) | names_of(classes)
        if known.files:
            rows = {split: [Row(known.files[0], label) for label in _labels(own)] for split, own in sources.items()}
            return Listed(str(path), root, rows, facts, twin_notes(classes))
        home = (root / known.images).resolve()
        splits: dict[str, list[Row]] = {"train": [], "val": [], "test": []}
        splits |= {split: _rows(own, home, str(path)) for split, own in sources.items()}
        if "" in splits:
            parts = held_out({row.path: str(row.label) for row in sorted(splits.pop(""), key=lambda row: row.path)})
            splits |= {split: [Row(name, int(label)) for name, label in rows.items()] for split, rows in parts.items()}
            facts["description"] = HELD_OUT
        return Listed(str(path), home, splits, facts, twin_notes(classes))

    def _known(self, path: Path) -> str:
        layout = self.layout_of(path.name)
        if layout is None:
            raise Refused("no dataset of torchvision is called so here", where=str(path), got=path.name,
                          hint=nearest(path.name, TORCHVISION))  # fmt: skip
        return layout


def _sources(layout: str, root: Path) -> dict[str, Any]:
    """torchvision's own datasets by split."""
    torchvision_cure.apply()
    import torchvision.datasets

    kind = getattr(torchvision.datasets, layout)
    try:
        return {split: kind(root, download=False, **how) for split, how in TORCHVISION[layout].parts.items()}
    except (RuntimeError, OSError, ValueError, KeyError, ImportError) as error:
        raise Refused(f"torchvision cannot read {layout}: {error}", where=str(root),
                      hint=f"promptgrid datasets check torchvision:{layout} --root {root}") from error  # fmt: skip


def _labels(source: Any) -> list[int]:
    """Labels of images in arrays; of PCAM, which keeps none in memory, one by one from its file."""
    for name in ("targets", "labels"):
        if hasattr(source, name):
            return [int(label) for label in getattr(source, name)]
    with source.h5py.File(source._base_folder / source._FILES[source._split]["targets"][0]) as file:
        return [int(label) for label in file["y"][:, 0, 0, 0]]


def _rows(source: Any, home: Path, where: str) -> list[Row]:
    """Image files and labels of a torchvision dataset, relative to ``home``.

    Its lists are private there, under a few names; a release that renames them is refused, not misread.
    """
    pairs = getattr(source, "_samples", None) or getattr(source, "samples", None)
    if pairs is None:
        files = getattr(source, "_image_files", None) or getattr(source, "_images", None)
        if files is None or not hasattr(source, "_labels"):
            raise Refused("this release of torchvision keeps its lists elsewhere", where=where,
                          got=type(source).__name__)  # fmt: skip
        pairs = list(zip(files, source._labels, strict=True))
    return [Row(Path(os.path.relpath(os.path.abspath(file), home)).as_posix(), int(label)) for file, label in pairs]


def _classes(known: TorchvisionLayout, root: Path, source: Any) -> list[str]:
    own = root / known.folder / CLASSNAMES
    if known.folder and own.is_file():
        return [line for _, line in read_lines(own)]
    found = [str(name) for name in getattr(source, "classes", ())]
    if known.folder == "SUN397":  # "apse/indoor" is an indoor apse, as CoOp says too
        found = [" ".join(reversed(name.replace("_", " ").split("/"))) for name in found]
    spoken = spoken_names().get(known.spoken, [])
    return found if found and len(found) != len(spoken) else spoken or found
