"""The promises of plug-ins on dual encoders: those of :mod:`promptgrid.contract.conformance`, and what is theirs alone.

They use the contract alone, no engine and no store, so a third party's test is two lines::

    def test_mine():
        check_method(MyMethod)
"""

from __future__ import annotations

from typing import Any

from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.clip.conformance.backbones import check_backbone
from promptgrid.contract.clip.conformance.pictures import check_dataset
from promptgrid.contract.clip.conformance.practice import DualEncoderPractice
from promptgrid.contract.conformance import method as core
from promptgrid.contract.method import Method

__all__ = ["DualEncoderPractice", "check_backbone", "check_dataset", "check_method"]


def check_method(method: type[Method], backbone: Backbone | None = None, **settings: Any) -> None:
    """All promises of a method on ``backbone`` (a small practice one by default), with ``settings`` for defaults.

    Raises:
        AssertionError: the first promise that is not kept, in a sentence.
    """
    core.check_method(method, DualEncoderPractice(backbone), **settings)
