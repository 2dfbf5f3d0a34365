"""Checkpoints as users bring them: sound ones in the dress of other houses, and what is none."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tests.tracks.image.backbones.small_clip import as_openai_wrote_it, small_model, under_their_names

State = dict[str, torch.Tensor]
Write = Callable[[Path], None]
RAN = Path("/tmp/promptgrid-ran-it")
"""What a payload would leave behind if it were unpickled."""
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"


@cache
def state() -> State:
    """The weights of the small model."""
    return dict(small_model().state_dict())


class Payload:
    def __reduce__(self) -> Any:
        return (RAN.touch, ())


def saved(value: Callable[[], Any]) -> Write:
    """Writes what ``value`` gives, as torch.save does."""
    return lambda file: torch.save(value(), file)


def holding(raw: Callable[[], bytes]) -> Write:
    def write(file: Path) -> None:
        file.write_bytes(raw())

    return write


def cut_off(file: Path) -> None:
    torch.save(state(), file)
    file.write_bytes(file.read_bytes()[:5000])


def safetensors_cut_off(file: Path) -> None:
    save_file(state(), file)
    file.write_bytes(file.read_bytes()[:5000])


def numpy_pickle(file: Path) -> None:
    np.savez(file, params=np.array([Payload()], dtype=object))


def prefixed(prefix: str) -> Callable[[], State]:
    return lambda: {f"{prefix}{name}": value for name, value in state().items()}


def adam() -> Any:
    return torch.optim.Adam([torch.zeros(2, requires_grad=True)]).state_dict()


SOUND: dict[str, Write] = {
    "plain": saved(state),
    "wrapped": saved(lambda: {"epoch": 3, "state_dict": state(), "name": "run"}),
    "under-model": saved(lambda: {"model": state()}),
    "of-many-gpus": saved(lambda: {"state_dict": prefixed("module.")()}),
    "compiled": saved(prefixed("_orig_mod.")),
    "safetensors-called-bin": lambda file: save_file(state(), file),
    "transformers-names": lambda file: save_file(under_their_names(state()), file),
    "openai-archive": as_openai_wrote_it,
}
NONE: dict[str, Write] = {
    "empty": holding(lambda: b""),
    "lfs-pointer": holding(lambda: POINTER),
    "web-page": holding(lambda: b"\n<!DOCTYPE html><html>404</html>"),
    "words": holding(lambda: b"weights go here, one day"),
    "gzip": holding(lambda: b"\x1f\x8b\x08" + bytes(40)),
    "cut-off": cut_off,
    "safetensors-cut-off": safetensors_cut_off,
    "half-a-zip": holding(lambda: b"PK\x03\x04" + b"x" * 100),
    "numpy-pickle": numpy_pickle,
    "namespace": saved(lambda: {"args": argparse.Namespace(lr=1), "model": {}}),
    "payload": holding(lambda: pickle.dumps(Payload())),
    "payload-of-old": holding(lambda: pickle.dumps(Payload(), 0)),
    "payload-in-torch": saved(lambda: {"x": Payload()}),
    "whole-module": saved(lambda: torch.nn.Linear(2, 2)),
    "optimiser": saved(adam),
    "list": saved(lambda: [torch.zeros(2)]),
    "settings": saved(lambda: {"epoch": 3, "lr": 0.1}),
    "prompt-learner": saved(lambda: {"state_dict": {"prompt_learner.ctx": torch.zeros(4, 64)}, "epoch": 50}),
    "nan": saved(lambda: state() | {"visual.proj": torch.full((64, 32), float("nan"))}),
    "other-width": saved(lambda: state() | {"visual.proj": torch.zeros(64, 16)}),
    "image-tower-alone": saved(lambda: {name: v for name, v in state().items() if name.startswith("visual.")}),
}
CHECKPOINTS = SOUND | NONE
