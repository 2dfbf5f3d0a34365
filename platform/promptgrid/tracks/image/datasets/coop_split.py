"""``coop-split:/path/split_zhou_X.json``: the splits that CoOp published, class order and all."""

from __future__ import annotations

from pathlib import Path

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.engine.datasets.content import duplicate_notes
from promptgrid.engine.datasets.files import existing_folder, hashes_below, refuse_outside
from promptgrid.engine.datasets.split_lists import read_split_lists
from promptgrid.spec import DatasetCard, Refused, digest, nearest
from promptgrid.spec.checked import make_card
from promptgrid.spec.paths import user_path
from promptgrid.tracks.image.datasets.beside import FolderDataset

PREFIX = "coop-split:"
OPTIONS = ("images", "sha256")
PLAIN = "a photo of a {}."

# By the X of split_zhou_X.json: CoOp's template (its `trainers/zsclip.py`) and where its `DATASETS.md` puts the
# images, relative to the folder of the JSON.
PUBLISHED: dict[str, tuple[str, str]] = {
    "ImageNet": (PLAIN, "images"),
    "Caltech101": (PLAIN, "101_ObjectCategories"),
    "OxfordPets": ("a photo of a {}, a type of pet.", "images"),
    "StanfordCars": (PLAIN, "."),
    "OxfordFlowers": ("a photo of a {}, a type of flower.", "jpg"),
    "Food101": ("a photo of {}, a type of food.", "images"),
    "FGVCAircraft": ("a photo of a {}, a type of aircraft.", "images"),
    "SUN397": (PLAIN, "SUN397"),
    "DescribableTextures": ("{} texture.", "images"),
    "EuroSAT": ("a centered satellite photo of {}.", "2750"),
    "UCF101": ("a photo of a person doing {}.", "UCF-101-midframes"),
}


class CoopSplit(DatasetFamily):
    """A JSON with ``train``, ``val`` and ``test`` lists of [relative path, label, class name].

    Images are sought in the folder of the JSON, in ``images/`` beside it and where CoOp puts them; or say where:
    ``coop-split:/path/x.json?images=/folder``. ``&sha256=`` pins the whole. The digest is taken over the parsed
    lists and the contents of the images, never over the bytes of the JSON: two copies that differ in spacing are
    the same dataset. Class names stay as written, in label order.
    """

    name = "coop-split"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        file, options = _address(dataset)
        where = str(file)
        splits, classes = read_split_lists(file)
        paths = [row.path for rows in splits.values() for row in rows]
        known = file.stem.removeprefix("split_zhou_")
        template, usual = PUBLISHED.get(known, (PLAIN, "images"))
        root = _images_root(file, options, usual, paths)
        refuse_outside(root, paths, where)
        hashes = hashes_below(root, paths, where)
        sha = digest(
            {
                "splits": {name: [[row.path, row.label] for row in rows] for name, rows in splits.items()},
                "classes": classes,
                "template": template,
                "images": sorted([path, *fact] for path, fact in hashes.items()),
            }
        )
        if options.get("sha256", sha) != sha:
            raise Refused(
                "sha256: the split or its images are not those pinned", where=where, got=sha, expected=options["sha256"]
            )
        kept = {name: rows for name, rows in splits.items() if rows}
        counts = {name: len(rows) for name, rows in kept.items()}
        facts = {"name": known, "template": template, "classes": classes, "splits": counts, "sha256": sha}
        notes = duplicate_notes(hashes, {name: [row.path for row in rows] for name, rows in kept.items()})
        return FolderDataset(make_card(where, facts), root, kept, notes, hashes)


def _address(dataset: str) -> tuple[Path, dict[str, str]]:
    text, _, query = dataset.removeprefix(PREFIX).partition("?")
    options = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key not in OPTIONS:
            raise Refused(f"unknown option {key!r}", where=dataset, hint=nearest(key, OPTIONS))
        options[key] = value
    file = user_path(text, dataset[:120])
    if not file.is_file():
        beside = sorted(path.name for path in file.parent.glob("*.json"))[:8] if file.parent.is_dir() else []
        hint = f"in that folder: {', '.join(beside)}" if beside else "expected a file split_zhou_X.json"
        raise Refused("no such file", where=str(file.absolute()), hint=hint)
    return file.resolve(), options


def _images_root(file: Path, options: dict[str, str], usual: str, paths: list[str]) -> Path:
    """The folder that holds most of the first few images."""
    if "images" in options:
        return existing_folder(options["images"], f"{file}?images=")
    candidates = list(dict.fromkeys((file.parent / place).resolve() for place in (usual, "images", ".")))
    found = {root: sum((root / path).is_file() for path in paths[:32]) for root in candidates}
    best = max(candidates, key=lambda root: found[root])
    if not found[best]:
        tried = ", ".join(str(root) for root in candidates)
        raise Refused(
            f"images not found; {paths[0]!r} is in none of {tried}", where=str(file), hint="add ?images=/folder"
        )
    return best
