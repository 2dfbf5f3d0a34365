"""Class prompts as the text tower reads them, with room for what is learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PromptTokens:
    """Class prompts with room for context: frozen embeddings, where context goes, where each prompt ends.

    Equal only to itself, so that a backbone may keep what it worked out about them.

    Attributes:
        embeddings: (C, L, text width) of the placeholder prompts.
        slots: (C, L) int64: which context token stands here, or -1 for a frozen one.
        ends: (C,) index of EOT.
    """

    embeddings: Tensor
    slots: Tensor
    ends: Tensor

    def fill(self, context: Tensor) -> Tensor:
        """Prompts with ``context`` in place.

        Args:
            context: (n, text width) shared by the classes, or (C, n, text width) of each class its own.

        Returns:
            (C, L, text width) embeddings for :meth:`Backbone.encode_text`. Methods rather hand the context to
            :meth:`Backbone.encode_context`, which need not repeat it for every class.
        """
        index = self.slots.clamp(min=0)
        if context.dim() == 2:
            placed = context[index]
        else:
            placed = torch.gather(context, 1, index.unsqueeze(-1).expand(*index.shape, context.shape[-1]))
        return torch.where((self.slots >= 0).unsqueeze(-1), placed, self.embeddings)
