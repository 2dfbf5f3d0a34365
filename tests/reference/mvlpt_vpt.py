"""MVLPT's vpt mode on one task: vpt itself (several tasks: tests/tracks/image/methods/test_multitask.py)."""

from tests.reference.vpt import logits, start, train

__all__ = ["logits", "start", "train"]
