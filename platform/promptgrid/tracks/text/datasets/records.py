"""From records with named columns to a dataset: what ``table:`` and ``hf-disk:`` have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptgrid.contract import Dataset
from promptgrid.contract.split_names import split_of
from promptgrid.spec import Refused, nearest
from promptgrid.tracks.text.datasets.building import Row, build, divide
from promptgrid.tracks.text.datasets.text import Text

OPTIONS = ("text", "label", "text_b", "sha256")
Records = Sequence[tuple[str, Mapping[str, Any]]]
"""(where it stands, the fields by column) of each row."""


def refuse_columns(options: Mapping[str, str], columns: Iterable[str], where: str, dataset: str) -> None:
    """Refuse an address that names no text or label column, or one that is not there."""
    known = list(columns)
    for option in ("text", "label"):
        if option not in options:
            raise Refused(f"which column is the {option}?", where=dataset, got=known,
                          hint=f"add {'&' if '?' in dataset else '?'}{option}=NAME")  # fmt: skip
    for option in ("text", "label", "text_b", "split"):
        if option in options and options[option] not in known:
            raise Refused(
                f"no column {options[option]!r}", where=where, got=known, hint=nearest(options[option], known)
            )


def from_records(
    where: str,
    name: str,
    splits: Mapping[str, Records],
    options: Mapping[str, str],
    classes: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Dataset:
    """The dataset of ``splits``; of the one split ``""`` where there are none: then its ``split`` column, or content,
    divides it.

    Rows whose text is empty are left out, and a note says how many. ``classes`` give the order of labels; by default
    they are sorted, as numbers where all are.

    Raises:
        Refused: a row without a label, a split that is none, or what :func:`build` refuses.
    """
    found: dict[str, list[Row]] = {}
    empty = 0
    for split, records in splits.items():
        for place, record in records:
            label = spoken(record[options["label"]])
            text = Text(
                spoken(record[options["text"]]), spoken(record[options["text_b"]]) if "text_b" in options else ""
            )
            if not text.a:
                empty += 1
                continue
            if not label:
                raise Refused("a row has no label", where=f"{where}: {place}", got=text.a)
            home = split or _home(record, options, f"{where}: {place}")
            found.setdefault(home, []).append(Row(text, label, place))
    told = [*notes, *([f"{empty} rows without a text are left out"] if empty else [])]
    if not found:
        raise Refused("there are no rows", where=where)
    if list(found) == [""]:
        found = divide(found[""], where)
        told.append("no splits given: divided by content")
    elif "test" not in found and "val" in found:
        found = {"test" if split == "val" else split: rows for split, rows in found.items()}
        told.append("there is no test with labels: the validation texts are the test")
    facts: dict[str, Any] = {"name": name, "classes": list(classes) or _sorted(found)}
    if "text_b" in options:
        facts["mask_templates"] = ["{text} ? {mask}, {text_b}"]
    else:
        facts["mask_templates"] = ["{text} This is about {mask}."]
    if "sha256" in options:
        facts["sha256"] = options["sha256"]
    return build(where, facts, found, told)


def spoken(value: Any) -> str:
    """A field as text: nothing for None and NaN, 3 for 3.0, as tables with gaps store whole numbers."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _home(record: Mapping[str, Any], options: Mapping[str, str], place: str) -> str:
    if "split" not in options:
        return ""
    written = spoken(record[options["split"]])
    split = split_of(written)
    if split is None:
        raise Refused("unknown split", where=place, got=written, expected="train, val or test")
    return split


def _sorted(splits: Mapping[str, Sequence[Row]]) -> list[str]:
    labels = {row.label for rows in splits.values() for row in rows}
    numbers = all(label.lstrip("-").isdecimal() for label in labels)
    return sorted(labels, key=int) if numbers else sorted(labels)
