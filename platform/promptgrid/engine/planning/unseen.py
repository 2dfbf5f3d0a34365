"""Backbones by their configurations, for plans on a machine that has no weights."""

from __future__ import annotations

from typing import NoReturn

from promptgrid.contract.backbone import BackboneFamily, PromptRoom


class UnseenBackbones(BackboneFamily):
    """What another family loads, by configuration alone: planned with, never loaded."""

    def __init__(self, family: BackboneFamily) -> None:
        self._family = family
        self.name = family.name  # type: ignore[misc]  # a family for each family

    def listing(self) -> list[dict[str, object]]:
        return self._family.listing()

    def knows(self, backbone: str) -> bool:
        return self._family.knows(backbone)

    def facts(self, backbone: str) -> dict[str, object]:
        return self._family.unseen(backbone)

    def prompt_room(self, backbone: str) -> PromptRoom | None:
        return self._family.prompt_room(backbone)

    def load(self, backbone: str, device: str) -> NoReturn:
        raise RuntimeError(f"{backbone}: nothing was looked at, so it cannot be loaded")
