"""Black-box adaptation: the model is a service that answers with logits, and every example it is shown counts."""

from __future__ import annotations

from typing import ClassVar

from promptgrid.contract import Method, Selection
from promptgrid.contract.assets import ASSETS
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import DatasetCard, Refused


class BlackBox(FewShot):
    """Few-shot classification of BlackVIP (Oh et al., CVPR 2023) and BAR: accuracy against queries.

    Methods are given a face of the backbone that answers with logits and refuses everything else. A query is one
    example shown to the model in order to learn; records count them: curve ``queries`` by epoch, beside ``train_loss``,
    and ``val_queries`` at the checkpoints of ``val_accuracy``, where the few validation examples are scored without
    being learned from (they are no queries). For that reason they may choose nothing: ``selection: val`` is refused.
    Reports draw them in the section "Against queries". The paper has 16 shots, ViT-B/16 and 3 seeds. Zero-shot is
    admitted beside as a baseline: it learns nothing and asks nothing.
    """

    name = "black_box"
    about = "k examples a class, and a model that answers with logits alone: top-1 accuracy against queries (BlackVIP)"
    traced: ClassVar[bool] = True

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        if selection == "val":
            raise Refused("answers about validation examples that choose a checkpoint would be queries, and protocol "
                          f"{self.name!r} does not count them", where="selection", got=selection,
                          hint="use selection: last")  # fmt: skip
        super().check(card, shots, selection)

    def admit(self, method: Method) -> None:
        super().admit(method)
        learns = method.axes is None or method.axes.learned != "nothing"
        looks = sorted(method.needs - {"logits"} - ASSETS.keys())
        if learns and ("logits" not in method.needs or looks):
            why = f"needs {', '.join(looks)}" if looks else "looks at features of the examples"
            raise Refused(
                f"method {method.name!r} {why}, and protocol {self.name!r} shows logits alone",
                where="methods",
                hint="choose protocol few_shot, or a method that learns from answers",
            )
