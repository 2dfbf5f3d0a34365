"""What a cell learned, ready to be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptgrid.api.stores import open_store, whole_key
from promptgrid.spec import Record, Refused

if TYPE_CHECKING:
    from promptgrid.store import Store


def load_method(
    record: Record | str, store: Store | str | Path | None = None, device: str = "cpu", *, any_dataset: bool = False
) -> Any:
    """What a cell learned, ready to be used: see the track's ``restore`` (``classify``, ``logits``, ``rebind``).

    Its class names were kept with it, so no dataset is needed. Where the dataset is there and has other classes by now,
    that is said, because answers in the names of then would be taken for those of now.

    Args:
        record: a record, a cell key, or the beginning of one.
        store: where the record's state is.
        device: a torch device.
        any_dataset: go on with the classes that were learned, whatever the dataset has become.

    Raises:
        Refused: no finished cell has that key, or more than one begins so; what it learned was not kept; the dataset's
            classes or the backbone (architecture, tokenizer, preprocessing, weights) are not those of the record,
            naming what differs.
    """
    from promptgrid import catalog
    from promptgrid.spec.devices import refuse_no_gpu

    if device.startswith("cuda"):
        refuse_no_gpu("load_method")
    found = open_store(store)
    key = record.cell.key if isinstance(record, Record) else whole_key(record, found)
    whole, about = found.read(key), found.about(key)
    if not about:
        raise Refused("this cell was kept by an earlier version, whose states do not say their classes",
                      where="load_method", got=key[:12], hint="run the cell again")  # fmt: skip
    if whole.cell.members:
        raise Refused(f"this cell is an ensemble of {len(whole.cell.members)} models", where="load_method",
                      got=key[:12], hint=f"load one of them: {', '.join(need[:12] for need in whole.cell.needs[:4])}"
                      f"{', ...' if len(whole.cell.needs) > 4 else ''}")  # fmt: skip
    learned_by = whole.cell.needs[0] if whole.cell.reading == "evaluate" else key
    if (size := found.left_out(learned_by)) is not None:
        raise Refused(f"what this cell learned ({size:g} MB) was not kept: its suite bounds states",
                      where="load_method", got=key[:12],
                      hint="write `states: all` into the suite and run it again")  # fmt: skip
    track = catalog.track(whole.cell.track)
    if not any_dataset and (other := track.differs(whole, about)):
        raise Refused(f"the dataset is not what this was learned on: {'; '.join(other[:6])}", where=whole.cell.dataset,
                      hint="run the cell again, or load_method(..., any_dataset=True)")  # fmt: skip
    return track.restore(whole, found.state(learned_by), about, device)
