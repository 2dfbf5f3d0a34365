"""Cells whose answer is that of several models: an ensemble over what a search drew (FewTrans, Luo et al., 2026).

The models are those of ordinary cells, which an ensemble names by their keys and needs to be finished first. Its own
key is of all of them, so another list of draws is another ensemble.
"""

from __future__ import annotations

from collections.abc import Sequence

from promptgrid.spec.cell import ENSEMBLE, Cell, canonical_json


def ensemble_of(written: Cell, members: Sequence[Cell]) -> Cell:
    """The cell of which ``members`` answer together, each member once.

    Args:
        written: the configuration that the members vary, whose place in a table the ensemble takes.
        members: cells that differ from it in settings only.

    Raises:
        ValueError: there is no member, or one differs in more than settings.
    """
    own = {cell.key: cell for cell in members}
    if not own:
        raise ValueError("an ensemble of nothing")
    for cell in own.values():
        if {**cell.identity, "settings": None} != {**written.identity, "settings": None} or cell.members:
            raise ValueError(f"cell {cell.key[:12]} differs from {written.key[:12]} in more than settings")
    told = [{"key": key, "settings": dict(cell.settings)} for key, cell in own.items()]
    fields = {name: getattr(written, name) for name in Cell.model_fields}
    fields |= {
        "identity": {**written.identity, ENSEMBLE: told},
        "needs": tuple(own),
        "group": canonical_json(["ensemble", written.group, len(own)]),
    }
    return Cell(**fields)
