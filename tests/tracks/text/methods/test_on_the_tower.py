"""Every method of the text wing on the wing's own tower: the answers are those on the plain tower of the references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tests.reference.text.tiny import HEADS, LAYERS, MLP, MOST, VOCABULARY, WIDTH, TinyBert, random_weights
from tests.reference.text.world import begun, stirred, training_batch, world
from tests.tracks.text.methods.test_every_method import LEARNING, METHODS, built, relational
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch
from promptgrid.tracks.text.backbone import Piece, Tokens
from promptgrid.tracks.text.backbones.shape import Shape
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.tower import TextTower

SHAPE = Shape(
    width=WIDTH, layers=LAYERS, heads=HEADS, head_width=WIDTH // HEADS, inner=MLP, vocabulary=VOCABULARY, most=MOST,
    act="gelu", segments=2, scale=(WIDTH // HEADS) ** -0.5,
)  # fmt: skip


class Tower(Transformer):
    """The wing's tower with the weights and the tokenizer of the plain one."""

    def __init__(self) -> None:
        plain: Any = TinyBert()
        super().__init__("tower", "0" * 64, SHAPE, random_weights(), plain, plain.preprocessing)

    def tokenize(self, texts: Sequence[str], pairs: Sequence[str] | None = None, most: int | None = None) -> Tokens:
        return TinyBert().tokenize(texts, pairs, most)

    def tokenize_template(self, pieces: Sequence[Piece], most: int | None = None) -> Tokens:
        return TinyBert().tokenize_template(pieces, most)


TOWER = Tower()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_it_answers_as_on_the_plain_tower(name: str) -> None:
    plain = world(relational(name))
    method, batch = built(name), training_batch(plain)
    params = stirred(method, begun(method, plain))
    there = plain.but(backbone=TOWER)
    found = method.predict(params, batch, there)
    torch.testing.assert_close(found, method.predict(params, batch, plain), rtol=0, atol=1e-8)
    mine = {key: value for key, value in begun(method, there).items() if not key.startswith("tower.")}
    for key, value in mine.items():
        torch.testing.assert_close(
            value, begun(method, plain)[key], rtol=0, atol=1e-5, msg=lambda text, at=key: f"{at}: {text}"
        )


@pytest.mark.parametrize("name", LEARNING)
def test_its_losses_in_every_round_are_those_on_the_plain_tower(name: str) -> None:
    plain = world(relational(name)).but(seed=torch.tensor(4))
    method, batch = built(name), training_batch(plain)
    params = stirred(method, begun(method, plain))

    def losses(turn: int, backbone: Any) -> dict[str, Tensor]:
        return method.objective(params, batch, plain.but(turn=turn, backbone=backbone))  # type: ignore[no-any-return]

    for turn in range(3):
        found, wanted = losses(turn, TOWER), losses(turn, plain.backbone)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "turn"), [("ept", 0), ("iapt", 0), ("p_tuning_v2", 0), ("know_prompt", 0), ("pcp", 1)]
)
def test_cells_at_once_are_cells_alone_on_the_tower(name: str, turn: int) -> None:
    task = world(relational(name)).but(backbone=TOWER, turn=turn)
    method, examples = built(name), training_batch(world(relational(name)))
    own = [stirred(method, begun(method, task, seed), seed) for seed in range(2)]
    batches = [examples.rows(slice(0, 5)), examples.rows(slice(6, 11))]
    seeds = torch.tensor([8, 9])

    def loss(params: Params, columns: dict[str, Tensor], seed: Tensor) -> Tensor:
        return sum(method.objective(params, Batch(columns), task.but(seed=seed)).values())  # type: ignore[return-value]

    found = torch.func.vmap(loss)(
        {key: torch.stack([each[key] for each in own]) for key in own[0]},
        {key: torch.stack([each[key] for each in batches]) for key in batches[0]},
        seeds,
    )
    alone = [loss(own[cell], batches[cell].columns, seeds[cell]) for cell in range(2)]
    torch.testing.assert_close(found, torch.stack(alone), rtol=0, atol=1e-8)


def test_the_tower_says_its_norms_and_the_width_of_its_mlp() -> None:
    for backbone in (TOWER, TinyBert()):
        seen = TextTower(backbone)
        assert seen.norms == ("pre", (0, "first"), (0, "second"), (1, "first"), (1, "second"))
        assert seen.mlp_width == MLP
        assert not any(name.startswith("mask.") for name in seen.weights())
