"""Benchmarks of several domains, told by where a domain lies, and what a paper set for each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from promptgrid.contract.clip import Classifier, Number
from promptgrid.tracks.image.methods.parts.published import published

_BY_WORD = {"office31": "Office31", "pacs": "PACS", "vlcs": "VLCS", "visda17": "VisDA17", "visda2017": "VisDA17"}


def benchmark(dataset: str) -> str:
    """The benchmark that ``dataset`` is of, or '' where it is of another one.

    It is named by the folder of a domain or by the one above (``imagefolder:/data/PACS/sketch``), and merged domains
    (``a|b``) are all of the same one.
    """
    found = {_of(domain) for domain in dataset.split("|")}
    return found.pop() if len(found) == 1 else ""


def set_for(method: Classifier, setting: str, table: Mapping[str, float], dataset: str) -> Number:
    """As :func:`published`, of a table by benchmarks."""
    own = table.get(benchmark(dataset))
    return published(method, setting, {} if own is None else {"": own}, "")


def _of(domain: str) -> str:
    places = re.split(r"[/\\:]", domain.lower())[-2:]
    words = [word for place in places for word in (re.sub(r"[^a-z0-9]", "", place), *re.split(r"[^a-z0-9]+", place))]
    return next((_BY_WORD[word] for word in words if word in _BY_WORD), "")
