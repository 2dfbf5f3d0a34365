"""What a run reads at every step, on its own device: fresh views of pictures and what the teachers say of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.tracks.image.pretrain.pictures.captions import Captions
from promptgrid.tracks.image.pretrain.training.objectives import RAW_WIDTH, PhraseBank, feature_targets, guided_targets
from promptgrid.tracks.image.pretrain.training.packing import Packed
from promptgrid.tracks.image.pretrain.training.teachers import Lite0, principal_axes
from promptgrid.tracks.image.pretrain.training.towers import project_conv
from promptgrid.tracks.image.pretrain.training.views import TEACHER_SIZE, VIEW_SIZE, resample, view

SAMPLE, CHUNK, SEED = 8192, 1024, 1  # views that the targets are fitted on


@dataclass(frozen=True)
class Batch:
    """Views and what is true of them.

    `images` (n, 3, 48, 48) in [-1, 1], Lite0's `features` (t, 1280) of the first t of the same views, phrase numbers
    `phrases` (n,) and `own` (n, 8).
    """

    images: Tensor
    features: Tensor
    phrases: Tensor
    own: Tensor


class Material:
    """A packed corpus on a device, to draw from; `captions` puts its phrases into tokens."""

    def __init__(self, packed: Packed, device: str) -> None:
        corpus = packed.corpus
        self.packed, self.device, self.captions = packed, device, captions_of(packed, device)
        self.pictures, self.upright = corpus.pictures.to(device), corpus.upright.to(device)
        self.turns, self.own, self.odds = (tensor.to(device) for tensor in (corpus.turns, corpus.own, corpus.odds))
        prior = corpus.frequency.clamp_min(1e-8).log()
        self.bank = PhraseBank(*(tensor.to(device) for tensor in (packed.sentences, packed.words, prior)))
        self.word_ids = packed.word_ids.to(device)
        self.lite0 = Lite0(packed.trunk, device)

    def draw(self, size: int, taught: int, rng: Generator) -> Batch:
        """Pictures by their turns, a fresh view of each, a phrase by its odds; `taught` of them are shown to Lite0."""
        rows = torch.multinomial(self.turns, size, replacement=True, generator=rng)
        which = torch.multinomial(self.odds[rows], 1, generator=rng)
        views = view(self.pictures[rows], rng, self.upright[rows])
        own = self.own[rows]
        small = resample(views, VIEW_SIZE) * 2 - 1
        features = self.lite0(resample(views[:taught], TEACHER_SIZE))
        return Batch(small, features, own.gather(1, which).squeeze(1), own)

    def draw_words(self, size: int, rng: Generator) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Captions of plain words that need no picture, as tokens and ends, and what MiniLM says of the words."""
        rows = torch.randint(0, len(self.word_ids), (size,), generator=rng, device=rng.device)
        tokens = F.pad(self.word_ids[rows, None], (1, 0), value=self.captions.start)
        tokens = F.pad(tokens, (0, 1), value=self.captions.end)
        return (tokens, torch.full_like(rows, 2)), self.bank.words[rows]


Targets = Callable[[Tensor], Tensor]


def targets_of(material: Material, guide: Any | None) -> Targets:
    """Features (n, 1280) to what the ViT is to tell of a view (n, t): Lite0's strongest directions and `guide`'s view.

    Args:
        material: fitted on a sample of its views.
        guide: a finished `bundled-conv` model, if there is one.
    """
    rng = Generator(material.device).manual_seed(SEED)
    size = min(SAMPLE, 4 * len(material.pictures))
    chunk = min(CHUNK, size)
    sample = torch.cat([material.draw(chunk, chunk, rng).features for _ in range(size // chunk)])
    mean, axes = (tensor.to(material.device) for tensor in principal_axes(sample.cpu(), RAW_WIDTH))
    raw = feature_targets(sample, mean, axes)
    if guide is None:
        return raw
    visual = guide.visual.to(material.device)

    @torch.no_grad()
    def embedded(features: Tensor) -> Tensor:
        return F.normalize(project_conv(visual, features), dim=-1)

    guided = guided_targets(embedded(sample))
    return lambda features: torch.cat([raw(features), guided(embedded(features))], 1)


def captions_of(packed: Packed, device: str) -> Captions:
    """The captions of a packed corpus."""
    torchvision_cure.apply()
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    ends = int(tokenizer.sot_token_id), int(tokenizer.eot_token_id)
    return Captions(packed.corpus.phrases, tokenizer.encode, *ends, device)
