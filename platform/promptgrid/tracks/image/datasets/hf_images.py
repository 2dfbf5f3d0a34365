"""``hf-images:/path``: image datasets of Hugging Face on a disk, saved or as Parquet, read with pyarrow alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from promptgrid.contract.clip import Dataset, DatasetFamily
from promptgrid.contract.split_names import SPLITS, split_of
from promptgrid.engine.datasets.card_folder import stamp_of
from promptgrid.engine.datasets.files import existing_folder, hashes_below
from promptgrid.engine.datasets.hf_saved import arrow_files, label_names, saved_features, saved_splits, schema_features
from promptgrid.engine.datasets.published.listed import names_of
from promptgrid.engine.datasets.published.name_lists import class_names
from promptgrid.spec import DatasetCard, Refused, digest, nearest
from promptgrid.spec.checked import make_card
from promptgrid.tracks.image.datasets.decoding import ChangedImage, DamagedImage, decode

if TYPE_CHECKING:
    from PIL.Image import Image

PREFIX = "hf-images:"
OPTIONS = ("image", "label", "sha256")
UNKNOWN = -1
"""What hubs write as the label of examples whose label is kept back."""
KEPT = 4
"""Row groups of Parquet that are held; hubs write a hundred images into one."""


class HfImages(DatasetFamily):
    """A folder that ``save_to_disk`` wrote, or one with a hub's Parquet files (``data/train-00000-of-00002.parquet``).

    ``?image=`` and ``&label=`` name columns; without them the one Image and the one ClassLabel of the features are
    taken, else ``image`` and ``label``. Classes are called as the features say; where labels are bare numbers, as
    ``classnames.txt`` in the folder says, or by number. A split whose labels are all kept back is left out; where no
    test is left, the validation images are the test. The digest is over the files' bytes, columns and classes.
    """

    name = "hf-images"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        written, _, query = dataset.removeprefix(PREFIX).partition("?")
        options = dict(part.partition("=")[::2] for part in filter(None, query.split("&")))
        if odd := [key for key in options if key not in OPTIONS]:
            raise Refused(f"unknown option {odd[0]!r}", where=dataset, hint=nearest(odd[0], OPTIONS))
        root = existing_folder(written, dataset[:120])
        splits, features, notes = _found(root)
        image, label = (
            options.get(key) or _column(features, kind, key)
            for key, kind in (("image", "Image"), ("label", "ClassLabel"))
        )
        for file in (file for own in splits.values() for file in own):
            _refuse_lack(file, image)
        labels = {split: _values(files, label) for split, files in splits.items()}
        for split in [split for split, own in labels.items() if all(value in (UNKNOWN, None) for value in own)]:
            notes.append(f"{split} has no labels: left out")
            del splits[split], labels[split]
        if "test" not in labels and "val" in labels:
            splits["test"], labels["test"] = splits.pop("val"), labels.pop("val")
        if "test" not in labels:
            raise Refused("there are no test images", where=str(root), got=sorted(labels), expected="a test split")
        numbers, classes = _classes(labels, label_names(features, label, str(root)), root, notes)
        names = [file.relative_to(root).as_posix() for files in splits.values() for file in files]
        hashes = hashes_below(root, names, str(root), "file")
        facts = {"name": root.name, "template": "a photo of a {}.", **names_of(classes)}
        sha = digest({"files": [[split, [file.name for file in files]] for split, files in splits.items()],
                      "bytes": sorted([name, *fact] for name, fact in hashes.items()), "columns": [image, label],
                      "classes": classes, "template": facts["template"]})  # fmt: skip
        if options.get("sha256", sha) != sha:
            raise Refused("sha256: the files are not those pinned", where=dataset, got=sha, expected=options["sha256"])
        counts = {split: len(own) for split, own in numbers.items()}
        card = make_card(str(root), facts | {"splits": counts, "sha256": sha})
        ordered = {split: splits[split] for split in SPLITS if split in splits}
        return HfDataset(card, ordered, {split: numbers[split] for split in ordered}, image, notes)


class HfDataset(Dataset):
    """Images that lie as bytes in a column; of Arrow files the map is read, of Parquet one row group at a time."""

    def __init__(
        self,
        card: DatasetCard,
        files: Mapping[str, Sequence[Path]],
        labels: Mapping[str, Sequence[int]],
        column: str,
        notes: Sequence[str],
    ) -> None:
        self.card = card
        self.notes = tuple(notes)
        self.labels = [label for own in labels.values() for label in own]
        self._column = column
        self.splits = {}
        self._blocks: list[_Block] = []
        self._ends: list[int] = []
        start = 0
        for split, own in labels.items():
            self.splits[split] = list(range(start, start + len(own)))
            self._blocks += [block for file in files[split] for block in _blocks(file)]
            start += len(own)
        self._ends = list(accumulate(block.rows for block in self._blocks))
        self._read = lru_cache(maxsize=KEPT)(self._block)

    def __getstate__(self) -> Any:
        raise TypeError("a dataset is opened where it is read")

    def read(self, index: int) -> Image:
        place = bisect_right(self._ends, index)
        block, row = self._blocks[place], index - (self._ends[place - 1] if place else 0)
        where = f"{block.file}[{self.example_name(index)}]"
        if stamp_of(block.file) != block.stamp:
            raise ChangedImage(where)
        value = self._read(place)[row].as_py()
        raw = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(raw, bytes):
            raise DamagedImage(where, "no bytes of an image: the dataset was saved with paths alone")
        return decode(raw, where)

    def example_name(self, index: int) -> str:
        split, rows = next((split, rows) for split, rows in self.splits.items() if index <= rows[-1])
        return f"{split}/{index - rows[0]}"

    def _block(self, place: int) -> pa.ChunkedArray:
        block = self._blocks[place]
        if block.group is None:
            return _stream(block.file)[self._column]
        with pq.ParquetFile(block.file, pre_buffer=False) as file:
            return file.read_row_group(block.group, columns=[self._column], use_threads=False)[self._column]


class _Block(NamedTuple):
    """Rows that are read together: a whole Arrow file (``group`` None), or a row group of a Parquet file."""

    file: Path
    group: int | None
    rows: int
    stamp: tuple[int, int]


def _blocks(file: Path) -> list[_Block]:
    stamp = stamp_of(file)
    if file.suffix != ".parquet":
        return [_Block(file, None, _stream(file).num_rows, stamp)]
    with pq.ParquetFile(file, pre_buffer=False) as found:
        groups = range(found.metadata.num_row_groups)
        return [_Block(file, group, found.metadata.row_group(group).num_rows, stamp) for group in groups]


def _found(root: Path) -> tuple[dict[str, list[Path]], dict[str, Any], list[str]]:
    """Files by split, features by column, and notes."""
    if (root / "dataset_dict.json").is_file() or (root / "state.json").is_file():
        folders, notes = saved_splits(root)
        files = {split or "test": arrow_files(folder) for split, folder in folders.items()}
        return files, saved_features(next(iter(folders.values()))), notes
    files, notes = {}, []
    for file in sorted(root.rglob("*.parquet")):
        split = split_of(file.name.split("-")[0].removesuffix(".parquet")) or split_of(file.parent.name)
        if split is None:
            notes.append(f"{file.relative_to(root)} is of no split: left out")
        else:
            files.setdefault(split, []).append(file)
    if not files:
        raise Refused("neither a saved dataset nor Parquet files of splits", where=str(root),
                      expected="dataset_dict.json, or data/train-00000-of-00001.parquet")  # fmt: skip
    first = next(iter(files.values()))[0]
    return files, schema_features(_schema(first).metadata, str(first)), notes


def _column(features: Mapping[str, Any], kind: str, usual: str) -> str:
    """The one column whose feature is a ``kind``; else ``usual``."""
    found = [name for name, told in features.items() if isinstance(told, dict) and told.get("_type") == kind]
    return found[0] if len(found) == 1 else usual


def _refuse_lack(file: Path, column: str) -> None:
    names = _schema(file).names
    if column not in names:
        raise Refused(f"no column {column!r}", where=str(file), hint=nearest(column, names),
                      expected="?image=...&label=...")  # fmt: skip


def _values(files: Sequence[Path], label: str) -> list[Any]:
    """What stands in the column ``label``, file by file."""
    values: list[Any] = []
    for file in files:
        _refuse_lack(file, label)
        if file.suffix == ".parquet":
            with pq.ParquetFile(file, pre_buffer=False) as found:
                values += found.read(columns=[label], use_threads=False)[label].to_pylist()
        else:
            values += _stream(file)[label].to_pylist()
    return values


def _classes(
    labels: Mapping[str, Sequence[Any]], names: list[str], root: Path, notes: list[str]
) -> tuple[dict[str, list[int]], list[str]]:
    """Numbers by split, and names by number."""
    values = {value for own in labels.values() for value in own}
    if all(isinstance(value, str) for value in values):
        names = sorted(values)
        place = {name: number for number, name in enumerate(names)}
        return {split: [place[value] for value in own] for split, own in labels.items()}, names
    most = len(names) if names else 1 + max((value for value in values if isinstance(value, int)), default=-1)
    if odd := [value for value in values if not isinstance(value, int) or not 0 <= value < most]:
        raise Refused("a label is none of the classes", where=str(root), got=odd[0], expected=f"0 to {most - 1}")
    if not names:
        names, told = class_names(root, most)
        notes += told
    return {split: list(own) for split, own in labels.items()}, names


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file) if file.suffix == ".parquet" else _stream(file).schema
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"not Parquet: {error}", where=str(file)) from error


def _stream(file: Path) -> pa.Table:
    """The rows of an Arrow stream, in the map of its file."""
    try:
        return pa.ipc.open_stream(pa.memory_map(str(file), "r")).read_all()
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"not an Arrow stream: {error}", where=str(file)) from error
