"""Reads dictionaries in the format of dictd: FOLDOC and the Devil's Dictionary."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from promptgrid.tracks.text.bundled.make import wordnet
from promptgrid.tracks.text.bundled.make.rows import Found
from promptgrid.tracks.text.datasets.text import Text

LONGEST = 60
"""Words of a definition that are kept."""


def entries(path: Path) -> Iterator[tuple[str, str]]:
    """(headword, body) of each entry; a headword stands at the margin, its body is set in."""
    headword, body = "", list[str]()
    for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines():
        if line and not line[0].isspace():
            if body:
                yield headword, "\n".join(body)
            headword, body = line.strip(), []
        elif headword:
            body.append(line)
    if body:
        yield headword, "\n".join(body)


def foldoc(folder: Path) -> Iterator[Found]:
    """Definitions of computing terms by their first subject; what the subject says is taken out of the text."""
    for headword, body in entries(folder / "usr/share/dictd/foldoc.dict.dz"):
        match = re.match(r"\s*(?:\d+\.\s*)?<([^>]+)>", body)
        if match is None or re.search(r"^\s*2\.\s*<", body, re.M):
            continue
        text = re.sub(r"\{([^{}]*?)(?:\s*\([^{}()]*\))?\}", r"\1", body[match.end() :], flags=re.S)
        text = re.sub(r"\(\d{4}-\d\d-\d\d\)|<\S+@\S+>|\(https?:\S+\)|__", " ", text)
        words = text.split()[:LONGEST]
        if len(words) > 5:
            yield Found(Text(f"{headword}: {' '.join(words)}"), match[1].split(",")[0].strip(), headword)


def satire(devil: Path, plain: Path) -> Iterator[Found]:
    """Definitions without their headwords: Bierce's are ``satirical``, WordNet's of the same words ``serious``."""
    written = gzip.decompress((devil / "usr/share/dictd/devil.dict.dz").read_bytes()).decode("utf-8")
    found: dict[str, str] = {}
    for match in re.finditer(
        r"^([A-Z][A-Z' -]+), (n|v\.t|v\.i|adj|adv)\.(?:pl\.)?\s+(.+?)\n\s*\n", written, re.M | re.S
    ):
        sentence = re.split(r"(?<=[a-z][.!?])\s", " ".join(match[3].split()))[0].rstrip(".")
        if len(sentence.split()) > 3:
            found.setdefault(match[1].casefold(), sentence[:1].casefold() + sentence[1:])
    for headword, sentence in sorted(found.items()):
        yield Found(Text(sentence), "satirical", headword, group=headword)
    for one in wordnet.synsets(plain).values():
        headword = one.words[0].casefold()
        if headword in found and len(one.gloss.split()) > 3:
            yield Found(Text(one.gloss), "serious", headword, group=headword)
