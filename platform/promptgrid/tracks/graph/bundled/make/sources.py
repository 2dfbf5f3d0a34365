"""Reads the sources of the bundled graphs: nodes with texts and classes, and the edges between them."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WORDS = 40
"""Words of a text that are read."""
REFERENCE = re.compile(r"\{([^{}]+?)(?:\s*\(([^{}()]*)\))?\}", re.S)
SUBJECT = re.compile(r"\s*(?:\d+\.\s*)?<([^>]+)>")
RELATED = ("Depends", "Pre-Depends", "Recommends", "Suggests", "Enhances")
VERBS = (
    "body", "change", "cognition", "communication", "competition", "consumption", "contact", "creation", "emotion",
    "motion", "perception", "possession", "social", "stative", "weather",
)  # fmt: skip
"""WordNet's lexicographer files 29 to 43."""
FIRST_VERB = 29
BETWEEN_VERBS = ("@", "*", ">", "^", "$", "!")
"""Hypernym, entailment, cause, see also, verb group, antonym (WordNet's manual page wninput)."""


@dataclass(frozen=True)
class Made:
    """A graph as its source has it: names, texts and labels (-1 for none) of the nodes, undirected edges once each."""

    names: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]


def entries(path: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """(headwords, body) of each entry of a dictd dictionary; headwords stand at the margin, the body is set in.

    Lines at the margin that are the end of a link are a part of the body.
    """
    headwords, body = list[str](), list[str]()
    for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines():
        if line and not line[0].isspace() and line[0] not in "({":
            if body:
                yield tuple(headwords), "\n".join(body)
                headwords, body = [], []
            headwords.append(line.strip())
        elif headwords and line.strip():
            body.append(line)
    if body:
        yield tuple(headwords), "\n".join(body)


def foldoc(folder: Path, subjects: Sequence[str]) -> Made:
    """Entries of FOLDOC, linked by their cross references, filed under the first subject that they name.

    What the subject says is taken out of the text; references keep their words.
    """
    found = [(names, body) for names, body in entries(folder / "usr/share/dictd/foldoc.dict.dz")
             if not names[0].startswith("00-database")]  # fmt: skip
    place: dict[str, int] = {}
    for number, (names, _) in enumerate(found):
        for name in names:
            place.setdefault(name, number)
    alike = {name.casefold(): number for name, number in reversed(place.items())}
    texts, labels, edges = [], [], list[tuple[int, int]]()
    for number, (names, body) in enumerate(found):
        match = SUBJECT.match(body)
        subject = match[1].split(",")[0].strip() if match else ""
        labels.append(subjects.index(subject) if subject in subjects else -1)
        plain = REFERENCE.sub(r"\1", body[match.end() if match else 0 :])
        plain = re.sub(r"<[^<>\n]{1,40}>|\(\d{4}-\d\d-\d\d\)|\(https?:\S+\)|__", " ", plain)
        texts.append(f"{names[0]}: {' '.join(plain.split()[:WORDS])}")
        for shown, target in REFERENCE.findall(body):
            said = " ".join((target or shown).split())
            to = place.get(said, alike.get(said.casefold()))
            if to is not None:
                edges.append((number, to))
    return Made(tuple(names[0] for names, _ in found), tuple(texts), tuple(labels), distinct(edges))


def wordnet_verbs(folder: Path, classes: Sequence[str]) -> Made:
    """All meanings of verbs in WordNet, linked by its pointers between verbs, filed under their lexicographer file."""
    rows = [
        line for line in (folder / "usr/share/wordnet/data.verb").read_text("utf-8").splitlines() if line[:8].isdigit()
    ]
    place = {line[:8]: number for number, line in enumerate(rows)}
    names, texts, labels, edges = [], [], [], list[tuple[int, int]]()
    for number, line in enumerate(rows):
        head, _, told = line.partition(" | ")
        fields = head.split()
        count = int(fields[3], 16)
        words = [fields[4 + 2 * at].replace("_", " ") for at in range(count)]
        start = 4 + 2 * count
        for at in range(start + 1, start + 1 + 4 * int(fields[start]), 4):
            if fields[at] in BETWEEN_VERBS and fields[at + 2] == "v":
                edges.append((number, place[fields[at + 1]]))
        gloss = " ".join(re.split(r';? "', told)[0].split()[:WORDS]).strip(" ;")
        names.append(f"{words[0]} ({fields[0]})")
        texts.append(f"{', '.join(words[:3])}: {gloss}")
        labels.append(classes.index(VERBS[int(fields[1]) - FIRST_VERB]))
    return Made(tuple(names), tuple(texts), tuple(labels), distinct(edges))


def debian(folder: Path, sections: Sequence[str]) -> Made:
    """Source packages of Debian in ``sections``, by the one-line description of the package that stands for each.

    That is the one with the source's name, else the first by name. Two are linked where a package of one names a
    package of the other in any of ``RELATED``. Packages without a link are left out.
    """
    blocks = [_fields(block) for block in (folder / "Packages").read_text("utf-8").split("\n\n")]
    blocks = [fields for fields in blocks if {"Package", "Section", "Description"} <= fields.keys()]
    source = {fields["Package"]: fields.get("Source", fields["Package"]).split()[0] for fields in blocks}
    best: dict[str, dict[str, str]] = {}
    for fields in sorted(blocks, key=lambda own: (own["Package"] != source[own["Package"]], own["Package"])):
        best.setdefault(source[fields["Package"]], fields)
    kept = {name: fields for name, fields in sorted(best.items()) if fields["Section"] in sections}
    links = Counter[tuple[str, str]]()
    for fields in blocks:
        one = source[fields["Package"]]
        for other in {source.get(name, "") for name in _named(fields)} & kept.keys():
            if one in kept and one != other:
                links[min(one, other), max(one, other)] += 1
    linked = sorted({name for pair in links for name in pair})
    place = {name: number for number, name in enumerate(linked)}
    texts = tuple(f"{name}: {kept[name]['Description'].strip()}" for name in linked)
    labels = tuple(sections.index(kept[name]["Section"]) for name in linked)
    return Made(tuple(linked), texts, labels, distinct((place[a], place[b]) for a, b in links))


def _fields(block: str) -> dict[str, str]:
    wanted = "|".join(("Package", "Source", "Section", "Description", *RELATED))
    return dict(re.findall(rf"^({wanted}): (.+)$", block, re.M))


def _named(fields: dict[str, str]) -> Iterator[str]:
    for field in RELATED:
        for part in re.split(r"[,|]", fields.get(field, "")):
            if words := part.split():
                yield words[0].split(":")[0]


def distinct(edges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Each undirected edge once, smaller end first, in order; no node is linked to itself."""
    return tuple(sorted({(min(a, b), max(a, b)) for a, b in edges if a != b}))
