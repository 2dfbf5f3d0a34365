"""Result files of other tools, read as records that are marked imported. One file a format.

A format reads a path whole or refuses it: nothing is imported by halves.
"""

from __future__ import annotations

from promptgrid.contract.track import Importer
from promptgrid.engine.imports import clip_benchmark, dassl, domainbed, elevater

IMPORTS: dict[str, Importer] = {
    "dassl-logs": dassl.read,
    "elevater-json": elevater.read,
    "clip-benchmark-json": clip_benchmark.read,
    "domainbed-jsonl": domainbed.read,
}
