"""The bundled tasks: which pictures of the pool stand for which class, and in which split."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas
from rich.progress import track

from promptgrid.tracks.image.pretrain.pictures import pool, raster
from promptgrid.tracks.image.pretrain.tasks.cards import attribution, write_task
from promptgrid.tracks.image.pretrain.tasks.recipes import Recipe, Rule, load_recipes

SEED = "promptgrid bundled tasks, first edition"
ALIKE = 0.985
ADDED = re.compile(r"( face| side| \d+| [ivx]+| variant| alt| simple| plus| add| check| ring)+$")


def compose(pool_dir: Path, out_dir: Path) -> pandas.DataFrame:
    """Write every task and its card to `out_dir`, and return one row of counts a task.

    Also writes `ATTRIBUTION.md` beside `out_dir`, and `EXCLUDE.parquet` to `pool_dir`: content hashes and
    (source, item) pairs that no pretraining may see.
    """
    everything = pool.read(pool_dir)
    everything["name"] = everything["name"].str.lower()
    shippable = everything[everything.shippable].drop_duplicates("sha256")
    rows, used = [], []
    out_dir.mkdir(parents=True, exist_ok=True)
    for recipe in track(load_recipes(), "tasks", transient=True):
        chosen = choose(recipe, shippable)
        table, summary = write_task(recipe, chosen, out_dir)
        rows.append(summary)
        used.append(table)
    in_tasks = {source for recipe in load_recipes() for source in recipe.sources}
    (out_dir.parent / "ATTRIBUTION.md").write_text(attribution(in_tasks))
    _exclusions(pandas.concat(used), everything).to_parquet(pool_dir / "EXCLUDE.parquet", index=False)
    return pandas.DataFrame(rows)


def choose(recipe: Recipe, pictures: pandas.DataFrame) -> pandas.DataFrame:
    """The pictures of a task with `label`, `split` and `domain`, in their final order."""
    candidates = pictures[pictures.source.isin(recipe.sources)]
    labels = label(recipe, candidates)
    found = candidates[labels >= 0].assign(label=labels[labels >= 0])
    found = found.assign(group=_drawings(found, recipe.drawing))
    found = found.assign(rank=_ranks(found.name if recipe.order == "name" else found.group))
    found = found.sort_values(["label", "rank", "group", "item"], kind="stable")
    found = found[found.groupby(["label", "group"]).cumcount() < recipe.copies]
    parts = [_split(recipe, part) for _, part in found.groupby("label", sort=True) if len(part) >= recipe.least]
    chosen = pandas.concat(parts)
    chosen = chosen.assign(domain=chosen["source"] if len(recipe.sources) > 1 else chosen["style"])
    order = chosen.split.map({"train": 0, "val": 1, "test": 2})
    return chosen.assign(order=order).sort_values(["order", "label", "rank", "item"], kind="stable")


def label(recipe: Recipe, pictures: pandas.DataFrame) -> np.ndarray:
    """The class of each picture, or -1 where none or more than one fits."""
    said = spoken({word: at for at, rule in enumerate(recipe.classes.values()) for word in rule.words}, pictures)
    marks = np.stack([matches(rule, pictures) | (said == at) for at, rule in enumerate(recipe.classes.values())])
    marks &= np.stack([~_found(rule.unless, pictures.name) for rule in recipe.classes.values()])
    if recipe.skip:
        marks &= ~_found(recipe.skip, pictures.name)
    return np.where(marks.sum(axis=0) == 1, marks.argmax(axis=0), -1)


def spoken(classes: dict[str, int], pictures: pandas.DataFrame) -> np.ndarray:
    """The class whose word is the longest end of a name; in clip art without one, the only class among the keywords."""
    ends = {name: _ending(name, classes) for name in set(pictures.name)}
    found = pictures.name.map(ends).to_numpy(copy=True)
    for row in np.flatnonzero((found < 0) & (pictures.source == "openclipart").to_numpy()):
        kinds = {classes[word] for word in pictures.keywords.iloc[row] if word in classes}
        found[row] = kinds.pop() if len(kinds) == 1 else -1
    return found


def _ending(name: str, classes: dict[str, int]) -> int:
    tokens = ADDED.sub("", name).split()
    ends = (" ".join(tokens[-count:]) for count in range(min(4, len(tokens)), 0, -1))
    return next((classes[end] for end in (name, *ends) if end in classes), -1)


def _found(pattern: str, names: pandas.Series) -> np.ndarray:
    return names.str.contains(pattern, regex=True).to_numpy() if pattern else np.zeros(len(names), bool)


def matches(rule: Rule, pictures: pandas.DataFrame) -> np.ndarray:
    """Whether each picture satisfies a condition of the rule other than its words."""
    hit = pictures.name.isin(rule.exact).to_numpy() | _found(rule.names, pictures.name)
    if rule.groups:
        hit |= pictures.category.str.split("/").str[-1].str.fullmatch(rule.groups).to_numpy()
    if rule.categories:
        hit |= pictures.category.str.fullmatch(rule.categories).to_numpy()
    return np.asarray(hit, dtype=bool)


def _drawings(pictures: pandas.DataFrame, drawing: str) -> pandas.Series:
    """What a picture is a copy of."""
    what = {"name": pictures.name, "item": pictures["item"], "letter": pictures["item"].str.split("/").str[-1]}
    return pictures.source + "/" + what[drawing]


def _ranks(keys: pandas.Series) -> list[str]:
    """A fixed random order."""
    return [hashlib.sha256(f"{SEED}/{key}".encode()).hexdigest() for key in keys]


def _split(recipe: Recipe, pictures: pandas.DataFrame) -> pandas.DataFrame:
    """The pictures of one class that are kept, each in a split; drawings that look alike stay together."""
    left = _wanted(recipe, len(pictures))
    splits = pandas.Series("", index=pictures.index)
    wanted = dict(left)
    for members in sorted(_clusters(pictures), key=lambda members: min(len(members), 2), reverse=True):
        room = [name for name in left if 2 * left[name] >= len(members)]
        if room:
            split = room[0] if len(members) > 1 else max(room, key=lambda name: left[name] / wanted[name])
            left[split] -= len(members)
            splits[members] = split
    return pictures.assign(split=splits)[splits != ""]


def _wanted(recipe: Recipe, count: int) -> dict[str, int]:
    """How many of `count` pictures of a class go to each split: sixteen to train if that leaves any to test."""
    total = min(count, recipe.train + recipe.val + recipe.test)
    val = min(recipe.val, max(1, total // 10))
    train = min(recipe.train, max(round(0.6 * total), min(16, total - val - 2)))
    return {"train": train, "test": min(recipe.test, total - train - val), "val": val}


def _clusters(pictures: pandas.DataFrame) -> list[list[int]]:
    """Row labels of pictures that show one drawing (same source and name) or look the same at 32 pixels."""
    small = np.stack([_small(webp) for webp in pictures.image])
    near = small @ small.T > ALIKE
    groups = pandas.factorize(pictures.group)[0]
    near |= groups[:, None] == groups[None, :]
    cluster = np.arange(len(pictures))
    for _ in range(len(pictures)):
        spread = np.where(near, cluster[None, :], len(pictures)).min(axis=1)
        if (spread == cluster).all():
            break
        cluster = spread
    labels = pictures.index.to_numpy()
    return [labels[cluster == first].tolist() for first in dict.fromkeys(cluster)]


def _small(webp: bytes) -> np.ndarray:
    values = np.asarray(raster.decode(webp).convert("L").resize((32, 32)), dtype=np.float32).ravel()
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _exclusions(used: pandas.DataFrame, everything: pandas.DataFrame) -> pandas.DataFrame:
    """What pretraining leaves out: the tasks' pictures as drawn and as stored, and other copies of tested drawings."""
    tested = set(used[used.split != "train"].group)
    groups = everything.source + "/" + everything.name
    copies = everything[groups.isin(tested)][["source", "item", "sha256"]].assign(why="copy of a tested drawing")
    own = [used[["source", "item", hashed]].rename(columns={hashed: "sha256"}) for hashed in ("sha256", "stored")]
    return pandas.concat([*(part.assign(why="in a task") for part in own), copies]).drop_duplicates(
        ["source", "item", "sha256"]
    )
