"""What holds of every method that the text wing lists: packing, cards, settings, columns."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.reference.text.world import begun, stirred, training_batch, world
from torch import Tensor
from torch.func import vmap

import promptgrid.towers.methods as of_towers
import promptgrid.tracks.text.methods as of_texts
from promptgrid.contract.method import Method, Params
from promptgrid.contract.task import Batch
from promptgrid.spec.reading import read_yaml

CELLS, ROWS = 3, 5
COLUMNS = {
    "tokens": ("tokens", "attention"),
    "templated": ("templated", "templated_attention", "mask_at", "template_at", "subject_at", "object_at"),
    "mask_state": ("mask_state",),
    "features": ("features",),
}


def found_in(package: Any) -> dict[str, type[Method]]:
    methods = {}
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.ispkg:
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and issubclass(kind, Method) and kind.__module__ == module.name:
                methods[kind.name] = kind
    return methods


METHODS = {**found_in(of_towers), **found_in(of_texts)}
SETTINGS: dict[str, dict[str, Any]] = {
    "bayes_prompt": {"domain": "noise"},
    "ept": {"budget_length": 12, "prompt_length": 4, "positions": 8},
    "dept": {"budget_length": 12, "prompt_length": 4, "positions": 8},
    "lora": {"rate": 0.2},
}
every_method = pytest.mark.parametrize("name", sorted(METHODS))
LEARNING = sorted(name for name, kind in METHODS.items() if kind.kind not in ("zero-shot", "head"))


def built(name: str) -> Any:
    return METHODS[name](**SETTINGS.get(name, {}))


def relational(name: str) -> bool:
    return "relations" in METHODS[name].needs


def test_the_wing_has_at_least_twenty_methods() -> None:
    assert len(METHODS) >= 24
    assert {"ept", "iapt", "bayes_prompt", "sci_prompt", "pcp", "pcp_soft"} <= METHODS.keys()


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("turn", [0, 1])
def test_three_cells_at_once_are_three_cells(name: str, turn: int) -> None:
    task = world(relational(name)).but(turn=turn)
    examples, method = training_batch(task), built(name)
    own = [stirred(method, begun(method, task, seed), seed) for seed in range(CELLS)]
    batches = [
        examples.rows(torch.randperm(12, generator=torch.Generator().manual_seed(s))[:ROWS]) for s in range(CELLS)
    ]
    seeds = torch.arange(CELLS) + 40
    rates = torch.linspace(0.5, 1.5, CELLS, dtype=torch.float64)
    knobs = {"alpha": rates * 16} if "alpha" in type(method).knobs() else {}

    def loss(params: Params, columns: dict[str, Tensor], seed: Tensor, settings: dict[str, Tensor]) -> Tensor:
        losses = replace(method, **settings).objective(params, Batch(columns), task.but(seed=seed))
        return torch.stack(list(losses.values())).sum()

    learned = [key for key in own[0] if key not in method.frozen]

    def graded(
        params: Params, columns: dict[str, Tensor], seed: Tensor, settings: dict[str, Tensor]
    ) -> tuple[Params, Tensor]:
        fixed = {key: value for key, value in params.items() if key not in learned}
        grads, value = torch.func.grad_and_value(lambda some: loss({**fixed, **some}, columns, seed, settings))(
            {key: params[key] for key in learned}
        )
        return grads, value

    stacked = {key: torch.stack([each[key] for each in own]) for key in own[0]}
    columns = {key: torch.stack([each[key] for each in batches]) for key in batches[0]}
    grads, values = vmap(graded)(stacked, columns, seeds, knobs)
    for cell in range(CELLS):
        alone, value = graded(own[cell], batches[cell].columns, seeds[cell], {k: v[cell] for k, v in knobs.items()})
        torch.testing.assert_close(values[cell], value, rtol=0, atol=1e-10)
        for key, wanted in alone.items():
            torch.testing.assert_close(
                grads[key][cell], wanted, rtol=0, atol=1e-9, msg=lambda text, at=key: f"{at}: {text}"
            )
    assert values.unique().numel() == CELLS, "the cells are all alike: nothing was compared"


@every_method
def test_it_reads_the_columns_that_it_says_and_no_others(name: str) -> None:
    task = world(relational(name))
    method, batch = built(name), training_batch(task)
    said = getattr(method, "columns", method.needs)
    kept = {column for group, columns in COLUMNS.items() if group in said for column in columns}
    fewer = Batch({key: value for key, value in batch.columns.items() if key in kept})
    answers = method.predict(begun(method, task), fewer, task)
    assert answers.shape == (12, 3)
    assert answers.isfinite().all()


@every_method
def test_one_text_is_answered_alike_alone_and_beside_others(name: str) -> None:
    task = world(relational(name))
    method, batch = built(name), training_batch(task)
    params = stirred(method, begun(method, task))
    once = method.once(params, task)
    whole = method.predict(params, batch, task, once)
    parts = [method.predict(params, batch.rows(slice(at, at + 4)), task, once) for at in (0, 4, 8)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-9)


@every_method
def test_it_is_float32_drawn_from_the_generator_alone(name: str) -> None:
    task = world(relational(name))
    one, same, other = (built(name).init(task, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(value.dtype == torch.float32 for value in one.values())
    assert all(torch.equal(one[key], same[key]) for key in one)
    drawn = [key for key in one if not torch.equal(one[key], other[key])]
    deterministic = {"linear_probe", "zero_shot"} | {key for key in METHODS if METHODS[key].kind == "words"}
    assert bool(drawn) == (name not in deterministic - {"bayes_prompt"})


@every_method
def test_its_card_lies_beside_it_and_its_docstring_says_what_a_card_needs(name: str) -> None:
    kind = METHODS[name]
    module = importlib.import_module(kind.__module__)
    card = read_yaml(Path(str(module.__file__)).parent / "cards" / f"{name}.yaml")
    assert {"learns", "parity"} <= card.keys()
    text = kind.__doc__ or ""
    assert "Source: " in text
    assert "Deviation" in text
    assert kind.axes is not None
    assert kind.axes.family == "single_tower"
    assert kind.paper


@every_method
def test_every_number_of_its_settings_is_checked(name: str) -> None:
    kind = METHODS[name]
    for item in fields(kind):
        assert item.default is not MISSING, item.name
        wrong: Any = "wrong" if not isinstance(item.default, str) else "no such word"
        with pytest.raises(ValueError, match=item.name):
            kind(**{item.name: wrong})


@pytest.mark.parametrize("name", LEARNING)
def test_its_recipe_is_told_by_names_and_shots_alone(name: str) -> None:
    task = world(relational(name)).without_examples().but(backbone=None)
    for turn in range(max(1, len(built(name).draws(task, 6)))):
        recipe = built(name).recipe(task.but(turn=turn))
        assert recipe is not None
        assert recipe.iterations


def test_what_is_left_out_of_a_task_is_asked_for_by_name() -> None:
    with pytest.raises(KeyError, match="templated"):
        built("prompt_finetune").predict({}, Batch(tokens=torch.zeros(1, 3)), world())
