"""Column ``object_at``: slots around the second entity."""

from __future__ import annotations

from promptgrid.tracks.text.data.relations import EntityColumn


class ObjectAt(EntityColumn):
    """(B, 2) the slots around the second entity in ``templated``, for methods on relations."""

    name = "object_at"
