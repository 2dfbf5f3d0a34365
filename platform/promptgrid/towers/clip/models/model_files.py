"""Where the configuration, the weights and the tokenizer of an open_clip model lie, and what they are by content."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptgrid.engine.checkpoints.hub import FOLDER, PREFIX, HubFile, tokenizer_files
from promptgrid.engine.datasets.content import content_hashes
from promptgrid.spec import Refused, nearest
from promptgrid.spec.paths import user_path
from promptgrid.towers.clip.models import torchvision_cure

CONFIG = "open_clip_config.json"
PLAIN, SAFE = "open_clip_pytorch_model.bin", "open_clip_model.safetensors"
RANDOM = "random"
ENDINGS = (".safetensors", ".bin", ".pth")
USUAL = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth",
)  # fmt: skip
"""Names of checkpoints in a folder, the first choice first."""


def checkpoints(written: str = "") -> tuple[str, ...]:
    """Names under which a checkpoint may lie, open_clip's first choice first; ``written`` is what a tag says."""
    if written in ("", PLAIN):
        return SAFE, PLAIN
    stem, ending = os.path.splitext(written)
    return (f"{stem}.safetensors", written) if ending in (".bin", ".pth") else (written,)


@dataclass(frozen=True)
class Spelling:
    """``model``, ``model@weights`` or ``model@weights#sha256`` taken apart."""

    model: str
    weights: str
    sha256: str

    @classmethod
    def of(cls, backbone: str) -> Spelling:
        """The parts of an id; absent ones are empty."""
        rest, _, pinned = backbone.partition("#")
        model, _, weights = rest.partition("@")
        return cls(model, weights, pinned)

    @property
    def file(self) -> Path | None:
        """The checkpoint file, where the weights are one."""
        looks_like_path = "/" in self.weights or self.weights.endswith((".safetensors", ".pt", ".pth", ".bin"))
        return user_path(self.weights, "backbones") if looks_like_path else None


@dataclass(frozen=True)
class Weights:
    """A checkpoint: the sha256 of its content, and where it lies; ``file`` fetches it where it is not here yet."""

    sha256: str
    file: Callable[[], Path | None]


NO_WEIGHTS = Weights("random, seed 0", lambda: None)


@dataclass(frozen=True)
class Source:
    """A model as its files describe it.

    Attributes:
        config: open_clip's ``model_cfg``, as written.
        preprocess: ``preprocess_cfg`` of its folder, or what the tag says of it.
        weights: the checkpoint.
        built_by: the name by which open_clip's factory finds the same configuration.
        folder: where the files of its tokenizer lie; None for one that comes with open_clip, and for random weights,
            whose results are nothing to be named.
        given: the checkpoint file, where a folder or a path names it; None for weights of a hub or of nowhere.
    """

    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    weights: Weights
    built_by: str
    folder: Path | None = None
    given: Path | None = None


def open_clip() -> Any:
    """The module, which takes seconds to import the first time."""
    torchvision_cure.apply()
    import open_clip as found

    return found


def config_of(spelling: Spelling) -> Mapping[str, Any]:
    """open_clip's ``model_cfg`` of ``spelling``, whatever its weights.

    Raises:
        Refused: an unknown model, a folder without a config, a hub without an answer.
    """
    if spelling.model.startswith(FOLDER):
        return _from_folder(user_path(spelling.model.removeprefix(FOLDER), "backbones"), spelling).config
    if spelling.model.startswith(PREFIX):
        return _from_folder(_snapshot(spelling), spelling).config
    clip = open_clip()
    config: Mapping[str, Any] | None = clip.get_model_config(spelling.model)
    if config is None:
        raise Refused("unknown model", where="backbones", got=spelling.model,
                      hint=nearest(spelling.model, clip.list_models()))  # fmt: skip
    return config


def source_of(spelling: Spelling) -> Source:
    """Where the configuration and the weights of ``spelling`` are, as of now.

    Raises:
        Refused: an unknown model or tag, a folder without a config, weights that are nowhere, a hub without an answer.
    """
    if spelling.model.startswith(FOLDER):
        folder = user_path(spelling.model.removeprefix(FOLDER), "backbones")
        found = _from_folder(folder, spelling)
        file = _in_folder(folder, spelling.model)
        return replace(found, weights=_checkpoint_of(file, spelling.sha256), given=file)
    if spelling.model.startswith(PREFIX):
        return _from_hub(spelling)
    return _by_name(spelling)


def unlooked(spelling: Spelling) -> Source:
    """A model that open_clip knows by name, without a look at its weights, which are named as they were asked for.

    Raises:
        Refused: an unknown model or tag.
    """
    config = config_of(spelling)
    pinned = {} if spelling.weights == RANDOM or spelling.file is not None else _tag(spelling, config)
    return Source(config, pinned, Weights(f"not looked at: {spelling.weights}", lambda: None), spelling.model)


def _from_folder(folder: Path, spelling: Spelling) -> Source:
    """The configuration in ``folder``; its weights are still to be found."""
    file = folder / CONFIG
    if not file.is_file():
        raise Refused("no open_clip_config.json there", where=spelling.model, got=str(folder.absolute()),
                      expected="a folder written by open_clip")  # fmt: skip
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"not valid JSON: {error}", where=str(file)) from error
    if not isinstance(written, dict) or not isinstance(written.get("model_cfg"), dict):
        raise Refused("no open_clip model configuration: 'model_cfg'", where=str(file))
    preprocess = written.get("preprocess_cfg") or {}
    return Source(written["model_cfg"], preprocess, NO_WEIGHTS, f"{FOLDER}{folder}", folder)


