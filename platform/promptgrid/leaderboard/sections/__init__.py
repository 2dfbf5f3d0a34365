"""The sections of the page. A new section is a new file here with a ``SECTION``; its ``order`` says where it stands."""

from __future__ import annotations

import importlib
import pkgutil

from promptgrid.leaderboard.section import Section


def all_sections() -> list[Section]:
    """Every section found in this folder, in page order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found: list[Section] = [importlib.import_module(f"{__name__}.{name}").SECTION for name in names]
    return sorted(found, key=lambda section: (section.order, section.key))
