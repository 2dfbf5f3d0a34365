"""Taking secrets out of text before it is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

_NAME = re.compile(r"TOKEN(?!IZ)|PASSWORD|PASSWD|SECRET|CREDENTIAL|(?:^|_)(?:KEY|PASS)(?:$|_)|APIKEY", re.IGNORECASE)
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@'\"]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_ASSIGNED = re.compile(
    r"(?i)\b([a-z0-9_-]*(?:token|password|passwd|secret|api_?key)['\"]?\s*[=:]\s*['\"]?)([^\s'\"&;,]{6,})"
)
_SHORTEST = 6
_HIDDEN = "[hidden]"


class Scrubber:
    """Takes out of texts what looks secret.

    That is: values (6 characters or more) of environment variables whose names speak of tokens, passwords, secrets or
    keys, also as they look inside a URL; what stands before ``@`` in URLs; bearer headers; ``password=...``.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        values = {value for name, value in environ.items() if _NAME.search(name) and len(value) >= _SHORTEST}
        self._values = sorted(values | {quote(value, safe="") for value in values}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """``text`` with ``[hidden]`` where a secret stood."""
        for value in self._values:
            text = text.replace(value, _HIDDEN)
        text = _URL.sub(rf"\g<scheme>{_HIDDEN}@", text)
        text = _BEARER.sub(rf"\1 {_HIDDEN}", text)
        return _ASSIGNED.sub(rf"\1{_HIDDEN}", text)


def scrub(text: str) -> str:
    """``text`` without what looks secret in this process's environment."""
    return Scrubber()(text)
