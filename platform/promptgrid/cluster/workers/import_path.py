"""Where this process finds modules and plug-ins, for workers on the same machine to find the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def import_path() -> str:
    """A ``PYTHONPATH`` that says what ``sys.path`` does, without what every interpreter has anyway."""
    inside = [Path(entry or ".").absolute() for entry in sys.path]
    return os.pathsep.join(str(path) for path in inside if not path.is_relative_to(sys.base_prefix))
