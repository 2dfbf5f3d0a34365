"""``lm-bff:/path/k-shot/SST-2``: the few-shot folders of LM-BFF, with the seeds and draws they were published with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.spec import DatasetCard, Refused, digest, nearest
from promptgrid.spec.checked import checked
from promptgrid.spec.paths import user_path
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.text.datasets import files
from promptgrid.tracks.text.datasets.building import Row, build
from promptgrid.tracks.text.datasets.draws import draw_folders, join, refuse_other_tests
from promptgrid.tracks.text.datasets.text import Text

PREFIX = "lm-bff:"
TASKS = Path(__file__).with_suffix("").with_name("lm_bff_tasks.yaml")
OPTIONS = ("pool", "sha256")
PARTS = ("train", "dev", "test")
Parsed = dict[str, tuple[list[Row], list[str]]]


class Layout(BaseModel):
    """The columns of a task's files, by name where there is a header, else by number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    header: bool
    text: str | int
    text_b: str | int | None = None
    label: str | int


class Known(BaseModel):
    """What ``lm_bff_tasks.yaml`` says of a task; ``labels`` maps what the files write to the name of a class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    layout: Layout
    labels: dict[str, str]
    words: dict[str, tuple[str, ...]]
    template: str
    mask_templates: tuple[str, ...]
    metric: str = "accuracy"
    seen_in_pretraining: bool = False
    called: tuple[str, ...]
    files: dict[str, str] = {}
    unlabelled: str | None = None
    threshold: float | None = None


class LmBff(DatasetFamily):
    """A task's folder of draws (``.../k-shot/SST-2``), or the folder of one draw (``.../SST-2/16-13``).

    A cell with the shots and seed of a draw trains and selects on exactly its texts. ``?pool=/path/SST-2`` adds the
    texts of the training file there, for methods that learn from unlabelled ones; ``&sha256=`` pins the content.
    ``seen_in_pretraining`` says that sentence encoders were commonly taught on pairs of this task.
    """

    name = "lm-bff"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, options = files.address(dataset, PREFIX, OPTIONS)
        if not path.is_dir():
            raise Refused(
                "not a folder", where=str(path), expected="a folder such as k-shot/SST-2 or k-shot/SST-2/16-13"
            )
        folders = draw_folders(path)
        if not folders:
            inside = [entry.name for entry in sorted(path.iterdir()) if entry.name in tasks()]
            hint = f"name one task: {', '.join(inside)}" if inside else ""
            raise Refused("there are no draws in the folder", where=str(path), expected="folders 16-13, ...", hint=hint)
        name = next(iter(folders.values())).parent.name
        if name not in tasks():
            raise Refused("unknown task", where=str(path), got=name, hint=nearest(name, tasks()))
        known, notes = tasks()[name], []
        read: dict[tuple[int, int], dict[str, list[Row]]] = {}
        parsed: Parsed = {}
        for key, folder in folders.items():
            read[key] = {}
            for part in PARTS:
                read[key][part], said = _once(_file(folder, known, part), known, parsed)
                notes += said
            _refuse_miscounted(read[key]["train"], key[0], folder)
        refuse_other_tests({folders[key]: each["test"] for key, each in read.items()}, str(path))
        pool: list[Row] = []
        if "pool" in options:
            pool, said = _pool(user_path(options["pool"], str(path)), known)
            notes += said
        splits, draws, told = join(read, next(iter(read.values()))["test"], pool)
        if known.threshold is not None:
            notes.append(f"scores are cut in two at {known.threshold}; the paper scores their correlation")
        facts: dict[str, Any] = known.model_dump(exclude={"layout", "labels", "files", "unlabelled", "threshold"})
        facts |= {"name": name, "classes": list(known.labels.values())}
        if "sha256" in options:
            facts["sha256"] = options["sha256"]
        return build(str(path), facts, splits, [*dict.fromkeys(notes), *told], draws)


@cache
def tasks() -> dict[str, Known]:
    """LM-BFF's tasks by the names of their folders."""
    return {name: checked(Known, f"{TASKS}: {name}", facts) for name, facts in read_yaml(TASKS).items()}


