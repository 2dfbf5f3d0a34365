"""What a method promises, as plain checks: each raises AssertionError with a sentence that says what is broken.

They use the contract alone, no engine and no store, so a third party's test is two lines::

    def test_mine():
        check_method(MyMethod)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Any, get_args

import torch
from safetensors.torch import load, save
from torch import Tensor

from promptgrid.contract.assets import ASSETS
from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.clip.black_box import face_of
from promptgrid.contract.clip.method import Classifier, Kind
from promptgrid.contract.clip.practice import PracticeBackbone
from promptgrid.contract.clip.task import Task
from promptgrid.contract.conformance_company import check_adaptation, check_company
from promptgrid.contract.conformance_data import (
    CLASSES,
    NEW_CLASSES,
    SHOTS,
    TOLERANCE,
    assert_close,
    assets_for,
    fingerprint,
    pictures,
    second_look,
)
from promptgrid.contract.method import Params
from promptgrid.contract.policies import Sphere, Spsa
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch, Labelled

PACK = 3


@dataclass(frozen=True)
class Trial:
    """A method on a small task: its start, one batch, and everything needed to score."""

    method: Classifier
    task: Task
    start: Params
    batch: Batch
    labels: Tensor

    @classmethod
    def of(cls, method: Classifier, backbone: Backbone, seed: int = 1) -> Trial:
        """A task of four classes with pictures drawn from ``seed``; the same arguments give the same bits."""
        pixels, labels = pictures(backbone, seed)
        features = backbone.encode_pixels(pixels)
        held = Labelled(backbone.encode_pixels(pictures(backbone, seed + 1000)[0]), labels)
        if "logits" in method.needs:
            features, held = features[:, :0], Labelled(held.features[:, :0], labels)
        task = Task.of(
            dataset="conformance",
            classes=CLASSES,
            template="a photo of a {}.",
            backbone=face_of(method, backbone),
            shots=SHOTS,
            support=Labelled(features, labels, pixels=lambda: pixels),
            validation=held,
            **assets_for(method.assets, backbone),
        )
        patches = backbone.patches(pixels) if "vision_blocks" in method.needs else None
        floats = backbone.normalised(pixels) if {"pixels", "logits"} & method.needs else None
        second = second_look(pixels) if "second_backbone" in method.assets else None
        pseudo, plain = None, None
        if "unlabelled" in method.assets:
            task = replace(task, mixture=(len(labels) - len(labels) // 2, len(labels) // 2))
            pseudo, plain = torch.arange(len(labels)) % 2 == 1, features + 0.1 * features.roll(1, 0)
        domain = torch.arange(len(labels)) % 2 if "domain_labels" in method.assets else None
        views = [backbone.patches(pictures(backbone, seed + 3000 + place)[0]) for place in range(len(method.beside))]
        beside = torch.stack(views, dim=1) if views else None
        start = method.init(task, stream("conformance", seed))
        batch = Batch(
            features=features, patches=patches, second=second, pseudo=pseudo, plain=plain, domain=domain, pixels=floats,
            beside=beside,
        )  # fmt: skip
        return cls(method, task, start, batch, labels)

    @property
    def trained(self) -> list[str]:
        """Names of the parameters that descent changes."""
        fitted = self.method.recipe(self.task) is not None
        return sorted(self.start.keys() - self.method.frozen) if fitted else []

    def shaken(self) -> Params:
        """The start with a little noise in every trained parameter: no gradient vanishes by symmetry there."""
        rng = stream("conformance", "noise")
        noise = {name: 0.02 * torch.randn(self.start[name].shape, generator=rng) for name in self.trained}
        return self.start | {name: self.start[name] + noise[name] for name in noise}

    def logits(self, params: Params, task: Task | None = None) -> Tensor:
        """(B, classes) of the batch, without training."""
        with torch.no_grad():
            return self.method.forward(params, self.batch, task or self.task.but(validation=None)).logits

    def loss(self, params: Params, seed: Tensor) -> Tensor:
        """The sum of the method's losses on the batch, at one training step of each of its stages."""
        found: list[Tensor] = []
        for turn in range(self.method.stages):
            task = replace(self.task.without_examples(), seed=seed, turn=turn)
            out = self.method.forward(params, self.batch, task)
            found += self.method.losses(params, out, self.labels, task).values()
        return torch.stack(found).sum()


