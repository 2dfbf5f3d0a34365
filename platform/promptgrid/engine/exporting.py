"""What every wing's cells can become: their arrays as safetensors, with a header that says what they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from safetensors.numpy import save

from promptgrid.contract.track import Exporter, Kept
from promptgrid.spec import Refused, canonical_json


def each(one: Callable[[Kept], dict[str, bytes]]) -> Exporter:
    """An exporter of single cells: one alone lies in the folder itself, several in folders named by their keys."""

    def all_of(cells: Sequence[Kept]) -> dict[str, bytes]:
        found = [(kept.record.cell.key[:12], one(kept)) for kept in cells]
        if len(found) == 1:
            return found[0][1]
        return {f"{key}/{name}": content for key, files in found for name, content in files.items()}

    return all_of


def header(kept: Kept) -> dict[str, str]:
    """What a reader of the arrays has to know, as strings: the metadata of safetensors."""
    cell = kept.record.cell
    return {
        "format": "pt",
        "promptgrid.key": cell.key,
        "promptgrid.track": cell.track,
        "promptgrid.method": cell.method,
        "promptgrid.settings": canonical_json(cell.settings),
        "promptgrid.backbone": cell.backbone,
        "promptgrid.backbone_digest": str(cell.identity.get("backbone", "")),
        "promptgrid.model": json.dumps(kept.about.get("model", {}), sort_keys=True),
        "promptgrid.dataset": cell.dataset,
        "promptgrid.classes": json.dumps(list(kept.about.get("classes", ()))),
        "promptgrid.shots": str(cell.shots),
        "promptgrid.seed": str(cell.seed),
    }


def arrays_of(kept: Kept) -> dict[str, np.ndarray]:
    """The learned arrays. Raises Refused where nothing was learned."""
    if not kept.state:
        cell = kept.record.cell
        raise Refused("this cell keeps no learned arrays", where=cell.key[:12], got=cell.method,
                      expected="a cell of a method that learns some")  # fmt: skip
    return {name: np.ascontiguousarray(kept.state[name]) for name in sorted(kept.state)}


def tensors_bytes(arrays: Mapping[str, np.ndarray], told: Mapping[str, str]) -> bytes:
    """``arrays`` as safetensors with ``told`` beside them; the same give the same bytes, which ``save`` does not."""
    raw = bytes(save(dict(arrays), dict(told)))
    size = int.from_bytes(raw[:8], "little")
    head = json.dumps(json.loads(raw[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + raw[8 + size :]


def as_safetensors(kept: Kept) -> dict[str, bytes]:
    """``state.safetensors``: the arrays under the names that the method gives them."""
    return {"state.safetensors": tensors_bytes(arrays_of(kept), header(kept))}


EXPORTS: dict[str, Exporter] = {"safetensors": each(as_safetensors)}
