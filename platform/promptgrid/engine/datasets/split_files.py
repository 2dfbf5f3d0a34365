"""CoOp's split files: a JSON with ``train``, ``val`` and ``test`` lists of [relative path, label, class name]."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import ClassVar

from promptgrid.contract.dataset import Dataset
from promptgrid.engine.datasets.files import existing_folder
from promptgrid.engine.datasets.published.coop_layouts import BY_TITLE, PLAIN
from promptgrid.engine.datasets.published.listed import Listed, ListedFamily
from promptgrid.engine.datasets.split_lists import read_split_lists
from promptgrid.engine.datasets.unseen import UnseenDataset, facts_of_size
from promptgrid.spec import Refused, digest
from promptgrid.spec.checked import make_card


class SplitFiles(ListedFamily):
    """A JSON with ``train``, ``val`` and ``test`` lists of [relative path, label, class name].

    Examples are sought in the folder of the JSON, in ``images/`` beside it and where CoOp puts them; or say where:
    ``prefix:/path/x.json?images=/folder``. ``&sha256=`` pins the whole. The digest is taken over the parsed lists and
    the contents of the files, never over the bytes of the JSON: two copies that differ in spacing are the same
    dataset. Class names stay as written, in label order.
    """

    options: ClassVar[tuple[str, ...]] = ("images", "sha256")

    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        return listed_in(path, options.get("images"), self.kind.noun)

    def unseen(self, dataset: str) -> Dataset:
        text, _ = self.parts_of(dataset)
        layout = BY_TITLE.get(PurePath(text).stem.removeprefix("split_zhou_"))
        if layout is None:
            return super().unseen(dataset)
        facts = {"name": layout.title, "template": layout.template, "sha256": digest({"unseen": dataset})}
        return UnseenDataset(make_card(dataset, facts | facts_of_size(layout.classes, dict(layout.splits))))


def listed_in(file: Path, images: str | None, noun: str) -> Listed:
    """What the split file ``file`` lists; ``images`` is the folder of its examples, where it was said.

    Raises:
        Refused: no such file, a malformed one, or its examples are nowhere.
    """
    if not file.is_file():
        beside = sorted(path.name for path in file.parent.glob("*.json"))[:8] if file.parent.is_dir() else []
        hint = f"in that folder: {', '.join(beside)}" if beside else "expected a file split_zhou_X.json"
        raise Refused("no such file", where=str(file.absolute()), hint=hint)
    file = file.resolve()
    splits, classes = read_split_lists(file, noun)
    known = file.stem.removeprefix("split_zhou_")
    layout = BY_TITLE.get(known)
    template, usual = (layout.template, layout.images) if layout else (PLAIN, "images")
    paths = [row.path for rows in splits.values() for row in rows]
    root = _root(file, images, usual, paths)
    return Listed(str(file), root, splits, {"name": known, "template": template, "classes": classes})


def _root(file: Path, images: str | None, usual: str, paths: list[str]) -> Path:
    """The folder that holds most of the first few examples."""
    if images is not None:
        return existing_folder(images, f"{file}?images=")
    candidates = list(dict.fromkeys((file.parent / place).resolve() for place in (usual, "images", ".")))
    found = {root: sum((root / path).is_file() for path in paths[:32]) for root in candidates}
    best = max(candidates, key=lambda root: found[root])
    if not found[best]:
        tried = ", ".join(str(root) for root in candidates)
        raise Refused(
            f"images not found; {paths[0]!r} is in none of {tried}", where=str(file), hint="add ?images=/folder"
        )
    return best
