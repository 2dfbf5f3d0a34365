"""Which methods may take part: what they need, who offers it, and the digests that enter a cell's identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import JsonValue

from promptgrid.contract.assets import ASSETS
from promptgrid.contract.clip import Dataset, DatasetFamily, Method, Protocol
from promptgrid.spec import Refused, Request, digest
from promptgrid.tracks.image.pairs import STAND_IN, PairPool, pair_pool

_CAUSAL = "a causal text transformer pooled at EOT, as CLIP's is and SigLIP's is not"
_SQUARE = "square images"
_VIT = "a ViT pooled at its class token"
TOWERS = {
    "text_tokens": "a text transformer of open_clip's own, as CLIP's and SigLIP's are",
    "text_blocks": _CAUSAL,
    **dict.fromkeys(("vision_blocks", "unprojected", "tokens", "blocks", "weights"), _VIT),
    **dict.fromkeys(("pixels", "logits"), _SQUARE),
}
"""What a backbone must be to offer the inside of a tower."""


class Assets:
    """Looks assets up for the planner and for the bench.

    Args:
        families: the first of them that lists bundled tasks gives the image-text pairs.
        read: opens a dataset.
        facts: the facts of a backbone.
    """

    def __init__(
        self,
        families: Sequence[DatasetFamily],
        read: Callable[[str], Dataset],
        facts: Callable[[str], Mapping[str, Any]],
    ) -> None:
        self._families, self._read, self._facts = families, read, facts
        self._pools = lru_cache(maxsize=64)(self._pairs)
        self.pairs: Callable[[str], PairPool] = self._pools
        self._digest = lru_cache(maxsize=256)(self._asset_digest)

    def look_again(self) -> None:
        """Forget what was read of datasets."""
        self._pools.cache_clear()
        self._digest.cache_clear()

    def admit(
        self, method: Method, request: Request, protocol: Protocol, columns: frozenset[str] = frozenset()
    ) -> None:
        """Refuse a method that cannot take part, with the reason.

        Raises:
            Refused: the backbone, the dataset or the protocol does not offer what the method needs, or the protocol
                cannot admit it.
        """
        towers = {"features", *TOWERS}  # columns of these come from the backbone
        offered = set(self._facts(request.backbone)["offers"]) | (columns - towers)
        missing = sorted(method.needs - ASSETS.keys() - offered)
        if missing:
            raise Refused(
                f"method {request.method!r} needs {', '.join(missing)}, which backbone {request.backbone!r} does not "
                "offer",
                where="methods",
                hint=_way_out(missing),
            )
        protocol.admit(method)
        for name in sorted(_used(method, request)):
            self._admit(name, method, request, protocol)

    def identity(self, method: Method, request: Request) -> dict[str, JsonValue]:
        """Digests of the assets that ``method`` uses, except the pool, which is part of the split.

        Pairs say in words what they are, so that no one who reads a record takes them for a corpus of captions.
        """
        own: dict[str, JsonValue] = {
            name: self._digest(name, request.dataset) for name in sorted(_used(method, request) & _OF_DATASETS)
        }
        if "image_text_pairs" in own:
            own["image_text_pairs"] = [own["image_text_pairs"], STAND_IN]
        if "second_backbone" in method.assets:
            facts = self._facts(second_of(method))
            own["second_backbone"] = facts["digest"]
        return own

    def _admit(self, name: str, method: Method, request: Request, protocol: Protocol) -> None:
        asset = ASSETS[name]
        dataset = self._read(request.dataset)
        lack = ""
        if asset.owner == "protocol" and name not in protocol.offers:
            lack = f"protocol {request.protocol!r}"
        elif name == "second_backbone":
            self._admit_second(method, request)
        elif name in _OF_DATASETS and not self._offered(name, request.dataset, dataset):
            lack = f"dataset {request.dataset!r}"
        if lack:
            raise Refused(f"method {request.method!r} needs {name} ({asset.what}), which {lack} does not offer",
                          where="methods", hint=asset.hint)  # fmt: skip

    def _admit_second(self, method: Method, request: Request) -> None:
        """Refuse a second backbone that is unknown, or that shows the inside of the black box."""
        facts = self._facts(second_of(method))
        if "logits" in method.needs and facts["digest"] == self._facts(request.backbone)["digest"]:
            raise Refused(f"method {request.method!r} learns from the answers of {request.backbone!r} alone, and its "
                          "second backbone is that same model, which would show it features", where="methods",
                          got=second_of(method), hint="name another backbone in the setting `second`")  # fmt: skip

    def _offered(self, name: str, called: str, dataset: Dataset) -> bool:
        if name == "descriptions":
            return bool(dataset.descriptions)
        if name == "domain_labels":
            return len({dataset.domain_labels[i] for i in dataset.splits["train"]} if dataset.domain_labels else ()) > 1
        if name == "image_text_pairs":
            return bool(self.pairs(called).parts)
        found = dataset.variations
        if found is not None and (bare := [i for i in dataset.splits["test"] if i not in found.names]):
            raise Refused(f"{len(bare)} of {len(dataset.splits['test'])} test images have no variation", where=called,
                          hint=ASSETS[name].hint)  # fmt: skip
        return found is not None

    def _asset_digest(self, name: str, called: str) -> str:
        dataset = self._read(called)
        if name == "image_text_pairs":
            return self.pairs(called).digest()
        if name == "variations":
            return dataset.variations.digest if dataset.variations is not None else ""
        if name == "descriptions":
            return digest({key: list(sentences) for key, sentences in dataset.descriptions.items()})
        return digest(list(dataset.domain_labels))

    def _pairs(self, called: str) -> PairPool:
        bundled = [card.name for family in self._families for card in family.listing() if card.bundled]
        return pair_pool(self._read(called), [self._read(name) for name in bundled])


def _way_out(missing: Sequence[str]) -> str:
    """What a backbone must be to offer ``missing``, and what works on any."""
    takes = dict.fromkeys(f"that takes {TOWERS[name]}" for name in missing if name in TOWERS)
    return "; ".join([*takes, "choose another backbone, or leave the method out: those on frozen features work on any"])


def _used(method: Method, request: Request) -> frozenset[str]:
    """The assets of ``method`` that the cell looks at: one that is only scored trains on none."""
    return method.assets - _TO_TRAIN_ON if request.reading == "evaluate" else method.assets


_TO_TRAIN_ON = frozenset({"domain_labels", "image_text_pairs"})
_OF_DATASETS = frozenset(name for name, asset in ASSETS.items() if asset.owner == "dataset")


def second_of(method: Method) -> str:
    """The id of the second backbone that ``method`` names in its setting ``second``.

    Raises:
        Refused: it needs one and has no such setting.
    """
    named = getattr(method, "second", "")
    if not isinstance(named, str) or not named:
        raise Refused(f"method {method.name!r} needs second_backbone and names none", where=f"methods.{method.name}",
                      got=named, expected="a setting `second` with the id of a backbone")  # fmt: skip
    return named
