"""Names and messages made safe for each place they are written to. They may come from strangers."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from functools import lru_cache
from typing import Any

NAME_LIMIT = 60
FULL_LIMIT = 6_000

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset("\u200b\u2060\ufeff\u2028\u2029\u0085")
# Every repetition is bounded or starts at a fixed word: a hostile log must not make these quadratic.
_URL_LOGIN = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://)[^\s/@]{1,500}@", re.IGNORECASE)
_SECRET = re.compile(
    r"(token|password|passwd|secret|api[_-]?key)([\"']?\s{0,4}[=:]\s{0,4}[\"']?)[^\s\"']{6,}", re.IGNORECASE
)
_BEARER = re.compile(r"\b(bearer|basic)\s{1,4}[\w.+/=~-]{8,}", re.IGNORECASE)
_KNOWN = re.compile(r"\b(?:hf_|ghp_|gho_|github_pat_|sk-|glpat-|xox[abp]-|AKIA)[\w-]{12,}")
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}


@lru_cache(maxsize=4096)
def visible(text: str, *, lines: bool = False) -> str:
    """``text`` with control, bidi and invisible characters spelled out as ``⟨U+202E⟩``; ``lines`` keeps \\n and \\t."""
    kept = "\n\t" if lines else ""
    return "".join(_spelled(char) if char not in kept and _hidden(char) else char for char in text)


def _hidden(char: str) -> bool:
    return char in _BIDI or char in _INVISIBLE or unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn"}


def _spelled(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩"


def shorten(text: str, limit: int = NAME_LIMIT) -> str:
    """``visible`` text in at most ``limit`` characters: the beginning, an ellipsis, the last few."""
    text = visible(text)
    if len(text) <= limit:
        return text
    tail = min(12, limit // 4)
    return f"{text[: limit - tail - 1]}…{text[-tail:]}"


def redact(text: str) -> str:
    """``text`` without passwords, tokens and logins in addresses: the names stay, the values become ``***``."""
    text = _URL_LOGIN.sub(r"\1***@", text)
    text = _BEARER.sub(r"\1 ***", text)
    text = _SECRET.sub(r"\1\2***", text)
    return _KNOWN.sub("***", text)


def csv_safe(value: Any) -> Any:
    """A text cell that a spreadsheet will not run as a formula; other values unchanged.

    Source: OWASP, "CSV Injection": cells starting with = + - @, tab or carriage return are quoted with an apostrophe.
    """
    if isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@")):
        return "'" + value
    if isinstance(value, str) and value.startswith(("\t", "\r", "\n")):
        return "'" + value
    return value


def latex(text: str) -> str:
    """``visible`` text with every character that LaTeX reads as a command escaped."""
    return "".join(_LATEX.get(char, char) for char in visible(text))


def strict_json(value: Any) -> Any:
    """``value`` with NaN and infinities as None, tuples as lists: what strict JSON can carry."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): strict_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict_json(item) for item in value]
    return value


def json_island(value: Any) -> str:
    """JSON that may stand inside a ``<script>`` element: no character in it can end the element or a line."""
    text = json.dumps(strict_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def slug(text: str) -> str:
    """``text`` as part of a file name: letters, digits, dot and dash only, at most 40 characters."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:40] or "x"