def check_method(method: type[Classifier], backbone: Backbone | None = None, **settings: Any) -> None:
    """All promises of a method on ``backbone`` (a small practice one by default), with ``settings`` for defaults.

    Raises:
        AssertionError: the first promise that is not kept, in a sentence.
    """
    check_declaration(method)
    backbone = backbone if backbone is not None else PracticeBackbone()
    missing = sorted(method.needs - ASSETS.keys() - backbone.offers)
    assert not missing, f"{method.name} needs {', '.join(missing)}, which this backbone does not offer"
    before = fingerprint(backbone)
    trial = Trial.of(method(**settings), backbone)
    for check in (check_start, check_pool, check_logits, check_state, check_gradients, check_pack, check_new_classes):
        check(trial)
    check_rules(trial)
    check_company(trial)
    check_zero_shot_start(trial)
    check_adaptation(trial)
    check_tracked(trial)
    assert fingerprint(backbone) == before, f"{method.name} changed the frozen backbone"


def check_declaration(method: type[Classifier]) -> None:
    """Name, kind, paper, a first line that says what it is, settings with defaults, knobs in order."""
    name = getattr(method, "name", "")
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,79}", name), f"the name {name!r} is not lower_snake_case"
    assert method.kind in get_args(Kind), f"{name}: kind {method.kind!r} is none of {', '.join(get_args(Kind))}"
    first = (method.__doc__ or "").strip().split("\n")[0]
    generated = first.startswith(f"{method.__name__}(")
    described = bool(first) and not generated
    assert described, f"{name}: the class needs a docstring whose first line says what it is"
    assert method.paper.strip(), f"{name}: `paper` is empty; name the source, or say 'unpublished'"
    frozen = is_dataclass(method) and bool(getattr(method, "__dataclass_params__").frozen)  # noqa: B009 - untyped
    assert frozen, f"{name}: settings are fields of a frozen dataclass"
    for item in fields(method):
        plain = item.default is not MISSING and isinstance(item.default, bool | int | float | str)
        assert plain, f"{name}: setting {item.name!r} needs a default that is a number, a text or true/false"
    if method.axes is not None:
        closed = (method.axes.access == "black_box") == ("logits" in method.needs)
        assert closed, f"{name}: access 'black_box' and the need for 'logits' go together"
    for key, knob in method.knobs().items():
        default = method.defaults()[key]
        ordered = knob.low <= default <= knob.high
        assert ordered, f"{name}: knob {key!r} has default {default} outside {knob.low} to {knob.high}"
        assert not (knob.log and knob.low <= 0), f"{name}: knob {key!r} is on a log scale and reaches {knob.low}"


def check_start(trial: Trial) -> None:
    """``init`` draws from its own generator only, gives float32, and names what is frozen rightly."""
    method, name = trial.method, trial.method.name
    before = torch.random.get_rng_state()
    again = method.init(trial.task, stream("conformance", 1))
    assert torch.equal(before, torch.random.get_rng_state()), f"{name}: init draws from torch's global stream"
    assert same_bits(again, trial.start), f"{name}: init gave other numbers for the same generator"
    for key, value in trial.start.items():
        assert value.dtype == torch.float32, f"{name}: parameter {key!r} is {value.dtype}, expected float32"
        assert not value.requires_grad, f"{name}: parameter {key!r} comes with a gradient attached"
        assert bool(torch.isfinite(value).all()), f"{name}: parameter {key!r} is not finite at the start"
    unknown = sorted(method.frozen - trial.start.keys())
    assert not unknown, f"{name}: `frozen` names {', '.join(unknown)}, which init does not return"


def check_pool(trial: Trial) -> None:
    """Each round trains on images of the pool, no more than said, with labels of the task or none."""
    method, name, pool = trial.method, trial.method.name, trial.task.unlabelled
    rounds = method.draws(trial.task, 0 if pool is None else len(pool))
    assert bool(rounds) <= (pool is not None), f"{name} draws from a pool that it does not name in `needs`"
    for turn, said in enumerate(rounds):
        assert pool is not None
        task = replace(trial.task, turn=turn)
        logits = None if not turn else stream_logits(len(pool), len(task.classes), turn)
        chosen = method.relabel(task, logits)
        count = len(chosen.positions)
        assert count == len(chosen.labels), f"{name}: {count} images of the pool and {len(chosen.labels)} labels"
        assert count == said or (count < said and not method.packs), f"{name} said {said} images, and chose {count}"
        inside = bool(((chosen.positions >= 0) & (chosen.positions < len(pool))).all())
        assert inside, f"{name}: round {turn + 1} chose what is not in the pool"
        labels = chosen.labels
        assert bool(((labels >= -1) & (labels < len(task.classes))).all()), f"{name}: a label that the task has not"


