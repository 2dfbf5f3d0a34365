"""Column ``subject_at``: slots around the first entity."""

from __future__ import annotations

from promptgrid.tracks.text.data.relations import EntityColumn


class SubjectAt(EntityColumn):
    """(B, 2) the slots around the first entity in ``templated``, for methods on relations."""

    name = "subject_at"
