"""What only images add to a cell's name: preprocessing, views, assets, and prompts that fit the text tower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from PIL.Image import Image

from promptgrid.contract.backbone import BackboneFamily
from promptgrid.contract.clip import Classifier, Dataset, DatasetFamily, Method, Protocol
from promptgrid.contract.clip.method import adaptation_of, beside_of, has_own_losses, loss_of
from promptgrid.contract.columns import ColumnSource
from promptgrid.engine.datasets.union import open_union
from promptgrid.engine.planning.resolve import Resolver
from promptgrid.spec import Cell, Refused, Request
from promptgrid.towers.clip.prompt_lengths import PromptLengths
from promptgrid.towers.vision.backbone import ALONE
from promptgrid.tracks.image.assets import Assets, second_of
from promptgrid.tracks.image.data.pixels import PIXELS
from promptgrid.tracks.image.data.restyled import VERSION
from promptgrid.tracks.image.data.test_views import named
from promptgrid.tracks.image.data.views import AUGMENTATION
from promptgrid.tracks.image.datasets.corrupted import open_corrupted
from promptgrid.tracks.image.datasets.ordered import open_ordered


class ImageResolver(Resolver):
    """Looks names up, and knows what images and their text towers ask for."""

    def __init__(
        self,
        methods: Mapping[str, type[Method]],
        datasets: Sequence[DatasetFamily],
        backbones: Sequence[BackboneFamily],
        protocols: Mapping[str, type[Protocol]],
        columns: Sequence[ColumnSource] = (),
    ) -> None:
        super().__init__(methods, datasets, backbones, protocols, columns)
        self.assets = Assets(datasets, self.dataset, self.facts)
        self.prompts = PromptLengths(self.dataset, lambda name: self.backbone_family(name).prompt_room(name))

    def look_again(self) -> None:
        super().look_again()
        self.assets.look_again()
        self.prompts.look_again()

    def admit(self, method: Method, request: Request, protocol: Protocol) -> None:
        if isinstance(method, Classifier) and self.facts(request.backbone).get(ALONE):
            raise Refused(f"method {request.method!r} compares images with texts, and {request.backbone!r} is an image "
                          "tower alone", where="methods", hint="choose a method with a linear head on the tower, or a "
                          "dual encoder")  # fmt: skip
        self.assets.admit(method, request, protocol, self.column_needs)
        super().admit(method, request, protocol)
        if loss_of(method) == "sigmoid":
            _admit_sigmoids(method, request, self.facts(request.backbone)["offers"])
        self.prompts.admit(request, self.settle(type(method), request.settings))

    def own_identity(self, method: Method, request: Request) -> dict[str, Any]:
        own = super().own_identity(method, request)
        own["preprocessing"] = preprocessing_of(self.facts(request.backbone))
        own["views"] = [request.views, AUGMENTATION] if request.views else 0
        if method.assets:
            own["assets"] = self.assets.identity(method, request)
        plan, beside = adaptation_of(method), beside_of(method)
        if plan is not None:
            own["test_time"] = named(plan)
        if beside:
            own["beside"] = [*beside, VERSION]
        return own

    def second(self, cell: Cell) -> tuple[str, str] | None:
        """Id and digest of the second backbone that a cell's method looks through; None where it needs none."""
        method = self.method(cell.method)(**cell.settings)
        if "second_backbone" not in method.assets:
            return None
        assets = cast(dict[str, Any], cell.identity.get("assets", {}))
        return second_of(method), str(assets.get("second_backbone", ""))

    def plain(self, example: Image) -> bytes:
        return repr(example.size).encode() + example.convert("RGB").tobytes()

    def joined(self, name: str) -> Dataset | None:
        found = open_corrupted(name, self.dataset) or open_ordered(name, self.dataset)
        return found or open_union(name, self.knows, self.dataset)

    def sizes(self, backbone: str) -> dict[str, int]:
        """What ``backbone`` says about the sizes of its towers, for estimates; empty where it says nothing."""
        return dict(self.facts(backbone).get("sizes", {}))


def _admit_sigmoids(method: Method, request: Request, offers: Sequence[str]) -> None:
    where = f"methods.{method.name}.loss"
    if has_own_losses(method):
        raise Refused(f"method {method.name!r} has losses of its own", where=where, got="sigmoid",
                      hint="leave `loss` out, or choose a method that descends cross-entropy alone")  # fmt: skip
    if "logit_bias" not in offers:
        raise Refused(f"backbone {request.backbone!r} has no logit bias: it was not trained by sigmoids, as SigLIP was",
                      where=where, got="sigmoid", hint="leave `loss` out, or choose a SigLIP or SigLIP 2")  # fmt: skip


def preprocessing_of(facts: Mapping[str, Any]) -> list[Any]:
    """What a cell's identity says of how images are prepared for a backbone, of which these are the facts."""
    return [PIXELS, facts["preprocessing"].plain()]
