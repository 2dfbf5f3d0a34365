"""The grid as a fork runs it: one function trainable of Ray Tune a cell, each in a process of its own.

A trial imports torch and open_clip, loads the bundled weights, decodes its images, and trains with the plain reference
of the method (tests/reference): the image tower at every step, 77 tokens of text, torch.optim. Heads encode their class
texts once, as the papers' code does. Only the first steps of the training are run, and their time is scaled up to the
recipe's number of steps: every trial says how many it ran.
"""

from __future__ import annotations

import importlib
import time
from functools import cached_property
from typing import Any

PART = 100
"""Test images scored at once, class prompts encoded anew for each part by methods that learn them."""
LEARNS_TEXT = {"coop", "kgcoop"}


def trial(config: dict[str, Any]) -> dict[str, float]:
    """Train and score ``config["cell"]`` (a cell as JSON) for ``config["steps"]`` steps; seconds of each part."""
    began = time.perf_counter()
    import torch

    torch.set_num_threads(1)
    from promptgrid.spec import Cell

    cell = Cell.model_validate_json(config["cell"])
    work = Work(cell)
    plain = work.plain
    reference = importlib.import_module(f"tests.reference.{cell.method}")
    loaded = time.perf_counter()
    drawn, total, ran = work.drawn, work.steps, 0  # by the engine, for a start as it would be: not counted
    aside = time.perf_counter() - loaded
    learned = start = reference.start(plain, drawn, **cell.settings)
    ready = time.perf_counter()
    if hasattr(reference, "train"):
        batches, ran = work.batches(config["steps"])  # no search behind a training that was cut short
        learned = reference.train(work.with_batches(batches), start, **cell.settings | {"search": ran == 0})
    trained = time.perf_counter()
    with torch.no_grad():
        for part in work.test.pixels.split(PART):
            reference.logits(plain, learned, part, **cell.settings)
    over = time.perf_counter()
    return {
        "load_seconds": ready - began - aside,
        "train_seconds": (trained - ready) * (total / ran if ran else 1.0),
        "score_seconds": over - trained,
        "steps_ran": float(ran),
        "steps": float(total),
        "function_seconds": over - began,  # as it ran: of Tune's wall time the rest is around it
    }


class Work:
    """One cell's task as plain tensors, and the length of its recipe."""

    def __init__(self, cell: Any) -> None:
        from tests.reference.clip import Clip

        from promptgrid.cluster.planner import track_named
        from promptgrid.tracks.image.backbones.bundled_weights import load_bundled

        self.cell, self.resolver = cell, track_named("image").resolver  # type: ignore[attr-defined]
        model, tokenizer, preprocess = load_bundled("bundled-vit")
        kind = Clip if cell.method in LEARNS_TEXT else _once(Clip)
        self.clip = kind(model, tokenizer, preprocess["mean"], preprocess["std"])
        self.dataset = self.resolver.dataset(cell.dataset)
        self.split = self.resolver.protocol(cell.protocol).split(self.dataset, cell.shots, cell.seed)
        self.method = self.resolver.method(cell.method)(**cell.settings)

    def pictures(self, indices: Any) -> Any:
        import torch
        from tests.reference.task import Pictures

        labels = torch.tensor([self.dataset.labels[index] for index in indices])
        pixels = [self.clip.read(self.dataset.read(index).convert("RGB")) for index in indices]
        return Pictures(torch.stack(pixels), labels) if pixels else Pictures(torch.empty(0, 3, 1, 1), labels)

    @cached_property
    def test(self) -> Any:
        return self.pictures(self.split.evaluations[0].indices)

    @cached_property
    def plain(self) -> Any:
        return self.with_batches([])

    @cached_property
    def _train(self) -> Any:
        return self.pictures(self.split.train)

    @cached_property
    def _val(self) -> Any:
        return self.pictures(self.split.val)

    def with_batches(self, batches: Any) -> Any:
        from tests.reference.task import Plain

        card = self.dataset.card
        return Plain(self.clip, tuple(card.classes), card.template, self._train, self._val, batches)

    @cached_property
    def task(self) -> Any:
        """The engine's task, on the engine's backbone: it draws the start, as for the cell itself."""
        from promptgrid.contract.clip import Labelled, Task

        encoder = self.resolver.backbone_family("bundled").load("bundled", "cpu")
        card = self.dataset.card
        support = Labelled(encoder.encode_pixels(self._train.pixels), self._train.labels)
        return Task.of(card.name, tuple(card.classes), card.template, encoder, shots=self.cell.shots, support=support)

    @property
    def drawn(self) -> Any:
        from promptgrid.contract.clip import stream

        return self.method.init(self.task, stream("naive", self.cell.seed, "init"))

    @property
    def steps(self) -> int:
        """Training steps of the recipe; 0 for a closed form."""
        recipe = self.method.recipe(self.task)
        if recipe is None:
            return 0
        per_epoch = max(1, len(self.split.train) // recipe.batches.size)
        return int(recipe.iterations or recipe.epochs * per_epoch)

    def batches(self, most: int) -> tuple[list[list[tuple[Any, int]]], int]:
        """The first epochs of the recipe, ``most`` steps in all, and how many steps that is."""
        import torch

        total = self.steps
        if total == 0:
            return [], 0
        images, size = len(self.split.train), self.method.recipe(self.task).batches.size
        rng = torch.Generator().manual_seed(self.cell.seed)
        steps = [(torch.randperm(images, generator=rng)[:size], 0) for _ in range(min(most, total))]
        per_epoch = max(1, images // size)
        return [steps[first : first + per_epoch] for first in range(0, len(steps), per_epoch)], len(steps)


def _once(clip: Any) -> Any:
    """``clip`` with the class texts of a template encoded once, without gradients."""
    import torch

    class Once(clip):  # type: ignore[misc]
        def text(self, prompts: Any) -> Any:
            kept = self.__dict__.setdefault("kept", {})
            if tuple(prompts) not in kept:
                with torch.no_grad():
                    kept[tuple(prompts)] = super().text(prompts)
            return kept[tuple(prompts)]

    return Once
