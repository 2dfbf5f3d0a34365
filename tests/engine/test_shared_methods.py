"""A method of a wing that builds on one below the wings has a key that follows that one too."""

from __future__ import annotations

import pytest

from promptgrid import catalog
from promptgrid.contract import Method
from promptgrid.engine.planning import own_code


@pytest.fixture
def tuned() -> type[Method]:
    """P-tuning v2 of the text wing, whose head is that of all methods on a tower."""
    found: type[Method] = catalog.track("text").resolver.method("p_tuning_v2")  # type: ignore[attr-defined]
    return found


def test_code_below_the_wings_is_part_of_the_key(tuned: type[Method], monkeypatch: pytest.MonkeyPatch) -> None:
    own_code.source_digest.cache_clear()
    before, code = own_code.source_digest(tuned), own_code._code

    def changed(module: str) -> tuple[bytes, str] | None:
        found = code(module)
        if module != "promptgrid.towers.methods.parts.headed" or found is None:
            return found
        return found[0] + b"\nEXTRA = 1\n", found[1]

    monkeypatch.setattr(own_code, "_code", changed)
    own_code.source_digest.cache_clear()
    assert own_code.source_digest(tuned) != before
    own_code.source_digest.cache_clear()
