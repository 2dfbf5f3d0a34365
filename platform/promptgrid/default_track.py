"""The track of a suite, and of a command, that names none."""

from __future__ import annotations

DEFAULT_TRACK = "image"
