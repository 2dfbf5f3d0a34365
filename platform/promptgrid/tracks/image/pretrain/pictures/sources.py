"""Where the bundled pictures come from, every package pinned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from promptgrid.contract.packages import Package, unpacked

PINS = Path(__file__).with_name("sources.yaml")


@dataclass(frozen=True)
class Source:
    """Pictures of one hand, read from one or more packages.

    `shippable` is False for share-alike and GPL art, which may be pretrained on but not passed on. `held_out` marks
    what the bundled towers never see. `reader` names the function that reads it and `options` are its arguments.
    """

    name: str
    title: str
    reader: str
    packages: tuple[Package, ...]
    shippable: bool
    held_out: bool
    options: dict[str, Any] = field(default_factory=dict)


def load_sources(path: Path = PINS) -> list[Source]:
    """All pinned sources, in the order of the file."""
    rows = YAML(typ="safe").load(path.read_text())
    return [_source(row) for row in rows["sources"]]


def _source(row: dict[str, Any]) -> Source:
    packages = tuple(Package(**package) for package in row["packages"])
    return Source(**{**row, "packages": packages})


def helper_packages(path: Path = PINS) -> list[Package]:
    """Packages that hold names and no pictures (the Unicode emoji groups)."""
    return [Package(**row) for row in YAML(typ="safe").load(path.read_text())["helpers"]]


def fetch_all(folder: Path, sources: list[Source] | None = None) -> Iterator[tuple[Source, list[Path]]]:
    """Every source with the unpacked folders of its packages."""
    for source in load_sources() if sources is None else sources:
        yield source, [unpacked(package, folder) for package in source.packages]
