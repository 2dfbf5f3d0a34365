"""Running English out of the files of a source: paragraphs, one string each."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

_BLOCKS = frozenset({"p", "li", "dd", "dt", "td", "th", "desc", "title", "h1", "h2", "h3", "h4", "div", "item", "note"})
_SILENT = frozenset({"script", "style", "pre", "head", "nav", "info", "table"})


def _file(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix in {".dz", ".gz"} else raw).decode("utf-8", "replace")


def dictionary(path: Path) -> Iterator[str]:
    """The senses of a dictionary in dictd's form; those taken from WordNet are left out."""
    for entry in re.split(r"\n(?=\S)", _file(path)):
        body = "\n".join(entry.split("\n")[1:])
        for sense in re.split(r"\n\s*\n|\n\s+\d+\. |\n\s+\([a-z]\) ", f"\n{body}"):
            if "WordNet" in sense or "Syn:" in sense:
                continue
            plain = re.sub(
                r"\[[^\]]*\]|\{|\}|\\[^\\]*\\|^\s*\d+\. |^\s*\([A-Z][\w.& ]*\)|--[A-Z][\w.& ()]*$", " ", sense
            )
            yield re.sub(r"\s+--\s*[A-Z]\S*.*$", "", " ".join(plain.split()))


def quoted(path: Path) -> Iterator[str]:
    """What a game's data files quote: sentences in backticks or in double quotes."""
    for found in re.finditer(r"`([^`]+)`|\"([^\"]+)\"", _file(path)):
        for part in re.split(r"\\n|\n\s*\n", found[1] or found[2]):
            yield re.sub(r"<[^<>]*>|\$\S+", " ", part)


def entries(path: Path) -> Iterator[str]:
    """Paragraphs of entries between lines of %%%%, the first line of each being its name."""
    for entry in _file(path).split("%%%%"):
        lines = [line for line in entry.strip().split("\n")[1:] if not line.startswith(("#", ":", "w:"))]
        yield from re.split(r"\n\s*\n", re.sub(r"@\w+@|[{}]", " ", "\n".join(lines)))


def pod(path: Path) -> Iterator[str]:
    """Paragraphs of Perl's documentation: neither commands nor indented code."""
    for block in re.split(r"\n\s*\n", _file(path)):
        if not block.startswith(("=", " ", "\t")):
            yield re.sub(r"[A-Z]<+\s*([^<>]*?)\s*>+", r"\1", block)


def pages(path: Path) -> Iterator[str]:
    """Paragraphs of HTML or Mallard pages, code left out."""
    parser = _Paragraphs()
    parser.feed(_file(path))
    yield from parser.done()


class _Paragraphs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self._found: list[str] = []
        self._words: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCKS:
            self._break()

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag == self._silent[-1]:
            self._silent.pop()
        elif tag in _BLOCKS:
            self._break()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._words.append(data)

    def done(self) -> list[str]:
        self._break()
        return self._found

    def _break(self) -> None:
        self._found.append("".join(self._words))
        self._words = []


READERS: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "dictionary": dictionary,
    "quoted": quoted,
    "entries": entries,
    "pod": pod,
    "pages": pages,
}
