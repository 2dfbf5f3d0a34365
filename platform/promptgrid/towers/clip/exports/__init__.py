"""What cells of this wing can become for other tools. One file a format.

A cell becomes what its kept state honestly is; all others are refused, with what is possible.
"""

from __future__ import annotations

from promptgrid.contract.track import Exporter
from promptgrid.engine.exporting import EXPORTS as ANY
from promptgrid.engine.exporting import each
from promptgrid.towers.clip.exports import coop, elevater, peft

EXPORTS: dict[str, Exporter] = {
    **ANY,
    "peft": each(peft.as_peft),
    "coop": each(coop.as_coop),
    "elevater": elevater.as_elevater,
}
