"""`promptgrid pretrain`: makes the bundled backbones from a pool of captioned pictures.

The image tower learns to pick a picture's phrase among thousands (phrases placed by MiniLM), to agree with the text
tower, and (the ViT) to tell what Lite0 and the finished `bundled-conv` make of the same view. The text tower learns to
place captions where their phrases are, and plain words of no picture besides. A run is resumed from its last
checkpoint with its clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Generator, Tensor, nn

from promptgrid.tracks.image.pretrain.corpus import Captions, Corpus
from promptgrid.tracks.image.pretrain.material import Material, gather
from promptgrid.tracks.image.pretrain.objectives import (
    LARGEST_SCALE,
    PhraseSpace,
    choice_loss,
    pair_loss,
    teacher_loss,
)
from promptgrid.tracks.image.pretrain.publish import publish
from promptgrid.tracks.image.pretrain.towers import (
    BACKBONES,
    EMBED,
    TokenTable,
    encode_text,
    encode_vit,
    new_model,
    project_conv,
)

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Recipe:
    """Everything about a run that changes its result, and its length."""

    backbone: str
    minutes: float
    batch: int = 256
    texts: int = 96
    words: int = 32
    candidates: int = 2048
    rate: float = 1e-3
    decay: float = 0.05
    keep: float = 0.6
    whole_after: float = 0.87
    seed: int = 20261122

    def rate_at(self, done: float) -> float:
        """The learning rate when this share of the time is over: a short rise, a plateau, a fall to nothing."""
        rise, fall = min(1.0, done / 0.02), min(1.0, (1 - done) / 0.45)
        return self.rate * max(0.0, min(rise, 0.5 - 0.5 * math.cos(math.pi * max(0.0, fall)))) + 1e-6


class Learner(nn.Module):
    """A backbone with the parts that only training needs."""

    def __init__(self, recipe: Recipe, codes: Tensor, seen: Tensor, material: Material) -> None:
        super().__init__()
        self.model = new_model(recipe.backbone, material.trunk)
        self.table = TokenTable(codes, seen, self.model.positional_embedding.shape[1])
        self.space = PhraseSpace(EMBED)
        self.conv = hasattr(self.model.visual, "trunk")
        asked = 0 if material.targets is None else material.targets.shape[1]
        self.head = nn.Linear(self.model.visual.proj.shape[0], asked) if asked else nn.Identity()
        self.model.token_embedding.weight.requires_grad_(False)

    def image(self, inputs: Tensor, keep: float, rng: Generator) -> tuple[Tensor, Tensor]:
        """Unit image features (n, embed) and what the head says of Lite0's features, from a batch of `Material`."""
        if self.conv:
            return F.normalize(project_conv(self.model.visual, inputs), dim=-1), inputs
        hidden = encode_vit(self.model.visual, inputs, keep, rng)
        return F.normalize(hidden @ self.model.visual.proj, dim=-1), self.head(hidden)

    def text(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Unit text features (n, embed)."""
        return F.normalize(encode_text(self.model, self.table, tokens, ends), dim=-1)

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that training changes."""
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad)


@dataclass
class Clock:
    """How far a run is: steps, pictures and the seconds it has spent, over all its sittings."""

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0