def check_rules(trial: Trial) -> None:
    """Rules of a recipe are for parameters that descent changes; a rate that a parameter holds is a frozen scalar."""
    method, name = trial.method, trial.method.name
    for turn in range(method.stages):
        recipe = method.recipe(replace(trial.task, turn=turn))
        rules = {} if recipe is None else recipe.rules
        unknown = sorted(rules.keys() - trial.trained)
        assert not unknown, f"{name}: the recipe has rules for {', '.join(unknown)}, which descent does not change"
        for key, rule in rules.items():
            if isinstance(rule.rate, str):
                scalar = rule.rate in method.frozen and trial.start[rule.rate].dim() == 0
                assert scalar, f"{name}: the rate of {key!r} is said to be {rule.rate!r}, which is no frozen scalar"


def check_logits(trial: Trial) -> None:
    """One finite score per image and class, the same bits twice."""
    name, logits = trial.method.name, trial.logits(trial.start)
    expected = (len(trial.labels), len(trial.task.classes))
    assert tuple(logits.shape) == expected, f"{name}: logits are {tuple(logits.shape)}, expected {expected}"
    assert bool(torch.isfinite(logits).all()), f"{name}: a logit is not finite"
    assert torch.equal(logits, trial.logits(trial.start)), f"{name}: the same input gave other logits"


def check_state(trial: Trial) -> None:
    """What is kept after training goes through safetensors and scores the same to the bit, without support images."""
    name = trial.method.name
    with torch.no_grad():
        state = trial.method.finish(trial.shaken(), trial.task)
    assert state.keys() == trial.start.keys(), f"{name}: finish returns other parameters than init"
    loaded = load(save({key: value.detach().contiguous() for key, value in state.items()})) if state else {}
    alone = trial.task.without_examples()
    kept = torch.equal(trial.logits(state, alone), trial.logits(loaded, alone))
    assert kept, f"{name}: the state scores otherwise after save and load"


def check_gradients(trial: Trial) -> None:
    """Training reaches every parameter that ``init`` returned and that is not frozen."""
    if not trial.trained:
        return
    if isinstance(trial.method.step(trial.task), Spsa | Sphere):
        check_answers(trial)
        return
    params = trial.shaken()
    leaves = [params[name].clone().requires_grad_() for name in trial.trained]
    loss = trial.loss(params | dict(zip(trial.trained, leaves, strict=True)), torch.tensor(7))
    for name, grad in zip(trial.trained, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True):
        reached = grad is not None and bool(grad.abs().sum() > 0)
        assert reached, f"{trial.method.name}: no gradient reaches {name!r}; train it, or name it in `frozen`"


def check_answers(trial: Trial) -> None:
    """Without gradients: the loss moves with what is learned."""
    params, seed = trial.shaken(), torch.tensor(7)
    moved = params | {name: params[name] * 0.5 + 0.3 for name in trial.trained}
    same = torch.allclose(trial.loss(params, seed), trial.loss(moved, seed))
    assert not same, f"{trial.method.name}: the loss does not depend on what is learned"


def check_tracked(trial: Trial) -> None:
    """What follows the batches is frozen and keeps its shape."""
    task = replace(trial.task.without_examples(), seed=torch.tensor(7))
    found = trial.method.track(trial.start, trial.batch, task)
    for name, value in found.items():
        frozen = name in trial.method.frozen and value.shape == trial.start[name].shape
        assert frozen, f"{trial.method.name}: `track` returns {name!r}, which is no frozen parameter of this shape"


