"""Everything a run reads at every step, prepared once: views, Lite0's features, and the phrases' MiniLM vectors.

What the teachers said is cached in `<pool>/teachers`, so a second run or the other backbone starts at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from promptgrid.spec.parquet import read_parquet
from promptgrid.tracks.image.backbones import torchvision_cure
from promptgrid.tracks.image.backbones.bundled_weights import load_bundled
from promptgrid.tracks.image.pretrain.corpus import VIEWS, Captions, Corpus, is_upright, load_corpus, pad
from promptgrid.tracks.image.pretrain.objectives import (
    RAW_WIDTH,
    FeatureTargets,
    PhraseBank,
    feature_targets,
    guided_targets,
)
from promptgrid.tracks.image.pretrain.teachers import MiniLM, lite0, principal_axes
from promptgrid.tracks.image.pretrain.towers import TOKEN_RANK, project_conv, token_strings
from promptgrid.tracks.image.pretrain.views import Views, decode, load_views, make_views, save_views
from promptgrid.tracks.image.pretrain.weights import WEIGHTS

DEFAULT_VIEWS = 1


@dataclass(frozen=True)
class Batch:
    """`inputs` for the image tower; `phrases` (n,) and `own` (n, 8) phrase numbers; `targets` (n, t) or None."""

    inputs: Tensor
    phrases: Tensor
    own: Tensor
    targets: Tensor | None


@dataclass(frozen=True)
class Material:
    """A corpus turned into tensors to draw from.

    `pixels` (views, 3, 48, 48) uint8 and `targets` (views, t) for the ViT, or `features` (views, 1280) for the
    convolutional tower; `first` and `count` (N,) say which views are of which picture. `word_ids` go with `bank.words`.
    """

    turns: Tensor
    own: Tensor
    odds: Tensor
    first: Tensor
    count: Tensor
    bank: PhraseBank
    word_ids: list[list[int]]
    pixels: Tensor | None = None
    targets: Tensor | None = None
    features: Tensor | None = None
    trunk: dict[str, Tensor] | None = None
    device: str = "cpu"

    def draw(self, size: int, rng: Generator) -> Batch:
        """Pictures by their turns, one view of each, one of its phrases by its odds."""
        rows = torch.multinomial(self.turns, size, replacement=True, generator=rng)
        view = self.first[rows] + (torch.rand(size, generator=rng) * self.count[rows]).long()
        which = torch.multinomial(self.odds[rows], 1, generator=rng)
        own = self.own[rows].to(self.device)
        phrases = self.own[rows].gather(1, which).squeeze(1).to(self.device)
        if self.pixels is None or self.targets is None:
            assert self.features is not None
            return Batch(self.features[view].float().to(self.device), phrases, own, None)
        images = self.pixels[view].to(self.device).float().div_(127.5).sub_(1)
        return Batch(images, phrases, own, self.targets[view].float().to(self.device))

    def draw_words(self, size: int, rng: Generator) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Captions of plain words that need no picture, as tokens and ends, and what MiniLM says of the words."""
        rows = torch.randint(0, len(self.word_ids), (size,), generator=rng)
        return pad([self.word_ids[i] for i in rows.tolist()]), self.bank.words[rows.to(self.device)]


def gather(pool_dir: Path, backbone: str, device: str, guide: Path) -> tuple[Corpus, Captions, Material, Tensor]:
    """Corpus, captions, material and token codes of a pool, teachers asked where their answers are not cached yet.

    `guide` is the folder that may hold a finished `bundled-conv`, for the ViT to learn from.
    """
    torchvision_cure.apply()
    from open_clip.tokenizer import SimpleTokenizer

    cache = pool_dir / "teachers"
    cache.mkdir(exist_ok=True)
    corpus, tokenizer = load_corpus(pool_dir), SimpleTokenizer()
    start, end = int(tokenizer.sot_token_id), int(tokenizer.eot_token_id)
    captions = Captions(corpus.phrases, tokenizer.encode, start, end)
    sentences = _said(cache, corpus.phrases, device)
    strings = token_strings(tokenizer.decoder)
    meanings = _said(cache, strings, device)
    plain = [i for i, text in enumerate(strings) if len(text) > 2 and text.isalpha() and text.isascii()]
    plain = [i for i in plain if tokenizer.decoder[i].endswith("</w>")]
    bank = PhraseBank(sentences, meanings[plain], corpus.frequency.clamp_min(1e-8).log())
    bank = PhraseBank(*(tensor.to(device) for tensor in (bank.sentences, bank.words, bank.prior)))
    views = views_of(corpus.sources, pool_dir, cache, device)
    common = {"bank": bank, "word_ids": [[start, i, end] for i in plain], "device": device}
    material = _with_views(corpus, views, common, backbone == "bundled-conv", guide)
    return corpus, captions, material, token_codes(meanings)