class Run:
    """One training run: learner, optimiser, averaged weights, clock."""

    def __init__(self, recipe: Recipe, material: Material, captions: Captions, codes: Tensor, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.material, self.captions, self.device = recipe, material, captions, device
        self.learner = Learner(recipe, codes, captions.seen, material).to(device)
        named = list(self.learner.trained())
        decayed = [p for name, p in named if p.ndim > 1 and "positional" not in name and "table.rows" not in name]
        rest = [p for name, p in named if not any(p is q for q in decayed)]
        groups = [{"params": decayed, "weight_decay": recipe.decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98), eps=1e-8, fused=True)
        self.average = {name: p.detach().clone() for name, p in named}
        self.rng = Generator().manual_seed(recipe.seed)
        self.clock = Clock()

    def step(self) -> dict[str, float]:
        """One optimiser step; returns the parts of its loss."""
        done = self.clock.seconds / (60 * self.recipe.minutes)
        began = time.monotonic()
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(min(1.0, done))
        parts = self.losses(self.recipe.keep if done < self.recipe.whole_after else 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(parts.values())).sum())
        nn.utils.clip_grad_norm_([p for _, p in self.learner.trained()], 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.learner.model.logit_scale.clamp_(max=LARGEST_SCALE)
        self.clock.steps += 1
        self.clock.samples += self.recipe.batch
        if self.clock.steps % 4 == 0:
            self._fold_in(min(0.998, self.clock.steps / (self.clock.steps + 40)))
        self.clock.seconds += time.monotonic() - began
        return {name: float(part.detach()) for name, part in parts.items()}

    def losses(self, keep: float) -> dict[str, Tensor]:
        """The weighted parts of the loss on one batch."""
        recipe, bank, learner = self.recipe, self.material.bank, self.learner
        batch = self.material.draw(recipe.batch, self.rng)
        images, told = learner.image(batch.inputs, keep, self.rng)
        candidates = bank.candidates(batch.phrases, recipe.candidates, self.rng)
        places = learner.space(bank.sentences[candidates])
        scale = learner.model.logit_scale.exp()
        few = slice(0, recipe.texts)
        texts = learner.text(*self._to_device(self.captions.draw(batch.phrases[few].cpu(), self.rng)))
        words, meanings = self.material.draw_words(recipe.words, self.rng)
        spoken = learner.text(*self._to_device(words))
        low = places.bfloat16().T
        parts = {
            "image": choice_loss(scale * (images.bfloat16() @ low).float(), batch.phrases, candidates, batch.own, bank),
            "text": 0.5
            * choice_loss(
                scale * (texts.bfloat16() @ low).float(), batch.phrases[few], candidates, batch.own[few], bank
            ),
            "pair": 0.5 * pair_loss(images[few], texts, batch.phrases[few], scale, bank),
            "words": 2.0 * (1 - (spoken * learner.space(meanings)).sum(-1)).mean(),
        }
        if batch.targets is not None:
            parts["teacher"] = 4.0 * teacher_loss(told, batch.targets)
        return parts

    def _to_device(self, tensors: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return tensors[0].to(self.device), tensors[1].to(self.device)

    @torch.no_grad()
    def _fold_in(self, keep: float) -> None:
        for name, p in self.learner.trained():
            self.average[name].lerp_(p, 1 - keep)

    def save(self, path: Path) -> None:
        """Write the whole state of the run, never half of it."""
        state = {
            "learner": {name: p.detach() for name, p in self.learner.trained()},
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.get_state(),
            "clock": vars(self.clock),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on where `save` left off."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        for name, p in self.learner.trained():
            p.data.copy_(state["learner"][name])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.set_state(state["rng"].cpu())
        self.clock = Clock(**state["clock"])


def pretrain(
    pool_dir: Path, out_dir: Path, *, backbone: str, minutes: float, threads: int = 1, device: str = "cpu"
) -> Path:
    """Train a bundled backbone on a pool and write its files; returns their folder.

    The ViT also learns from `bundled-conv` where that lies finished in `out_dir`: train it first.

    Args:
        pool_dir: the pictures of `promptgrid.tracks.image.pretrain.pool`, with `EXCLUDE.parquet`.
        out_dir: takes the checkpoint and, in a folder named after the backbone, config, weights and card.
        backbone: `bundled-vit` or `bundled-conv`.
        minutes: how long to train, teachers' preparation not counted; a run that stopped goes on until then.
        threads: CPU threads.
        device: `cpu` or `cuda`.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"{backbone!r} is none of {', '.join(BACKBONES)}")
    torch.set_num_threads(threads)
    corpus, captions, material, codes = gather(pool_dir, backbone, device, out_dir)
    run = Run(Recipe(backbone, minutes), material, captions, codes, device)
    out_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = out_dir / f"{backbone}.{CHECKPOINT}"
    if checkpoint.exists():
        run.load(checkpoint)
    train(run, checkpoint, lambda: publish(run, corpus, codes, out_dir / backbone))
    return publish(run, corpus, codes, out_dir / backbone)


def train(run: Run, checkpoint: Path, snapshot: Any, every: float = 240.0) -> None:
    """Step until the recipe's minutes are over; checkpoint and snapshot every so many seconds."""
    saved, whole = time.monotonic(), run.recipe.minutes * 60
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    with Progress(*columns, refresh_per_second=0.2) as progress:
        task = progress.add_task(run.recipe.backbone, total=whole, note="")
        while run.clock.seconds < whole:
            parts = run.step()
            if run.clock.steps % 50 == 0:
                speed = run.clock.samples / max(run.clock.seconds, 1e-9)
                note = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
                note = f"{run.clock.samples / 1e6:.2f}M samples, {speed:.0f}/s, {note}"
                progress.update(task, completed=run.clock.seconds, note=note)
                if not progress.console.is_terminal:
                    progress.console.print(f"step {run.clock.steps}: {note}", highlight=False)
            if time.monotonic() - saved > every:
                run.save(checkpoint)
                snapshot()
                saved = time.monotonic()
    run.save(checkpoint)


__all__ = ["Corpus", "Recipe", "Run", "pretrain", "train"]
