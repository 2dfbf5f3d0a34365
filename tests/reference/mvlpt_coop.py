"""MVLPT's coop mode on one task: coop itself (several tasks: tests/tracks/image/methods/test_multitask.py)."""

from tests.reference.coop import logits, start, train

__all__ = ["logits", "start", "train"]
