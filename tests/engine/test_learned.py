"""A learned method answers about what it is given, whatever that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from promptgrid.contract.task import Task
from promptgrid.engine import learned


@dataclass(frozen=True)
class Number:
    """A number by its own name."""

    value: float

    @property
    def name(self) -> str:
        return f"number {self.value:g}"

    def read(self) -> float:
        return self.value


class Signs(learned.Learned):
    """Negative or positive."""

    def logits_of(self, examples: Sequence[Any]) -> Tensor:
        values = torch.tensor(examples)
        return torch.stack([-values, values], dim=1)


def signs(open_vocabulary: bool = True) -> Signs:
    method = SimpleNamespace(name="signs", open_vocabulary=open_vocabulary)
    return Signs(method, {}, Task("numbers", ("negative", "positive"), None))


def test_answers_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "TOGETHER", 2)
    found = signs().answers([Number(-1.0), Number(2.0), Number(0.5)])
    assert [answer.name for answer in found] == ["negative", "positive", "positive"]
    assert found[1].example == "number 2"
    assert found[1].score == pytest.approx(1 / (1 + torch.tensor(-4.0).exp().item()))
    assert [name for name, _ in found[0].ranked] == ["negative", "positive"]
    assert repr(found[0]) == "Answer('number -1': 'negative', 0.881)"
    assert signs().rows([Number(1.0)]).tolist() == [[-1.0, 1.0]]
    assert signs().rows([]).shape == (0, 2)


def test_other_classes_need_an_open_vocabulary() -> None:
    assert signs().rebind(("down", "up")).classes == ("down", "up")
    with pytest.raises(ValueError, match="not trained on"):
        signs(open_vocabulary=False).rebind(("down", "up"))
    assert repr(signs()) == "Signs(signs: 2 classes)"
