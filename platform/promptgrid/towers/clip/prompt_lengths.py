"""Class prompts that a text tower would cut off are refused when the grid is planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from promptgrid.contract.backbone import PromptRoom
from promptgrid.contract.clip import Dataset
from promptgrid.contract.clip.task import spoken
from promptgrid.spec import Refused, Request
from promptgrid.spec.cell import Setting


class PromptLengths:
    """Counts the tokens of class prompts, each dataset once a backbone.

    Args:
        read: opens a dataset.
        room: how long the texts are that a backbone reads.
    """

    def __init__(self, read: Callable[[str], Dataset], room: Callable[[str], PromptRoom | None]) -> None:
        self._read = read
        self._room = lru_cache(maxsize=64)(room)
        self._longest = lru_cache(maxsize=256)(self._longest_name)
        self._admit_template = lru_cache(maxsize=1024)(self._check_template)

    def look_again(self) -> None:
        """Forget what was counted: datasets, templates and backbones may have changed."""
        for looked_up in (self._room, self._longest, self._admit_template):
            looked_up.cache_clear()

    def admit(self, request: Request, settings: Mapping[str, Setting]) -> None:
        """Refuse a class whose prompt is longer than the text tower reads, or a learned context that leaves no room.

        Raises:
            Refused: it names the class, its tokens and the tower's.
        """
        self._admit_template(request.backbone, request.dataset)
        room, length = self._room(request.backbone), settings.get("context_length")
        if room is None or not isinstance(length, int):
            return
        name, tokens = self._longest(request.backbone, request.dataset)
        if length + tokens > room.most:
            raise Refused(
                f"a context of {length:,} tokens and {tokens} of {name[:60]!r} are more than {request.backbone} reads",
                where=f"methods.{request.method}",
                expected=f"context_length of at most {max(0, room.most - tokens)} ({room.most} tokens in all)",
            )

    def _check_template(self, backbone: str, dataset: str) -> None:
        room = self._room(backbone)
        if room is None:
            return
        opened = self._read(dataset)
        templates = opened.templates or (opened.card.template,) * len(opened.card.classes)
        names = opened.card.classes
        for name, said, template in zip(names, spoken(names), templates, strict=True):
            tokens = room.count(template.format(said))
            if tokens > room.most:
                raise Refused(
                    f"class {name[:60]!r} makes a prompt of {tokens} tokens; {backbone} reads {room.most}, and would "
                    "cut it off",
                    where=dataset,
                    hint="shorten its name (`classes:` of dataset.yaml, or the split file) or the `template`",
                )

    def _longest_name(self, backbone: str, dataset: str) -> tuple[str, int]:
        """The class that takes the most tokens behind a learned context, with them: ``name.``, beginning and end."""
        room = self._room(backbone)
        names = self._read(dataset).card.classes
        counted = {name: room.count(f"{said}.") if room else 0 for name, said in zip(names, spoken(names), strict=True)}
        name = max(counted, key=lambda name: counted[name])
        return name, counted[name]