def _from_hub(spelling: Spelling) -> Source:
    found = _from_folder(_snapshot(spelling), spelling)
    weights = _from_repository(HubFile(spelling.model.removeprefix(PREFIX), checkpoints()), spelling.sha256)
    return replace(found, weights=weights, folder=_tokenizer_folder(found.config))


def _snapshot(spelling: Spelling) -> Path:
    """The folder of the revision that lies on this machine; where there is none, of the hub's latest."""
    return HubFile(spelling.model.removeprefix(PREFIX), (CONFIG,)).fetched().parent


def _by_name(spelling: Spelling) -> Source:
    """A model that open_clip knows by name, with weights from a file, a tag, or none."""
    config = config_of(spelling)
    if spelling.weights == RANDOM:
        return Source(config, {}, NO_WEIGHTS, spelling.model)
    if (file := spelling.file) is not None:
        return Source(
            config, {}, _checkpoint_of(file, spelling.sha256), spelling.model, _tokenizer_folder(config), file
        )
    pinned = _tag(spelling, config)
    return Source(config, pinned, _of_tag(pinned, spelling), spelling.model, _tokenizer_folder(config))


def _tag(spelling: Spelling, config: Mapping[str, Any]) -> dict[str, Any]:
    """What open_clip knows of a ``pretrained`` tag: where its weights are, and how images are prepared."""
    clip = open_clip()
    tags = clip.list_pretrained_tags_by_model(spelling.model)
    if not spelling.weights:
        raise Refused("names no weights", where=spelling.model, expected="a `pretrained` tag", hint=nearest("", tags))
    pinned: dict[str, Any] = clip.get_pretrained_cfg(spelling.model, spelling.weights)
    if not pinned:
        near = nearest(spelling.weights, tags)
        raise Refused("unknown weights", where=spelling.model, got=spelling.weights, hint=near)
    if pinned.get("quick_gelu") and not config.get("quick_gelu"):
        raise Refused(
            f"the weights {spelling.weights!r} were trained with QuickGELU",
            where=spelling.model,
            hint=f"name the model {spelling.model}-quickgelu, or its numbers will be off",
        )
    return pinned


def _of_tag(pinned: Mapping[str, Any], spelling: Spelling) -> Weights:
    if home := pinned.get("hf_hub"):
        repo, _, name = home.rpartition("/")
        return _from_repository(HubFile(repo, checkpoints(name)), spelling.sha256)
    try:
        file = Path(open_clip().download_pretrained(dict(pinned)))
    except Exception as error:
        raise Refused(f"the weights of this tag are not here and cannot be fetched: {error}",
                      where=f"{spelling.model} {spelling.weights}") from error  # fmt: skip
    return _checkpoint_of(file, spelling.sha256)


def _from_repository(file: HubFile, pinned: str) -> Weights:
    """A checkpoint of a hub: by its content where it lies here, else by what is pinned, or what the hub says of it."""
    here = file.here()
    if here is None and (known := pinned or file.sha256()):
        return Weights(known, file.fetched)
    return _checkpoint_of(here or file.fetched(), pinned)


def _checkpoint_of(file: Path, pinned: str) -> Weights:
    if not file.is_file():
        raise Refused("no such checkpoint", where=str(file))
    ((_, found),) = content_hashes(file.parent.resolve(), [file.name]).values()
    if pinned and found != pinned:
        raise Refused("the checkpoint is not the one pinned", where=str(file), got=found, expected=f"sha256 {pinned}")
    return Weights(found, lambda: file)


def _in_folder(folder: Path, where: str) -> Path:
    """The checkpoint in a folder; among several the one that open_clip takes."""
    found = sorted(path for path in folder.glob("*") if path.suffix in ENDINGS)
    if not found:
        raise Refused("no weights there", where=where, expected="open_clip_model.safetensors")
    usual = {name: place for place, name in enumerate(USUAL)}
    return min(found, key=lambda path: (usual.get(path.name, len(USUAL)), ENDINGS.index(path.suffix), path.name))


def _tokenizer_folder(config: Mapping[str, Any]) -> Path | None:
    """Where the files of a named tokenizer lie, fetched where they are not; None for open_clip's own."""
    name = (config.get("text_cfg") or {}).get("hf_tokenizer_name")
    return HubFile(str(name), ("tokenizer_config.json",)).fetched().parent if name else None


def text_reader(source: Source) -> dict[str, Any]:
    """What the key says of the tokenizer beside the fields of the text tower: its kind, and digests of its files."""
    if not (source.config.get("text_cfg") or {}).get("hf_tokenizer_name"):
        return {"kind": "siglip" if _is_siglip(source.built_by) else "clip"}
    if source.folder is None:
        return {"kind": "hub"}
    files = content_hashes(source.folder, list(tokenizer_files(source.folder)))
    return {"kind": "hub", "files": {name: sha for name, (_, sha) in files.items()}}


def tokenizer_of(source: Source) -> Any:
    """The tokenizer of the model, from the files that :func:`text_reader` took digests of."""
    clip, text = open_clip(), source.config["text_cfg"]
    if not text.get("hf_tokenizer_name"):
        return clip.get_tokenizer(source.built_by)
    return clip.tokenizer.HFTokenizer(
        str(source.folder or _tokenizer_folder(source.config)),
        context_length=text.get("context_length", 77),
        tokenizer_mode=text.get("tokenizer_mode"),
        **(text.get("tokenizer_kwargs") or {}),
    )


def _is_siglip(built_by: str) -> bool:
    """Whether open_clip takes SigLIP's tokenizer, which it judges by the name alone."""
    return not built_by.startswith(FOLDER) and "siglip" in built_by.lower()
