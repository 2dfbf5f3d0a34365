"""What only texts add to a cell's name: tokens, template, label words, and what a setting asks of the tower."""

from __future__ import annotations

from typing import Any, cast

from promptgrid.contract.assets import ASSETS
from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Protocol
from promptgrid.engine.planning.resolve import Resolver
from promptgrid.spec import Refused, Request
from promptgrid.tracks.text.data.encoded import MOST, template_of
from promptgrid.tracks.text.data.wanted import columns_of
from promptgrid.tracks.text.datasets.text import TextDataset

IN_TEMPLATE = frozenset({"templated", "mask_state"})


class TextResolver(Resolver):
    """Looks names up, and knows what texts in a template ask for."""

    def admit(self, method: Method, request: Request, protocol: Protocol) -> None:
        for name in sorted(method.assets & ASSETS.keys()):
            if ASSETS[name].owner == "protocol" and name not in protocol.offers:
                raise Refused(
                    f"method {method.name!r} needs {name} ({ASSETS[name].what}), which protocol {protocol.name!r} does "
                    "not offer",
                    where="methods",
                    hint=ASSETS[name].hint,
                )
        if IN_TEMPLATE & columns_of(method) and "mask" not in self.facts(request.backbone)["offers"]:
            raise Refused(
                f"method {method.name!r} answers by words at a mask, and backbone {request.backbone!r} fills none",
                where="methods",
                hint="choose a backbone with a masked-word head, or another setting of the method",
            )
        super().admit(method, request, protocol)

    def own_identity(self, method: Method, request: Request) -> dict[str, Any]:
        own = super().own_identity(method, request)
        dataset = cast(TextDataset, self.dataset(request.dataset))
        own["tokens"] = [MOST, self.facts(request.backbone)["preprocessing"]]
        if IN_TEMPLATE & columns_of(method):
            template = template_of(dataset.card, marked="relations" in method.needs)
            own["spoken"] = [template, {name: list(words) for name, words in dataset.words.items()}]
        return own

    def sizes(self, backbone: str) -> dict[str, int]:
        """The sizes of ``backbone``, for estimates."""
        return dict(self.facts(backbone).get("sizes", {}))
