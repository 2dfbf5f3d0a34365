"""Which half of SPG fails on few images: its contexts of each domain, its generator, or the game that teaches it.

``python -m tests.bench.spg_generator`` learns contexts of three vendors of emoji (4 shots) by the method's own first
stage, and prints how well a fourth vendor and the three are told by them, and by what a generator writes that was
taught for as many steps either by the game (the method's) or by the squared distance to the contexts (a control).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tests.contracts.small_world import MemoryCache
from torch import Tensor
from torch.nn import functional as F

from promptgrid import catalog
from promptgrid.contract.clip import Params, Task, stream
from promptgrid.spec import Pack, Request
from promptgrid.tracks.image.data.pixels import read_pixels
from promptgrid.tracks.image.methods.parts.adversaries import SEEN, adversaries, clips, duel, judge, moved, write
from promptgrid.tracks.image.methods.parts.per_image import scores, unit_texts

TARGET, SOURCES = "emoji_noto", "emoji_twemoji|emoji_emojione|emoji_fluent"
NOISE, BATCH, WARM = 100, 32, 4 / 70


@dataclass(frozen=True)
class Scene:
    """Training images of the sources (units, domains), their learned contexts, and test images by name."""

    units: Tensor
    domain: Tensor
    labels: Tensor
    tests: dict[str, tuple[Tensor, Tensor, Task]]


def scene(seed: int) -> Scene:
    """The contexts of each domain as SPG's first stage learns them in a cell of its own."""
    track = catalog.track("image")
    ask = Request("image", "few_shot", "spg", {"gan_epochs": 1}, "bundled", SOURCES, 4, seed, "last", "fp32")
    (cell,) = track.resolve([ask])
    (outcome,) = track.run(Pack((cell,), wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    labels = torch.from_numpy(outcome.state["labels"]).flatten(1)
    encoder, dataset = track.backbone("bundled", "cpu"), track.resolver.dataset(SOURCES)

    def units(name: str, indices: list[int]) -> Tensor:
        pixels = read_pixels(track.resolver.dataset(name), indices, encoder.preprocessing)
        return F.normalize(torch.cat([encoder.encode_pixels(some) for some in torch.split(pixels, 64)]), dim=-1)

    def test(name: str) -> tuple[Tensor, Tensor, Task]:
        own = track.resolver.dataset(name)
        task = Task.of(own.card.name, tuple(own.card.classes), own.card.template, encoder)
        return units(name, own.splits["test"]), torch.tensor([own.labels[i] for i in own.splits["test"]]), task

    train = list(track.resolver.protocol("few_shot").split(dataset, 4, seed).train)
    names = sorted({dataset.domain_labels[index] for index in train})
    domain = torch.tensor([names.index(dataset.domain_labels[index]) for index in train])
    tests = {"sources": test(SOURCES), "target": test(TARGET)}
    return Scene(units(SOURCES, train), domain, labels, tests)


def accuracies(given: Scene, contexts: Callable[[Tensor], Tensor]) -> str:
    """Of the test images of sources and target, by the context that ``contexts`` gives each unit feature."""
    found = []
    for name, (units, labels, task) in given.tests.items():
        rows = [scores(task, some, unit_texts(task, contexts(some).view(len(some), 4, -1))) for some in units.split(64)]
        found.append(f"{name} {float((torch.cat(rows).argmax(1) == labels).double().mean()):.3f}")
    return ", ".join(found)


def told(given: Scene, params: Params) -> str:
    """What the generator of ``params`` gives, and where the discriminator would send it."""

    def written(units: Tensor) -> Tensor:
        return write(params, units, params["noise"].expand(len(units), -1), {name: params[name] for name in SEEN})[0]

    with torch.no_grad():
        accuracy, contexts = accuracies(given, written), written(given.units)
    wanted = given.labels[given.domain] - contexts
    leaf = contexts.clone().requires_grad_()
    (slope,) = torch.autograd.grad(judge(params, leaf, given.units, torch.tensor(0), 1).sum(), leaf)
    cosine = F.cosine_similarity(slope, wanted, dim=1).mean()
    return (
        f"{accuracy}; distance to the contexts {float(wanted.norm(dim=1).mean()):.2f}, cosine of D's slope {cosine:.2f}"
    )


def taught(given: Scene, steps: int, rate: float, game: bool) -> Params:
    """A generator and its discriminator after ``steps``, as the second stage has them."""
    rng = stream("spg generator", 1)
    params = adversaries(rng, NOISE, given.units.shape[1], given.labels.shape[1])
    params["noise"] = torch.randn(NOISE, generator=rng)
    leaves = {name: value.requires_grad_() for name, value in params.items() if name not in {*SEEN, "noise"}}
    turns = {turn: [name for name in leaves if name.startswith(turn)] for turn in ("judge", "writer")}
    optimizers = {
        turn: torch.optim.AdamW([leaves[name] for name in names], lr=rate, weight_decay=1e-4)
        for turn, names in turns.items()
    }
    for step in range(steps):
        chosen = torch.randperm(len(given.units), generator=rng)[:BATCH]
        noise, units = torch.randn(BATCH, NOISE, generator=rng), given.units[chosen]
        real, done = given.labels[given.domain[chosen]], step / steps
        with torch.no_grad():
            params |= moved({name: params[name] for name in SEEN}, write(params, units, noise)[1], BATCH)
        for turn in ("judge", "writer") if game else ("writer",):
            loss = duel(params, real, units, noise, torch.tensor(step))[turn] if game else None
            loss = F.mse_loss(write(params, units, noise)[0], real, reduction="sum") / BATCH if loss is None else loss
            grads = torch.autograd.grad(loss, [leaves[name] for name in turns[turn]])
            bounds = dict(clips("others"))
            for name, grad in zip(turns[turn], grads, strict=True):
                leaves[name].grad = grad * min(1.0, bounds[name] / (float(grad.norm()) + 1e-6)) if game else grad
            cosine = 0.5 * (1.0 + math.cos(math.pi * (done - WARM) / (1.0 - WARM)))
            optimizers[turn].param_groups[0]["lr"] = rate * (done / WARM if done < WARM else cosine)
            optimizers[turn].step()
    return {name: value.detach() for name, value in params.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, nargs="*", default=[350])
    parser.add_argument("--rate", type=float, default=2e-4)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    given = scene(asked.seed)
    mean = given.labels.mean(0)
    print("contexts of stage I, their mean:", accuracies(given, lambda units: mean.expand(len(units), -1)), flush=True)
    print("a generator as it starts:", told(given, taught(given, 0, asked.rate, game=True)), flush=True)
    for steps in asked.steps:
        for game, how in ((True, "the game"), (False, "squared distance")):
            print(f"{steps} steps of {how}:", told(given, taught(given, steps, asked.rate, game)), flush=True)


if __name__ == "__main__":
    main()
