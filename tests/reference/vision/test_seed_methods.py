"""PVP, DVPT and the rows beside them against references written from their formulas on open_clip's own modules.

In float64: answers and the parameters after five steps of the method's own recipe. PVP is compared as a whole run of
the engine, both stages, in float32. Engine and reference share what is drawn: starts, images, and whole batches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from tests.contracts.small_world import CLASSES, MEAN, PREPROCESSING, STD, MemoryCache, open_clip_model, track
from tests.reference.vision import dvpt, tuned
from tests.reference.vision.plain import STEPS, Params, descended, largest
from tests.tracks.image.engine.test_first_stage import Elsewhere, asked, wing
from torch import Tensor
from torch.nn.functional import cross_entropy

from promptgrid.contract.clip import Batch, Classifier, Task
from promptgrid.contract.randomness import stream
from promptgrid.spec import Pack
from promptgrid.towers.clip.image_tokens import ImageTokens
from promptgrid.towers.clip.towers import ImageTower
from promptgrid.towers.methods.adapter import Adapters
from promptgrid.towers.methods.deep_prompts import DeepPrompts
from promptgrid.towers.methods.lora import LoRA
from promptgrid.towers.methods.prompt_tuning import PromptTuning
from promptgrid.tracks.image.methods.adaptformer import AdaptFormer
from promptgrid.tracks.image.methods.dvpt import DVPT
from promptgrid.tracks.image.methods.mapped_head import MappedHead

TOLERANCE = 1e-5
Reference = Callable[..., Tensor]
CASES: dict[str, tuple[Any, Reference, dict[str, Any]]] = {
    "dvpt": (DVPT(prompts=4, bottleneck=5), dvpt.answer, {}),
    "dvpt-as_released": (
        DVPT(form="as_released", prompts=4, bottleneck=5, shared=2),
        dvpt.answer,
        {"form": "as_released", "shared": 2},
    ),
    "adaptformer": (AdaptFormer(bottleneck=6), tuned.adaptformer, {}),
    "mapped_head": (MappedHead(), tuned.mapped, {}),
    "prompt_tuning": (PromptTuning(prompt_length=3), tuned.prompted, {}),
    "deep_prompts": (DeepPrompts(prompt_length=3), tuned.prompted, {}),
    "lora": (LoRA(rank=3, alpha=6.0, rate=0.0), tuned.lora, {}),
    "adapter": (Adapters(bottleneck=4), tuned.adapted, {}),
}
BESIDE = {"pvp", "pvp_head", "tower_bitfit", "tower_probe"}
"""PVP is a whole run below, its control is PVP on the mapped head; two are towers' ``bitfit`` and ``linear_probe``."""
every_case = pytest.mark.parametrize("case", CASES)


def test_every_method_on_an_image_tower_alone_stands_here() -> None:
    shipped = {
        name
        for name, kind in track().resolver.methods.items()
        if kind.__module__.startswith("promptgrid.tracks.image.methods.") and not issubclass(kind, Classifier)
    }
    assert shipped == BESIDE | {type(method).name for method, *_ in CASES.values()} & shipped


class Tower:
    """A backbone that offers its image tower and nothing else."""

    width = 48

    def __init__(self) -> None:
        self.visual = copy.deepcopy(open_clip_model().visual).double()
        self.tower = ImageTower.of(self.visual)
        self.image_tokens_tower = ImageTokens(self.tower)


@cache
def world() -> tuple[Tower, Task, Tensor, Batch]:
    backbone = Tower()
    pixels = torch.randn(10, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    patches, labels = backbone.tower.patches(pixels), torch.arange(10) % 5
    batch = Batch(patches=patches, labels=labels, unprojected=backbone.tower.unprojected(patches, None))
    return backbone, Task.of("world", CLASSES, "{}", backbone), pixels, batch  # type: ignore[arg-type]


def begun(method: Any, task: Task) -> Params:
    """A start at which everything that is learned does something."""
    rng = torch.Generator().manual_seed(3)
    drawn = method.init(task, rng)
    return {name: (value + 0.05 * torch.randn(value.shape, generator=rng)).double() for name, value in drawn.items()}


@every_case
def test_answers_at_the_start(case: str) -> None:
    method, reference, told = CASES[case]
    backbone, task, pixels, batch = world()
    for params in ({k: v.double() for k, v in method.init(task, torch.Generator()).items()}, begun(method, task)):
        found = method.predict(params, batch, task)
        assert found.std(dim=0).max() > 1e-3, "the images are all alike: nothing was compared"
        wanted = reference(backbone.visual, params, pixels, **told)
        torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)


@every_case
def test_five_steps(case: str) -> None:
    method, reference, told = CASES[case]
    backbone, task, pixels, batch = world()
    start = begun(method, task)
    recipe = method.recipe(task)
    still = tuple(name for name, rule in recipe.rules.items() if rule.decay == 0.0)

    def ours(params: Params, step: int) -> Tensor:
        (loss,) = method.objective(params, batch, task.but(seed=torch.tensor(step))).values()
        return loss

    def theirs(params: Params, step: int) -> Tensor:
        return cross_entropy(reference(backbone.visual, params, pixels, **told), batch.labels)

    rate = float(recipe.optimizer.learning_rate)
    found, wanted = (descended(loss, start, rate, undecayed=still) for loss in (ours, theirs))
    assert largest(found, wanted) <= TOLERANCE
    assert largest(found, start) > 1e-3


@pytest.mark.parametrize("host", ["prompt_tuning", "deep_prompts"])
def test_pvp_is_its_host_descended_on_the_source_and_then_on_the_task(host: str) -> None:
    """Both stages through the engine, whole batches; the reference descends twice from the starts that are drawn."""
    told = "prompt_length=3; learning_rate=0.01"
    one = asked(host=host, host_settings=told, steps=STEPS, source_steps=STEPS, batch_size=50, source_batch=50)
    engine = wing()
    (cell,) = engine.resolve([one])
    first = engine.resolver.first_of(cell)
    assert first is not None
    (outcome,) = engine.run(Pack((cell,), wanted=frozenset({cell.key})), MemoryCache(), "cpu")
    assert outcome.record.status == "done", outcome.record.log_tail
    visual = open_clip_model().visual
    method: Any = engine.resolver.method(host)(prompt_length=3)

    def stage(at: Any, dataset: Any, carried: Params) -> Params:
        split = engine.resolver.split(at)
        from promptgrid.tracks.image.data.pixels import read_pixels

        raw = read_pixels(dataset, split.train, PREPROCESSING)
        mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (MEAN, STD))
        pixels, labels = (raw / 255.0 - mean) / std, torch.tensor([dataset.labels[index] for index in split.train])
        task = Task.of("", tuple(dataset.card.classes), "{}", engine.backbone("small", "cpu"))
        drawn = method.init(task, stream(at.identity["split"], at.shots, at.seed, "init"))
        return descended(
            lambda params, step: cross_entropy(tuned.prompted(visual, params, pixels), labels), drawn | carried, 0.01
        )

    source = stage(first, Elsewhere(), {})
    wanted = stage(cell, engine.resolver.dataset("pictures"), {"prompt": source["prompt"]})
    found = {name: torch.from_numpy(value) for name, value in outcome.state.items()}
    assert largest(found, wanted) <= TOLERANCE
    random = stage(cell, engine.resolver.dataset("pictures"), {})
    assert largest(found, random) > 1e-2, "stage 1 made no difference: nothing was compared"