def token_codes(meanings: Tensor, rank: int = TOKEN_RANK) -> Tensor:
    """Codes (vocabulary, rank) of MiniLM's view (vocabulary, 384) of the token strings: its principal components."""
    mean, axes = principal_axes(meanings, rank)
    codes = (meanings - mean) @ axes
    return codes / codes.std()


def _said(cache: Path, texts: list[str], device: str) -> Tensor:
    """MiniLM's vectors of texts, asked only for those it has not been asked for before."""
    path = cache / "minilm.pt"
    known: dict[str, Any] = torch.load(path, weights_only=True) if path.exists() else {"texts": [], "vectors": []}
    place = {text: i for i, text in enumerate(known["texts"])}
    new = [text for text in dict.fromkeys(texts) if text not in place]
    vectors = [known["vectors"]] if place else []
    if new:
        vectors.append(MiniLM(device).embed(new))
        place |= {text: len(place) + i for i, text in enumerate(new)}
        torch.save({"texts": list(place), "vectors": torch.cat(vectors)}, path)
    return torch.cat(vectors)[[place[text] for text in texts]]


def _with_views(corpus: Corpus, views: dict[str, Views], common: dict[str, Any], conv: bool, guide: Path) -> Material:
    features, pixels, count, at = [], [], [], 0
    for name, size in corpus.sources.items():
        kept = corpus.row[at : at + size]
        features.append(views[name].features[kept].flatten(0, 1))
        pixels.append(views[name].features[:0] if conv else views[name].pixels[kept].flatten(0, 1))
        count.append(torch.full((size,), views[name].pixels.shape[1]))
        at += size
    counts, said = torch.cat(count), torch.cat(features)
    common |= {"turns": corpus.turns, "own": corpus.own, "odds": corpus.odds}
    common |= {"first": counts.cumsum(0) - counts, "count": counts}
    if conv:
        return Material(**common, features=said)
    return Material(**common, pixels=torch.cat(pixels), targets=_targets(said, guide))


@torch.inference_mode()
def _targets(features: Tensor, guide: Path) -> Tensor:
    """What the ViT is to tell of each view (n, t): Lite0's strongest directions and, if there, `bundled-conv`'s."""
    fit = fit_targets(features[::8])
    parts = [torch.cat([fit(chunk).half() for chunk in torch.split(features, 8192)])]
    if (guide / "bundled-conv" / WEIGHTS).exists():
        model, _, _ = load_bundled("bundled-conv", guide)
        chunks = torch.split(features, 8192)
        embedded = torch.cat([F.normalize(project_conv(model.visual, chunk.float()), dim=-1) for chunk in chunks])
        parts.append(guided_targets(embedded).half())
    return torch.cat(parts, 1)


def views_of(sources: dict[str, int], pool_dir: Path, cache: Path, device: str) -> dict[str, Views]:
    """The views of whole pool files, made where they are not cached."""
    views, teacher = {}, None
    for name in sources:
        path = cache / f"{name}.views"
        if not path.exists():
            teacher = teacher or lite0().to(device)
            pictures = decode(read_parquet(pool_dir / f"{name}.parquet", ["image"])["image"].to_pylist())
            upright = torch.full((len(pictures),), is_upright(name))
            seed = sum(map(ord, name))
            save_views(make_views(pictures, upright, VIEWS.get(name, DEFAULT_VIEWS), teacher, seed), path)
        views[name] = load_views(path)
    return views


def fit_targets(sample: Tensor) -> FeatureTargets:
    """Regression targets fitted on Lite0's features (n, 1280) of unchanged pictures."""
    sample = sample[~sample[:, 0].isnan()].float()
    mean, axes = principal_axes(sample, RAW_WIDTH)
    return feature_targets(sample, mean, axes)
