"""The text that the masked language model is trained on, and the held-out text that it is judged by."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.text.pretrain.readers import READERS

PINS = Path(__file__).with_name("sources.yaml")
_RUN = 8
"""Words in a row that a training text may not share with a text of a task."""


@dataclass(frozen=True)
class Source:
    """One Debian package and the files of it that are read; ``most`` is how many words of it are kept, None for all."""

    package: str
    version: str
    sha256: str
    title: str
    licence: str
    reader: str
    paths: tuple[str, ...]
    most: int | None = None


def load_sources(path: Path = PINS) -> list[Source]:
    """All pinned sources, in the order of the file."""
    return [Source(**{**row, "paths": tuple(row["paths"])}) for row in read_yaml(path)["sources"]]


def unpacked(source: Source, folder: Path) -> Path:
    """The files of a source below ``folder``, fetched with apt and unpacked where they are not there yet.

    Raises:
        ValueError: the archive is not the pinned one.
    """
    home = folder / source.package
    if home.is_dir():
        return home
    folder.mkdir(parents=True, exist_ok=True)
    pinned = f"{source.package}={source.version}"
    subprocess.run(["apt-get", "download", "-q", pinned], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = next(folder.glob(f"{source.package}_*.deb"))
    if hashlib.sha256(archive.read_bytes()).hexdigest() != source.sha256:
        raise ValueError(f"{archive} is not the pinned archive of {pinned}")
    subprocess.run(["dpkg-deb", "-x", str(archive), str(home)], check=True)
    return home


def corpus(folder: Path, tasks: Iterable[str]) -> Iterator[tuple[Source, list[str], list[str]]]:
    """Of each source what is trained on and what is held out, apart from the texts of ``tasks``."""
    taken = {run for text in tasks for run in _runs(text)}
    seen: set[str] = set()
    for source in load_sources():
        found = [text for text in texts(source, unpacked(source, folder)) if text not in seen]
        seen.update(found)
        kept = capped([text for text in found if taken.isdisjoint(_runs(text))], source.most)
        yield source, *parted(kept)


def texts(source: Source, home: Path) -> Iterator[str]:
    """The paragraphs of a source that read as English, each once, its white space single."""
    seen: set[str] = set()
    for pattern in source.paths:
        for path in sorted(home.glob(pattern)):
            for paragraph in READERS[source.reader](path):
                plain = " ".join(paragraph.split())
                if plain not in seen and _is_english(plain):
                    seen.add(plain)
                    yield plain


def capped(found: Sequence[str], most: int | None) -> list[str]:
    """Texts of ``most`` words in all, in their order: those whose content's sha256 comes first.

    So what is held out, the first of all by that, is a share of the source and not of what is kept of it.
    """
    if most is None:
        return list(found)
    kept, words = set(), 0
    for text in sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest()):
        words += len(text.split())
        if words > most:
            break
        kept.add(text)
    return [text for text in found if text in kept]


def parted(found: Sequence[str], held_out: float = 0.02) -> tuple[list[str], list[str]]:
    """Texts to train on and texts to judge by: a text's part depends on its content alone."""
    far: tuple[list[str], list[str]] = ([], [])
    for text in found:
        drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
        far[drawn < held_out].append(text)
    return far


def _is_english(text: str) -> bool:
    """Whether a paragraph is English: at least six words, most of letters alone, a common one among them."""
    words = text.split()
    if not 6 <= len(words) <= 400:
        return False
    plain = sum(bool(re.fullmatch(r"[(\"'“‘]*[A-Za-z][A-Za-z'’-]*[.,;:!?)\"'”’]*", word)) for word in words)
    common = {
        "the",
        "a",
        "an",
        "of",
        "to",
        "and",
        "in",
        "is",
        "or",
        "that",
        "it",
        "you",
        "for",
        "i",
        "with",
        "as",
        "on",
    }
    return plain >= 0.8 * len(words) and any(word.lower() in common for word in words)


def _runs(text: str) -> set[int]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {hash(tuple(words[i : i + _RUN])) for i in range(len(words) - _RUN + 1)}
