"""Drawings and arrays to 64-pixel RGB pictures, stored as WebP and named by what they decode to."""

from __future__ import annotations

import hashlib
import io
import re

import numpy as np
import resvg_py
from PIL import Image

SIZE = 64
CANVAS = 160
WHITE = (255, 255, 255)
BLACK = (0, 0, 0)
MAX_SVG_CHARS = 2_000_000
MAX_EXPANSION = 4

_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(\[(?P<subset>.*?)\]\s*)?>", re.DOTALL | re.IGNORECASE)
_ENTITY = re.compile(r"<!ENTITY\s+(?P<name>[\w.:-]+)\s+(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')\s*>", re.DOTALL)
_METADATA = re.compile(r"<(?P<tag>metadata|(?:sodipodi|inkscape):\w+)\b[^>]*?(?:/>|>.*?</(?P=tag)\s*>)", re.DOTALL)
_ROOT = re.compile(r"<(?P<tag>(?:\w+:)?svg)\b(?P<attributes>[^>]*)>", re.DOTALL)
_HEADER = re.compile(r"^\s*<\?xml[^>]*\?>")
_NUMBER = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(px|pt|mm|cm|in|pc)?\s*$")
_POINTS = {None: 1.0, "px": 1.0, "pt": 1.25, "mm": 3.5433, "cm": 35.433, "in": 90.0, "pc": 15.0}


class UnsafeDrawing(ValueError):
    """A drawing that asks for outside files or would grow without bound when read."""


def clean(svg: str) -> str:
    """The drawing without DOCTYPE and metadata, with plain entities written out and a usable width, height and viewBox.

    Raises `UnsafeDrawing` for entities that nest, name outside files or make the text more than four times as long.
    """
    if len(svg) > MAX_SVG_CHARS:
        raise UnsafeDrawing(f"{len(svg)} characters, more than {MAX_SVG_CHARS}")
    declared = _DOCTYPE.search(svg)
    entities = _entities((declared["subset"] or "") if declared else "")
    text = _METADATA.sub("", _DOCTYPE.sub("", _HEADER.sub("", svg)))
    return _framed(_written_out(text, entities))


def _entities(subset: str) -> dict[str, str]:
    if re.search(r"<!ENTITY\s+%|<!ENTITY\s+[\w.:-]+\s+(SYSTEM|PUBLIC)", subset):
        raise UnsafeDrawing("an entity names an outside file")
    found = {m["name"]: m["double"] if m["double"] is not None else m["single"] for m in _ENTITY.finditer(subset)}
    if any("&" in value or "%" in value for value in found.values()):
        raise UnsafeDrawing("an entity is built from other entities")
    return found


def _written_out(text: str, entities: dict[str, str]) -> str:
    growth = sum(text.count(f"&{name};") * len(value) for name, value in entities.items())
    if growth > MAX_EXPANSION * max(len(text), 10_000):
        raise UnsafeDrawing(f"entities would add {growth} characters")
    for name, value in entities.items():
        text = text.replace(f"&{name};", value)
    return text


def _framed(text: str) -> str:
    root = _ROOT.search(text)
    if root is None:
        raise ValueError("no svg element")
    attributes = root["attributes"].rstrip("/")
    width, height = (_length(_attribute(attributes, name)) for name in ("width", "height"))
    box = _numbers(_attribute(attributes, "viewBox"))
    if len(box) != 4 or box[2] <= 0 or box[3] <= 0:
        if not width or not height:
            width, height = width or height or 100.0, height or width or 100.0
        box = [0.0, 0.0, width, height]
    kept = re.sub(r"\s(width|height|viewBox|preserveAspectRatio)\s*=\s*(\"[^\"]*\"|'[^']*')", "", attributes)
    scale = CANVAS / max(box[2], box[3])
    frame = " ".join(f"{number:g}" for number in box)
    size = f'width="{max(1, round(box[2] * scale))}" height="{max(1, round(box[3] * scale))}"'
    closing = "/>" if root["attributes"].endswith("/") else ">"
    opening = f'<{root["tag"]}{kept} viewBox="{frame}" {size}{closing}'
    return text[: root.start()] + opening + text[root.end() :]


def _attribute(attributes: str, name: str) -> str:
    found = re.search(rf"\s{name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", attributes)
    return "" if found is None else (found[1] if found[1] is not None else found[2])


def _length(text: str) -> float:
    found = _NUMBER.match(text)
    return 0.0 if found is None else float(found[1]) * _POINTS[found[2]]


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in re.split(r"[\s,]+", text.strip()) if word]
    except ValueError:
        return []


def draw(svg: str) -> Image.Image:
    """The drawing as an RGBA picture whose longer side is `CANVAS` pixels; `svg` must have been through `clean`."""
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def fit(picture: Image.Image, background: tuple[int, int, int] = WHITE, crop: bool = False) -> Image.Image:
    """The RGBA picture centred on a square of `SIZE` pixels; `crop` first cuts away its transparent border."""
    if crop:
        box = picture.getchannel("A").point(lambda a: 255 if a > 8 else 0).getbbox()
        picture = picture if box is None else picture.crop(box)
    room = SIZE - 4 if crop else SIZE
    scale = room / max(picture.size)
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.LANCZOS
    )
    square = Image.new("RGBA", (SIZE, SIZE), (*background, 255))
    square.alpha_composite(small, ((SIZE - small.width) // 2, (SIZE - small.height) // 2))
    return square.convert("RGB")


def from_array(values: np.ndarray) -> Image.Image:
    """A grey (height, width) uint8 array as a picture of `SIZE` pixels."""
    return Image.fromarray(values).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def is_blank(picture: Image.Image, least_spread: float = 6.0) -> bool:
    """True when the RGB picture is (almost) one colour."""
    return bool(np.asarray(picture, dtype=np.float32).std(axis=(0, 1)).max() < least_spread)


def encode(picture: Image.Image, quality: int | None = None) -> bytes:
    """WebP bytes of an RGB picture: lossless, or, when `quality` is given, whichever of the two is smaller."""
    exact = io.BytesIO()
    picture.save(exact, "WEBP", lossless=True, quality=80, method=4)
    if quality is None:
        return exact.getvalue()
    lossy = io.BytesIO()
    picture.save(lossy, "WEBP", quality=quality, method=5)
    return min(exact.getvalue(), lossy.getvalue(), key=len)


def decode(webp: bytes) -> Image.Image:
    """The RGB picture in WebP bytes."""
    return Image.open(io.BytesIO(webp)).convert("RGB")


def content_hash(webp: bytes) -> str:
    """The sha256 of the RGB values that the WebP bytes decode to: the same picture has the same name in any file."""
    return hashlib.sha256(decode(webp).tobytes()).hexdigest()
