"""What the towers are trained to do: agree with each other, with the phrases' meaning, and with the picture teacher."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from promptgrid.tracks.image.pretrain.training.teachers import MINILM_WIDTH

RAW_WIDTH = 128  # directions of Lite0's features that the ViT regresses
SAME = 0.8  # phrases closer than this to the right one (MiniLM cosine) are not wrong answers
LARGEST_SCALE = 4.6052  # log 100


class PhraseSpace(nn.Module):
    """Where phrases lie in the joint space: MiniLM's vector mapped, linearly for the most part. Thrown away later."""

    def __init__(self, embed: int) -> None:
        super().__init__()
        self.linear = nn.Linear(MINILM_WIDTH, embed, bias=False)
        self.inner = nn.Linear(MINILM_WIDTH, 512)
        self.outer = nn.Linear(512, embed, bias=False)
        nn.init.zeros_(self.outer.weight)

    def forward(self, sentences: Tensor) -> Tensor:
        """Unit vectors (n, embed) of MiniLM's (n, 384)."""
        return F.normalize(self.linear(sentences) + self.outer(F.gelu(self.inner(sentences))), dim=-1)


@dataclass(frozen=True)
class PhraseBank:
    """All phrases as the teacher sees them.

    `sentences` (P, 384): the corpus's phrases. `words` (W, 384): further plain words. `prior` (P,): log frequency.
    """

    sentences: Tensor
    words: Tensor
    prior: Tensor

    def candidates(self, right: Tensor, count: int, rng: Generator) -> Tensor:
        """Phrase numbers: those of the batch, each once, and `count` others drawn evenly."""
        others = torch.randint(0, len(self.sentences), (count,), generator=rng, device=rng.device)
        candidates: Tensor = torch.unique(torch.cat([right, others]))
        return candidates


def choice_loss(logits: Tensor, right: Tensor, candidates: Tensor, own: Tensor, bank: PhraseBank) -> Tensor:
    """Cross-entropy of picking the right phrase among the candidates.

    Args:
        logits: (n, candidates).
        right: (n,) phrase numbers, all among the candidates.
        candidates: (c,) sorted phrase numbers.
        own: (n, k) further phrases that are true of the row, -1 for none.
        bank: for the meaning of phrases; near synonyms and true phrases are no wrong answers.
    """
    place = torch.searchsorted(candidates, right)
    alike = bank.sentences[right].bfloat16() @ bank.sentences[candidates].bfloat16().T > SAME
    at = torch.searchsorted(candidates, own.clamp_min(0)).clamp_max(len(candidates) - 1)
    also = (candidates[at] == own) & (own >= 0)
    spare = len(candidates)  # a column behind the last, for phrases that are no candidates
    true = alike.new_zeros(len(right), spare + 1).scatter_(1, at.masked_fill(~also, spare), True)
    alike |= true[:, :spare]
    alike[torch.arange(len(right), device=right.device), place] = False
    adjusted = logits + 0.5 * bank.prior[candidates]
    return F.cross_entropy(adjusted.masked_fill(alike, -1e4), place)


def pair_loss(images: Tensor, texts: Tensor, right: Tensor, scale: Tensor, bank: PhraseBank) -> Tensor:
    """CLIP's symmetric loss on unit vectors (n, embed); pairs with the same or nearly the same phrase are left out."""
    logits = scale * images @ texts.T
    alike = (bank.sentences[right] @ bank.sentences[right].T > SAME) | (right[:, None] == right[None])
    alike.fill_diagonal_(False)
    logits = logits.masked_fill(alike, -1e4)
    target = torch.arange(len(right), device=right.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def teacher_loss(told: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of what the tower tells of each view (n, t)."""
    return (told - targets).square().mean()


@dataclass(frozen=True)
class FeatureTargets:
    """Lite0's features as regression targets: the strongest directions, evened out half-way.

    `mean` (1280,), `axes` (1280, 128) already divided by the root of each direction's spread.
    """

    mean: Tensor
    axes: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Targets (n, 128) of features (n, 1280); their mean square is 1 on average."""
        return (features.float() - self.mean) @ self.axes


def feature_targets(sample: Tensor, mean: Tensor, axes: Tensor) -> FeatureTargets:
    """Targets fitted on a sample of features (n, 1280) with their principal axes (1280, width)."""
    spread = ((sample - mean) @ axes).std(0)
    evened = axes / spread.sqrt()
    size = ((sample - mean) @ evened).square().mean().sqrt()
    return FeatureTargets(mean, evened / size)


@dataclass(frozen=True)
class GuidedTargets:
    """The other backbone's unit features as targets: centred by `mean` (embed,) and divided by their `size`."""

    mean: Tensor
    size: Tensor

    def __call__(self, embedded: Tensor) -> Tensor:
        """Targets (n, embed) of unit features (n, embed); their mean square is 1 on average."""
        return (embedded - self.mean) / self.size


def guided_targets(sample: Tensor) -> GuidedTargets:
    """Targets fitted on a sample of unit features (n, embed)."""
    mean = sample.mean(0)
    return GuidedTargets(mean, (sample - mean).square().mean().sqrt())