def check_pack(trial: Trial) -> None:
    """Three cells with their own numbers, batches and dropout score and descend under ``vmap`` as each does alone."""
    if not trial.method.packs or not trial.trained:
        return
    cells = [_cell(trial, i) for i in range(PACK)]
    alone = [_losses_and_gradients(_loss_of(trial), cell, trial.trained) for cell in cells]
    stacked = {key: _stacked([cell[key] for cell in cells]) for key in cells[0]}
    axes = {key: _axes(value) for key, value in stacked.items()}
    try:
        together = _losses_and_gradients(torch.func.vmap(_loss_of(trial), in_dims=(axes,)), stacked, trial.trained)
    except RuntimeError as error:
        advice = "write it without branching on values, or say `packs = False`"
        raise AssertionError(f"{trial.method.name} does not run under vmap ({error}); {advice}") from error
    for i in range(PACK):
        assert_close(together[0][i], alone[i][0], f"{trial.method.name}: the loss of a cell depends on its pack")
        for key in trial.trained:
            message = f"{trial.method.name}: the gradient of {key!r} depends on the cell's pack"
            assert_close(together[1][key][i], alone[i][1][key], message)


def check_new_classes(trial: Trial) -> None:
    """A method with an open vocabulary scores classes it never saw."""
    if not trial.method.open_vocabulary:
        return
    rebound = replace(trial.task.without_examples(), classes=NEW_CLASSES)
    try:
        logits = trial.logits(trial.shaken(), rebound)
    except (RuntimeError, ValueError, IndexError) as error:
        claim = f"{trial.method.name} says it has an open vocabulary but fails on new classes: {error}"
        raise AssertionError(claim) from error
    good = tuple(logits.shape) == (len(trial.labels), len(NEW_CLASSES)) and bool(torch.isfinite(logits).all())
    assert good, f"{trial.method.name} says it has an open vocabulary but cannot score new classes"


def check_zero_shot_start(trial: Trial) -> None:
    """A method that claims to begin as zero-shot CLIP does, on cosines."""
    if not trial.method.zero_shot_at_start:
        return
    zero_shot = trial.batch.normalised @ trial.task.text.mT
    gap = float((trial.logits(trial.start) / trial.task.scale - zero_shot).abs().max())
    assert gap <= TOLERANCE, f"{trial.method.name} should begin as zero-shot CLIP, cosines differ by {gap:.2g}"


def same_bits(one: Params, other: Params) -> bool:
    """Whether two sets of parameters are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _cell(trial: Trial, i: int) -> dict[str, Any]:
    """What differs between the cells of a pack: parameters, knobs, images, labels, dropout."""
    rng = stream("conformance", "cell", i)
    method, order = trial.method, torch.randperm(len(trial.labels), generator=rng)
    own = {name: value + 0.01 * torch.randn(value.shape, generator=rng) for name, value in trial.shaken().items()}
    start = trial.start | {name: own[name] for name in trial.trained}
    knobs = {name: torch.tensor(float(getattr(method, name)) * (1.0 + 0.1 * i)) for name in method.knobs()}
    seen = trial.batch.rows(order).columns
    held = {name: value for name, value in start.items() if name not in trial.trained}
    return {
        "trained": {name: start[name] for name in trial.trained},
        "held": held,
        "knobs": knobs,
        "seen": seen,
        "labels": trial.labels[order],
        "seed": torch.tensor(100 + i),
    }


def _loss_of(trial: Trial) -> Callable[[dict[str, Any]], Tensor]:
    def loss(cell: dict[str, Any]) -> Tensor:
        method = replace(trial.method, **cell["knobs"])
        own = replace(trial, method=method, batch=Batch(cell["seen"]), labels=cell["labels"])
        return own.loss(cell["trained"] | cell["held"], cell["seed"])

    return loss


def _losses_and_gradients(
    loss: Callable[[dict[str, Any]], Tensor], cell: dict[str, Any], trained: list[str]
) -> tuple[Tensor, Params]:
    leaves = {name: cell["trained"][name].clone().requires_grad_() for name in trained}
    losses = loss(cell | {"trained": leaves})
    if not losses.requires_grad:  # a black box gives none
        return losses, {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    grads = torch.autograd.grad(losses.sum(), list(leaves.values()))
    return losses.detach(), dict(zip(leaves, grads, strict=True))


def stream_logits(images: int, classes: int, turn: int) -> Tensor:
    """(images, classes) numbers in place of what a round has learned to say of a pool."""
    return torch.randn(images, classes, generator=stream("conformance", "pool", turn))


def _axes(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _axes(own) for name, own in value.items()}
    return None if value is None else 0


def _stacked(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {name: _stacked([value[name] for value in values]) for name in values[0]}
    return None if values[0] is None else torch.stack(values)
