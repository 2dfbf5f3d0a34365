"""``corrupt:fog-3:NAME``: the test images of dataset ``NAME``, corrupted; ``corrupt:all-3:NAME`` by every kind."""

from __future__ import annotations

from collections.abc import Callable

from PIL.Image import Image

from promptgrid.contract.assets import Descriptions
from promptgrid.contract.clip import Dataset, stream
from promptgrid.spec import Refused, digest, nearest
from promptgrid.tracks.image.data.corruptions import KINDS, SEVERITIES, VERSION, corrupted

PREFIX, ALL = "corrupt:", "all"


class Corrupted(Dataset):
    """Test images alone, each as often as there are kinds: kind by kind, and in each the order of the dataset.

    What is random in an image depends on kind, severity, dataset and index.
    """

    def __init__(self, clean: Dataset, kinds: tuple[str, ...], severity: int, called: str) -> None:
        self.clean, self.kinds, self.severity = clean, kinds, severity
        self.labels = list(clean.labels) * len(kinds)
        self.notes = clean.notes
        each, test = len(clean.labels), clean.splits["test"]
        self.splits = {"test": [place * each + index for place in range(len(kinds)) for index in test]}
        card = clean.card
        own = {
            "name": f"{called} {card.name}",
            "title": f"{card.title or card.name}, {called}",
            "splits": {"test": len(self.splits["test"])},
            "sha256": digest([VERSION, list(kinds), severity, card.sha256]),
            "bundled": False,
        }
        self.card = card.model_copy(update=own)

    @property
    def descriptions(self) -> Descriptions:
        return self.clean.descriptions

    def read(self, index: int) -> Image:
        place, own = divmod(index, len(self.clean.labels))
        kind = self.kinds[place]
        rng = stream("corruption", VERSION, kind, self.severity, self.clean.card.sha256, own)
        return corrupted(self.clean.read(own), kind, self.severity, rng)

    def example_name(self, index: int) -> str:
        place, own = divmod(index, len(self.clean.labels))
        return f"{self.kinds[place]}/{self.clean.example_name(own)}"


def open_corrupted(name: str, read: Callable[[str], Dataset]) -> Dataset | None:
    """The corrupted dataset that ``name`` spells, or None where it spells none; ``read`` opens the clean one.

    Raises:
        Refused: no such kind or severity, or tasks side by side.
    """
    if not name.startswith(PREFIX):
        return None
    called, _, clean = name.removeprefix(PREFIX).partition(":")
    kind, _, severity = called.rpartition("-")
    if not clean or severity not in map(str, SEVERITIES) or kind not in {*KINDS, ALL}:
        raise Refused("a corruption", where="datasets", got=name, hint=nearest(kind, [*KINDS, ALL]),
                      expected=f"{PREFIX}KIND-SEVERITY:NAME, severity 1 to 5, as {PREFIX}fog-3:weather")  # fmt: skip
    found = read(clean)
    if found.tasks:
        raise Refused("tasks side by side are corrupted one by one", where="datasets", got=name)
    return Corrupted(found, tuple(KINDS) if kind == ALL else (kind,), int(severity), called)
