"""Methods on any tower of tokens, on a tower that is not one of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
from tests.reference.text.tiny import LAYERS, MLP, WIDTH, TinyBert
from torch import Tensor
from torch.nn.functional import linear

from promptgrid.contract.edits import Edits, NormPlace
from promptgrid.contract.method import Method, Params
from promptgrid.contract.task import Batch, Labelled, Task
from promptgrid.towers.methods.adapter import Adapters
from promptgrid.towers.methods.bitfit import BitFit
from promptgrid.towers.methods.deep_prompts import DeepPrompts
from promptgrid.towers.methods.full_finetune import FullFinetune
from promptgrid.towers.methods.linear_probe import LinearProbe
from promptgrid.towers.methods.ln_tuning import LNTuning
from promptgrid.towers.methods.lora import LoRA
from promptgrid.towers.methods.prompt_tuning import PromptTuning
from promptgrid.towers.tower import TokenTower

NORMS = 1 + 2 * LAYERS
CLASSES = 3
HEAD = CLASSES * (WIDTH + 1)


class Points:
    """A tower whose tokens are points: blocks as the tiny BERT's, and a mean over all points."""

    width, layers, mlp_width = WIDTH, LAYERS, MLP
    norms: tuple[NormPlace, ...] = ("pre", (0, "first"), (0, "second"), (1, "first"), (1, "second"))
    prompt_place: Literal["text"] = "text"

    def __init__(self) -> None:
        self.blocks = TinyBert()

    def weights(self) -> Mapping[str, Tensor]:
        return {name: value for name, value in self.blocks.weights().items() if name.startswith(("blocks", "pre"))}

    def features(self, batch: Batch, edits: Edits | None = None, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        points = batch["points"]
        mask = torch.ones(points.shape[:2], dtype=torch.bool)
        count = 0
        if edits is not None and edits.tokens is not None:
            points, mask = self.blocks.with_prompt(points, mask, edits.tokens.layers[0])
            count = edits.tokens.count
        hidden = self.blocks.encode(points, mask, edits, weights=weights)
        return torch.cat([hidden[:, :1], hidden[:, 1 + count :]], 1).mean(1)


@dataclass(frozen=True, eq=False)
class PointTask(Task):
    """A task of point clouds."""

    @property
    def tower(self) -> TokenTower:
        return self.backbone


def clouds(seed: int = 0) -> tuple[Batch, PointTask]:
    rng = torch.Generator().manual_seed(seed)
    batch = Batch(points=torch.randn(9, 7, WIDTH, generator=rng, dtype=torch.float64), labels=torch.arange(9) % CLASSES)
    return batch, PointTask("points", ("a", "b", "c"), Points())


def begun(method: Method, task: PointTask) -> Params:
    return {k: v.double() for k, v in method.init(task, torch.Generator().manual_seed(3)).items()}


METHODS: dict[str, tuple[Any, int]] = {
    "prompt_tuning": (PromptTuning(prompt_length=4), 4 * WIDTH),
    "deep_prompts": (DeepPrompts(prompt_length=4), LAYERS * 4 * WIDTH),
    "lora": (LoRA(rank=3), LAYERS * 2 * 2 * 3 * WIDTH),
    "adapter": (Adapters(bottleneck=5), LAYERS * 2 * (2 * 5 * WIDTH + 5 + WIDTH)),
    "ln_tuning": (LNTuning(), 2 * NORMS * WIDTH),
    "bitfit": (BitFit(), LAYERS * (4 * WIDTH + MLP) + NORMS * WIDTH),
    "full_finetune": (FullFinetune(), sum(value.numel() for value in Points().weights().values())),
}
every_method = pytest.mark.parametrize("name", METHODS)


@every_method
def test_it_learns_as_many_numbers_as_it_says(name: str) -> None:
    method, count = METHODS[name]
    _, task = clouds()
    assert sum(value.numel() for value in begun(method, task).values()) == count + HEAD


@every_method
def test_all_that_is_learned_is_read(name: str) -> None:
    method, _ = METHODS[name]
    batch, task = clouds()
    rng = torch.Generator().manual_seed(5)
    params = {
        key: (value + 0.1 * torch.randn(value.shape, generator=rng, dtype=value.dtype)).requires_grad_()
        for key, value in begun(method, task).items()
    }
    loss = sum(method.objective(params, batch, task).values())
    grads = torch.autograd.grad(loss, list(params.values()))
    for key, grad in zip(params, grads, strict=True):
        rows = grad.flatten(1) if grad.dim() > 1 and key in ("down", "up", "narrow", "wide", "prompt") else grad[None]
        blind = key.endswith(".k.bias")  # softmax does not see a bias that all keys share
        assert blind or (rows.abs().amax(-1) > 1e-9).all(), f"{key}: some of it does nothing"


@pytest.mark.parametrize("name", ["lora", "ln_tuning", "bitfit", "full_finetune"])
def test_untrained_it_is_a_head_on_the_frozen_tower(name: str) -> None:
    method, _ = METHODS[name]
    batch, task = clouds()
    params = begun(method, task)
    wanted = linear(task.tower.features(batch), params["head_weight"], params["head_bias"])
    torch.testing.assert_close(method.predict(params, batch, task), wanted, rtol=0, atol=1e-6)


def test_dropout_of_lora_follows_the_seed_of_the_step() -> None:
    batch, task = clouds()
    method = LoRA(rate=0.5)
    params = {key: value + 0.1 for key, value in begun(method, task).items()}
    still, one, same, other = (
        method.predict(params, batch, task.but(seed=seed))
        for seed in (None, torch.tensor(1), torch.tensor(1), torch.tensor(2))
    )
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
    assert not torch.allclose(one, still)


def test_deep_prompts_are_written_anew_before_every_block() -> None:
    batch, task = clouds()
    deep, shallow = DeepPrompts(prompt_length=4), PromptTuning(prompt_length=4)
    params = begun(deep, task)
    other = {**params, "prompt": torch.cat([params["prompt"][:1], params["prompt"][1:] + 1.0])}
    alone = {**params, "prompt": params["prompt"][0]}
    answers = [
        deep.predict(params, batch, task),
        deep.predict(other, batch, task),
        shallow.predict(alone, batch, task),
    ]
    assert not torch.allclose(answers[0], answers[1])
    assert not torch.allclose(answers[0], answers[2])


def labelled(features: Tensor, labels: Tensor) -> Labelled:
    return Labelled(features, labels)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_probe_is_scikit_learns_regression_with_the_best_c(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    rng = torch.Generator().manual_seed(1)
    features, labels = torch.randn(30, WIDTH, generator=rng), torch.arange(30) % classes
    features[:, 0] += labels
    held, answers = torch.randn(20, WIDTH, generator=rng), torch.arange(20) % classes
    held[:, 0] += answers
    _, task = clouds()
    task = task.but(classes=("a", "b", "c")[:classes], support=labelled(features, labels))
    method = LinearProbe(c=0.5)
    start = method.init(task, rng)
    plain = LogisticRegression(C=0.5, max_iter=1000).fit(features.double().numpy(), labels.numpy())
    found = method.predict(method.finish(start, task), Batch(features=held), task).softmax(-1)
    torch.testing.assert_close(
        found.double(), torch.from_numpy(plain.predict_proba(held.double().numpy())), rtol=0, atol=1e-3
    )
    searched = method.finish(start, task.but(validation=labelled(held, answers)))
    right = {}
    for k in range(-6, 9):
        model = LogisticRegression(C=10.0 ** (k / 2), max_iter=1000).fit(features.double().numpy(), labels.numpy())
        right[k] = model.score(held.double().numpy(), answers.numpy())
    best = float((method.predict(searched, Batch(features=held), task).argmax(1) == answers).double().mean())
    assert best == pytest.approx(max(right.values()))


def test_a_class_without_an_example_is_never_predicted() -> None:
    rng = torch.Generator().manual_seed(1)
    features, labels = torch.randn(12, WIDTH, generator=rng), torch.arange(12) % 2
    _, task = clouds()
    task = task.but(support=labelled(features, labels))
    method = LinearProbe(search=False)
    learned = method.finish(method.init(task, rng), task)
    assert set(method.predict(learned, Batch(features=features), task).argmax(1).tolist()) == {0, 1}
    with pytest.raises(ValueError, match="support"):
        method.finish(learned, task.but(support=None))
