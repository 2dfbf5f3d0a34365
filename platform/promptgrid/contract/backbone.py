"""A way to find frozen models, whatever they read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class PromptRoom:
    """What a text tower reads: ``count`` gives the tokens of a text with beginning and end, ``most`` is its limit."""

    count: Callable[[str], int]
    most: int


class BackboneFamily(ABC):
    """A way to find backbones: says which ids it knows, what they are, and loads one."""

    name: ClassVar[str]

    @abstractmethod
    def listing(self) -> list[dict[str, object]]:
        """What can be named without further settings: dicts with at least ``name`` and ``about``.

        ``trained_on`` names the datasets of the wing whose examples, without labels, were part of its pretraining.
        """

    @abstractmethod
    def knows(self, backbone: str) -> bool:
        """Whether this family loads ``backbone`` (an id such as ``bundled`` or ``ViT-B-16@openai``)."""

    @abstractmethod
    def facts(self, backbone: str) -> dict[str, object]:
        """What names a model, without loading it.

        Returns:
            ``digest``, 64 hex digits that name the whole model: equal ones mean equal features of everything,
            so architecture, tokenizer, preprocessing and weights are all in it; ``offers`` (list), what methods may
            ask for. Optional: ``model``, plain values that ``digest`` is of, to say what differs; ``sizes`` of the
            towers; what a wing's own backbones need (of images ``preprocessing`` and ``image_size``).

        Raises:
            Refused: an unknown model or tag, a missing checkpoint, a digest that differs.
        """

    def unseen(self, backbone: str) -> dict[str, object]:
        """The :meth:`facts` of ``backbone`` by its configuration, whether or not its weights lie here.

        ``digest`` names the weights as they were asked for: it is no digest of a run.

        Raises:
            Refused: no configuration is known without a look at files.
        """
        return self.facts(backbone)

    def prompt_room(self, backbone: str) -> PromptRoom | None:
        """How long the texts are that ``backbone`` reads; None where that is not known before it is loaded."""
        return None

    @abstractmethod
    def load(self, backbone: str, device: str) -> Any:
        """The backbone, frozen, in evaluation mode, on ``device``."""
