"""What a search chose, written back as suites that anyone can run without the search."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from promptgrid.cluster.planner import requests_of, track_named
from promptgrid.spec import Refused, Suite
from promptgrid.spec.paths import user_path
from promptgrid.spec.searched import PlaceFound, SearchFound

Place = tuple[str, int, str]
"""Backbone, shots, and dataset; no dataset where one setting is for all."""


def write_chosen(suite: Suite, found: SearchFound, path: Path) -> list[Path]:
    """Write the winners of ``found`` as a suite at ``path``, and say which files there are.

    A suite has one setting of each method for all its cells, so there is one file for each place that chose for itself:
    ``tuned.yaml`` becomes ``tuned-weather-16shot.yaml`` and so on, each with its dataset, shots and backbone.

    Raises:
        Refused: a place has no choice, as all its trials failed; or a file is there. Nothing is written.
    """
    where = user_path(path, "--write")
    pairs = list(_suites(suite, found))
    suites = dict(pairs)
    if len(suites) < len(pairs):
        raise Refused("two places would have one file name", where="--write", got=", ".join(sorted(suites)))
    paths = {name: where.with_name(f"{where.stem}{name}{where.suffix or '.yaml'}") for name in suites}
    for one in paths.values():
        if one.exists():
            raise Refused("a file is there already", where="--write", got=str(one), expected="a new name")
    for name, told in suites.items():
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        with paths[name].open("w", encoding="utf-8") as file:
            YAML().dump({**told, "name": _name(paths[name].stem, suite)}, file)
    return list(paths.values())


def _suites(suite: Suite, found: SearchFound) -> Iterator[tuple[str, dict[str, Any]]]:
    """(end of the file's name, the suite as YAML says it) by place."""
    groups: dict[Place, list[PlaceFound]] = {}
    for one in found.places:
        groups.setdefault((one.backbone, one.shots, "" if found.one_setting else one.dataset), []).append(one)
    several = [len({place[part] for place in groups}) > 1 for part in range(3)]
    for (backbone, shots, dataset), places in groups.items():
        ends = [dataset, f"{shots}shot", backbone]
        told = [end for end, needed in zip(ends, (several[2], several[1], several[0]), strict=True) if needed and end]
        changes: dict[str, Any] = {"backbones": [backbone], "shots": [shots]}
        if dataset:
            changes["datasets"] = [dataset]
        name = "".join(f"-{_plain(end)}" for end in told)
        yield name, {**_as_written(suite), **changes, "methods": _methods(suite, found, backbone, places)}


def _plain(end: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "-", end)[-40:]


def _name(stem: str, suite: Suite) -> str:
    """What a suite in a file of that name may be called."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", stem).lstrip("_.-")[:80] or suite.name


def _as_written(suite: Suite) -> dict[str, Any]:
    told = suite.model_dump(mode="json", exclude_defaults=True, exclude={"methods", "search"})
    title = suite.title or suite.name
    return {"name": suite.name, **told, "title": f"{title}: as a search chose"}


def _methods(suite: Suite, found: SearchFound, backbone: str, places: list[PlaceFound]) -> list[dict[str, Any]]:
    written = dict(requests_of(suite, track_named(suite.track)))
    trials = {(study.label, study.backbone): study.trials for study in found.studies}
    rows: dict[str, dict[str, Any]] = {}
    for place in places:
        if place.chosen is None:
            raise Refused("nothing was chosen: all its trials failed", where="--write", got=place.label)
        request = written[place.label]
        settings = {**request.settings, **trials[place.label, backbone][place.chosen]}
        rows.setdefault(place.label, {"name": request.method, "label": place.label, **settings})
    return list(rows.values())
