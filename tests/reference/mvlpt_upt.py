"""MVLPT's upt mode on one task: upt itself (several tasks: tests/tracks/image/methods/test_multitask.py)."""

from tests.reference.upt import logits, start, train

__all__ = ["logits", "start", "train"]
