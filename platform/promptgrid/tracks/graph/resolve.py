"""What only graphs add to a cell's name: how far around a node is looked, and whether the tower reads such features."""

from __future__ import annotations

from typing import Any, cast

from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Protocol
from promptgrid.engine.planning.resolve import Resolver
from promptgrid.spec import Refused, Request, digest
from promptgrid.tracks.graph.data.pack_data import LOOKED
from promptgrid.tracks.graph.datasets.graph import GraphDataset

TEXTS = "texts"


class GraphResolver(Resolver):
    """Looks names up, and knows what towers and methods ask of a dataset."""

    def admit(self, method: Method, request: Request, protocol: Protocol) -> None:
        super().admit(method, request, protocol)
        dataset, facts = cast(GraphDataset, self.dataset(request.dataset)), self.facts(request.backbone)
        wide = dataset.graph.features.shape[1]
        if wide != facts["raw"] and method.needs & {"tower", "features"}:
            raise Refused(f"backbone {request.backbone!r} reads other features than those of {request.dataset!r}",
                          where="backbones", got=f"{wide} a node", expected=f"{facts['raw']} a node",
                          hint="train one: python -m promptgrid.tracks.graph.bundled.pretrain")  # fmt: skip
        if TEXTS in method.needs and set(dataset.spoken) != set(dataset.card.classes):
            raise Refused(f"method {method.name!r} compares with sentences about classes, and {request.dataset!r} has "
                          "none", where="methods", hint="use a bundled graph, or leave the method out")  # fmt: skip

    def own_identity(self, method: Method, request: Request) -> dict[str, Any]:
        own = super().own_identity(method, request)
        own["looked"] = LOOKED
        if TEXTS in method.needs:
            spoken = cast(GraphDataset, self.dataset(request.dataset)).spoken
            own["spoken"] = digest({name: value.tolist() for name, value in spoken.items()})
        return own
