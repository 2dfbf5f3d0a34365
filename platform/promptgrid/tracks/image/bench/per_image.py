"""Times methods that adapt to each test image: an image at a time as their code runs them, and many as one program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from promptgrid.contract.clip import Adaptation, Batch, Classifier, Params, Task, stream
from promptgrid.contract.track import Timing
from promptgrid.engine.bench.measure import Common, Row, Variant, rows_of, timed
from promptgrid.engine.bench.problem import Family
from promptgrid.engine.training.speed import Half
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.bench.floor import Tower, text_flops
from promptgrid.tracks.image.bench.plain_backbone import PlainBackbone
from promptgrid.tracks.image.data.adapting import adapted

IMAGES = 8
"""Distinct test images, looked at again and again."""


class PerImage:
    """One method that adapts to images of noise, ``plan.views`` views of each; a step is an image."""

    def __init__(self, family: Family, kind: type[Classifier], backbone: DualEncoder, classes: tuple[str, ...]) -> None:
        self.method = kind(**family.settings)
        plan = self.method.adaptation
        if plan is None:
            raise ValueError(f"{kind.name} does not adapt to test images")
        self.plan: Adaptation = plan
        self.encoder = backbone
        self.task = Task.of(dataset="bench", classes=classes, template="a photo of a {}.", backbone=backbone, shots=1)
        noise = torch.Generator().manual_seed(0)
        shape = (IMAGES, plan.views, 3, backbone.image_size, backbone.image_size)
        self.pixels = torch.randint(0, 256, shape, generator=noise, dtype=torch.uint8)
        with torch.no_grad():
            features = [backbone.encode_pixels(views) for views in self.pixels]
        self.features = torch.stack(features)
        self.params: Params = {
            name: value.to(self.features) for name, value in self.method.init(self.task, stream("bench", 1)).items()
        }

    def reference(self, images: int, *, cached: bool) -> Tensor:
        """(images, C) logits, each image by itself through open_clip's own towers; ``cached`` keeps its features."""
        task = replace(self.task, backbone=PlainBackbone(self.encoder))
        return torch.stack([self._alone(number % IMAGES, task, cached) for number in range(images)])

    def _alone(self, image: int, task: Task, cached: bool) -> Tensor:
        with torch.no_grad():
            views = self.features[image] if cached else task.backbone.encode_pixels(self.pixels[image])
            seen = Batch(features=views.to(self.features))
            chosen = self.method.select_views(self.method.forward(self.params, seen, task).logits, seen, task)
        own = {name: value.clone().requires_grad_() for name, value in self.params.items()}
        plan = self.plan
        optimizer = torch.optim.AdamW(list(own.values()), lr=plan.learning_rate, weight_decay=plan.weight_decay)
        for _ in range(plan.steps):
            loss = self.method.adapt_loss(own, Batch(features=seen.features[chosen]), task)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            logits: Tensor = self.method.forward(own, Batch(features=seen.features[:1]), task).logits[0]
        return logits

    def together(self, images: int, at_once: int) -> Tensor:
        """(images, C) logits, ``at_once`` images as one program, from features that are kept."""
        order = torch.arange(images, device=self.features.device) % IMAGES
        parts = [{"features": self.features[rows]} for rows in torch.split(order, at_once)]
        return torch.cat([adapted(self.method, self.plan, self.params, self.task, seen) for seen in parts])

    def flops(self) -> float:
        """The fewest operations of an image whose views are kept: the texts learned from, then encoded once more."""
        backbone, learned = self.encoder, int(getattr(self.method, "context_length", 0))
        text = Tower(backbone.text.width, backbone.text.layers, backbone.width)
        lengths = (self.task.prompts(learned).ends - learned).tolist()
        return text_flops(text, 1 + learned, lengths) * (self.plan.steps + 0.5)


def bench_per_image(
    family: Family,
    name: str,
    kind: type[Classifier],
    backbone: DualEncoder,
    classes: tuple[str, ...],
    packs: tuple[int, ...],
    timing: Timing,
    say: Callable[[str], None],
    half: Half | None = None,
) -> list[Row]:
    """Rows of one family: an image at a time, the same from kept features, and images adapted to side by side.

    ``difference`` is the largest gap of a cosine to the reference, over ``IMAGES`` images. Nothing is adapted in
    ``half`` precision: with it there are no rows.
    """
    if half is not None:
        return []
    tried = PerImage(family, kind, backbone, classes)

    def looped(cached: bool) -> Callable[[int], Callable[[], Tensor]]:
        return lambda steps: lambda: tried.reference(steps, cached=cached)

    def side_by_side(at_once: int) -> Callable[[int], Callable[[], Tensor]]:
        return lambda steps: lambda: tried.together(steps * at_once, at_once)

    reference = Variant("reference loop", 1, looped(False))
    variants = [
        reference,
        Variant("cached features", 1, looped(True), reference),
        *(
            Variant(f"{k} images at once" if k > 1 else "exact shortcuts", k, side_by_side(k), reference)
            for k in (1, *packs)
        ),
    ]
    said = f"{name}, {len(classes)} classes"
    gaps: dict[str, float] = {}
    if timing.steps:
        truth = tried.reference(IMAGES, cached=False)
        for variant in variants[1:]:
            cached = variant.name == "cached features"
            found = tried.reference(IMAGES, cached=True) if cached else tried.together(IMAGES, variant.pack)
            gaps[variant.name] = float((found - truth).abs().max()) / backbone.logit_scale
    floors = timed(
        variants,
        tried.flops(),
        backbone.text.width,
        tried.features,
        timing.seconds,
        lambda what: say(f"{said}: {what}"),
    )
    exact = str(tried.features.dtype).replace("torch.float", "fp")
    common = Common(name, kind.name, len(classes), tried.plan.views, exact, timing.steps)
    return rows_of(variants, common, floors, gaps)
