"""Glyphs of free fonts: Latin letters and digits of every face, letters of other scripts where a face has them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]  # it publishes no types
from PIL import Image, ImageDraw, ImageFont

from promptgrid.contract.packages import Package
from promptgrid.tracks.image.pretrain.pictures.items import DIGITS, Item
from promptgrid.tracks.image.pretrain.pictures.sources import Source

SIDE = 128
LATIN = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
SCRIPTS = {
    "Greek": (0x391, 0x3C9),
    "Cyrillic": (0x410, 0x44F),
    "Armenian": (0x531, 0x586),
    "Hebrew": (0x5D0, 0x5EA),
    "Arabic": (0x627, 0x64A),
    "Devanagari": (0x904, 0x939),
    "Bengali": (0x985, 0x9B9),
    "Tamil": (0xB85, 0xBB9),
    "Thai": (0xE01, 0xE2E),
    "Myanmar": (0x1000, 0x1021),
    "Georgian": (0x10D0, 0x10F0),
    "Ethiopic": (0x1200, 0x1357),
    "Korean": (0xAC00, 0xD7A3),
    "Japanese": (0x3042, 0x30F3),
    "Chinese": (0x4E00, 0x9FA5),
}
PER_SCRIPT = 24
FACES = 3
FREE = ("OFL", "Apache", "BSD", "Bitstream", "Arphic", "IPA")
MANY = {"fonts-noto-core": 400}
STYLES = {
    "handwriting": (
        *("breip", "bwht", "dkg", "femke", "humor", "seto", "sjfonts"),
        *("purisa", "klee", "tomsontalks", "comic", "dustin"),
    ),
    "script": ("dancing", "kaushan", "lobster", "leckerli", "levien"),
    "mono": ("mono", "code", "courier", "inconsol", "hack"),
    "serif": (
        *("serif", "didot", "gentium", "libertine", "junicode", "vollkorn"),
        *("garamond", "oldstandard", "ming", "quattro"),
    ),
}


def glyphs(source: Source, folders: list[Path], _: dict[str, str]) -> Iterator[Item]:
    """Letters of up to three faces a package, grey on white, every fifth face white on black."""
    number = 0
    for package, folder in zip(source.packages, folders, strict=True):
        for path in _faces(package, folder):
            number += 1
            yield from _letters(package, path, "black" if number % 5 == 0 else "white")


def _faces(package: Package, folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*.[to]t[fc]") if not path.is_symlink())
    if package.package in MANY:
        return [path for path in paths if path.stem.endswith(("-Regular", "-Bold"))]
    plain = [path for path in paths if "egular" in path.stem or "-R" in path.stem] or paths
    rest = [path for path in paths if path not in plain[:1]]
    return [*plain[:1], *rest[:: max(1, len(rest) // (FACES - 1))][: FACES - 1]]


def _letters(package: Package, path: Path, background: str) -> Iterator[Item]:
    try:
        known = set(TTFont(path, fontNumber=0, lazy=True).getBestCmap())
        face = ImageFont.truetype(str(path), 84)
    except (TTLibError, OSError) as error:
        print(f"{path.name} is left out: {error}")
        return
    style = _style(path)
    free = package.licence.startswith(FREE)
    for script, letter in _wanted(known, package.package):
        picture = _drawn(face, letter, background)
        if picture is not None:
            phrase, words = _named(script, letter)
            item = f"{package.package}/{path.stem}/{ord(letter):04x}"
            about = (item, phrase, (*words, style), script, style)
            yield Item(*about, array=picture, shippable=free, background=background)


def _wanted(known: set[int], package: str) -> Iterator[tuple[str, str]]:
    latin = [letter for letter in LATIN if ord(letter) in known]
    if len(latin) == len(LATIN) and package != "fonts-noto-core":
        yield from (("Latin", letter) for letter in latin)
    for script, (first, last) in SCRIPTS.items():
        there = (code for code in range(first, last + 1) if code in known)
        letters = [code for code in there if unicodedata.category(chr(code))[0] == "L"]
        if len(letters) >= 10:
            step = max(1, len(letters) // PER_SCRIPT)
            yield from ((script, chr(code)) for code in letters[::step][:PER_SCRIPT])


def _drawn(face: ImageFont.FreeTypeFont, letter: str, background: str) -> np.ndarray | None:
    left, top, right, bottom = face.getbbox(letter)
    if right - left < 3 or bottom - top < 3:
        return None
    paper, ink = (0, 255) if background == "black" else (255, 0)
    side = int(max(SIDE, right - left + 16, bottom - top + 16))
    picture = Image.new("L", (side, side), paper)
    place = ((side - right - left) / 2, (side - bottom - top) / 2)
    ImageDraw.Draw(picture).text(place, letter, fill=ink, font=face)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _style(path: Path) -> str:
    """How a face looks, as far as the names of its file and package tell."""
    place, stem = path.as_posix().lower().replace("sansserif", ""), path.stem.lower()
    weight = "bold " if "bold" in stem else "italic " if "ital" in stem else ""
    return weight + next((style for style, words in STYLES.items() if any(word in place for word in words)), "sans")


def _named(script: str, letter: str) -> tuple[str, tuple[str, ...]]:
    if letter.isdigit() and letter.isascii():
        return f"digit {DIGITS[int(letter)]}", (DIGITS[int(letter)], "number", letter)
    if script == "Latin":
        case = "capital" if letter.isupper() else "small"
        return f"{case} letter {letter}", ("letter", f"letter {letter.upper()}", script)
    kind = "character" if script in ("Chinese", "Japanese", "Korean") else "letter"
    return f"{script} {kind}", (script, unicodedata.name(letter, "").lower())
