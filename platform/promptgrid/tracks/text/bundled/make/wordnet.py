"""Reads WordNet's database files: what words mean, with examples, and how meanings are related."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from promptgrid.tracks.text.bundled.make.rows import Found
from promptgrid.tracks.text.datasets.text import Text

FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
HYPERNYM, INSTANCE = "@", "@i"
RELATIONS = {
    "@": "kind", "~": "has_kind", "%p": "has_part", "#p": "part", "%m": "has_member", "#m": "member",
    ";c": "topic", "!": "opposite",
}  # fmt: skip
"""Pointer symbols of WordNet (its manual page wninput) by what they say of the word that is defined."""


@dataclass(frozen=True)
class Synset:
    """One meaning: its words, the lexicographer file it was written in, gloss, examples, pointers (symbol, target)."""

    name: str
    topic: int
    words: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    pointers: tuple[tuple[str, str], ...]


def synsets(folder: Path) -> dict[str, Synset]:
    """All meanings of WordNet by part of speech and offset, such as ``n00001740``."""
    found = {}
    for part, file in FILES.items():
        for line in (folder / "usr/share/wordnet" / f"data.{file}").read_text("utf-8").splitlines():
            if line[:8].isdigit():
                one = _synset(part, line)
                found[one.name] = one
    return found


def _synset(part: str, line: str) -> Synset:
    head, _, told = line.partition(" | ")
    fields = head.split()
    count = int(fields[3], 16)
    words = tuple(_word(fields[4 + 2 * place]) for place in range(count))
    start = 5 + 2 * count
    pointers = tuple(
        (fields[place], fields[place + 2].replace("s", "a") + fields[place + 1])
        for place in range(start, start + 4 * int(fields[start - 1]), 4)
    )
    examples = tuple(text.strip() for text in re.findall(r'"([^"]+)"', told) if len(text.split()) > 2)
    gloss = re.sub(r"\s+", " ", told.split('; "')[0].split(' "')[0]).strip(" ;")
    return Synset(part + fields[0], int(fields[1]), words, gloss, examples, pointers)


def _word(written: str) -> str:
    return re.sub(r"\((a|p|ip)\)$", "", written).replace("_", " ")


def topics(folder: Path, part: str) -> Iterator[Found]:
    """Glosses of one part of speech, filed under the number of their lexicographer file."""
    for one in synsets(folder).values():
        if one.name[0] == part and len(one.gloss.split()) > 2 and (INSTANCE, "") not in _symbols(one):
            yield Found(Text(one.gloss), str(one.topic), one.name)


def parts_of_speech(folder: Path) -> Iterator[Found]:
    """Glosses of all words, filed under n, v, a and r."""
    for one in synsets(folder).values():
        if len(one.gloss.split()) > 2:
            yield Found(Text(one.gloss), one.name[0], one.name)


def same_sense(folder: Path) -> Iterator[Found]:
    """Two examples of use of one word, filed under ``same`` where they are of one meaning, else ``other``.

    The word stands in both as written; each word is used once.
    """
    uses: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for one in synsets(folder).values():
        for word in one.words:
            for example in one.examples:
                if re.search(rf"\b{re.escape(word)}\b", example):
                    uses.setdefault((word, one.name[0]), []).append((one.name, example))
    for (word, part), some in sorted(uses.items()):
        for (first, a), (second, b) in combinations(some, 2):
            key = "same" if first == second else "other"
            yield Found(Text(f"{word}: {a}", f"{word}: {b}"), key, f"{part}:{word}", group=word)


def broader(folder: Path) -> Iterator[Found]:
    """Two nouns with their glosses: the second is ``broader``, ``narrower``, or a ``sister`` under the same noun.

    A meaning and those around it are one group by the meaning above it.
    """
    known = synsets(folder)
    below: dict[str, list[str]] = {}
    for one in known.values():
        for symbol, target in one.pointers:
            if one.name[0] == "n" and symbol == HYPERNYM:
                below.setdefault(target, []).append(one.name)
    for above, kinds in sorted(below.items()):
        if len(kinds) < 2 or not 4 < len(known[above].gloss.split()) < 25:
            continue
        first, second = (_defined(known[kind]) for kind in kinds[:2])
        key = ("broader", "narrower", "sister")[int(above[1:]) % 3]
        pair = {"broader": (first, _defined(known[above])), "narrower": (_defined(known[above]), first),
                "sister": (first, second)}[key]  # fmt: skip
        yield Found(Text(*pair), key, above)


def relations(folder: Path) -> Iterator[Found]:
    """Nouns with glosses that hold a second noun: how the first is related to the second in WordNet, or ``none``.

    The subject is the word defined, the object the word in the gloss. A gloss with several such words gives the
    longest of them that is related, else the longest; a word that is related in two ways gives nothing.
    """
    known = synsets(folder)
    nouns: dict[str, list[str]] = {}
    for one in known.values():
        if one.name[0] == "n":
            for word in one.words:
                nouns.setdefault(word, []).append(one.name)
    for one in known.values():
        if one.name[0] == "n" and 4 < len(one.gloss.split()) < 40:
            yield from _related(one, nouns)


def _related(one: Synset, nouns: dict[str, list[str]]) -> Iterator[Found]:
    ways: dict[str, set[str]] = {}
    for symbol, target in one.pointers:
        ways.setdefault(target, set()).add(RELATIONS.get(symbol, symbol))
    start = len(one.words[0]) + 2
    candidates = []
    for place, end, word in _nouns_in(one.gloss, nouns):
        if word in one.words:
            continue
        said = {way for meaning in nouns[word] for way in ways.get(meaning, ())}
        if len(said) < 2:
            candidates.append((not said, -len(word), place, end, next(iter(said), "none")))
    if candidates:
        _, _, place, end, key = min(candidates)
        spans = ((0, len(one.words[0])), (start + place, start + end))
        yield Found(Text(_defined(one), spans=spans), key, one.name)


def _nouns_in(gloss: str, nouns: dict[str, list[str]]) -> Iterator[tuple[int, int, str]]:
    """(start, end, noun) of the nouns in a gloss, up to three words long, longer ones first at each place."""
    spots = [(match.start(), match.end()) for match in re.finditer(r"[A-Za-z][A-Za-z'-]*", gloss)]
    for first, (start, _) in enumerate(spots):
        for last in range(min(first + 2, len(spots) - 1), first - 1, -1):
            end = spots[last][1]
            if len(gloss[start:end]) > 2 and gloss[start:end] in nouns:
                yield start, end, gloss[start:end]
                break


def _defined(one: Synset) -> str:
    return f"{one.words[0]}: {one.gloss}"


def _symbols(one: Synset) -> set[tuple[str, str]]:
    return {(symbol, "") for symbol, _ in one.pointers}
