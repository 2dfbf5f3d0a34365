"""A small copy of each layout, at its true names, is planned and run: from lists, folders and archives to records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.contracts.small_world import SmallBackbones, track
from tests.tracks.image.datasets import coop_copies as copies
from tests.tracks.image.datasets import test_domains, test_shards, test_vpt_fgvc, test_vtab
from tests.tracks.image.datasets.conftest import Write
from tests.tracks.image.small_study import cells_of, run_study

from promptgrid.engine.datasets.published.coop_layouts import COOP
from promptgrid.engine.datasets.published.vpt_fgvc import FGVC
from promptgrid.engine.datasets.published.vtab import VTAB
from promptgrid.spec import Cell
from promptgrid.tracks.image.datasets import layouts
from promptgrid.tracks.image.track import ImageTrack

Make = Callable[[Path, Write], list[str]]
FAMILIES = (layouts.Coop, layouts.Vtab1k, layouts.FineGrained, layouts.DomainFolders, layouts.Webdataset)


def coop(root: Path, write: Write) -> list[str]:
    """The nine with a split file, and FGVCAircraft."""
    nine = [copies.split_file(root, name, write) for name, known in COOP.items() if known.lists == "json"]
    return [f"coop:{home}" for home in (*nine, copies.aircraft(root, write))]


def vtab(root: Path, write: Write) -> list[str]:
    return [f"vtab:{test_vtab.small(root, name, write)}" for name in VTAB]


def fgvc(root: Path, write: Write) -> list[str]:
    return [f"vpt-fgvc:{test_vpt_fgvc.small(root, name, write)}" for name in FGVC]


def domains(root: Path, write: Write) -> list[str]:
    home = test_domains.tree(root / "PACS", write)
    return [f"domains:{home}", f"domains:{home}/sketch"]


def shards(root: Path, write: Write) -> list[str]:
    home = root / "wds_birds"
    for split, count in (("train", 2), ("test", 1)):
        for shard in range(count):
            samples = [(f"s{shard}{i}", 10 * shard + i + 50 * (split == "test"), str(i)) for i in range(2)]
            test_shards.pack(home / split / f"{shard}.tar", samples)
    (home / "classnames.txt").write_text("red wren\nblack crow\n")
    return [f"wds:{home}"]


@pytest.mark.parametrize("make", [coop, vtab, fgvc, domains, shards])
def test_each_dataset_is_planned_and_run(make: Make, tmp_path: Path, write: Write) -> None:
    found = track().resolver
    families = [family() for family in FAMILIES]
    wing = ImageTrack(found.methods, families, [SmallBackbones()], found.protocols, found.columns)
    addresses = make(tmp_path, write)
    cells = cells_of(wing, protocol="few_shot", methods=["zero_shot", "clip_adapter"], datasets=addresses, shots=[1])
    short: list[Cell] = [cell for cell in cells if cell.method == "zero_shot" or cell.dataset == addresses[0]]
    outcomes = run_study(wing, short)
    assert {outcome.record.cell.dataset for outcome in outcomes.values()} == set(addresses)
    assert {outcome.record.status for outcome in outcomes.values()} == {"done"}
