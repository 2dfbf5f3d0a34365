"""The recipes of the bundled tasks, as `tasks.yaml` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

RECIPES = Path(__file__).with_name("tasks.yaml")


@dataclass(frozen=True)
class Rule:
    """What puts a picture in a class; any one of the given conditions is enough, and `unless` undoes it.

    `words` match the end of a name ("sports car" is a car) and, in clip art, a keyword; `exact` the whole name;
    `groups` the last part of a category, `categories` all of it (patterns that must match in full); `names` any part
    of a name (a pattern).
    """

    words: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    groups: str = ""
    categories: str = ""
    names: str = ""
    unless: str = ""


@dataclass(frozen=True)
class Recipe:
    """One task before its pictures are chosen; `copies` bounds how many pictures of one drawing are taken.

    `drawing` says what makes two pictures one drawing: the source and "name", the "item" itself, or the "letter" of a
    font. `order` is "name" where every source is to split its drawings of one thing alike. Classes with fewer than
    `least` pictures are left out.
    """

    name: str
    title: str
    description: str
    template: str
    sources: tuple[str, ...]
    classes: dict[str, Rule]
    train: int = 32
    val: int = 6
    test: int = 20
    copies: int = 2
    least: int = 24
    order: str = "drawing"
    drawing: str = "name"
    family: str | None = None
    quality: int = 80
    skip: str = ""
    licence: str = ""


def load_recipes(path: Path = RECIPES) -> list[Recipe]:
    """The recipes of `tasks.yaml`, in its order."""
    table = YAML(typ="safe").load(path.read_text())
    return [_recipe(row, table["lists"]) for row in table["tasks"]]


def _recipe(row: dict[str, Any], lists: dict[str, list[str]]) -> Recipe:
    sources = [name for entry in row["sources"] for name in lists.get(entry, [entry])]
    return Recipe(**{**row, "sources": tuple(sources), "classes": {k: _rule(k, v) for k, v in row["classes"].items()}})


def _rule(name: str, given: Any) -> Rule:
    if given is None:
        return Rule(words=(name,))
    if isinstance(given, list):
        return Rule(words=tuple(given))
    lists = {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
    return Rule(**{**given, **lists})
