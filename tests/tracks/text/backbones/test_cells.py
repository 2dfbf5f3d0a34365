"""Many cells at once under vmap are the cells one by one, and edits mean what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tracks.text.backbones.folders import KINDS, folder
from torch import Tensor

from promptgrid.contract import LowRank, NormShift, TokenPlan
from promptgrid.spec import Refused
from promptgrid.tracks.text.backbone import TextBackbone, Tokens
from promptgrid.tracks.text.backbones.hf_folder import HuggingFaceFolder
from promptgrid.tracks.text.backbones.tokens.padding import Rows
from promptgrid.tracks.text.edits import Generated, Prefix, TextEdits

TEXTS = ["the film was great", "bad film . it was long"]
CELLS, D = 3, 24
Make = Callable[[Tensor, Tensor], TextEdits]
EDITS: dict[str, Make] = {
    "deep prompts": lambda p, w: TextEdits(tokens=TokenPlan((p, p * 2), "text")),
    "low rank": lambda p, w: TextEdits(deltas={(0, "q"): LowRank(p, w), (1, "out"): LowRank(w.mT, p.mT)}),
    "norms": lambda p, w: TextEdits(norms={(0, "first"): NormShift(p[0], p[1]), (1, "second"): NormShift(bias=p[0])}),
    "biases": lambda p, w: TextEdits(biases={(0, "k"): w[:, 0], (1, "v"): w[:, 1]}),
    "factors": lambda p, w: TextEdits(weights={(0, "fc"): 1 + p[0]}),
    "prefix": lambda p, w: TextEdits(prefixes={0: Prefix(w.mT, w.mT), 1: Prefix(w.mT * 2, w.mT)}),
    "adapters": lambda p, w: TextEdits(adapters={(0, "attention"): _narrow(p), (1, "mlp"): _narrow(p * 2)}),
    "generated": lambda p, w: TextEdits(generated=Generated({0: _made(p), 1: _made(p * 2)}, 2)),
}


def _narrow(p: Tensor) -> Any:
    """An adapter of two units."""
    return lambda x: x + (x @ p.mT).relu() @ p


def _made(prompt: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    def tokens(hidden: Tensor, mask: Tensor) -> Tensor:
        share = mask.to(hidden).unsqueeze(-1)
        return (hidden * share).sum(1, keepdim=True) / share.sum(1, keepdim=True) + prompt

    return tokens


def _encoded(tower: TextBackbone, make: Make | None, prompt: Tensor, wide: Tensor) -> Tensor:
    tokens = tower.tokenize(TEXTS)
    embeddings, mask = tower.with_prompt(tower.embed(tokens.ids), tokens.mask, prompt)
    return tower.encode(embeddings, mask, None if make is None else make(prompt, wide)) * mask.unsqueeze(-1)


def _drawn(kind: str) -> tuple[Tensor, Tensor]:
    joined = 30 if kind == "t5" else D  # its heads side by side are wider than its tokens
    return torch.randn(CELLS, 2, D), torch.randn(CELLS, joined, 2)


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("kind", KINDS)
def test_cells_are_what_they_are_alone(kind: str, name: str, towers: dict[str, TextBackbone]) -> None:
    tower, make = towers[kind], EDITS[name]
    torch.manual_seed(0)
    prompts, wides = _drawn(kind)
    together = torch.func.vmap(lambda p, w: _encoded(tower, make, p, w))(prompts, wides)
    for cell in range(CELLS):
        alone = _encoded(tower, make, prompts[cell], wides[cell])
        assert torch.allclose(together[cell], alone, atol=1e-4)
        assert not torch.allclose(alone, _encoded(tower, None, prompts[cell], wides[cell]), atol=1e-2)


LONG_AND_SHORT = ["film", "the film was great . it was long", "bad film"]


@pytest.mark.parametrize("name", [None, *EDITS])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_left_out_and_nothing_else(kind: str, name: str | None, towers: dict[str, TextBackbone]) -> None:
    """Texts whose padding is left out give the states and the gradients that they give with it."""
    tower, make = towers[kind], EDITS.get(name or "")
    torch.manual_seed(0)
    prompt, wide = (drawn[0].requires_grad_() for drawn in _drawn(kind))
    tokens = tower.tokenize(LONG_AND_SHORT)
    embeddings, mask = tower.with_prompt(tower.embed(tokens.ids), tokens.mask, prompt)
    at = mask.sum(1, keepdim=True) - 1
    assert Rows.of(mask).places is not None

    def states(mask: Tensor) -> tuple[Tensor, Tensor]:
        edits = None if make is None else make(prompt, wide)
        hidden = tower.encode(embeddings, mask, edits)
        return hidden * mask.unsqueeze(-1), tower.encode_at(embeddings, mask, at, edits)

    found = states(mask)
    kept = [each.squeeze(0) for each in torch.func.vmap(states)(mask.unsqueeze(0))]
    for one, other in zip(found, kept, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
        gradients = [
            torch.autograd.grad(each.square().sum(), (prompt, wide), retain_graph=True, allow_unused=True)
            for each in (one, other)
        ]
        for left, right in zip(*gradients, strict=True):
            assert (left is None) == (right is None)
            assert (
                left is None
                or right is None
                or torch.allclose(left, right, atol=1e-4 * float(right.abs().max()) + 1e-6)
            )


def test_gradients_reach_what_a_cell_learns(towers: dict[str, TextBackbone]) -> None:
    for kind, tower in towers.items():
        torch.manual_seed(0)
        prompts, wides = (x.requires_grad_() for x in _drawn(kind))
        torch.func.vmap(lambda p, w, t=tower: _encoded(t, EDITS["prefix"], p, w))(
            prompts, wides
        ).square().sum().backward()
        assert prompts.grad is not None
        assert bool((prompts.grad.abs().sum((1, 2)) > 0).all())
        assert wides.grad is not None


def test_each_cell_may_have_its_own_weights(towers: dict[str, TextBackbone]) -> None:
    for kind, tower in towers.items():
        tokens = tower.tokenize(TEXTS)
        names = [*tower.weights()]
        own = {name: value + 0.05 * torch.randn(CELLS, *value.shape) for name, value in tower.weights().items()}

        def encoded(weights: dict[str, Tensor], tower: TextBackbone = tower, tokens: Tokens = tokens) -> Tensor:
            hidden = tower.encode(tower.embed(tokens.ids, weights), tokens.mask, weights=weights)
            return tower.pool(hidden, tokens.mask)

        together = torch.func.vmap(encoded)(own)
        for cell in range(CELLS):
            alone = encoded({name: own[name][cell] for name in names})
            assert torch.allclose(together[cell], alone, atol=1e-4), kind
        with pytest.raises(Refused, match="no such weight"):
            tower.encode(tower.embed(tokens.ids), tokens.mask, weights={"blocks.0.qq": torch.zeros(())})


def test_every_weight_in_place_of_itself_changes_nothing(towers: dict[str, TextBackbone]) -> None:
    for tower in towers.values():
        tokens = tower.tokenize(TEXTS)
        given = tower.embed(tokens.ids), tokens.mask
        assert torch.allclose(tower.encode(*given), tower.encode(*given, weights=tower.weights()), atol=1e-5)


def test_the_head_takes_a_cells_own_weights(towers: dict[str, TextBackbone]) -> None:
    tower = towers["bert"]
    hidden = torch.randn(CELLS, 2, D)
    own = {name: value + 0.1 * torch.randn(CELLS, *value.shape) for name, value in tower.weights().items()}
    together = torch.func.vmap(tower.fill)(hidden, own)
    few = torch.tensor([3, 9])
    for cell in range(CELLS):
        weights = {name: value[cell] for name, value in own.items()}
        assert torch.allclose(together[cell], tower.fill(hidden[cell], weights), atol=1e-4)
        assert torch.allclose(together[cell][:, few], tower.fill_words(hidden[cell], few, weights), atol=1e-4)


def test_a_prefix_of_one_layer_is_tokens_that_only_give_keys_and_values(tmp_path: Path) -> None:
    """Where two tokens' keys and values are given as a prefix, the others see what they see of the two tokens."""
    tower = HuggingFaceFolder().load(f"hf-dir:{folder(tmp_path, 'bert', num_hidden_layers=1)}", "cpu")
    tokens, weights = tower.tokenize(["the film was great"]), tower.weights()
    embeddings = tower.embed(tokens.ids)
    entered = embeddings + weights["embeddings.position"][: embeddings.shape[1]] + weights["embeddings.segment"][0]
    entered = torch.nn.functional.layer_norm(entered, (D,), weights["pre.weight"], weights["pre.bias"], 1e-5)
    keys, values = (entered[0, :2] @ weights[f"blocks.0.{part}.weight"].T + weights[f"blocks.0.{part}.bias"]
                    for part in "kv")  # fmt: skip
    hidden_away = tokens.mask.clone()
    hidden_away[:, :2] = False
    found = tower.encode(embeddings, hidden_away, TextEdits(prefixes={0: Prefix(keys, values)}))
    assert torch.allclose(found[:, 2:], tower.encode(embeddings, tokens.mask)[:, 2:], atol=1e-5)


def test_edits_of_image_towers_are_refused(towers: dict[str, TextBackbone]) -> None:
    tower = towers["bert"]
    tokens = tower.tokenize(TEXTS)
    plan = TokenPlan((torch.zeros(1, D),), "after_class")
    with pytest.raises(Refused, match="image tower"):
        tower.encode(tower.embed(tokens.ids), tokens.mask, TextEdits(tokens=plan))
