"""Part 3: `promptgrid bench --device cuda` at ViT-B/16 shapes with random weights."""

from __future__ import annotations

import os

from tests.gpu.part import Part

from promptgrid import catalog
from promptgrid.contract.track import Timing

BACKBONE = "ViT-B-16@random"
ASKED = [("coop", 100), ("coop", 10), ("vpt", 10), ("maple", 10), ("clip_lora", 10), ("cocoop", 10),
         ("tip_adapter_f", 100), ("tpt", 100), ("coop", 1000)]  # fmt: skip
PACKS = (4, 16, 64)


def main() -> None:
    part = Part(__doc__ or "")
    track = catalog.track("image")
    backbone, packs, steps = ("bundled", (2,), 2) if part.tiny else (BACKBONE, PACKS, 10)
    only = [tuple(one.split(":")) for one in os.environ.get("FAMILIES", "").split()]
    for family, classes in (("coop", 3), ("tpt", 3)) if part.tiny else ASKED:
        if only and (family, str(classes)) not in only:
            continue
        timing = Timing(
            backbone, (family,), (classes,), packs, part.device, steps=steps, seconds=0.01 if part.tiny else 0.4
        )
        try:
            for row in track.bench(timing):
                part.add(**row)
        except Exception as error:  # noqa: BLE001 - the other families are still to be timed
            part.add(family=family, classes=classes, failed=f"{type(error).__name__}: {error}"[:2000])
    part.finish()


if __name__ == "__main__":
    main()
