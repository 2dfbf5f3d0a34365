"""Text towers from a local Hugging Face folder: `hf-dir:/path` with config.json, safetensors and tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from promptgrid.spec import Refused, digest
from promptgrid.spec.paths import user_path
from promptgrid.tracks.text.backbone import TextBackbone, TextBackboneFamily
from promptgrid.tracks.text.backbones.file_hashes import sha256_of
from promptgrid.tracks.text.backbones.kinds import Kind, kind_of
from promptgrid.tracks.text.backbones.layout import fitted
from promptgrid.tracks.text.backbones.names import renamed
from promptgrid.tracks.text.backbones.shape import Shape
from promptgrid.tracks.text.backbones.tokens.special_tokens import Special, special_of
from promptgrid.tracks.text.backbones.tokens.tokenizing import Tokenizer
from promptgrid.tracks.text.backbones.tower import Transformer, offers

PREFIX = "hf-dir:"
ONE, SHARDS = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_MOST = 512
"""What rows are cut to where a folder does not say less."""


@dataclass(frozen=True)
class Folder:
    """A model as its folder describes it, its weights still unread."""

    home: Path
    kind: Kind
    shape: Shape
    special: Special
    weights: tuple[str, ...]
    preprocessing: Mapping[str, object]


class HuggingFaceFolder(TextBackboneFamily):
    """Folders that `save_pretrained` wrote: BERT, RoBERTa, DeBERTa, GPT-2 and T5 (its encoder)."""

    name: ClassVar[str] = "hf-dir"

    def listing(self) -> list[dict[str, object]]:
        about = "a folder with config.json, model.safetensors and tokenizer.json: BERT, RoBERTa, DeBERTa, GPT-2, T5"
        return [{"name": f"{PREFIX}/path/to/folder", "about": about, "bundled": False}]

    def knows(self, backbone: str) -> bool:
        return backbone.startswith(PREFIX)

    def facts(self, backbone: str) -> dict[str, object]:
        folder = described(backbone)
        model = {
            "architecture": asdict(folder.shape),
            "tokenizer": sha256_of(folder.home / "tokenizer.json"),
            "special": asdict(folder.special),
            "preprocessing": dict(folder.preprocessing),
            "weights": [sha256_of(folder.home / name) for name in folder.weights],
        }
        shape = folder.shape
        return {
            "digest": digest(model),
            "model": model,
            "preprocessing": folder.preprocessing,
            "offers": sorted(_offers(folder)),
            "sizes": {"width": shape.width, "layers": shape.layers, "heads": shape.heads, "most_tokens": shape.most,
                      "vocabulary": shape.vocabulary},
        }  # fmt: skip

    def load(self, backbone: str, device: str) -> TextBackbone:
        folder, facts = described(backbone), self.facts(backbone)
        state = _state(folder)
        tensors = fitted(renamed(folder.kind.arranged(state, folder.shape), folder.kind.table), folder.shape, backbone)
        shape, special = folder.shape, folder.special
        most = int(str(folder.preprocessing["most_tokens"]))
        written = (folder.home / "tokenizer.json").read_text(encoding="utf-8")
        tokenizer = Tokenizer(written, special.pad, special.mask, most, shape.most, shape.segments > 1, backbone)
        if tokenizer.size > shape.vocabulary:
            raise Refused("the tokenizer has more tokens than the model", where=backbone, got=tokenizer.size,
                          expected=f"at most {shape.vocabulary}")  # fmt: skip
        here = {name: value.to(torch.device(device)) for name, value in tensors.items()}
        return Transformer(backbone, str(facts["digest"]), shape, here, tokenizer, folder.preprocessing)


def described(backbone: str) -> Folder:
    """What a folder holds, without its weights.

    Raises:
        Refused: a file is missing or no JSON, the weights are pickles, the architecture is not run here.
    """
    home = user_path(backbone.removeprefix(PREFIX), "backbones")
    config = _json(home, "config.json", backbone)
    kind, shape = kind_of(config, backbone)
    if not (home / "tokenizer.json").is_file():
        raise Refused("no tokenizer.json there", where=backbone,
                      hint="AutoTokenizer.from_pretrained(path).save_pretrained(path) writes one")  # fmt: skip
    special = special_of(home, config, backbone)
    return Folder(home, kind, shape, special, _weights(home, backbone), _preprocessing(home, kind, shape, special))


def _offers(folder: Folder) -> set[str]:
    """Whether masks are filled is read off the names of the tensors, without their content."""
    names: set[str] = set()
    for file in folder.weights:
        try:
            with safe_open(folder.home / file, "pt") as opened:
                names |= set(opened.keys())
        except SafetensorError as error:
            raise _damaged(error, folder.home / file) from error
    found = renamed({name: torch.empty(0) for name in names}, folder.kind.table)
    return set(offers(found, folder.special.mask is not None))


def _weights(home: Path, where: str) -> tuple[str, ...]:
    """The files of the weights, in order."""
    if (home / ONE).is_file():
        return (ONE,)
    if (home / SHARDS).is_file():
        named = _json(home, SHARDS, where).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise Refused(f"{SHARDS} names no weights", where=where)
        files = sorted(set(named.values()))
        if missing := [name for name in files if Path(name).name != name or not (home / name).is_file()]:
            raise Refused("a part of the weights is missing", where=where, got=missing[0])
        return tuple(files)
    if found := [name for name in PICKLES if (home / name).is_file()]:
        raise Refused("the weights are a pickle: reading it could run code, so it is not read", where=where,
                      got=found[0], hint="model.save_pretrained(path) writes safetensors")  # fmt: skip
    raise Refused("no weights there", where=where, expected=f"{ONE}, or {SHARDS} and its parts")


def _state(folder: Folder) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name in folder.weights:
        try:
            state |= load_file(folder.home / name)
        except SafetensorError as error:
            raise _damaged(error, folder.home / name) from error
    return state


def _damaged(error: Exception, file: Path) -> Refused:
    return Refused(f"a damaged or cut off file: {error}", where=str(file), hint="fetch it again")


def _preprocessing(home: Path, kind: Kind, shape: Shape, special: Special) -> dict[str, object]:
    """How texts become features: what sentence-transformers wrote beside the model, else the habit of its kind."""
    pooling, most = kind.pooling, min(_MOST, shape.most)
    if (home / "1_Pooling" / "config.json").is_file():
        written = _json(home / "1_Pooling", "config.json", str(home))
        modes = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token", "last": "pooling_mode_lasttoken"}
        pooling = next((name for name, key in modes.items() if written.get(key)), pooling)
    if (home / "sentence_bert_config.json").is_file():
        said = _json(home, "sentence_bert_config.json", str(home)).get("max_seq_length")
        most = min(most, int(said)) if said else most
    return {"lower_case": special.lower_case, "most_tokens": most, "pooling": pooling}


def _json(home: Path, name: str, where: str) -> dict[str, Any]:
    if not (home / name).is_file():
        raise Refused(
            f"no {name} there", where=where, got=str(home.absolute()), expected="a folder that save_pretrained wrote"
        )
    try:
        found = json.loads((home / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"not valid JSON: {error}", where=str(home / name)) from error
    if not isinstance(found, dict):
        raise Refused("no JSON object", where=str(home / name))
    return found