def _file(folder: Path, known: Known, part: str) -> Path:
    return folder / f"{known.files.get(part, part)}.{known.layout.file}"


def _once(path: Path, known: Known, parsed: Parsed) -> tuple[list[Row], list[str]]:
    """The rows of one file; one with the bytes of a file read before, as tests have, is not read again."""
    if not path.is_file():
        return _rows(path, known)
    content = digest(path.read_bytes())
    if content not in parsed:
        parsed[content] = _rows(path, known)
    return parsed[content]


def _rows(path: Path, known: Known) -> tuple[list[Row], list[str]]:
    """The rows of one file, in its order."""
    layout = known.layout
    table, notes = files.table(path, "\t" if layout.file == "tsv" else ",", quoted=layout.file == "csv")
    header: list[str] = []
    if layout.header and table:
        header, table = [name.strip() for name in table[0][1]], table[1:]
    if not table:
        raise Refused("the file is empty", where=str(path))
    unlabelled, rows = 0, []
    for number, fields in table:
        place = f"{path} line {number}"
        label = _field(fields, layout.label, header, place).strip()
        if known.unlabelled is not None and label == known.unlabelled:
            unlabelled += 1
            continue
        b = "" if layout.text_b is None else _field(fields, layout.text_b, header, place)
        text = Text(_field(fields, layout.text, header, place).strip(), b.strip())
        rows.append(Row(text, _class(label, known, place), f"{path.parent.name}/{path.name} line {number}"))
    told = [f"{path.parent.name}/{path.name}: {unlabelled} rows have no label"] if unlabelled else []
    return rows, [*notes, *told]


def _field(fields: Sequence[str], column: str | int, header: Sequence[str], place: str) -> str:
    if isinstance(column, str):
        if column not in header:
            raise Refused(f"no column {column!r}", where=place, got=list(header), hint=nearest(column, header))
        if len(fields) != len(header):
            raise Refused("a row of another length than the header", where=place, got=len(fields),
                          expected=f"{len(header)} columns")  # fmt: skip
        return fields[header.index(column)]
    if not -len(fields) <= column < len(fields):
        raise Refused("too few columns", where=place, got=len(fields), expected=f"at least {column + 1}")
    return fields[column]


def _class(label: str, known: Known, place: str) -> str:
    if known.threshold is not None:
        try:
            return known.labels["above" if float(label) >= known.threshold else "below"]
        except ValueError as error:
            raise Refused("the score is no number", where=place, got=label) from error
    if label not in known.labels:
        raise Refused("unknown label", where=place, got=label, expected=", ".join(known.labels))
    return known.labels[label]


def _refuse_miscounted(rows: Sequence[Row], shots: int, folder: Path) -> None:
    """Refuse a training file with more texts of a class than its folder's name says."""
    for label in sorted({row.label for row in rows}):
        found = sum(row.label == label for row in rows)
        if found > shots:
            raise Refused(f"train: {found} texts of class {label!r}", where=str(folder), expected=f"at most {shots}")


def _pool(path: Path, known: Known) -> tuple[list[Row], list[str]]:
    """The texts of ``train.tsv`` (columns sentence and label) or of LM-BFF's own training file in ``path``."""
    own = _file(path, known, "train")
    plain = path / "train.tsv"
    if own.is_file() and own != plain:
        return _rows(own, known)
    first = next(iter(files.lines(files.read_text(plain).text)), (0, ""))[1]
    if first.split("\t") != ["sentence", "label"]:
        return _rows(plain, known)
    columns = Layout(file="tsv", header=True, text="sentence", label="label")
    return _rows(plain, known.model_copy(update={"layout": columns}))
