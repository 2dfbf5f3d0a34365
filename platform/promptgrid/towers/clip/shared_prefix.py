"""Text features of classes that share their beginning: the beginning runs once, each class adds its own few tokens.

Under causal attention the states of `SOS context` do not depend on the class behind them. Exact trims on top: what the
first block projects frozen tokens to is constant; in the last block EOT alone asks, and EOT alone goes on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from promptgrid.contract.clip import PromptTokens, TokenPlan
from promptgrid.engine.training.halves import frozen, rounded
from promptgrid.towers.attention import gathered
from promptgrid.towers.blocks import Block
from promptgrid.towers.clip.class_rows import ClassRows
from promptgrid.towers.clip.towers import TextTower

AT_ONCE = 8192
"""Tokens that run together on one CPU thread: larger products gain nothing, and what they pass through takes memory."""
MASKS = 8


class SharedPrefix:
    """A text tower on one set of prompts, over many contexts at once.

    Inside a block all tokens are rows of one matrix: the p of every prefix, then the R x m of every set of class rows.

    Args:
        tower: causal and pooled at EOT, as :meth:`TextTower.of` checks.
        prompts: of C classes.
        shared: whether the classes share one context.
    """

    def __init__(self, tower: TextTower, prompts: PromptTokens, shared: bool) -> None:
        self.tower = tower
        self.rows = rows = ClassRows.of(prompts, shared, tower.width)
        # Kept for steps in any precision: what is worked out under autocast would be rounded for all that follow.
        with torch.no_grad(), torch.autocast(prompts.embeddings.device.type, enabled=False):
            positions = tower.positions(prompts.embeddings.shape[1])
            frozen = prompts.embeddings + positions
            own = prompts.slots
            if not shared:
                each = torch.arange(len(own), device=own.device).unsqueeze(1) * (int(own.max()) + 1)
                own = torch.where(own < 0, -1, own + each)
            before, behind = slice(0, rows.prefix), (rows.classes.flatten(), rows.columns.flatten())
            self.before = _Tokens(frozen[0, before], own[0, before], positions[before])
            self.behind = _Tokens(frozen[behind], own[behind], positions[behind[1]])
            block = tower.blocks[0]
            self.constant = None if self.behind.learned else block.project(block.norm1(self.behind.frozen), "qkv")
        self._masks: dict[tuple[int, int], Tensor] = {}

    def fits(self, plan: TokenPlan | None) -> bool:
        """Whether deep prompts overwrite nothing but the prefix."""
        return plan is None or plan.count < self.rows.prefix

    def __call__(self, contexts: Tensor, *deep: Tensor) -> Tensor:
        """Features (K, C, joint width) of K contexts.

        Args:
            contexts: (K, n, width), or (K, C, n, width) where each class has its own.
            deep: what overwrites slots 1.. before block 0, 1, ..., each (K, n, width); the first is in the contexts.
        """
        rows, size = self.rows.shape
        together = contexts.shape[0]
        if contexts.device.type == "cpu":
            together = max(1, AT_ONCE * torch.get_num_threads() // (self.rows.prefix + rows * size))
        parts = [
            self._encode(*some) for some in zip(*(torch.split(x, together) for x in (contexts, *deep)), strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _encode(self, contexts: Tensor, *deep: Tensor) -> Tensor:
        cells, learned = contexts.shape[0], contexts.flatten(1, -2)
        x = torch.cat([self.before.filled(learned).flatten(0, 1), self.behind.filled(learned).flatten(0, 1)])
        *blocks, last = self.tower.blocks
        for layer, block in enumerate(blocks):
            x = self._block(block, x, cells, self.constant if layer == 0 else None)
            x = self._overwritten(x, cells, deep[layer + 1]) if layer + 1 < len(deep) else x
        x = self._last(last, x, cells)
        return self.tower.pooled(x[:, self.rows.order])

    def _overwritten(self, x: Tensor, cells: int, tokens: Tensor) -> Tensor:
        """``x`` with ``tokens`` (K, n, width) in place of positions 1 .. n of every prefix."""
        before, behind = torch.split(x, self._parts(cells))
        before = before.view(cells, -1, x.shape[-1])
        before = torch.cat([before[:, :1], tokens, before[:, 1 + tokens.shape[1] :]], dim=1)
        return torch.cat([before.flatten(0, 1), behind])

    def _block(self, block: Block, x: Tensor, cells: int, constant: Tensor | None) -> Tensor:
        """One block; ``constant`` (R m, 3 width) is what it projects the class rows to, where that is known."""
        parts = self._parts(cells)
        if constant is None:
            before, behind = torch.split(block.project(rounded(block.norm1(x)), "qkv"), parts)
            behind = behind.view(cells, *self.rows.shape, -1)
        else:
            before = block.project(block.norm1(x[: parts[0]]), "qkv")
            behind = frozen(constant).view(1, *self.rows.shape, -1).expand(cells, -1, -1, -1)
        query, key, value = before.view(cells, -1, 3 * x.shape[-1]).chunk(3, dim=-1)
        first = block.heads_first
        prefix = gathered(first(query), first(key), first(value), causal=True)
        own = behind.chunk(3, dim=-1)
        rows = self._attention(block, own[0], (key, own[1]), (value, own[2]))
        return block.after(x, torch.cat([_tokens(prefix), rows]))

    def _last(self, block: Block, x: Tensor, cells: int) -> Tensor:
        """The last block for EOT alone: (K, R c, width)."""
        normed = rounded(block.norm1(x))
        before, behind = torch.split(block.project(normed, "kv"), self._parts(cells))
        prefix = before.view(cells, -1, 2 * x.shape[-1]).chunk(2, dim=-1)
        own = behind.view(cells, *self.rows.shape, -1).chunk(2, dim=-1)
        query = block.project(self._asking(normed, cells), "q")
        mixed = self._attention(block, query, (prefix[0], own[0]), (prefix[1], own[1]))
        asking = self._asking(x, cells)
        return block.after(asking.flatten(0, 2), mixed).view(cells, -1, x.shape[-1])

    def _asking(self, x: Tensor, cells: int) -> Tensor:
        """(K, R, c, width): the EOT rows among all tokens ``x``."""
        behind = torch.split(x, self._parts(cells))[1]
        return behind.view(cells, *self.rows.shape, -1)[:, :, : self.rows.asking]

    def _attention(
        self, block: Block, query: Tensor, keys: tuple[Tensor, Tensor], values: tuple[Tensor, Tensor]
    ) -> Tensor:
        """(K R a, width): what (K, R, a, width) queries gather.

        Args:
            block: says how many heads.
            query: of the first a tokens of every row.
            keys: of the prefix (K, p, width) and of the rows (K, R, m, width).
            values: likewise.
        """

        def seen(prefix: Tensor, own: Tensor) -> Tensor:
            many = prefix.unsqueeze(1).expand(-1, own.shape[1], -1, -1)
            return block.heads_first(torch.cat([many, own], dim=2).flatten(0, 1))

        asked = block.heads_first(query.flatten(0, 1))
        mask = self._mask(query.shape[0], query.shape[2])
        return _tokens(gathered(asked, seen(*keys), seen(*values), mask))

    def _mask(self, cells: int, asking: int) -> Tensor:
        """(K R, 1, a, p + m), kept for the next step."""
        if (cells, asking) not in self._masks:
            if len(self._masks) >= MASKS:
                self._masks.clear()
            self._masks[cells, asking] = self.rows.mask[:, :asking].unsqueeze(1).repeat(cells, 1, 1, 1)
        return self._masks[cells, asking]

    def _parts(self, cells: int) -> list[int]:
        """Rows of the matrix that are prefixes, and those behind them."""
        rows, size = self.rows.shape
        return [cells * self.rows.prefix, cells * rows * size]


class _Tokens:
    """T places of a prompt: frozen embeddings with positions (T, width), and which learned token stands where."""

    def __init__(self, frozen: Tensor, slots: Tensor, positions: Tensor) -> None:
        self.frozen = frozen
        self.positions = positions
        self.taken = (slots >= 0).unsqueeze(-1)
        self.index = slots.clamp(min=0)
        self.learned = bool(self.taken.any())

    def filled(self, learned: Tensor) -> Tensor:
        """(K, T, width) with ``learned`` (K, S, width) in place."""
        if not self.learned:
            return self.frozen.expand(learned.shape[0], *self.frozen.shape)
        return torch.where(self.taken, learned[:, self.index] + self.positions, self.frozen)


def _tokens(mixed: Tensor) -> Tensor:
    """(N, heads, L, d) to (N L, width)."""
    return mixed.transpose(1, 2).flatten(0, 1).flatten(1)
