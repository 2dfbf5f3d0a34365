"""One training run: the learner, its optimiser, averaged weights and clock."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from promptgrid.tracks.image.pretrain.training.clock import Clock, Sitting, machine
from promptgrid.tracks.image.pretrain.training.material import Material, Targets
from promptgrid.tracks.image.pretrain.training.objectives import (
    LARGEST_SCALE,
    PhraseSpace,
    choice_loss,
    pair_loss,
    teacher_loss,
)
from promptgrid.tracks.image.pretrain.training.packing import Packed
from promptgrid.tracks.image.pretrain.training.recipe import Recipe
from promptgrid.tracks.image.pretrain.training.teachers import LITE0_WIDTH
from promptgrid.tracks.image.pretrain.training.towers import (
    EMBED,
    TokenTable,
    encode_text,
    encode_vit,
    new_model,
    project_conv,
)

WARM_STEPS = 100  # after a start without the optimiser's moments


class Learner(nn.Module):
    """A backbone with the parts that only training needs; `told` is the width of what the ViT tells of a view."""

    def __init__(self, backbone: str, packed: Packed, seen: Tensor, told: int) -> None:
        super().__init__()
        self.model = new_model(backbone, packed.trunk)
        codes = packed.codes.float() * packed.code_scales.float()
        self.table = TokenTable(codes, seen.cpu(), self.model.positional_embedding.shape[1])
        self.space = PhraseSpace(EMBED)
        self.conv = hasattr(self.model.visual, "trunk")
        self.head = nn.Linear(self.model.visual.proj.shape[0], told) if told else nn.Identity()
        self.model.token_embedding.weight.requires_grad_(False)

    def text(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """Unit text features (n, embed)."""
        return F.normalize(encode_text(self.model, self.table, tokens, ends), dim=-1)

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that training changes."""
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad)


class Run:
    """One training run: learner, optimiser, averaged weights, clock.

    Args:
        recipe: how and how long.
        material: the corpus on the device.
        targets: what the ViT is to tell of Lite0's features; None for the convolutional tower.
    """

    def __init__(self, recipe: Recipe, material: Material, targets: Targets | None) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.material, self.packed = recipe, material, material.packed
        self.targets, self.device = targets, material.device
        self.taught = recipe.batch if targets is None else round(recipe.batch * recipe.taught)
        told = 0 if targets is None else targets(torch.zeros(1, LITE0_WIDTH, device=self.device)).shape[1]
        self.learner = Learner(recipe.backbone, self.packed, material.captions.seen, told).to(self.device)
        named = list(self.learner.trained())
        decayed = [p for name, p in named if p.ndim > 1 and "positional" not in name and "table.rows" not in name]
        rest = [p for name, p in named if not any(p is q for q in decayed)]
        groups = [{"params": decayed, "weight_decay": recipe.decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98), eps=1e-8, fused=True)
        self.average = {name: p.detach().clone() for name, p in named}
        self.rng = Generator(self.device).manual_seed(recipe.seed)
        self.clock, self.cold, self.folded = Clock(sittings=[Sitting(machine(self.device))]), 0, 0.0

    @property
    def done(self) -> float:
        """The share of the run's time that is over."""
        return min(1.0, self.clock.seconds / (60 * self.recipe.minutes))

    def step(self) -> dict[str, Tensor]:
        """One optimiser step; returns the parts of its loss."""
        warm = min(1.0, (self.clock.steps - self.cold + 1) / WARM_STEPS) if self.cold else 1.0
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(self.done) * warm
        parts = self.losses(self.recipe.keep if self.done < self.recipe.whole_after else 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(parts.values())).sum())
        nn.utils.clip_grad_norm_([p for _, p in self.learner.trained()], 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.learner.model.logit_scale.clamp_(max=LARGEST_SCALE)
        self.clock.steps += 1
        self.clock.sittings[-1].samples += self.recipe.batch
        if self.clock.steps % 4 == 0:
            self._fold_in()
        return {name: part.detach() for name, part in parts.items()}

    def losses(self, keep: float) -> dict[str, Tensor]:
        """The weighted parts of the loss on one batch."""
        recipe, bank, learner = self.recipe, self.material.bank, self.learner
        batch = self.material.draw(recipe.batch, self.taught, self.rng)
        parts: dict[str, Tensor] = {}
        if self.targets is None:
            images = F.normalize(project_conv(learner.model.visual, batch.features), dim=-1)
        else:
            hidden = encode_vit(learner.model.visual, batch.images, keep, self.rng)
            images = F.normalize(hidden @ learner.model.visual.proj, dim=-1)
            parts["teacher"] = 4.0 * teacher_loss(learner.head(hidden[: self.taught]), self.targets(batch.features))
        candidates = bank.candidates(batch.phrases, recipe.candidates, self.rng)
        low = learner.space(bank.sentences[candidates]).bfloat16().T
        scale = learner.model.logit_scale.exp()
        few = slice(0, recipe.texts)
        texts = learner.text(*self.material.captions.draw(batch.phrases[few], self.rng))
        words, meanings = self.material.draw_words(recipe.words, self.rng)

        def chosen(features: Tensor, rows: slice) -> Tensor:
            logits = scale * (features.bfloat16() @ low).float()
            return choice_loss(logits, batch.phrases[rows], candidates, batch.own[rows], bank)

        return parts | {
            "image": chosen(images, slice(None)),
            "text": 0.5 * chosen(texts, few),
            "pair": 0.5 * pair_loss(images[few], texts, batch.phrases[few], scale, bank),
            "words": 2.0 * (1 - (learner.text(*words) * learner.space(meanings)).sum(-1)).mean(),
        }

    @torch.no_grad()
    def _fold_in(self) -> None:
        since = self.done - self.folded
        keep = min(math.exp(-since / self.recipe.lag), self.clock.steps / (self.clock.steps + 40))
        names, live = zip(*self.learner.trained(), strict=True)
        torch._foreach_lerp_([self.average[name] for name in names], list(live), 1 - keep)
        self.folded = self.done
