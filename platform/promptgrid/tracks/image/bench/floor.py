"""The arithmetic floor: the fewest floating-point operations of one step, over the matmul rate of this machine.

Counted by hand for the program without waste: frozen weights need input gradients only, frozen inputs need none;
the context is encoded once, each class adds its own few tokens; the last block works for its pooled token alone; the
first block's projections of frozen tokens are constants. A multiplication with its addition counts two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from promptgrid.tracks.image.bench.problem import Problem
from promptgrid.tracks.image.bench.reference_loop import ReferenceLoop

LEAST, REPEATS = 2, 12
ENOUGH = 1.5
"""Seconds behind which the matmul rate is not measured again: wide products take long, and spread less."""
ROWS = 8192


@dataclass(frozen=True)
class Tower:
    """Sizes of a transformer."""

    width: int
    layers: int
    joint: int


def text_flops(tower: Tower, prefix: int, suffixes: list[int]) -> float:
    """Forward and backward of one context of ``prefix`` tokens with classes of ``suffixes`` tokens behind it."""
    w, own = tower.width, sum(suffixes)
    forward = backward = 0.0
    for layer in range(tower.layers):
        last, first = layer == tower.layers - 1, layer == 0
        asking = len(suffixes) if last else prefix + own
        qkv = 4 * w * w * (prefix + own) + 2 * w * w * asking
        frozen = (4 * w * w * own + 2 * w * w * (asking if last else own)) if first else 0.0
        rest = 18 * w * w * asking
        seen = _causal(prefix, suffixes, last)
        forward += qkv - frozen + rest + 4 * w * seen
        backward += qkv - frozen + rest + 8 * w * seen
    return forward + backward + 2 * 2 * w * tower.joint * len(suffixes)


def _causal(prefix: int, suffixes: list[int], last: bool) -> float:
    """Pairs of a query and a key it may see."""
    if last:
        return float(sum(prefix + size for size in suffixes))
    return prefix * (prefix + 1) / 2 + sum(size * prefix + size * (size + 1) / 2 for size in suffixes)


def image_flops(tower: Tower, images: int, patches: int, prompts: int, deep: int) -> float:
    """Forward and backward of ``images`` images with ``prompts`` fresh tokens at each of the first ``deep`` blocks.

    A prompt's output is discarded where the next block brings fresh ones, so only its key and value are needed.
    """
    w, tokens = tower.width, patches + 1
    total = 0.0
    for layer in range(tower.layers):
        last, first, fresh = layer == tower.layers - 1, layer == 0, layer < deep
        carried = 0 if layer + 1 < deep or last else prompts
        asking = 1 if last else tokens + carried
        keys = tokens + prompts
        projected = 4 * w * w * (tokens + (0 if fresh else prompts)) + 2 * w * w * asking
        once = 4 * w * w * prompts if fresh else 0.0
        frozen = 4 * w * w * tokens + 2 * w * w * min(asking, tokens) if first else 0.0
        body = projected - frozen + 18 * w * w * asking
        total += images * (2 * body + 12 * w * asking * keys) + 2 * once
    return total + images * 4 * w * tower.joint


def step_flops(problem: Problem) -> float:
    """The fewest operations of one step of one cell of ``problem``."""
    task, method, batch = problem.task, problem.method, problem.family.batch
    backbone = task.backbone
    text = Tower(backbone.text.width, backbone.text.layers, backbone.width)
    vision = Tower(backbone.vision.width, backbone.vision.layers, backbone.width)
    patches = (backbone.image_size // max(1, backbone.patch_size)) ** 2
    classes = len(task.classes)
    if method.name in {"coop", "cocoop", "maple"}:
        learned = 4 if method.name == "maple" else int(getattr(method, "context_length", 0))
        lengths = (task.prompts(learned).ends + 1 - 1 - learned).tolist()
        contexts = batch if method.name == "cocoop" else 1
        flops = contexts * text_flops(text, 1 + learned, lengths)
        if method.name == "maple":
            depth = min(int(getattr(method, "depth", 0)), vision.layers)
            flops += image_flops(vision, batch, patches, int(getattr(method, "context_length", 0)), depth)
        return flops + 6.0 * batch * classes * backbone.width
    if method.name == "vpt":
        prompts = int(getattr(method, "tokens", 0))
        return image_flops(vision, batch, patches, prompts, vision.layers) + 4.0 * batch * classes * backbone.width
    return _counted(problem)


def _counted(problem: Problem) -> float:
    """What torch counts for one plain step of a method without a formula above (CPU attention is not counted)."""
    loop = ReferenceLoop(problem, problem.encoder, cached=True)
    chosen = torch.arange(problem.family.batch, device=problem.labels.device)
    (rate,) = loop.recipe.rates(1, 1)
    loop.step(chosen, rate, torch.tensor(0))  # frozen texts are encoded once and kept
    with FlopCounterMode(display=False) as counter:
        loop.step(chosen, rate, torch.tensor(0))
    return float(counter.get_total_flops())


def matmul_rate(width: int, like: Tensor, clock: Callable[[], float]) -> float:
    """Measured operations a second of (8192, width) @ (width, 4 width), the largest product of a block."""
    left = like.new_ones(ROWS, width)
    right = like.new_ones(4 * width, width)
    best, start, repeats = float("inf"), clock(), 0
    while repeats < LEAST or (repeats < REPEATS and clock() - start < ENOUGH):
        began, repeats = clock(), repeats + 1
        for _ in range(4):
            torch.nn.functional.linear(left, right)
        best = min(best, (clock() - began) / 4)
    return 2.0 * ROWS * width * 4 * width / best
