"""Transfer between tasks: what was learned on one dataset meets another."""

from __future__ import annotations

from typing import ClassVar

from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec.cell import Reading


class Transfer(FewShot):
    """MVLPT's study of source and target tasks (Shen et al., WACV 2024), in two readings.

    ``evaluate`` scores what the source learned, as it is, on the target's own classes; ``adapt`` takes it as the start
    and goes on with the target's few shots. Each is scored on the target's whole test split, m_ij for source i and
    target j; the gain over learning from scratch is m_ij - m_jj, m_jj being the record of j's own few-shot cell.
    Any pair may take part, a dataset with itself too.
    """

    name = "transfer"
    about = "learn on a source, then score it on every target as it is (evaluate) or after learning on (adapt; MVLPT)"
    readings: ClassVar[tuple[Reading, ...]] = ("evaluate", "adapt")
