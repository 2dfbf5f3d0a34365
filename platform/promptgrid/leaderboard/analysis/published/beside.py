"""Results of other tools beside ours: which of our rows each stands next to, and as cells where a suite ranks them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from promptgrid.spec import Cell, Provenance, Record, Refused, Suite
from promptgrid.spec.imported import Imported

MARK, FOREIGN = "imported", "imported:"
"""How they are marked, and what the names of their methods begin with: no method of ours does."""


@dataclass(frozen=True)
class Beside:
    """The mean of one imported result over its seeds, and ours at the same place.

    ``dataset`` is ours where one is meant, else empty. ``ours`` are (label, shots, mean) of our rows on that dataset
    under the same protocol, at the same number of shots, or at each of ours where theirs is 0 or not said. ``tool``,
    ``file`` and ``sha256`` are those of the first seed.
    """

    method: str
    named: str
    dataset: str
    protocol: str
    backbone: str
    shots: int | None
    metric: str
    value: float
    seeds: int
    tool: str
    file: str
    sha256: str
    ranked: bool
    ours: tuple[tuple[str, int, float], ...]


def plain(name: str) -> str:
    """A name without case, punctuation and folders: ``coop:/data/oxford_pets`` and ``OxfordPets`` are one."""
    return re.sub(r"[^a-z0-9]", "", re.split(r"[:/]", name.rstrip("/"))[-1].lower())


def meant(named: str, datasets: Sequence[str], known_as: Mapping[str, str]) -> str:
    """The one of ``datasets`` that another tool calls ``named``, by our name or by that of papers; '' for none."""
    found = [name for name in datasets if plain(named) in {plain(name), plain(known_as.get(name, name))}]
    return found[0] if len(found) == 1 else ""


def ranked_grid(
    suite: Suite, imported: Sequence[Imported], datasets: Sequence[str], known_as: Mapping[str, str], headline: str
) -> tuple[list[tuple[str, Cell]], dict[str, Record]]:
    """(label, cell) and records of what may be ranked with ours.

    Raises:
        Refused: two of them would stand at one place of a table.
    """
    grid: dict[tuple[Any, ...], tuple[str, Cell]] = {}
    records = {}
    for one in imported:
        cell = ranked_cell(suite, one, datasets, known_as, headline)
        if cell is None:
            continue
        label = f"{one.method} ({MARK}: {one.tool})"
        place = (label, cell.backbone, cell.dataset, cell.shots, cell.seed)
        if place in grid:
            raise Refused("two imported results would stand at one place", where=label,
                          got=f"{cell.dataset}, {cell.shots} shots, seed {cell.seed}",
                          hint="import them into folders of their own and name one in the suite")  # fmt: skip
        grid[place] = label, cell
        records[cell.key] = Record(cell=cell, metrics=one.metrics, provenance=Provenance(host=MARK))
    return list(grid.values()), records


def ranked_cell(
    suite: Suite, one: Imported, datasets: Sequence[str], known_as: Mapping[str, str], headline: str
) -> Cell | None:
    """A cell for ``one`` where it is of the suite: protocol, shots, seed, dataset, backbone and headline; else None."""
    backbones = {plain_backbone(backbone.id): backbone.id for backbone in suite.backbones}
    dataset, backbone = meant(one.dataset, datasets, known_as), backbones.get(plain_backbone(one.backbone))
    fits = one.protocol == suite.protocol and one.shots in suite.shots and one.seed in suite.seeds
    if not (dataset and backbone and fits and headline in one.metrics):
        return None
    return Cell(
        track=suite.track,
        protocol=suite.protocol,
        method=f"{FOREIGN}{one.method}",
        settings={},
        backbone=backbone,
        dataset=dataset,
        shots=one.shots or 0,
        seed=one.seed or 0,
        selection=suite.selection,
        precision=suite.precision,
        identity={MARK: one.model_dump()},
    )


def plain_backbone(name: str) -> str:
    """A name by its letters and digits, without weights, of which other tools often say nothing."""
    return re.sub(r"[^a-z0-9]", "", name.split("@")[0].lower()).removesuffix("quickgelu")


def beside_ours(
    suite: Suite,
    imported: Sequence[Imported],
    ours: Sequence[tuple[str, Record]],
    known_as: Mapping[str, str],
    headline: str,
) -> list[Beside]:
    """A row for each imported method, dataset, protocol, backbone and number of shots, and each metric of it."""
    datasets = list(dict.fromkeys(record.cell.dataset for _, record in ours))
    groups: dict[tuple[Any, ...], list[Imported]] = {}
    for one in imported:
        place = (one.tool, one.method, one.dataset, one.protocol, one.backbone, one.shots)
        groups.setdefault(place, []).append(one)
    ranks = suite.imported is not None and suite.imported.rank
    found = []
    for (tool, method, named, protocol, backbone, shots), group in groups.items():
        dataset = meant(named, datasets, known_as)
        for metric in sorted(set.intersection(*(set(one.metrics) for one in group))):
            means: dict[tuple[str, int], list[float]] = {}
            for label, record in ours:
                cell = record.cell
                same = cell.dataset == dataset and protocol in ("", cell.protocol) and shots in (None, 0, cell.shots)
                if same and MARK not in cell.identity and metric in record.metrics:
                    means.setdefault((label, cell.shots), []).append(record.metrics[metric])
            found.append(
                Beside(method, named, dataset, protocol, backbone, shots, metric,
                       fmean(one.metrics[metric] for one in group), len(group), tool, group[0].file, group[0].sha256,
                       ranks and any(ranked_cell(suite, one, datasets, known_as, headline) for one in group),
                       tuple((label, number, fmean(values)) for (label, number), values in means.items()))
            )  # fmt: skip
    return found
